"""What both lowerings of `pit` operations to code on buffers do with a function: rule after rule, in order."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.lowering import Lowering
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

Machine = TypeVar("Machine", bound=Lowering)

COUNTED = {
    "pit.attend": "num-kernels",
    "pit.block_mask": "num-indices",
    "pit.contract": "num-kernels",
    "pit.detect": "num-indices",
    "pit.generic": "num-kernels",
    "pit.sread": "num-moves",
    "pit.swrite": "num-moves",
}
"""What a lowering counts an operation as."""
STATISTICS = {
    "num-kernels": "Operations that do dense work on what is live",
    "num-moves": "Reads and writes that stand alone",
    "num-indices": "Indices made",
}
"""What the counts mean."""


def lower_function(
    function: ir.Operation,
    rules: Mapping[str, Callable[[ir.Operation, Machine], None]],
    lowering: Machine,
    machine: str,
    report: Report,
) -> None:
    """Replaces the `pit` operations of `function` by what the `rules` of `machine` say.

    Raises `UnsupportedError` for one that has no rule.
    """
    erase_dead(function)
    done = lowered_operations(function)
    for op in done:
        if op.name not in rules:
            raise UnsupportedError(f"no {machine} code for '{op.name}'", location=location_text(op.location))
        with ir.InsertionPoint(op), op.location:
            rules[op.name](op, lowering)
        if op.name in COUNTED:
            report.count(COUNTED[op.name])
    for op in reversed(done):
        op.erase()
    # Tensors that only gave their sizes, such as the zeros that sums start from.
    erase_dead(function)


def erase_dead(function: ir.Operation) -> None:
    """Erases what computes tensors that nothing uses: bufferization would compute them."""
    bodies = [list(block.operations) for block in function.regions[0].blocks]
    for op in reversed([op for body in bodies for op in body]):
        name, results = op.operation.name, list(op.operation.results)
        is_pure = name in COUNTED or name.startswith(("linalg.", "tensor."))
        # What has no results writes to buffers.
        if is_pure and results and not any(True for result in results for _ in result.uses):
            op.operation.erase()


def lowered_operations(function: ir.Operation) -> list[ir.Operation]:
    """The operations that a rule is for, in order: not those in the bodies of others."""
    found: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if not op.name.startswith(("pit.", "tm_tensor.")):
            return ir.WalkResult.ADVANCE
        found.append(op)
        return ir.WalkResult.SKIP

    function.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found

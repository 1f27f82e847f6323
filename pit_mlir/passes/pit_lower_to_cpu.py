"""`pit-lower-to-cpu`: indices and what is done through them become code on buffers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir, tensor
from pit_mlir.codegen.brackets import Lowering, give, private_copy, read
from pit_mlir.codegen.checks import check
from pit_mlir.codegen.contract_alternatives import is_deferred
from pit_mlir.codegen.cpu.attend import lower_attend
from pit_mlir.codegen.cpu.block_mask import lower_block_mask
from pit_mlir.codegen.cpu.contract import lower_contract
from pit_mlir.codegen.cpu.detect import lower_detect
from pit_mlir.codegen.cpu.detect_keys import lower_segment
from pit_mlir.codegen.cpu.lists import lower_choice, lower_lists
from pit_mlir.codegen.cpu.rows import lower_size, lower_sread, lower_swrite
from pit_mlir.codegen.cpu.scatter import lower_scatter
from pit_mlir.codegen.cpu.segments import lower_generic
from pit_mlir.codegen.cpu.sort import lower_sort
from pit_mlir.codegen.windows import lower_window
from pit_mlir.diagnostics import Kernel, Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.walk import operations
from pit_mlir.errors import UnsupportedError
from pit_mlir.passes.base import Pass
from pit_mlir.target import host


def lower_check(op: ir.Operation, lowering: Lowering) -> None:
    """A condition that does not hold is recorded and raised after the call."""
    condition = op.operands[0]
    if isinstance(condition.type, ir.RankedTensorType):
        condition = tensor.extract(condition, [])
    check(condition, ir.StringAttr(op.attributes["message"]).value, op)


def lower_mark(op: ir.Operation, lowering: Lowering) -> None:
    """A mark has said what it had to say."""
    op.results[0].replace_all_uses_with(op.operands[0])


def lower_library(op: ir.Operation, lowering: Lowering) -> None:
    """A `tm_tensor` operation, on buffers: the loops it stands for are built after bufferization."""
    count = len(op.results)
    inputs = [
        read(operand) if isinstance(operand.type, ir.RankedTensorType) else operand
        for operand in list(op.operands)[: len(op.operands) - count]
    ]
    outputs = [private_copy(operand) for operand in list(op.operands)[len(op.operands) - count :]]
    on_buffers = ir.Operation.create(
        op.name,
        operands=[*inputs, *outputs],
        attributes={name: op.attributes[name] for name in op.attributes},
        regions=len(op.regions),
    )
    for region, old in zip(on_buffers.regions, op.regions, strict=True):
        while list(old.blocks):
            old.blocks[0].append_to(region)
    for buffer, result in zip(outputs, op.results, strict=True):
        give(buffer, result)


RULES: dict[str, Callable[[ir.Operation, Lowering], None]] = {
    "pit.attend": lower_attend,
    "pit.block_mask": lower_block_mask,
    "pit.check": lower_check,
    "pit.choice": lower_choice,
    "pit.contract": lower_contract,
    "pit.detect": lower_detect,
    "pit.generic": lower_generic,
    "pit.lists": lower_lists,
    "pit.mark": lower_mark,
    "pit.segment": lower_segment,
    "pit.size": lower_size,
    "pit.sread": lower_sread,
    "pit.swrite": lower_swrite,
    "pit.window": lower_window,
    "tm_tensor.scan": lower_library,
    "tm_tensor.scatter": lower_scatter,
    "tm_tensor.sort": lower_sort,
    "tm_tensor.topk": lower_library,
}


COUNTED = {
    "pit.attend": "num-kernels",
    "pit.block_mask": "num-indices",
    "pit.contract": "num-kernels",
    "pit.detect": "num-indices",
    "pit.generic": "num-kernels",
    "pit.sread": "num-moves",
    "pit.swrite": "num-moves",
}


KERNELS = ("pit_contract_", "pit_attend_")
"""How the names of kernels begin, which operations of one form share."""


@dataclass(frozen=True)
class LowerToCpu(Pass):
    """Lowers every `pit` operation to loops, vectors and calls on buffers, between brackets to and from tensors.

    `!pit.index` becomes buffers of i32. A `pit` operation without a rule is an `UnsupportedError`.
    """

    name: ClassVar[str] = "pit-lower-to-cpu"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-kernels": "Operations that do dense work on what is live",
        "num-moves": "Reads and writes that stand alone",
        "num-indices": "Indices made",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """One function after another, in order: an index is made before it is used."""
        with op.context:
            for function in operations(op, "func.func"):
                lower_function(function, report)


def lower_function(function: ir.Operation, report: Report) -> None:
    """Replaces the `pit` operations of `function`."""
    lowering = Lowering(host())
    erase_dead(function)
    done: list[ir.Operation] = []
    for op in lowered_operations(function):
        name = op.name
        if name not in RULES:
            raise UnsupportedError(f"no CPU code for '{name}'", location=location_text(op.location))
        with ir.InsertionPoint(op), op.location:
            # An index that is not always followed is made by who follows it.
            if name != "pit.detect" or not is_deferred(op):
                RULES[name](op, lowering)
        if name in COUNTED:
            report.count(COUNTED[name])
        done.append(op)
    for op in reversed(done):
        op.erase()
    # Tensors that only gave their sizes, such as the zeros that sums start from.
    erase_dead(function)
    for call in operations(function, "func.call"):
        name = ir.FlatSymbolRefAttr(call.attributes["callee"]).value
        if name.startswith(KERNELS):
            report.kernels.append(Kernel(location_text(call.location), name))


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

"""`pit-share-loops`: loops of the same form become calls of one function."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import func, ir
from pit_mlir.codegen.build import move_here
from pit_mlir.codegen.fingerprint import digest, is_constant, operation_lines
from pit_mlir.codegen.outline import outline
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import outermost
from pit_mlir.passes.base import Pass

LOOPS = ("scf.for", "scf.parallel")


@dataclass(frozen=True)
class ShareLoops(Pass):
    """Moves loops that occur more than once, but for the buffers and scalars they use, into a private function.

    What the layers of a model repeat is compiled once. Constants are part of a loop, everything else from outside
    becomes an argument. Loops with results stay, and so do those of private functions, which are shared themselves.
    """

    name: ClassVar[str] = "pit-share-loops"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    statistics: ClassVar[Mapping[str, str]] = {
        "num-functions": "Functions made for loops that repeat",
        "num-shared": "Loops that became calls",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Outermost loops, in one or several functions."""
        with op.context:
            families: dict[str, list[Loop]] = {}
            for function in public_functions(op):
                for inner in outermost(function, *LOOPS):
                    if not inner.results:
                        loop = Loop.of(inner)
                        families.setdefault(loop.form, []).append(loop)
            for form, family in families.items():
                if len(family) > 1:
                    share(f"pit_loops_{form}", family)
                    report.count("num-functions")
                    report.count("num-shared", len(family))


@dataclass(frozen=True)
class Loop:
    """A loop with the uses in it of each value from outside, constants apart; `form` is what shared loops agree in."""

    op: ir.Operation
    form: str
    captured: dict[ir.Value, list[tuple[ir.Operation, int]]]
    constants: dict[ir.Value, list[tuple[ir.Operation, int]]]

    @staticmethod
    def of(op: ir.Operation) -> "Loop":
        """The view of `op`, which has no results."""
        captured: dict[ir.Value, list[tuple[ir.Operation, int]]] = {}
        constants: dict[ir.Value, list[tuple[ir.Operation, int]]] = {}
        inside: set[ir.Value] = set()
        for inner in nested(op):
            for number, operand in enumerate(inner.operands):
                if operand not in inside:
                    uses = constants if is_constant(operand) else captured
                    uses.setdefault(operand, []).append((inner, number))
            inside.update(inner.results)
            inside.update(
                argument
                for region in inner.regions
                for block in region.blocks
                for argument in block.arguments
            )
        numbers = {value: f"c{number}" for number, value in enumerate(captured)}
        types = [str(value.type) for value in captured]
        return Loop(op, digest([*types, *operation_lines(op, numbers)]), captured, constants)

    def move_with(self, arguments: Sequence[ir.Value]) -> None:
        """Moves the loop to the insertion point, where `arguments` stand for what it captured."""
        move_here(self.op)
        with ir.InsertionPoint(self.op):
            constants = [constant.owner.operation.clone().results[0] for constant in self.constants]
        replacements = zip(
            (*arguments, *constants), (*self.captured.values(), *self.constants.values()), strict=True
        )
        for replacement, uses in replacements:
            for user, number in uses:
                user.operands[number] = replacement


def public_functions(module: ir.Operation) -> Iterator[ir.Operation]:
    """The functions of `module` that others may call."""
    for op in list(module.regions[0].blocks[0].operations):
        operation = op.operation
        if operation.name == "func.func" and "sym_visibility" not in operation.attributes:
            yield operation


def nested(op: ir.Operation) -> Iterator[ir.Operation]:
    """`op` and all that it holds, in order."""
    yield op
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield from nested(inner.operation)


def share(name: str, family: Sequence[Loop]) -> None:
    """Makes the first of `family` the body of the function `name`, which all of them become calls of."""
    first, *others = family
    with ir.InsertionPoint.after(first.op), first.op.location:
        outline(name, list(first.captured), first.move_with)
    for loop in others:
        with ir.InsertionPoint(loop.op), loop.op.location:
            func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(loop.captured))
        loop.op.erase()

"""Bodies of structured operations: copied to where a thread runs them, and taken apart into what they accumulate."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.nest import Nest

NEUTRAL: Mapping[str, float | int | str] = {
    "arith.addf": 0.0,
    "arith.mulf": 1.0,
    "arith.maximumf": -math.inf,
    "arith.maxnumf": -math.inf,
    "arith.minimumf": math.inf,
    "arith.minnumf": math.inf,
    "arith.addi": 0,
    "arith.muli": 1,
    "arith.ori": 0,
    "arith.xori": 0,
    "arith.andi": -1,
    "arith.maxui": 0,
    "arith.minui": -1,
    "arith.maxsi": "lowest",
    "arith.minsi": "highest",
}
"""Operations by which terms combine in any order, and what changes nothing in them."""


@dataclass(frozen=True)
class Combination:
    """How a body combines a term with what an output has so far: the operation `maker`."""

    maker: ir.Operation

    @property
    def type(self) -> ir.Type:
        """The type of the output's elements."""
        return self.maker.results[0].type

    def neutral(self) -> ir.Value:
        """What changes nothing."""
        return neutral_constant(self.maker.name, self.type)

    def apply(self, left: ir.Value, right: ir.Value) -> ir.Value:
        """Both combined."""
        return ir.Operation.create(
            self.maker.name,
            results=[self.type],
            operands=[left, right],
            attributes={name: self.maker.attributes[name] for name in self.maker.attributes},
        ).results[0]


def neutral_constant(name: str, type_: ir.Type) -> ir.Value:
    """The neutral element of the operation `name` on `type_`."""
    number = NEUTRAL[name]
    if isinstance(type_, ir.IntegerType):
        low = -(1 << (type_.width - 1))
        number = {"lowest": low, "highest": -low - 1}.get(str(number), number)
        # One bit is 0 or -1 to arithmetic on signed numbers.
        return arith.constant(type_, ir.IntegerAttr.get(type_, int(number)))
    return arith.constant(type_, ir.FloatAttr.get(type_, float(number)))


def combinations(nest: Nest) -> list[Combination] | None:
    """How each output combines its terms; None where one does so in another way than an operation in any order."""
    accumulators = list(nest.body.arguments)[nest.inputs :]
    operations = [op.operation for op in nest.body.operations]
    found: list[Combination] = []
    for yielded, accumulator in zip(operations[-1].operands, accumulators, strict=True):
        maker = None if isinstance(yielded.owner, ir.Block) else yielded.owner.operation
        uses = list(accumulator.uses)
        if maker is None or maker.name not in NEUTRAL or len(uses) != 1 or uses[0].owner.operation != maker:
            return None
        if len(list(yielded.uses)) != 1:
            return None
        found.append(Combination(maker))
    return found


def copy_body(
    body: ir.Block, known: Mapping[ir.Value, ir.Value], coordinates: Sequence[Index]
) -> list[ir.Value]:
    """Copies the operations of `body` to the insertion point, `known` values in place of its arguments.

    Returns what it yields there.
    """
    values: dict[ir.Value, ir.Value] = dict(known)
    *operations, terminator = [op.operation for op in body.operations]
    for op in operations:
        if op.name == "linalg.index":
            values[op.results[0]] = value(coordinates[ir.IntegerAttr(op.attributes["dim"]).value])
            continue
        copy = op.clone()
        replace_operands(copy, values.get, coordinates)
        values.update(zip(op.results, copy.results, strict=True))
    yielded: list[ir.Value] = list(terminator.operands)
    return [values.get(operand, operand) for operand in yielded]


def replace_operands(
    op: ir.Operation, replacement: Callable[[ir.Value], ir.Value | None], coordinates: Sequence[Index]
) -> None:
    """Puts replacements in place of the operands of `op` and of all that it holds."""
    for number, operand in enumerate(op.operands):
        found = replacement(operand)
        if found is not None:
            op.operands[number] = found
    for region in op.regions:
        for block in region.blocks:
            for inner in list(block.operations):
                if inner.operation.name == "linalg.index":
                    at = coordinates[ir.IntegerAttr(inner.operation.attributes["dim"]).value]
                    with ir.InsertionPoint(inner.operation):
                        inner.operation.results[0].replace_all_uses_with(value(at))
                    inner.operation.erase()
                else:
                    replace_operands(inner.operation, replacement, coordinates)

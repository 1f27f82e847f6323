"""R1, hoist, through a mark: sread(mark(x, m), I) = mark(sread(x, I), sread(m, I)).

A mark is the identity, so nothing is to be proved. One whose mask is broadcast along the rows says nothing of them
any more and goes.
"""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.dialect.mark import mark
from pit_mlir.passes.rules.rows import Demanded, Plan


def plan_mark(op: ir.Operation, demanded: Demanded) -> Plan:
    """R1 on `pit.mark`."""
    rows = demanded[0]
    operands = list(op.operands)
    if len(operands) == 1:
        return Plan((rows,), lambda values: [mark(values[0], approximation=approximation_of(op))])
    shape, wanted = (ir.RankedTensorType(operand.type).shape for operand in (operands[1], operands[0]))
    if any(shape[dim] != wanted[dim] for dim in rows.axis):
        return Plan((rows, None), lambda values: [values[0]])

    def build(values: Sequence[ir.Value]) -> list[ir.Value]:
        return [mark(values[0], values[1], approximation_of(op))]

    return Plan((rows, rows), build)


def approximation_of(op: ir.Operation) -> str | None:
    """What the author of the `pit.mark` `op` takes for 0, if that is why it stands there."""
    attributes = op.attributes
    return ir.StringAttr(attributes["approximation"]).value if "approximation" in attributes else None

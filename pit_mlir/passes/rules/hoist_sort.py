"""R1, hoist, through `tm_tensor.sort`: sread(sort(x, y), I) = sort(sread(x, I), sread(y, I)), row by row.

A sort leaves all dimensions but its own alone, and each of its lines is sorted by itself; nothing is to be proved.
"""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.passes.rules.rows import Demanded, Plan, Refusal


def plan_sort(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R1 on `tm_tensor.sort`, all of whose results are read at the same rows, or not at all."""
    dimension = ir.IntegerAttr(op.attributes["dimension"])
    found = set(demanded.values())
    if len(found) > 1:
        return Refusal("its results are read at different rows")
    rows = found.pop()
    if dimension.value in rows.axis:
        return Refusal(f"it sorts along dimension {dimension.value}, and the index runs over it")

    def build(operands: Sequence[ir.Value]) -> list[ir.Value]:
        made = ir.Operation.create(
            op.name,
            results=[operand.type for operand in operands],
            operands=list(operands),
            attributes={
                "dimension": ir.IntegerAttr.get(dimension.type, rows.dim(dimension.value)),
                "operandSegmentSizes": op.attributes["operandSegmentSizes"],
            },
            regions=1,
        )
        op.regions[0].blocks[0].append_to(made.regions[0])
        return list(made.results)

    return Plan((rows,) * len(op.operands), build)

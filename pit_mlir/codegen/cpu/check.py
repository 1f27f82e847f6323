"""`pit.check`: a condition, which may be an element of a tensor."""

from pit_mlir.bindings import ir, tensor
from pit_mlir.codegen.checks import check
from pit_mlir.codegen.cpu.lowering import CpuLowering


def lower_check(op: ir.Operation, lowering: CpuLowering) -> None:
    """A condition that does not hold is recorded and raised after the call."""
    condition = op.operands[0]
    if isinstance(condition.type, ir.RankedTensorType):
        condition = tensor.extract(condition, [])
    check(condition, ir.StringAttr(op.attributes["message"]).value, op)

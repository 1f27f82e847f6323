"""`pit.check`: what the device holds is looked at there."""

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.brackets import read
from pit_mlir.codegen.build import compare, when
from pit_mlir.codegen.checks import check
from pit_mlir.codegen.gpu.checks import check_word, fail
from pit_mlir.codegen.gpu.launch import WARP, launch
from pit_mlir.codegen.gpu.lowering import GpuLowering


def lower_check(op: ir.Operation, lowering: GpuLowering) -> None:
    """A condition that does not hold is recorded; one that the device holds is looked at there."""
    condition, message = op.operands[0], ir.StringAttr(op.attributes["message"]).value
    if not isinstance(condition.type, ir.RankedTensorType):
        check(condition, message, op)
        return
    word, buffer = check_word(op), read(condition)
    with launch(1, WARP) as grid:
        holds = memref.load(buffer, [])
        fails = arith.xori(holds, arith.constant(holds.type, 1))
        with when(arith.andi(fails, compare("eq", grid.thread, 0))):
            fail(word, message, op)

"""`pit.lists` and `pit.choice` on buffers: what an index holds, and what was expected of it."""

from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.codegen.brackets import give_list
from pit_mlir.codegen.build import value
from pit_mlir.codegen.cpu.deferred_lists import index_of
from pit_mlir.codegen.cpu.lowering import CpuLowering


def lower_lists(op: ir.Operation, lowering: CpuLowering) -> None:
    """Gives away the buffers of the index; what reads it reads them too."""
    index = index_of(op.operands[0], lowering)
    for buffer, result in zip((index.begin, index.count, index.entries), op.results, strict=False):
        give_list(buffer, result)
    sizes = [arith.index_cast(ir.IntegerType.get_signless(64), value(size)) for size in index.extents]
    fixed = ir.RankedTensorType.get([len(sizes)], ir.IntegerType.get_signless(64))
    extents = op.results[3]
    extents.replace_all_uses_with(tensor.cast(extents.type, tensor.from_elements(fixed, sizes)))


def lower_choice(op: ir.Operation, lowering: CpuLowering) -> None:
    """The contraction has said it."""
    op.results[0].replace_all_uses_with(tensor.cast(op.results[0].type, lowering.choices[op.results[0]]))

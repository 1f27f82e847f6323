"""`pit.lists` and `pit.choice` on buffers: what an index holds, and what was expected of it."""

from pit_mlir.bindings import arith, ir, memref, tensor
from pit_mlir.codegen.brackets import Lowering, give
from pit_mlir.codegen.build import value
from pit_mlir.codegen.cpu.deferred_lists import index_of


def lower_lists(op: ir.Operation, lowering: Lowering) -> None:
    """Gives away the buffers of the index; what reads it reads them too."""
    index = index_of(op.operands[0], lowering)
    for buffer, result in zip((index.begin, index.count, index.entries), op.results, strict=False):
        dynamic = ir.MemRefType.get(
            [ir.ShapedType.get_dynamic_size()], ir.MemRefType(buffer.type).element_type
        )
        give(buffer if buffer.type == dynamic else memref.cast(dynamic, buffer), result)
    sizes = [arith.index_cast(ir.IntegerType.get_signless(64), value(size)) for size in index.extents]
    fixed = ir.RankedTensorType.get([len(sizes)], ir.IntegerType.get_signless(64))
    extents = op.results[3]
    extents.replace_all_uses_with(tensor.cast(extents.type, tensor.from_elements(fixed, sizes)))


def lower_choice(op: ir.Operation, lowering: Lowering) -> None:
    """The contraction has said it."""
    op.results[0].replace_all_uses_with(tensor.cast(op.results[0].type, lowering.choices[op.results[0]]))

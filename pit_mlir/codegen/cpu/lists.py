"""`pit.lists` on buffers: the buffers of an index are its results."""

from pit_mlir.bindings import arith, ir, memref, tensor
from pit_mlir.codegen.cpu.brackets import Lowering, give
from pit_mlir.codegen.cpu.build import value


def lower_lists(op: ir.Operation, lowering: Lowering) -> None:
    """Gives away the buffers of the index, which is made already; what reads it reads them too."""
    index = lowering.indices[op.operands[0]]
    for buffer, result in zip((index.begin, index.count, index.entries), op.results, strict=False):
        dynamic = ir.MemRefType.get(
            [ir.ShapedType.get_dynamic_size()], ir.MemRefType(buffer.type).element_type
        )
        give(buffer if buffer.type == dynamic else memref.cast(dynamic, buffer), result)
    sizes = [arith.index_cast(ir.IntegerType.get_signless(64), value(size)) for size in index.extents]
    fixed = ir.RankedTensorType.get([len(sizes)], ir.IntegerType.get_signless(64))
    extents = op.results[3]
    extents.replace_all_uses_with(tensor.cast(extents.type, tensor.from_elements(fixed, sizes)))

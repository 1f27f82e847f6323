"""`pit.lists`: the buffers of an index are its results."""

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.brackets import allocate, give_list
from pit_mlir.codegen.build import compare, value, when
from pit_mlir.codegen.gpu.launch import WARP, launch
from pit_mlir.codegen.gpu.lowering import GpuLowering


def lower_lists(op: ir.Operation, lowering: GpuLowering) -> None:
    """Gives away the buffers of the index, which is made already; what reads it reads them too."""
    index = lowering.indices[op.operands[0]]
    i64 = ir.IntegerType.get_signless(64)
    extents = allocate([len(index.extents)], i64)
    with launch(1, WARP) as grid, when(compare("eq", grid.thread, 0)):
        for number, size in enumerate(index.extents):
            memref.store(arith.index_cast(i64, value(size)), extents, [value(number)])
    for buffer, result in zip((index.begin, index.count, index.entries, extents), op.results, strict=True):
        give_list(buffer, result)

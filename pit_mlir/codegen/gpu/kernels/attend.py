"""`pit.attend`: a block of threads per block of queries, online softmax over tiles of keys, no tensor of scores.

Milakov and Gimelshein, arXiv 1805.02867; Dao, arXiv 2307.08691.
"""

from pit_mlir.bindings import arith, ir, linalg
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Attention, attention_of, batch_extents
from pit_mlir.codegen.brackets import allocate_like, give, sizes
from pit_mlir.codegen.buffers import extent
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.gpu.kernels.attend_fma import FmaTask
from pit_mlir.codegen.gpu.kernels.attend_fma import Shape as FmaShape
from pit_mlir.codegen.gpu.kernels.attend_mma import MmaTask
from pit_mlir.codegen.gpu.kernels.attend_mma import Shape as MmaShape
from pit_mlir.codegen.gpu.kernels.attend_task import Widths
from pit_mlir.codegen.gpu.launch import SHARED_BYTES, each_block
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.attend import AttendOp
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError


def lower_attend(operation: ir.Operation, lowering: GpuLowering) -> None:
    """A launch for a `pit.attend`, and its result in the place of the operation's."""
    op = operation.opview
    assert isinstance(op, AttendOp)
    init = operation.operands[3]
    result = allocate_like(init.type, sizes(init))
    attention = attention_of(op, lowering.indices, result)
    if attention.ragged is not None and 3 not in attention.compact:
        # Rows that the index does not list are 0.
        linalg.fill(arith.constant(ir.MemRefType(result.type).element_type, 0.0), outs=[result])
    widths = widths_of(attention, operation)
    extents, queries = batch_extents(attention), most_queries(attention, operation, lowering)
    mma = MmaShape.of(attention, widths)
    fma = FmaShape.of(widths, attention.score_type)
    if mma is None and fma is None:
        raise too_long(operation, widths.depth, widths.width)
    shape = mma or fma
    assert shape is not None
    blocks = build.ceil_div(queries, shape.tile)
    with each_block(build.mul(build.product(extents), blocks), shape.threads) as grid:
        *point, block = build.delinearize(grid.block, [*extents, blocks])
        if isinstance(shape, MmaShape):
            task = MmaTask(attention, point, widths, grid, shape)
        else:
            task = FmaTask(attention, point, widths, grid, shape)
        task.emit(block)
    give(result, operation.results[0])


def widths_of(attention: Attention, operation: ir.Operation) -> Widths:
    """The lengths of rows; raises `UnsupportedError` where they are not known before a call."""
    depth = extent(attention.buffers[0], attention.positions[0].index(attention.batch + 2))
    width = extent(attention.buffers[2], attention.positions[2].index(attention.batch + 3))
    if not isinstance(depth, int) or not isinstance(width, int):
        raise too_long(operation, depth, width)
    return Widths(depth, width)


def too_long(operation: ir.Operation, depth: Index, width: Index) -> UnsupportedError:
    """The error of rows that no kernel takes."""
    given = [str(size) if isinstance(size, int) else "an unknown number of" for size in (depth, width)]
    return UnsupportedError(
        f"attention on a GPU needs rows of keys and values whose length is known and which fit {SHARED_BYTES} bytes of "
        f"shared memory, got keys of {given[0]} and values of {given[1]} elements",
        location=location_text(operation.location),
    )


def most_queries(attention: Attention, op: ir.Operation, lowering: GpuLowering) -> Index:
    """How many queries a point of the batch has at most."""
    if attention.ragged is None:
        return extent(attention.buffers[0], attention.positions[0].index(attention.batch))
    return lowering.indices[op.operands[4]].extents[-1]

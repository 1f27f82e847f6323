"""`pit.block_mask`: a thread evaluates the body on intervals for eight blocks of keys, whose bits are then listed."""

from collections.abc import Sequence

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import captured_scalars
from pit_mlir.codegen.block_mask import BlockMask, block_mask_of, range_of, rows_at, span
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.gpu.kernels.detect import index_of, new_bits
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.live import BYTE, Bits, byte_of
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.index_space import LIMIT
from pit_mlir.codegen.intervals import evaluate, exactly


def lower_block_mask(operation: ir.Operation, lowering: GpuLowering) -> None:
    """Computes the buffers of the index of live blocks."""
    mask = block_mask_of(operation, lowering.indices, in_vectors=False)
    *outer, across = mask.counts
    segments = build.product(outer)
    capacity = build.mul(segments, across)
    if not isinstance(capacity, int) or capacity > LIMIT:
        fits = build.compare("sle", capacity, LIMIT)
        message = "a list of more than 2147483647 blocks of queries and keys does not fit 32 bits"
        across, capacity = where_all([fits], [across, capacity], message, operation)
    bits = new_bits(segments, 1, across)
    with each(bits.count) as number:
        *point, block, byte = build.delinearize(number, [*outer, bits.bytes_of_line])
        live = live_blocks(mask, point, block, build.mul(byte, BYTE), bits)
        memref.store(live, bits.buffer, [number])
    lowering.indices[operation.results[0]] = index_of(operation, bits, across, capacity, (*outer, across))


def live_blocks(mask: BlockMask, point: Sequence[Index], block: Index, start: Index, bits: Bits) -> ir.Value:
    """The byte of the eight blocks of keys from `start` on, for the `block`-th block of queries at `point`."""
    first, queries, keys = rows_at(mask, point)
    here = span(block, mask.block[0], queries)
    known = {scalar: exactly(scalar) for scalar in captured_scalars(mask.body)}
    for source in mask.sources:
        if mask.q + 1 not in source.positions:
            known[source.scalar] = range_of(mask, source, point, first, here, None)

    def is_live(number: Index) -> ir.Value:
        there = span(number, mask.block[1], keys)
        ranges = dict(known)
        for source in mask.sources:
            if source.scalar not in ranges:
                ranges[source.scalar] = range_of(mask, source, point, first, here, there)
        return evaluate(mask.body, ranges)[0].hi

    # Rows of the index end before the blocks do.
    listed = build.minimum(bits.line, build.ceil_div(keys, mask.block[1]))
    return byte_of(start, build.select(build.is_less(here.start, queries), listed, 0), is_live)

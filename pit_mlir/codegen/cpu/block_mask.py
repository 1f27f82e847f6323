"""`pit.block_mask` on buffers: the body on intervals, once for each pair of a block of queries and one of keys.

A task is a block of queries of one segment. What its elements range over is found by loops over the block: over its
queries or keys where an element carries one of the two, over all of its pairs where it carries both, which is then the
one thing that costs more than the number of blocks.
"""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.block_mask import BlockMask, block_mask_of, liveness, places_of
from pit_mlir.codegen.brackets import allocate
from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.index_buffers import IndexBuffers, as_i32


def lower_block_mask(operation: ir.Operation, lowering: CpuLowering) -> None:
    """Computes the buffers of the index of live blocks."""
    mask = block_mask_of(operation, lowering.indices)
    outer, across, capacity = places_of(mask, operation)
    segments = build.product(outer)
    i32 = ir.IntegerType.get_signless(32)
    begin, count = allocate([segments], i32), allocate([segments], i32)
    entries = allocate([capacity], i32)
    with build.parallel(segments) as task:
        *point, block = build.delinearize(task, outer)
        base = build.mul(task, across)
        memref.store(as_i32(base), begin, [task])
        memref.store(as_i32(list_keys(mask, point, block, across, base, entries)), count, [task])
    total = build.fold(0, segments, 1, [build.value(0)], lambda s, carried: [add_count(carried[0], count, s)])
    lowering.indices[operation.results[0]] = IndexBuffers(
        begin, count, entries, entries, total[0], (*outer, across)
    )


def add_count(total: ir.Value, count: ir.Value, segment: ir.Value) -> ir.Value:
    """`total` and the number of blocks of `segment`."""
    return arith.addi(total, load_index(count, segment))


def list_keys(
    mask: BlockMask, point: Sequence[Index], block: Index, across: Index, base: Index, entries: ir.Value
) -> Index:
    """Lists the blocks of keys that are live with the `block`-th block of queries at `point`; how many there are."""
    met, is_live = liveness(mask, point, block, across)

    def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        live = is_live(number)
        # Written in any case and kept only if live, as in `detect`.
        memref.store(as_i32(number), entries, [build.value(build.add(base, carried[0]))])
        return [arith.addi(carried[0], arith.index_castui(ir.IndexType.get(), live))]

    return build.fold(0, met, 1, [build.value(0)], step)[0]

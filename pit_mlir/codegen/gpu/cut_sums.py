"""Sums with too few points to keep a GPU busy: their terms are cut into parts, which blocks sum up side by side, and a
second kernel combines what they got. The parts follow from the sizes alone, so equal calls give equal bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    flat,
    fold,
    is_less,
    loop,
    maximum,
    minimum,
    mul,
    product,
    value,
    when,
)
from pit_mlir.codegen.gpu.block_sums import across_block, partial_buffers
from pit_mlir.codegen.gpu.bodies import Combination
from pit_mlir.codegen.gpu.launch import MOST_BLOCKS, THREADS, WARP, across_warp, each, launch
from pit_mlir.codegen.gpu.sizes import comes_from_device
from pit_mlir.codegen.gpu.terms import Part, fold_terms, initial_values, place, store_values
from pit_mlir.codegen.nest import Nest

ENOUGH_BLOCKS = 512
"""Blocks that keep the multiprocessors of any chip busy."""
TERMS_OF_THREAD = 64
"""Terms of a part for a thread that takes all of it; fewer are not worth a second kernel."""
TERMS_OF_BLOCK = 8 * THREADS
"""Terms of a part that a block shares out."""
MOST_PARTS = 1024


@dataclass(frozen=True)
class Cut:
    """Parts of the reduction `iterator`: `count` of them, for a block each where `along_lanes`, else for a thread."""

    iterator: int
    count: Index
    along_lanes: bool


def cut_of(nest: Nest, outer: Sequence[int], reductions: Sequence[int], *, along_lanes: bool) -> Cut | None:
    """How the terms are cut; None where there are points enough, or where terms are few.

    Terms whose number only the device knows are cut into as many parts as there would be of very many.
    """
    points = product([nest.extents[d] for d in outer])
    if not isinstance(points, int) or points == 0:
        return None
    enough, least = (
        (ENOUGH_BLOCKS, TERMS_OF_BLOCK) if along_lanes else (ENOUGH_BLOCKS * THREADS, TERMS_OF_THREAD)
    )
    most = min(-(-enough // points), MOST_PARTS)
    terms = product([nest.extents[d] for d in reductions])
    # The parts of an iterator are no more than its places.
    longest = max(reductions, key=lambda d: length(nest.extents[d]))
    if isinstance(terms, int):
        count: Index = min(most, terms // least, length(nest.extents[longest]))
    elif comes_from_device(terms):
        count = most
    else:
        count = minimum(maximum(ceil_div(terms, least), 1), most)
    return None if most < 2 or (isinstance(count, int) and count < 2) else Cut(longest, count, along_lanes)


def length(extent: Index) -> int:
    """How far an iterator runs: very far where only a call tells."""
    return extent if isinstance(extent, int) else 1 << 62


def emit_cut(
    nest: Nest, outer: Sequence[int], reductions: Sequence[int], combined: Sequence[Combination], cut: Cut
) -> None:
    """Builds both kernels of `nest`."""
    sizes = [nest.extents[d] for d in outer]
    count = mul(cut.count, product(sizes))
    sums = [memref.alloc(flat(one.type), [value(count)], []) for one in combined]
    if cut.along_lanes:
        with launch(blocks_for(count, 1)) as grid:
            rooms = partial_buffers(grid, [nest])
            with loop(grid.block, count, grid.blocks) as number:
                found = sums_of_part(nest, outer, reductions, combined, cut, number, (grid.thread, THREADS))
                whole = [
                    across_block(grid, n, one, rooms[n.type]) for n, one in zip(found, combined, strict=True)
                ]
                with when(is_less(grid.thread, 1)):
                    keep(whole, sums, number)
    else:
        with each(count) as number:
            keep(sums_of_part(nest, outer, reductions, combined, cut, number, (0, 1)), sums, number)
    combine_parts(nest, outer, combined, cut, sums)


def sums_of_part(
    nest: Nest,
    outer: Sequence[int],
    reductions: Sequence[int],
    combined: Sequence[Combination],
    cut: Cut,
    number: Index,
    share: tuple[Index, Index],
) -> list[ir.Value]:
    """What a thread gets of its `share`, a first term and a stride, of part and point `number`."""
    part, *point = delinearize(number, [cut.count, *(nest.extents[d] for d in outer)])
    coordinates: list[Index] = [0] * len(nest.extents)
    place(coordinates, outer, point)
    extent = nest.extents[cut.iterator]
    size = ceil_div(extent, cut.count)
    start = mul(part, size)
    here = Part(cut.iterator, start, minimum(add(start, size), extent))
    return fold_terms(nest, reductions, coordinates, [one.neutral() for one in combined], *share, here)


def keep(found: Sequence[ir.Value], sums: Sequence[ir.Value], number: Index) -> None:
    """Stores what was found of a part and a point."""
    for one, buffer in zip(found, sums, strict=True):
        memref.store(one, buffer, [value(number)])


def combine_parts(
    nest: Nest, outer: Sequence[int], combined: Sequence[Combination], cut: Cut, sums: Sequence[ir.Value]
) -> None:
    """A warp for each point, whose lanes take parts in turn; the first lane writes."""
    sizes = [nest.extents[d] for d in outer]
    points, warps = product(sizes), THREADS // WARP
    with (
        launch(blocks_for(points, warps)) as grid,
        loop(add(mul(grid.block, warps), grid.warp), points, mul(grid.blocks, warps)) as number,
    ):

        def step(part: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            at = value(add(mul(part, points), number))
            found = [memref.load(buffer, [at]) for buffer in sums]
            return [one.apply(a, b) for one, a, b in zip(combined, carried, found, strict=True)]

        mine = fold(grid.lane, cut.count, WARP, [one.neutral() for one in combined], step)
        whole = [across_warp(n, one.apply) for n, one in zip(mine, combined, strict=True)]
        with when(is_less(grid.lane, 1)):
            coordinates: list[Index] = [0] * len(nest.extents)
            place(coordinates, outer, delinearize(number, sizes))
            initial = initial_values(nest, coordinates)
            store_values(
                nest,
                coordinates,
                [one.apply(a, b) for one, a, b in zip(combined, initial, whole, strict=True)],
            )


def blocks_for(points: Index, per_block: int) -> Index:
    """Blocks that take `per_block` of `points` at a time."""
    return minimum(ceil_div(points, per_block), MOST_BLOCKS)

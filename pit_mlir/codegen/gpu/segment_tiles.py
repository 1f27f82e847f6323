"""Which segment a tile of the rows of all segments lies in, where each segment begins with a tile of its own.

Each warp finds out for itself: of few segments by their counts, of many in a list of how many tiles lie before each,
which a kernel makes once for a launch.
"""

from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, memref
from pit_mlir.codegen.brackets import allocate
from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    choose,
    compare,
    fold,
    minimum,
    mul,
    select,
    sub,
    value,
    when,
)
from pit_mlir.codegen.gpu.contract_frame import Frame
from pit_mlir.codegen.gpu.launch import THREADS, WARP, Grid, across_warp, ballot, launch, scan, shuffle
from pit_mlir.codegen.index_buffers import as_i32

FEW = 4 * WARP
"""Segments whose counts a warp adds up for each tile."""
MOST_STEPS = 7
"""Steps of a search, each among as many as a warp has lanes, that 2^31 segments take."""


@dataclass(frozen=True)
class SegmentTiles:
    """The tiles of `rows` rows of `segments`, which have `counts` rows each.

    Of many segments `before` holds how many tiles lie before each, and at the end the number of all.
    """

    counts: ir.Value
    segments: Index
    rows: int
    before: ir.Value | None

    @staticmethod
    def of(frame: Frame, rows: int) -> "SegmentTiles":
        """The tiles of the index of `frame`; the kernel that counts them through is built where there are many."""
        assert frame.index is not None
        tiles = SegmentTiles(frame.index.count, frame.segments, rows, None)
        if isinstance(tiles.segments, int) and tiles.segments <= FEW:
            return tiles
        before = allocate([add(tiles.segments, 1)], ir.IntegerType.get_signless(32))
        count_through(tiles, before)
        return SegmentTiles(tiles.counts, tiles.segments, rows, before)

    def of_segment(self, segment: Index) -> ir.Value:
        """The tiles of `segment` as an i32, 0 behind the last one."""
        is_there = compare("slt", segment, self.segments)
        i32 = ir.IntegerType.get_signless(32)

        def count() -> list[ir.Value]:
            return [as_i32(ceil_div(load_index(self.counts, segment), self.rows))]

        return choose(is_there, [i32], count, lambda: [arith.constant(i32, 0)])[0]

    def find(self, tile: Index, grid: Grid) -> tuple[ir.Value, ir.Value]:
        """The segment that tile `tile` of all rows lies in, and how many tiles lie before it.

        The segment behind the last one where there is no such tile. All warps of a block find the same.
        """
        return scanned(self, tile, grid) if self.before is None else searched(self, self.before, tile, grid)


def count_through(tiles: SegmentTiles, before: ir.Value) -> None:
    """Builds the kernel that fills `before`: a block counts those of a segment for each thread at a time."""
    i32 = ir.IntegerType.get_signless(32)
    with launch(1) as grid:
        room = grid.shared([grid.warps], i32)

        def step(first: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            segment = add(first, grid.thread)
            earlier, whole = scan(grid, tiles.of_segment(segment), room)
            with when(compare("slt", segment, tiles.segments)):
                memref.store(arith.addi(carried[0], earlier), before, [value(segment)])
            return [arith.addi(carried[0], whole)]

        [total] = fold(0, tiles.segments, THREADS, [arith.constant(i32, 0)], step)
        with when(compare("eq", grid.thread, 0)):
            memref.store(total, before, [value(tiles.segments)])


def searched(tiles: SegmentTiles, before: ir.Value, tile: Index, grid: Grid) -> tuple[ir.Value, ir.Value]:
    """As `SegmentTiles.find`: lanes look at places of the list far apart, then at those between two of them."""
    segments, span, steps = tiles.segments, 1, 1
    while steps < MOST_STEPS and not (isinstance(segments, int) and span * WARP >= segments):
        span, steps = span * WARP, steps + 1
    low: Index = 0
    while span:
        segment = add(low, mul(grid.lane, span))
        # The list grows: lanes that are not behind the tile are the first ones, lane 0 among them.
        at = minimum(segment, segments)
        is_before = compare("sle", load_index(before, at), tile)
        votes = ballot(arith.andi(is_before, compare("slt", segment, segments)))
        low = add(low, mul(sub(as_index(math.ctpop(votes)), 1), span))
        span //= WARP
    is_there = compare("slt", tile, load_index(before, segments))
    return value(select(is_there, low, segments)), load_index(before, low)


def scanned(tiles: SegmentTiles, tile: Index, grid: Grid) -> tuple[ir.Value, ir.Value]:
    """As `SegmentTiles.find`: a warp counts the tiles of as many segments at a time as it has lanes."""
    segments, lane = tiles.segments, grid.lane
    index = ir.IndexType.get()

    def look(first: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        before, segment, start = carried
        mine = tiles.of_segment(add(first, lane))
        after = value(add(before, as_index(across_warp(mine, arith.addi))))

        def inside() -> list[ir.Value]:
            up_to = inclusive(mine, lane)
            end = add(before, as_index(up_to))
            begin = sub(end, as_index(mine))
            is_hit = arith.andi(compare("sle", begin, tile), compare("slt", tile, end))
            # One lane has it, the others add nothing.
            hit = [as_i32(select(is_hit, found, 0)) for found in (add(first, lane), begin)]
            return [as_index(across_warp(found, arith.addi)) for found in hit]

        is_here = arith.andi(compare("sle", before, tile), compare("slt", tile, after))
        segment, start = choose(is_here, [index, index], inside, lambda: [segment, start])
        return [after, segment, start]

    _, segment, start = fold(0, segments, WARP, [value(0), value(segments), value(0)], look)
    return segment, start


def as_index(number: ir.Value) -> ir.Value:
    """An i32 as an index."""
    return arith.index_cast(ir.IndexType.get(), number)


def inclusive(given: ir.Value, lane: ir.Value) -> ir.Value:
    """The sum of `given` of all lanes up to this one."""
    offset = 1
    while offset < WARP:
        before = shuffle(given, offset, "up")
        given = arith.select(compare("sge", lane, offset), arith.addi(given, before), given)
        offset *= 2
    return given

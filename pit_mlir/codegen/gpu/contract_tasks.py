"""The tiles of the result that blocks of threads share out among them: one flat list, whatever the lists of an index
look like, so that unequal segments balance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    product,
    remainder,
    sub,
    when,
)
from pit_mlir.codegen.gpu.contract_frame import Frame, Task
from pit_mlir.codegen.gpu.contract_tiles import GpuTile, WgmmaTile
from pit_mlir.codegen.gpu.launch import Grid
from pit_mlir.codegen.gpu.segment_tiles import SegmentTiles

BAND = 8
"""Tiles of rows whose tiles of columns are computed together: both factors' parts are then read from the cache."""


class Tasks:
    """The tasks of `frame` in tiles of `tile`; `in_order`: those of the same columns one after another by one block,
    so that what is added to a place is always added in the same order."""

    def __init__(self, frame: Frame, tile: GpuTile | WgmmaTile, *, in_order: bool) -> None:
        self.frame, self.tile, self.in_order = frame, tile, in_order
        plan = frame.plan
        self.is_ragged = bool(plan.keys) or plan.listed in ("strips", "parts")
        self.segments = SegmentTiles.of(frame, tile.rows) if self.is_ragged else None
        self.free = [a for a in frame.outer if not self.is_key(a)]
        self.block = plan.block_of("row") if plan.listed == "depth" else None
        # The iterator of the depth of which each part has a list.
        parts = [p for a in frame.depth_axes for p in plan.axes[a].iterators if p in plan.group[:-1]]
        self.part = parts[0] if plan.listed == "parts" else None
        wide = plan.block_of("column") if plan.listed == "strips" else None
        self.strip = wide or maximum(frame.columns, 1)
        columns = minimum(self.strip, frame.columns) if plan.listed == "strips" else frame.columns
        self.columns = ceil_div(columns, tile.columns)
        self.row_tiles = self.most_row_tiles()
        free = [frame.extents[a] for a in self.free]
        self.most = product([frame.fit, *free, *([] if in_order else [self.row_tiles]), self.columns])

    def is_key(self, axis: int) -> bool:
        """Whether the coordinate of an outer axis is that of a segment."""
        plan = self.frame.plan
        keys = plan.group[:-1] if plan.listed in ("strips", "parts") else plan.keys
        return plan.axes[axis].iterators[-1] in keys

    def most_row_tiles(self) -> Index:
        """How many tiles of rows there are, or may be."""
        frame, rows = self.frame, self.tile.rows
        if self.is_ragged:
            assert frame.index is not None
            total = frame.index.total if frame.plan.keys else mul(frame.rows, frame.segments)
            # A segment adds at most one tile that is not full.
            return add(ceil_div(total, rows), minimum(total, frame.segments))
        if self.block is None:
            return ceil_div(frame.rows, rows)
        return mul(ceil_div(frame.rows, self.block), -(-self.block // rows))

    @contextmanager
    def each(self, grid: Grid) -> Iterator[Task]:
        """The tasks of the block of threads, one after the other."""
        self.grid = grid
        if self.in_order:
            with loop(grid.block, self.most, grid.blocks) as number, loop(0, self.row_tiles) as tile:
                *free, column = delinearize(
                    number, [*(self.frame.extents[a] for a in self.free), self.columns]
                )
                with self.task(free, tile, column) as task:
                    yield task
            return
        with loop(grid.block, self.most, grid.blocks) as number:
            inner = mul(self.row_tiles, self.columns)
            extents = [self.frame.extents[a] for a in self.free]
            *free, inside = delinearize(number, [*extents, inner])
            tile, column = self.in_bands(inside)
            with self.task(free, tile, column) as task:
                yield task

    def in_bands(self, number: Index) -> tuple[Index, Index]:
        """The tile of rows and that of columns of task `number`: bands of a few tiles of rows, column by column."""
        band = mul(self.columns, BAND)
        first = mul(floor_div(number, band), BAND)
        high = minimum(sub(self.row_tiles, first), BAND)
        inside = remainder(number, band)
        return add(first, remainder(inside, high)), floor_div(inside, high)

    @contextmanager
    def task(self, free: Sequence[Index], tile: Index, column: Index) -> Iterator[Task]:
        """The task of tile `tile` of the rows and `column` of the columns, if it is there."""
        frame, size = self.frame, self.tile
        if self.is_ragged:
            with self.ragged(free, tile, column) as task:
                yield task
            return
        first_column = mul(column, size.columns)
        columns = minimum(size.columns, sub(frame.columns, first_column))
        if self.block is None:
            row = mul(tile, size.rows)
            yield Task(free, row, minimum(size.rows, sub(frame.rows, row)), first_column, columns)
            return
        per_block = -(-self.block // size.rows)
        block, part = floor_div(tile, per_block), remainder(tile, per_block)
        start = mul(part, size.rows)
        row = add(mul(block, self.block), start)
        rows = minimum(size.rows, minimum(sub(self.block, start), sub(frame.rows, row)))
        # The last block may be short of rows for all of its tiles.
        with when(compare("sgt", rows, 0)):
            yield Task(free, row, rows, first_column, columns)

    @contextmanager
    def ragged(self, free: Sequence[Index], tile: Index, column: Index) -> Iterator[Task]:
        """The task of tile `tile` of the rows of all segments, counted through."""
        frame, size, plan = self.frame, self.tile, self.frame.plan
        assert frame.index is not None
        assert self.segments is not None
        segment, before = self.segments.find(tile, self.grid)
        with when(compare("slt", segment, frame.segments)):
            start = mul(sub(tile, before), size.rows)
            row = add(load_index(frame.index.begin, segment), start)
            rows = minimum(size.rows, sub(load_index(frame.index.count, segment), start))
            numbers = delinearize(segment, frame.group_extents[: len(plan.block)])
            coordinates = dict(zip(plan.group, numbers, strict=False))
            places = iter(free)
            outer = [
                coordinates[plan.axes[a].iterators[-1]] if self.is_key(a) else next(places)
                for a in frame.outer
            ]
            first, limit = mul(column, size.columns), frame.columns
            if plan.listed == "strips":
                linear = self.strip_of(coordinates)
                base = mul(linear, self.strip)
                limit = minimum(frame.columns, add(base, self.strip))
                first = add(base, first)
            columns = minimum(size.columns, sub(limit, first))
            part = coordinates[self.part] if self.part is not None else None
            with when(compare("sgt", columns, 0)):
                yield Task(outer, row, rows, first, columns, part)

    def strip_of(self, coordinates: dict[int, Index]) -> Index:
        """The number of the strip of columns of a segment; where one list is for all columns, they are one strip."""
        plan = self.frame.plan
        [number] = plan.of_role("column")
        return next((coordinates[p] for p in plan.axes[number].iterators if p in coordinates), 0)

"""The packed form for rows that are read where they lie: those of one tensor, contiguous along the depth.

A task packs some columns, and multiplies all rows with them. No row is packed, so nothing is done twice although the
tasks share out columns alone, and no task waits for what others pack: all of it is one parallel region.
"""

from dataclasses import replace

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    either,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    remainder,
    select,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, rounded, scratch
from pit_mlir.codegen.cpu.contract_packed import Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_views import View, recast
from pit_mlir.codegen.cpu.micro_kernel import Asks, MicroKernel, call_smallest
from pit_mlir.codegen.cpu.pack import Panels, Rows

LEAST_ROWS = 96
"""Of fewer rows, packing them is nothing: 64 x 768 x 3072 takes 4 % longer where they lie, 127 x 768 x 768 5 % less."""
TILES_OF_BLOCK = 8
"""Register tiles of rows that meet all columns of a task before the next ones: they stay in the second-level cache."""
BYTES_OF_COLUMNS = 384 * 1024
"""Columns that a task packs, at most: less than half of a second-level cache of 1 MiB."""
PIECES_PER_THREAD = 2
"""Pieces of the columns for each thread, at least: 256 x 256 x 256 in bf16 takes 5 % longer in 4 pieces."""
BYTES_APART = 4096
"""Rows a multiple of this apart share the ways of one set of a first-level cache, which has fewer than a tile rows:
512 x 2048 x 2048 in bf16 takes 1.6 times as long where they lie."""


class LyingForm(PackedForm):
    """Builds the tasks of `frame` so where its sizes at run time allow it, else those of the packed form."""

    @staticmethod
    def does(frame: Frame) -> bool:
        """Whether rows can be read where they lie, as elements of the type that is multiplied, in whole pairs."""
        plan, factor = frame.plan, frame.factors.rows
        if plan.listed != "nothing" or len(frame.depth_axes) != 1 or len(frame.row_axes) != 1:
            return False
        if (
            frame.adds
            or frame.siblings
            or frame.last_half is not None
            or list(factor.views) != [factor.result]
        ):
            return False
        view = factor.views[factor.result]
        is_stored = frame.is_paired or ir.MemRefType(view.buffer.type).element_type == plan.sum_type
        return is_stored and view.is_contiguous(frame.depth_axes[0])

    @property
    def pitch(self) -> Index:
        """How far rows lie apart."""
        [view] = self.frame.factors.rows.views.values()
        return view.strides[self.frame.row_axes[0]]

    def build(self) -> None:
        """Emits the tasks."""
        if self.panels is not None or self.plan.has_few_rows(LEAST_ROWS - 1):
            super().build()
        else:
            either(self.may_lie(), self.build_lying, super().build)

    def may_lie(self) -> ir.Value:
        """Whether rows are read where they lie: many, which the last cache keeps for all tasks, in nobody's way."""
        frame = self.frame
        [view] = frame.factors.rows.views.values()
        bits = stored_element(view).width
        size = product([frame.rows, frame.steps, self.packed_type.width // 8])
        conditions = [
            compare("sge", frame.rows, LEAST_ROWS),
            compare("sle", size, frame.host.l3_bytes // 2),
            compare("ne", remainder(mul(self.pitch, bits // 8), BYTES_APART), 0),
            compare("sge", frame.columns, 2 * frame.host.threads * self.tile.width),
        ]
        found, *others = conditions
        for other in others:
            found = arith.andi(found, other)
        return found

    def build_lying(self) -> None:
        """Tasks that share out the columns: as many for each thread, in whole panels."""
        frame, tile = self.frame, self.tile
        pitch = mul(add(frame.steps, tile.lanes), tile.width)
        fit = maximum(floor_div(BYTES_OF_COLUMNS, mul(pitch, self.packed_type.width // 8)), 1)
        panels, threads = ceil_div(frame.columns, tile.width), frame.host.threads
        outer = maximum(product(frame.outer_extents), 1)
        wanted = maximum(ceil_div(PIECES_PER_THREAD * threads, outer), ceil_div(panels, fit))
        # Where there is one product, threads end together.
        pieces = minimum(wanted if frame.outer else rounded(wanted, threads), panels)
        wide = mul(ceil_div(panels, maximum(pieces, 1)), tile.width)
        counts = [*frame.outer_extents, pieces]
        with parallel(product(counts), dynamic=True) as number:
            *coordinates, piece = delinearize(number, counts)
            ends = [floor_div(mul(end, panels), pieces) for end in (piece, add(piece, 1))]
            column, stop = (minimum(mul(end, tile.width), frame.columns) for end in ends)
            task = Task(coordinates, 0, frame.rows, column, sub(stop, column))
            columns = scratch(self.packed_type, mul(floor_div(wide, tile.width), pitch))
            factor = frame.factors_of(task).columns.moved(lambda view: frame.column_offset(view, column))
            target = Panels(columns, tile.width, pitch, 0, tile.lanes)
            target.pack_along(factor, frame.column_axis, task.columns, frame.depth_axes[0], frame.steps)
            high = TILES_OF_BLOCK * tile.rows
            tall = high + max(tile.rows, tile.lanes)
            sums, rows = scratch(self.plan.sum_type, mul(tall, wide)), self.pack_last_rows(task)
            with loop(0, frame.rows, high) as row:
                block = replace(task, row=row, rows=minimum(high, sub(frame.rows, row)))
                buffers = Buffers(rows, columns, sums, pitch, tall * tile.width, block.rows)
                with loop(0, maximum(frame.steps, 1), tile.depth) as first:
                    self.multiply_lying(block, buffers, first)
                self.finish(buffers, block)

    @property
    def pitch_of_last(self) -> Index:
        """How far the last rows lie apart, in steps."""
        return add(self.frame.steps, self.tile.lanes)

    def pack_last_rows(self, task: Task) -> ir.Value:
        """The rows of `task` behind its last whole register tile, where as many as of a tile may be read."""
        frame, tile = self.frame, self.tile
        packed = scratch(self.packed_type, mul(tile.rows, self.pitch_of_last))
        last = replace(task, row=mul(floor_div(frame.rows, tile.rows), tile.rows))
        factor, depth = frame.factors_of(task).rows, frame.depth_axes[0]
        rows = Rows(packed, self.pitch_of_last, 0, tile.lanes)
        rows.pack(factor, sub(frame.rows, last.row), frame.row_offset_in(last), depth, frame.steps)
        [view] = factor.views.values()
        return recast(packed, stored_element(view))

    def multiply_lying(self, task: Task, buffers: Buffers, first: Index) -> None:
        """Adds the product of the rows and columns of `task`, from step `first` of the depth on, to the sums."""
        frame, tile = self.frame, self.tile
        [view] = frame.factors_of(task).rows.views.values()
        element, halves = stored_element(view), 2 if frame.is_paired else 1
        asks = Asks(element, 1)
        asks = replace(asks, run=max(1, tile.depth * halves // (2 * asks.line)))
        kind = "pairs" if frame.is_paired else "dense"
        kernels = [
            MicroKernel(
                self.plan.sum_type, height, tile.vectors, tile.lanes, 0, kind, asks=asks, lying=element
            )
            for height in tile.heights
        ]
        names = sorted((kernel.rows, kernel.get(frame.module)) for kernel in kernels)
        count, fresh = minimum(tile.depth, sub(frame.steps, first)), compare("eq", first, 0)
        step = mul(first, halves)
        with loop(0, ceil_div(task.columns, tile.width)) as panel, loop(0, task.rows, tile.rows) as row:
            left = sub(task.rows, row)
            is_whole = compare("sge", left, tile.rows)
            place = add(view.base, mul(add(task.row, row), self.pitch))
            # The first panel meets rows that nobody has read: those of the next tile are asked for.
            later = add(add(task.row, row), tile.rows)
            next_rows = minimum(tile.rows, maximum(sub(frame.rows, later), 0))
            asked = select(compare("eq", panel, 0), mul(next_rows, asks.run), 0)
            arguments = [
                arith.select(is_whole, view.buffer, buffers.rows),
                value(add(select(is_whole, place, 0), step)),
                buffers.columns,
                value(add(mul(panel, buffers.panel_pitch), mul(first, tile.width))),
                buffers.sums,
                value(add(mul(panel, buffers.sums_pitch), mul(row, tile.width))),
                value(count),
                fresh,
                select(is_whole, self.pitch, mul(self.pitch_of_last, halves)),
                view.buffer,
                *map(value, (add(add(view.base, mul(later, self.pitch)), step), 0, self.pitch, asks.line)),
                asked,
            ]
            call_smallest(names, left, arguments)


def stored_element(view: View) -> ir.FloatType | ir.IntegerType:
    """The type of an element of `view` in memory."""
    element = ir.MemRefType(view.buffer.type).element_type
    assert isinstance(element, ir.FloatType | ir.IntegerType), "kernels read numbers"
    return element

"""The packed form of a contraction: rows and columns are packed, step by step along the depth, and multiplied.

A task is a block of rows and a block of columns. With a list along the depth, what is packed is what is listed, and
rows of the block that are zero throughout are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    dot,
    either,
    floor_div,
    fold,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    remainder,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_ahead import COLUMNS_OF_BLOCK, NextBlock, next_block
from pit_mlir.codegen.cpu.contract_columns import carried_axes, pack_columns
from pit_mlir.codegen.cpu.contract_finish import finish
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame, Task, is_unit, rounded, scratch
from pit_mlir.codegen.cpu.contract_live import any_live
from pit_mlir.codegen.cpu.contract_pairs import in_parts
from pit_mlir.codegen.cpu.contract_panels import panels_of
from pit_mlir.codegen.cpu.contract_views import View, index_at
from pit_mlir.codegen.cpu.micro_kernel import PREFETCH, MicroKernel, call_smallest
from pit_mlir.codegen.cpu.pack import Factor, Panels, Rows, lies_across

ROWS_OF_TASK = 448
"""Rows of a task: 448 packed rows of 256 floats fill less than half of a second-level cache of 1 MiB."""
COLUMNS_OF_STEP = 256
"""Columns that are packed at once: 256 x 256 floats are a quarter of that cache."""
COLUMNS_OF_LIST = 2048
"""Columns of a task with a list: gathering its rows takes about a cycle an element, for this many products."""
TASKS_PER_THREAD = 4
"""Fewer tasks than this for each thread leave some threads idle at the end."""
WORK_OF_TASK = 1 << 22
"""Products of a task, at least: about 40 microseconds."""
LINE = 16
"""Packed elements of a cache line."""
FEW_ROWS = 128
"""Rows up to which each task packs its columns: used before they leave the second-level cache."""
BYTES_OF_SHARED = 16 << 20
COLUMNS_OF_SHARED = 1024
"""What is packed for all tasks at once: half of a third-level cache of 32 MiB; sums of 256 rows are a MiB."""


@dataclass(frozen=True)
class Buffers:
    """What a task packs into and sums up in.

    `high` rows fit; a panel of columns is `panel_pitch` elements, one of sums `sums_pitch`; the columns of the task
    begin with element `first`. With a list, `slots` has for each row the row of `sums` where it is, and `places` for
    each of those `live` the row it is.
    """

    rows: ir.Value
    columns: ir.Value
    sums: ir.Value
    panel_pitch: Index
    sums_pitch: Index
    live: Index
    first: Index = 0
    slots: ir.Value | None = None
    places: ir.Value | None = None


class PackedForm:
    """Builds the tasks of the packed form in the kernel of `frame`."""

    skips_rows: ClassVar[bool] = True
    """Whether rows that are zero throughout are left out of a block with a list."""
    least_rows: ClassVar[int] = 0
    """Fewer rows take no less time."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.plan, self.tile = frame, frame.plan, frame.tile
        self.is_listed = self.plan.listed == "depth"
        depth = frame.depth_axes[-1]
        # A pair of bf16 is packed as 32 bits.
        self.packed_type = ir.IntegerType.get_signless(32) if frame.is_paired else frame.plan.sum_type
        across = lies_across(frame.factors.columns, frame.column_axis, depth)
        self.shares = self.is_listed and across and len(frame.depth_axes) == 1
        self.shared = self.panels = panels_of(frame)
        self.segment_rows = self.plan.block_of("row")

    def build(self) -> None:
        """Emits the tasks."""
        if self.plan.listed != "nothing" or not self.may_share:
            self.build_tasks()
            return
        few = self.plan.has_few_rows(FEW_ROWS)
        if few is None:
            is_few = compare("sle", self.frame.rows, FEW_ROWS)
            either(is_few, self.build_tasks, self.build_sharing_tasks)
        elif few:
            self.build_tasks()
        else:
            self.build_sharing_tasks()

    @property
    def may_share(self) -> bool:
        """Whether the columns are the same for all tasks, which then need not each pack them."""
        frame = self.frame
        return len(frame.depth_axes) == 1 and not frame.adds and not carried_axes(frame)

    def build_tasks(self) -> None:
        """Tasks that pack what they need, or with a list may share all columns."""
        frame = self.frame
        if self.shares:
            self.shared = pack_columns(frame, self.packed_type, 0, frame.columns)
        high, wide = self.blocks()
        row_blocks, column_blocks = ceil_div(frame.rows, high), ceil_div(frame.columns, wide)
        # Places that are added to may be listed twice: one task owns all rows of its columns.
        owned = [*frame.outer_extents, column_blocks]
        counts = owned if frame.adds else [*owned, row_blocks]
        with parallel(product(counts)) as number, loop(0, row_blocks if frame.adds else 1) as pass_:
            coordinates = delinearize(number, counts)
            row = mul(pass_ if frame.adds else coordinates.pop(), high)
            column = mul(coordinates.pop(), wide)
            rows, columns = minimum(high, sub(frame.rows, row)), minimum(wide, sub(frame.columns, column))
            self.build_task(Task(coordinates, row, rows, column, columns), high, wide)

    def build_sharing_tasks(self) -> None:
        """For as many columns as fit in the cache: all threads pack them, then each multiplies its rows with them."""
        frame, tile = self.frame, self.tile
        fit = maximum(
            floor_div(BYTES_OF_SHARED // 4, maximum(frame.extents[frame.depth_axes[0]], 1)), tile.width
        )
        passes = maximum(ceil_div(frame.columns, minimum(fit, COLUMNS_OF_SHARED)), 1)
        wide = maximum(rounded(ceil_div(frame.columns, passes), tile.width), tile.width)
        outer = product(frame.outer_extents)
        wanted = ceil_div(self.tasks_wanted(), maximum(outer, 1))
        pieces = maximum(minimum(wanted, floor_div(frame.rows, FEW_ROWS)), ceil_div(frame.rows, ROWS_OF_TASK))
        # In whole register tiles: a few rows left over in each task would take as long as a tile.
        pieces, tiles = maximum(pieces, 1), ceil_div(frame.rows, tile.rows)
        high = mul(maximum(ceil_div(tiles, pieces), 1), tile.rows)
        split = ceil_div(wanted, pieces)
        part = maximum(rounded(ceil_div(wide, split), tile.width), tile.width)
        with loop(0, frame.columns, wide) as first:
            columns = minimum(wide, sub(frame.columns, first))
            self.shared = self.panels or pack_columns(frame, self.packed_type, first, columns)
            counts = [*frame.outer_extents, ceil_div(columns, part), minimum(pieces, tiles)]
            with parallel(product(counts), dynamic=True) as number:
                *coordinates, piece, block = delinearize(number, counts)
                ends = [floor_div(mul(place, tiles), counts[-1]) for place in (block, add(block, 1))]
                row, stop = (minimum(mul(end, tile.rows), frame.rows) for end in ends)
                column = mul(piece, part)
                some = minimum(part, sub(columns, column))
                self.build_task(Task(coordinates, row, sub(stop, row), add(first, column), some), high, part)
            self.shared = self.panels

    def blocks(self) -> tuple[Index, Index]:
        """Rows and columns of a task: few large ones, but enough of them for all threads, and all of one size."""
        frame, tile = self.frame, self.tile
        high: Index
        if self.segment_rows is not None:
            high = self.segment_rows
        else:
            pieces = maximum(ceil_div(frame.rows, ROWS_OF_TASK), 1)
            high = maximum(rounded(ceil_div(frame.rows, pieces), tile.rows), tile.rows)
        # What is added to is shared out by columns alone.
        tasks = 1 if frame.adds else ceil_div(frame.rows, high)
        return high, self.width(product([tasks, *frame.outer_extents]))

    def width(self, row_blocks: Index) -> Index:
        """Columns of a task where there are `row_blocks` tasks with the same columns."""
        frame, tile = self.frame, self.tile
        most = COLUMNS_OF_LIST if self.steps_columns or self.panels is not None else COLUMNS_OF_STEP
        wanted = maximum(
            ceil_div(self.tasks_wanted(), maximum(row_blocks, 1)),
            ceil_div(frame.columns, most),
        )
        wide = rounded(ceil_div(frame.columns, maximum(wanted, 1)), tile.width)
        return maximum(wide, tile.width)

    @property
    def steps_columns(self) -> bool:
        """Whether a task packs only some of its columns at a time."""
        return self.is_listed or len(self.frame.depth_axes) == 1

    def tasks_wanted(self) -> Index:
        """How many tasks keep all threads busy to the end; not more than there is work for."""
        frame = self.frame
        depth = [frame.extents[a] for a in frame.depth_axes]
        work = product([*frame.outer_extents, maximum(frame.rows, self.least_rows), frame.columns, *depth])
        threads = frame.host.threads
        return maximum(minimum(floor_div(work, WORK_OF_TASK), TASKS_PER_THREAD * threads), threads)

    def build_task(self, task: Task, high: Index, wide: Index) -> None:
        """Packs and multiplies along the depth, then finishes the sums."""
        tile, element = self.tile, self.plan.sum_type
        spare = max(tile.rows, tile.lanes)
        tall = add(high, spare)
        panel_pitch: Index = (tile.depth + tile.lanes) * tile.width
        shared = self.shared
        if shared is None:
            step = minimum(wide, COLUMNS_OF_STEP) if self.steps_columns else wide
            panels = floor_div(step, tile.width)
            columns, first = scratch(self.packed_type, mul(panels, panel_pitch)), 0
        else:
            columns, panel_pitch, first = shared.buffer, shared.panel_pitch, shared.place_of(task)
        buffers = Buffers(
            scratch(self.packed_type, mul(tall, tile.pitch)),
            columns,
            scratch(element, mul(tall, wide)),
            panel_pitch,
            mul(tall, tile.width),
            task.rows,
            first,
        )
        factors = self.frame.factors_of(task)
        if self.is_listed:
            buffers = self.live_rows(task, buffers, factors.rows, high)
            self.build_listed_depth(task, buffers, factors)
        elif len(self.frame.depth_axes) == 1:
            self.build_depth(task, buffers, factors)
        else:
            self.build_nested_depth(task, buffers, factors)
        self.finish(buffers, task)

    def build_depth(self, task: Task, buffers: Buffers, factors: Factors) -> None:
        """The steps along a depth of one axis; one step of no length if it is empty."""
        axis, steps = self.frame.depth_axes[0], self.frame.steps
        with loop(0, maximum(steps, 1), self.tile.depth) as first:
            count, fresh = minimum(self.tile.depth, sub(steps, first)), compare("eq", first, 0)
            here = factors.moved(lambda view: mul(first, view.strides[axis]))
            in_parts(self.frame, here.rows, first, count, lambda *part: self.pack_rows(task, buffers, *part))
            if self.shared is not None:
                self.multiply(task, buffers, count, fresh, first_step=first)
            else:
                self.multiply_in_steps(task, buffers, here.columns, first, count)

    def multiply_in_steps(
        self, task: Task, buffers: Buffers, factor: Factor, first: Index, count: Index
    ) -> None:
        """Packs `count` steps of the columns, some columns after others, and multiplies while the next ones come."""
        fresh = compare("eq", first, 0)
        with loop(0, task.columns, COLUMNS_OF_BLOCK) as column:
            wide = minimum(COLUMNS_OF_BLOCK, sub(task.columns, column))
            part = replace(task, column=add(task.column, column), columns=wide)
            in_parts(self.frame, factor, first, count, lambda *some: self.pack_columns(part, buffers, *some))
            panel = floor_div(column, self.tile.width)
            following = next_block(self.frame, factor, task, first, column)
            self.multiply(part, buffers, count, fresh, first_panel=panel, following=following)

    def build_nested_depth(self, task: Task, buffers: Buffers, factors: Factors) -> None:
        """The steps along a depth of several axes: several runs of the last one share a step if they are short."""
        *outside, axis = self.frame.depth_axes
        extents = [self.frame.extents[a] for a in outside]
        extent = self.frame.extents[axis]
        length = maximum(minimum(extent, self.tile.depth), 1)
        runs = floor_div(self.tile.depth, length)
        with loop(0, maximum(product(extents), 1), runs) as run, loop(0, maximum(extent, 1), length) as first:
            count = minimum(length, sub(extent, first))
            together = minimum(runs, sub(product(extents), run))
            with loop(0, together) as number:
                coordinates = delinearize(add(run, number), extents)

                def offset(view: View) -> Index:
                    return add(
                        dot(coordinates, [view.strides[a] for a in outside]), mul(first, view.strides[axis])
                    )

                self.pack(task, buffers, factors.moved(offset), mul(number, count), count)
            fresh = compare("eq", add(run, first), 0)
            # What the task packs itself is these steps alone.
            place = 0 if self.shared is None else add(mul(run, extent), first)
            self.multiply(task, buffers, mul(together, count), fresh, first_step=place)

    def live_rows(self, task: Task, buffers: Buffers, factor: Factor, high: Index) -> Buffers:
        """Finds the rows of `task` that are not zero throughout; the others share a row of sums that is zero."""
        frame, tile = self.frame, self.tile
        axis = frame.depth_axes[-1]
        along = any(is_unit(view.strides[axis]) for view in factor.views.values())
        if not along or len(frame.depth_axes) > 1:
            return buffers
        i32 = ir.IntegerType.get_signless(32)
        slots, places = scratch(i32, high), scratch(i32, high)
        empty = add(high, max(tile.rows, tile.lanes) - 1)
        offset = frame.row_offset_in(task)

        def visit(row: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            here = factor.moved(lambda view: offset(view, row))
            is_live = any_live(here, axis, frame.extents[axis], tile.lanes)
            memref.store(arith.index_cast(i32, row), places, carried)
            slot = arith.select(is_live, carried[0], value(empty))
            memref.store(arith.index_cast(i32, slot), slots, [row])
            return [arith.addi(carried[0], arith.index_castui(ir.IndexType.get(), is_live))]

        [live] = fold(0, task.rows, 1, [value(0)], visit)
        none = zero(ir.VectorType.get([tile.lanes], self.plan.sum_type))
        with loop(0, task.columns, tile.lanes) as column:
            vector.store(none, buffers.sums, [value(self.place_of_sums(buffers, empty, column))])
        return replace(buffers, live=live, slots=slots, places=places)

    def build_listed_depth(self, task: Task, buffers: Buffers, factors: Factors) -> None:
        """The steps along the entries of the task's segment, for each coordinate of the axes that are not listed."""
        frame, tile = self.frame, self.tile
        entries, listed = frame.list_of(task)
        *outside, axis = frame.depth_axes
        extents = [frame.extents[a] for a in outside]
        runs = product(extents)
        extent = minimum(listed, mul(listed, runs)) if outside else listed
        offset = frame.row_offset_in(task)

        def place(view: View, row: Index) -> Index:
            return offset(view, row if buffers.places is None else index_in(buffers.places, row))

        with loop(0, maximum(runs, 1)) as run, loop(0, maximum(extent, 1), tile.depth) as first:
            coordinates = delinearize(run, extents)
            moved = factors.moved(lambda view: dot(coordinates, [view.strides[a] for a in outside]))
            count = minimum(tile.depth, sub(extent, first))
            here = entries.moved(first)
            fresh = compare("eq", add(run, first), 0)
            rows = Rows(buffers.rows, tile.pitch, 0, tile.lanes)
            if self.rows_lie_across(moved.rows):
                row_axis = frame.row_axes[0]
                first_row = moved.rows.moved(lambda view: mul(task.row, view.strides[row_axis]))
                rows.pack_listed_transposed(first_row, task.rows, row_axis, axis, here, count)
            else:
                rows.pack_listed(moved.rows, buffers.live, place, axis, here, count)
            if self.shares:
                self.multiply(task, buffers, count, fresh, here)
            else:
                self.multiply_gathered(task, buffers, moved.columns, here, count, fresh)

    def multiply_gathered(
        self, task: Task, buffers: Buffers, factor: Factor, entries: View, count: Index, fresh: ir.Value
    ) -> None:
        """Packs the listed steps of the columns, as many columns as the cache holds, and multiplies."""
        frame, tile = self.frame, self.tile
        axis = frame.depth_axes[-1]
        with loop(0, task.columns, COLUMNS_OF_STEP) as column:
            wide = minimum(COLUMNS_OF_STEP, sub(task.columns, column))
            part = replace(task, column=add(task.column, column), columns=wide)
            columns = factor.moved(lambda view: frame.column_offset(view, part.column))
            panels = Panels(buffers.columns, tile.width, buffers.panel_pitch, 0, tile.lanes)
            panels.pack(
                columns,
                frame.column_axis,
                wide,
                count,
                lambda view, step: mul(index_at(entries, step), view.strides[axis]),
            )
            self.multiply(part, buffers, count, fresh, first_panel=floor_div(column, tile.width))

    def pack(self, task: Task, buffers: Buffers, factors: Factors, start: Index, count: Index) -> None:
        """Packs `count` steps of the rows and columns of `task` from step `start` of the buffers on."""
        self.pack_rows(task, buffers, factors.rows, start, count)
        if self.shared is None:
            self.pack_columns(task, buffers, factors.columns, start, count)

    def pack_columns(self, task: Task, buffers: Buffers, factor: Factor, start: Index, count: Index) -> None:
        """Packs `count` steps of the columns of `task` from step `start` of the buffer on."""
        frame, tile = self.frame, self.tile
        panels = Panels(buffers.columns, tile.width, buffers.panel_pitch, start, tile.lanes)
        columns = factor.moved(lambda view: frame.column_offset(view, task.column))
        panels.pack_along(columns, frame.column_axis, task.columns, frame.depth_axes[-1], count)

    def pack_rows(self, task: Task, buffers: Buffers, factor: Factor, start: Index, count: Index) -> None:
        """Packs `count` steps of the rows of `task` from step `start` of the buffer on."""
        frame = self.frame
        depth = frame.depth_axes[-1]
        rows = Rows(buffers.rows, self.tile.pitch, start, self.tile.lanes)
        if self.rows_lie_across(factor):
            row_axis = frame.row_axes[0]
            here = factor.moved(lambda view: mul(task.row, view.strides[row_axis]))
            rows.pack_transposed(here, task.rows, row_axis, depth, count)
        else:
            rows.pack(factor, task.rows, frame.row_offset_in(task), depth, count)

    def rows_lie_across(self, factor: Factor) -> bool:
        """Whether the rows are contiguous along the rows and not along the depth."""
        return (
            self.plan.listed != "rows"
            and len(self.frame.row_axes) == 1
            and lies_across(factor, self.frame.depth_axes[-1], self.frame.row_axes[0])
        )

    def multiply(
        self,
        task: Task,
        buffers: Buffers,
        steps: Index,
        fresh: ir.Value,
        entries: View | None = None,
        *,
        first_panel: Index = 0,
        first_step: Index = 0,
        following: NextBlock | None = None,
    ) -> None:
        """Adds the product of what is packed to the sums, from `first_panel` on; `fresh` sums start from 0.

        Columns that are shared are taken from `first_step` on, or from the steps that `entries` list. The `following`
        ones are asked for.
        """
        tile = self.tile
        kernels = [
            MicroKernel(
                self.plan.sum_type,
                height,
                tile.vectors,
                tile.lanes,
                tile.pitch,
                "listed" if entries is not None else "pairs" if self.frame.is_paired else "dense",
                asks=None if following is None else following.asks,
            )
            for height in tile.heights
        ]
        names = sorted((kernel.rows, kernel.get(self.frame.module)) for kernel in kernels)
        with (
            loop(0, ceil_div(task.columns, tile.width)) as panel,
            loop(0, buffers.live, tile.rows) as row,
        ):
            start = add(buffers.first, mul(panel, buffers.panel_pitch))
            place = add(mul(add(first_panel, panel), buffers.sums_pitch), mul(row, tile.width))
            arguments = [
                buffers.rows,
                value(mul(row, tile.pitch)),
                buffers.columns,
                value(add(start, mul(first_step, tile.width))),
                buffers.sums,
                value(place),
                value(steps),
                fresh,
            ]
            if entries is not None:
                arguments += [
                    entries.buffer,
                    value(entries.base),
                    value(tile.width),
                    value(PREFETCH),
                    value(0),
                ]
            elif self.shared is not None:
                # The next panel comes from the third-level cache, part by part while this one is multiplied.
                size = mul(steps, tile.width)
                part = rounded(ceil_div(size, ceil_div(buffers.live, tile.rows)), LINE)
                begin = mul(floor_div(row, tile.rows), part)
                ahead = add(add(start, buffers.panel_pitch), mul(first_step, tile.width))
                with loop(begin, minimum(add(begin, part), size), LINE) as place:
                    memref.prefetch(buffers.columns, [value(add(ahead, place))], False, 2, True)
            if following is not None:
                tiles = ceil_div(buffers.live, tile.rows)
                arguments += following.arguments(panel, floor_div(row, tile.rows), tiles)
            call_smallest(names, sub(buffers.live, row), arguments)

    def place_of_sums(self, buffers: Buffers, row: Index, column: Index) -> Index:
        """Where the sum of a row and column of the task lies."""
        width = self.tile.width
        place = add(mul(floor_div(column, width), buffers.sums_pitch), remainder(column, width))
        return add(place, mul(row, width))

    def finish(self, buffers: Buffers, task: Task) -> None:
        """Passes the sums of `task` through the epilogue to the result."""
        self.finish_products([buffers], task)

    def finish_products(self, products: Sequence[Buffers], task: Task) -> None:
        """Passes the sums of each product of `task` through the epilogue to the result."""
        type_ = ir.VectorType.get([self.tile.lanes], self.plan.sum_type)

        def sums_at(row: Index, column: Index) -> list[ir.Value]:
            found: list[ir.Value] = []
            for buffers in products:
                slot = row if buffers.slots is None else index_in(buffers.slots, row)
                place = self.place_of_sums(buffers, slot, column)
                found.append(vector.load(type_, buffers.sums, [value(place)]))
            return found

        finish(self.frame, task, sums_at)


def index_in(buffer: ir.Value, number: Index) -> Index:
    """Element `number` of a buffer of i32 as an index."""
    return arith.index_cast(ir.IndexType.get(), memref.load(buffer, [value(number)]))

"""The packed form of a contraction: rows and columns are packed, step by step along the depth, and multiplied.

A task is a block of rows and a block of columns. With a list along the depth, what is packed is what is listed, and
rows of the block that are zero throughout are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, func, ir, memref, scf, vector
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    dot,
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
from pit_mlir.codegen.cpu.contract_frame import (
    Factors,
    Frame,
    Task,
    is_unit,
    lies_across,
    rounded,
    scratch,
)
from pit_mlir.codegen.cpu.contract_views import View, first_lanes, index_at
from pit_mlir.codegen.cpu.micro_kernel import MicroKernel
from pit_mlir.codegen.cpu.pack import Factor, Panels, Rows, transpose

ROWS_OF_TASK = 448
"""Rows of a task: 448 packed rows of 256 floats fill less than half of a second-level cache of 1 MiB."""
COLUMNS_OF_STEP = 256
"""Columns that are packed at once: 256 x 256 floats are a quarter of that cache."""
COLUMNS_OF_LIST = 2048
"""Columns of a task with a list: gathering its rows takes about a cycle an element, for this many products."""
TASKS_PER_THREAD = 4
"""Fewer tasks than this for each thread leave some threads idle at the end."""


@dataclass(frozen=True)
class Buffers:
    """What a task packs into and sums up in.

    `high` rows fit; a panel of columns is `panel_pitch` elements, one of sums `sums_pitch`. With a list,
    `slots` has for each row the row of `sums` where it is, and `places` for each of those `live` the row it is.
    """

    rows: ir.Value
    columns: ir.Value
    sums: ir.Value
    panel_pitch: Index
    sums_pitch: Index
    live: Index
    slots: ir.Value | None = None
    places: ir.Value | None = None


@dataclass(frozen=True)
class Shared:
    """All columns, packed once for all tasks: panels of the whole depth, for each of the outer `axes`."""

    buffer: ir.Value
    axes: tuple[int, ...]
    panel_pitch: Index
    panels: Index


class PackedForm:
    """Builds the tasks of the packed form in the kernel of `frame`."""

    def __init__(self, frame: Frame) -> None:
        self.frame, self.plan, self.tile = frame, frame.plan, frame.tile
        self.is_listed = self.plan.listed == "depth"
        depth = frame.depth_axes[-1]
        # A pair of bf16 is packed as 32 bits.
        self.packed_type = ir.IntegerType.get_signless(32) if frame.is_paired else frame.plan.sum_type
        across = lies_across(frame.factors.columns, frame.column_axis, depth)
        self.shares = self.is_listed and across and len(frame.depth_axes) == 1
        self.shared: Shared | None = None
        self.segment_rows = self.plan.block_of("row")

    def build(self) -> None:
        """Emits the tasks."""
        frame = self.frame
        if self.shares:
            self.shared = self.pack_all_columns()
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
        most = COLUMNS_OF_LIST if self.is_listed or self.shares else COLUMNS_OF_STEP
        wanted = maximum(
            ceil_div(TASKS_PER_THREAD * frame.host.threads, maximum(row_blocks, 1)),
            ceil_div(frame.columns, most),
        )
        wide = rounded(ceil_div(frame.columns, maximum(wanted, 1)), tile.width)
        return maximum(wide, tile.width)

    def pack_all_columns(self) -> Shared:
        """Packs the columns for all tasks, since columns that lie along the depth are slow to gather."""
        frame, tile = self.frame, self.tile
        *outside, depth = frame.depth_axes
        views = frame.factors.columns.views.values()
        axes = tuple(a for a in frame.outer if any(not is_zero(view.strides[a]) for view in views))
        outer = [frame.extents[a] for a in axes]
        extents, extent = [frame.extents[a] for a in outside], frame.extents[depth]
        steps = add(product([*extents, extent]), tile.lanes)
        panels = ceil_div(frame.columns, tile.width)
        pitch = mul(steps, tile.width)
        buffer = scratch(self.packed_type, mul(product([*outer, panels]), pitch))
        with parallel(product([*outer, panels])) as number:
            *coordinates, panel = delinearize(number, [*outer, panels])
            column = mul(panel, tile.width)

            def offset(view: View) -> Index:
                return add(
                    dot(coordinates, [view.strides[a] for a in axes]), frame.column_offset(view, column)
                )

            count = minimum(tile.width, sub(frame.columns, column))
            with loop(0, product(extents)) as run:
                places = delinearize(run, extents)
                factor = frame.factors.columns.moved(
                    lambda view: add(offset(view), dot(places, [view.strides[a] for a in outside]))
                )
                start = add(mul(number, steps), mul(run, extent))
                target = Panels(buffer, tile.width, pitch, start, tile.lanes)
                target.pack_transposed(factor, frame.column_axis, count, depth, extent)
        return Shared(buffer, axes, pitch, panels)

    def build_task(self, task: Task, high: Index, wide: Index) -> None:
        """Packs and multiplies along the depth, then finishes the sums."""
        tile, element = self.tile, self.plan.sum_type
        spare = max(tile.rows, tile.lanes)
        tall = add(high, spare)
        panel_pitch = (tile.depth + tile.lanes) * tile.width
        step = minimum(wide, COLUMNS_OF_STEP) if self.is_listed else wide
        packed = 0 if self.shares else mul(floor_div(step, tile.width), panel_pitch)
        buffers = Buffers(
            scratch(self.packed_type, mul(tall, tile.pitch)),
            scratch(self.packed_type, packed),
            scratch(element, mul(tall, wide)),
            panel_pitch,
            mul(tall, tile.width),
            task.rows,
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
        axis = self.frame.depth_axes[0]
        extent = self.frame.extents[axis]
        with loop(0, maximum(extent, 1), self.tile.depth) as first:
            count = minimum(self.tile.depth, sub(extent, first))
            here = factors.moved(lambda view: mul(first, view.strides[axis]))
            self.pack(task, buffers, here, 0, count)
            self.multiply(task, buffers, count, compare("eq", first, 0))

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
            self.multiply(task, buffers, mul(together, count), compare("eq", add(run, first), 0))

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
        frame, lanes = self.frame, self.tile.lanes
        depth = frame.depth_axes[-1]
        self.pack_rows(task, buffers, factors.rows, start, count)
        panels = Panels(buffers.columns, self.tile.width, buffers.panel_pitch, start, lanes)
        columns = factors.columns.moved(lambda view: frame.column_offset(view, task.column))
        if lies_across(columns, frame.column_axis, depth):
            panels.pack_transposed(columns, frame.column_axis, task.columns, depth, count)
        else:
            panels.pack(
                columns,
                frame.column_axis,
                task.columns,
                count,
                lambda view, step: mul(step, view.strides[depth]),
            )

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
    ) -> None:
        """Adds the product of what is packed to the sums, from `first_panel` on; `fresh` sums start from 0.

        With `entries`, the columns are the shared ones, addressed through that list; they are taken from `first_step`.
        """
        tile, shared = self.tile, self.shared
        kernels = [
            MicroKernel(
                self.plan.sum_type,
                height,
                tile.vectors,
                tile.lanes,
                tile.pitch,
                "listed" if entries is not None else "pairs" if self.frame.is_paired else "dense",
            )
            for height in tile.heights
        ]
        names = sorted((kernel.rows, kernel.get(self.frame.module)) for kernel in kernels)
        with (
            loop(0, ceil_div(task.columns, tile.width)) as panel,
            loop(0, buffers.live, tile.rows) as row,
        ):
            columns, pitch, number = buffers.columns, buffers.panel_pitch, panel
            if shared is not None:
                columns, pitch = shared.buffer, shared.panel_pitch
                number = add(self.shared_panel(task), panel)
            place = add(mul(add(first_panel, panel), buffers.sums_pitch), mul(row, tile.width))
            arguments = [
                buffers.rows,
                value(mul(row, tile.pitch)),
                columns,
                value(add(mul(number, pitch), mul(first_step, tile.width))),
                buffers.sums,
                value(place),
                value(steps),
                fresh,
            ]
            if entries is not None:
                arguments += [entries.buffer, value(entries.base)]
            call_smallest(names, sub(buffers.live, row), arguments)

    def shared_panel(self, task: Task) -> Index:
        """The first panel of `task` among the shared ones."""
        assert self.shared is not None, "the columns are shared"
        linear: Index = 0
        for axis in self.shared.axes:
            coordinate = task.outer[self.frame.outer.index(axis)]
            linear = add(mul(linear, self.frame.extents[axis]), coordinate)
        return add(mul(linear, self.shared.panels), floor_div(task.column, self.tile.width))

    def place_of_sums(self, buffers: Buffers, row: Index, column: Index) -> Index:
        """Where the sum of a row and column of the task lies."""
        width = self.tile.width
        place = add(mul(floor_div(column, width), buffers.sums_pitch), remainder(column, width))
        return add(place, mul(row, width))

    def finish(self, buffers: Buffers, task: Task) -> None:
        """Passes the sums of `task` through the epilogue to the result."""
        if self.frame.lies_along_rows:
            self.finish_columns(buffers, task)
            return
        lanes = self.tile.lanes
        type_ = ir.VectorType.get([lanes], self.plan.sum_type)
        with loop(0, task.rows) as row:
            finished = self.frame.finish_row(task, row)
            slot = row if buffers.slots is None else index_in(buffers.slots, row)
            with loop(0, task.columns, lanes) as column:
                place = value(self.place_of_sums(buffers, slot, column))
                finished.store(vector.load(type_, buffers.sums, [place]), column, sub(task.columns, column))

    def finish_columns(self, buffers: Buffers, task: Task) -> None:
        """As `finish`, column by column: squares of sums are transposed, so that whole vectors are stored."""
        lanes = self.tile.lanes
        type_ = ir.VectorType.get([lanes], self.plan.sum_type)
        square = scratch(self.plan.sum_type, lanes * lanes)
        with loop(0, task.rows, lanes) as row, loop(0, task.columns, lanes) as column:
            sums: list[ir.Value] = []
            for number in range(lanes):
                inside = minimum(add(row, number), sub(task.rows, 1))
                slot = inside if buffers.slots is None else index_in(buffers.slots, inside)
                sums.append(
                    vector.load(type_, buffers.sums, [value(self.place_of_sums(buffers, slot, column))])
                )
            for number, line in enumerate(transpose(sums)):
                vector.store(line, square, [value(number * lanes)])
            with loop(0, minimum(lanes, sub(task.columns, column))) as number:
                line = vector.load(type_, square, [value(mul(number, lanes))])
                finished = self.frame.finish_column(task, add(column, number))
                finished.store(line, row, sub(task.rows, row))


def any_live(factor: Factor, axis: int, extent: Index, lanes: int) -> ir.Value:
    """Whether `factor` is not zero anywhere along `axis`; NaN is not zero."""
    none = zero(ir.VectorType.get([lanes], ir.IntegerType.get_signless(1)))

    def is_live(first: Index, mask: ir.Value | None) -> ir.Value:
        def load(view: View) -> ir.Value:
            return view.load(mul(first, view.strides[axis]), view.strides[axis], lanes, mask)

        found = factor.compute(load, lanes)
        if isinstance(ir.VectorType(found.type).element_type, ir.FloatType):
            live = arith.cmpf(arith.CmpFPredicate.UNE, found, zero(found.type))
        else:
            live = arith.cmpi(arith.CmpIPredicate.ne, found, zero(found.type))
        return live if mask is None else arith.andi(live, mask)

    whole = mul(floor_div(extent, lanes), lanes)
    [lane_live] = fold(0, whole, lanes, [none], lambda k, c: [arith.ori(c[0], is_live(k, None))])
    rest = sub(extent, whole)
    tail = is_live(whole, first_lanes(rest, lanes))
    return vector.reduction(
        ir.IntegerType.get_signless(1), vector.CombiningKind.OR, arith.ori(lane_live, tail)
    )


def is_zero(stride: Index) -> bool:
    """Whether `stride` is known to be 0."""
    return isinstance(stride, int) and stride == 0


def index_in(buffer: ir.Value, number: Index) -> Index:
    """Element `number` of a buffer of i32 as an index."""
    return arith.index_cast(ir.IndexType.get(), memref.load(buffer, [value(number)]))


def call_smallest(kernels: Sequence[tuple[int, str]], rows: Index, arguments: Sequence[ir.Value]) -> None:
    """Calls the lowest of `kernels` (height, name) that does `rows`; the highest does any number."""
    (height, name), *higher = kernels
    if not higher:
        func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))
        return
    choice = scf.IfOp(compare("sle", rows, height), has_else=True)
    with ir.InsertionPoint(choice.then_block):
        func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))
        scf.yield_([])
    with ir.InsertionPoint(choice.else_block):
        call_smallest(higher, rows, arguments)
        scf.yield_([])

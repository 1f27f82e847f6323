"""A contraction with a list of rows for each part of the depth: what is live is live along a stretch of a row.

The sums of a task stay in the cache while part after part of the depth passes by. Of each, the listed rows are packed,
multiplied with the columns of that part, and added to the sums where they belong. A task owns its rows and takes the
parts in order, so that a result is the same sum whatever the number of threads.
"""

from dataclasses import replace

from pit_mlir.bindings import arith, ir, scf, vector
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
    parallel,
    product,
    select,
    sub,
    truth,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame, Task, rounded, scratch
from pit_mlir.codegen.cpu.contract_packed import TASKS_PER_THREAD, Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_views import View, index_at
from pit_mlir.codegen.cpu.micro_kernel import MicroKernel, call_smallest, plus
from pit_mlir.codegen.cpu.pack import Rows

COLUMNS_OF_TASK = 128
"""Columns of a task: those of 64 steps of the depth fill a first-level cache nearly."""
BYTES_OF_SUMS = 512 * 1024
"""The sums of a task: half of a second-level cache of 1 MiB."""
TILES_AT_ONCE = 8
"""Register tiles of rows that are packed together."""


class PartsForm(PackedForm):
    """Builds the tasks in the kernel of `frame`, which has a list of rows for each part of the depth."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        plan = frame.plan
        number = next(
            n for n, p in enumerate(plan.group[:-1]) if p in plan.axes[frame.depth_axes[0]].iterators
        )
        self.part = number
        # Pairs are half as many steps.
        self.size = max(1, plan.block[number]) // (2 if frame.is_paired else 1)
        # A tile as deep as a part, so that packed rows lie close to each other.
        self.tile = replace(self.tile, depth=min(int_rounded(self.size, self.tile.lanes), self.tile.depth))

    def build(self) -> None:
        """Emits the tasks."""
        frame = self.frame
        high, wide = self.sizes()
        counts = [*frame.outer_extents, ceil_div(frame.rows, high), ceil_div(frame.columns, wide)]
        with parallel(product(counts)) as number:
            coordinates = delinearize(number, counts)
            column, row = mul(coordinates.pop(), wide), mul(coordinates.pop(), high)
            rows, count = minimum(high, sub(frame.rows, row)), minimum(wide, sub(frame.columns, column))
            self.build_task(Task(coordinates, row, rows, column, count), high, wide)

    def sizes(self) -> tuple[Index, Index]:
        """The rows and the columns of a task."""
        frame, tile = self.frame, self.tile
        wide = minimum(
            rounded(maximum(frame.columns, 1), tile.width), int_rounded(COLUMNS_OF_TASK, tile.width)
        )
        columns = ceil_div(frame.columns, wide)
        wanted = ceil_div(
            TASKS_PER_THREAD * frame.host.threads, maximum(product([columns, *frame.outer_extents]), 1)
        )
        most = floor_div(BYTES_OF_SUMS * 8 // width_of(self.plan.sum_type), wide)
        pieces = maximum(ceil_div(frame.rows, most), wanted)
        return maximum(rounded(ceil_div(frame.rows, maximum(pieces, 1)), tile.rows), tile.rows), wide

    def build_task(self, task: Task, high: Index, wide: Index) -> None:
        """Adds up part after part, then finishes the sums."""
        frame, tile = self.frame, self.tile
        panel_pitch = (tile.depth + tile.lanes) * tile.width
        at_once = TILES_AT_ONCE * tile.rows
        buffers = Buffers(
            scratch(self.packed_type, (at_once + tile.rows) * tile.pitch),
            scratch(self.packed_type, mul(floor_div(wide, tile.width), panel_pitch)),
            scratch(self.plan.sum_type, mul(high, wide)),
            panel_pitch,
            mul(high, tile.width),
            task.rows,
        )
        self.clear(buffers, task)
        products = scratch(self.plan.sum_type, tile.rows * tile.width)
        [axis] = frame.depth_axes
        extent, factors = frame.extents[axis], frame.factors_of(task)
        with loop(0, ceil_div(extent, self.size)) as part:
            entries, listed = self.list_in(task, part)
            start = mul(part, self.size)
            stop = minimum(add(start, self.size), extent)
            # Columns are not packed for a part of which the task has no rows.
            with loop(start, select(compare("sgt", listed, 0), stop, start), tile.depth) as first:
                count = minimum(tile.depth, sub(stop, first))
                here = factors.moved(lambda view: mul(first, view.strides[axis]))
                self.pack_columns(task, buffers, here.columns, 0, count)
                with loop(0, listed, at_once) as row:
                    rows = minimum(at_once, sub(listed, row))
                    some = entries.moved(row)
                    self.pack_listed_rows(buffers, here, some, rows, count)
                    self.multiply_rows(task, replace(buffers, live=rows), some, count, products)
        self.finish(buffers, task)

    def clear(self, buffers: Buffers, task: Task) -> None:
        """Sets the sums of `task` to 0."""
        none = zero(ir.VectorType.get([self.tile.lanes], self.plan.sum_type))
        with loop(0, ceil_div(task.columns, self.tile.width)) as panel:
            first = mul(panel, buffers.sums_pitch)
            with loop(0, mul(task.rows, self.tile.width), self.tile.lanes) as place:
                vector.store(none, buffers.sums, [value(add(first, place))])

    def list_in(self, task: Task, part: Index) -> tuple[View, Index]:
        """The rows of `task` that are listed for `part` of the depth, ascending, and how many."""
        frame, plan = self.frame, self.plan
        begins, counts, entries = frame.lists
        segment: Index = 0
        for number, position in enumerate(plan.group[:-1]):
            axis = next(n for n, a in enumerate(plan.axes) if position in a.iterators)
            coordinate = part if number == self.part else task.outer[frame.outer.index(axis)]
            segment = add(mul(segment, frame.group_extents[number]), coordinate)
        every = entries.moved(index_at(begins, segment))
        count = index_at(counts, segment)
        first = first_not_below(every, count, task.row)
        return every.moved(first), sub(first_not_below(every, count, add(task.row, task.rows)), first)

    def pack_listed_rows(
        self, buffers: Buffers, factors: Factors, entries: View, rows: Index, count: Index
    ) -> None:
        """Packs `count` steps of the `rows` that `entries` list."""
        frame, [depth] = self.frame, self.frame.depth_axes
        [axis] = frame.row_axes
        target = Rows(buffers.rows, self.tile.pitch, 0, self.tile.lanes)
        target.pack(
            factors.rows,
            rows,
            lambda view, row: mul(index_at(entries, row), view.strides[axis]),
            depth,
            count,
        )

    def multiply_rows(
        self, task: Task, buffers: Buffers, entries: View, count: Index, products: ir.Value
    ) -> None:
        """Multiplies the packed rows, which `entries` list, and adds the products to the sums of those rows."""
        tile = self.tile
        kind = "pairs" if self.frame.is_paired else "dense"
        kernels = [
            MicroKernel(self.plan.sum_type, height, tile.vectors, tile.lanes, tile.pitch, kind)
            for height in tile.heights
        ]
        names = sorted((kernel.rows, kernel.get(self.frame.module)) for kernel in kernels)
        type_ = ir.VectorType.get([tile.lanes], self.plan.sum_type)
        fresh = truth(True)
        with (
            loop(0, ceil_div(task.columns, tile.width)) as panel,
            loop(0, buffers.live, tile.rows) as row,
        ):
            arguments = [
                buffers.rows,
                value(mul(row, tile.pitch)),
                buffers.columns,
                value(mul(panel, buffers.panel_pitch)),
                products,
                value(0),
                value(count),
                fresh,
            ]
            rest = sub(buffers.live, row)
            call_smallest(names, rest, arguments)
            first = mul(panel, buffers.sums_pitch)
            with loop(0, minimum(tile.rows, rest)) as inside:
                own = sub(index_at(entries, add(row, inside)), task.row)
                for number in range(tile.vectors):
                    place = value(add(add(first, mul(own, tile.width)), number * tile.lanes))
                    made = value(add(mul(inside, tile.width), number * tile.lanes))
                    total = plus(
                        vector.load(type_, buffers.sums, [place]), vector.load(type_, products, [made])
                    )
                    vector.store(total, buffers.sums, [place])


def first_not_below(entries: View, count: Index, bound: Index) -> ir.Value:
    """How many of `count` ascending entries are below `bound`."""
    index = ir.IndexType.get()
    search = scf.WhileOp([index, index], [value(0), value(count)])
    with ir.InsertionPoint(search.before.blocks.append(index, index)):
        low, high = search.before.blocks[0].arguments
        scf.condition(compare("slt", low, high), [low, high])
    with ir.InsertionPoint(search.after.blocks.append(index, index)):
        low, high = search.after.blocks[0].arguments
        middle = floor_div(add(low, high), 2)
        is_below = compare("slt", index_at(entries, middle), bound)
        scf.yield_(
            [arith.select(is_below, value(add(middle, 1)), low), arith.select(is_below, high, value(middle))]
        )
    return search.results[0]


def width_of(type_: ir.Type) -> int:
    """The bits of a sum."""
    return ir.IntegerType(type_).width if isinstance(type_, ir.IntegerType) else ir.FloatType(type_).width


def int_rounded(number: int, multiple: int) -> int:
    """`number` rounded up to a multiple."""
    return -(-number // multiple) * multiple

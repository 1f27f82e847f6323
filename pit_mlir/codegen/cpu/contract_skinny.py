"""Two forms of a contraction with very few rows, which stream the columns from memory without packing them.

Where the columns are contiguous along the depth, a vector of columns is a vector of dot products, transposed and
summed at the end. Where they are contiguous along the columns, a few steps of the depth at a time are added to sums
that stay in the first-level cache.
"""

from collections.abc import Callable
from dataclasses import replace

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    floor_div,
    fold,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import (
    Frame,
    Task,
    index_at,
    is_unit,
    lies_across,
    plus,
    rounded,
    scratch,
)
from pit_mlir.codegen.cpu.contract_plan import Access
from pit_mlir.codegen.cpu.contract_views import View, first_lanes
from pit_mlir.codegen.cpu.micro_kernel import multiply_add
from pit_mlir.codegen.cpu.pack import Factor, transpose, vectors

MOST_ROWS = 4
"""Rows up to which streaming the columns once for each row is faster than packing them."""
COLUMNS = 4
VECTORS = 4
"""Columns and vectors of each that are summed at once in the dot form: 16 sums hide the latency of their additions,
and few streams do not evict each other where the columns lie a multiple of the page size apart."""
STEPS = 4
"""Steps of the depth that are added at once: the sums are loaded and stored once for each four products."""
BYTES_OF_SUMS = 16 * 1024
"""Half of a first-level cache."""


def skinny_form(frame: Frame) -> Callable[[], None] | None:
    """What emits the form of `frame` for few rows, if there is one."""
    block = frame.plan.block_of("column")
    if block is not None and block < frame.tile.lanes:
        # Columns with a list each are no vectors.
        return None
    form = SkinnyForm(frame, block)
    return form.build_dot if is_dot(frame) else form.build_axpy if is_axpy(frame) else None


def is_dot(frame: Frame) -> bool:
    """Whether the dot form does `frame`: one axis of depth, columns and rows contiguous along it."""
    axis = frame.depth_axes[-1]
    return (
        is_plain(frame)
        and lies_across(frame.factors.columns, frame.column_axis, axis)
        and any(is_unit(view.strides[axis]) for view in frame.factors.rows.views.values())
    )


def is_axpy(frame: Frame) -> bool:
    """Whether the axpy form does `frame`: one axis of depth, columns contiguous along the columns."""
    views = frame.factors.columns.views.values()
    return is_plain(frame) and any(is_unit(view.strides[frame.column_axis]) for view in views)


def is_plain(frame: Frame) -> bool:
    """One axis of depth, nothing added to, the same columns for all rows."""
    return len(frame.depth_axes) == 1 and not frame.adds and not frame.plan.keys


class SkinnyForm:
    """Builds the tasks of either form in the kernel of `frame`: a block of columns, for all rows.

    With lists for `block` columns each, these are a task.
    """

    def __init__(self, frame: Frame, block: int | None) -> None:
        self.frame, self.lanes, self.block = frame, frame.tile.lanes, block
        self.axis = frame.depth_axes[-1]
        self.is_listed = frame.plan.listed == "depth"
        self.vector = ir.VectorType.get([self.lanes], frame.plan.sum_type)

    def build(self, columns_of_task: Callable[[Task], None], most: int, per_thread: int) -> None:
        """Emits the tasks, `per_thread` or more for each thread, none of more than `most` columns."""
        frame = self.frame
        pieces = maximum(
            ceil_div(per_thread * frame.host.threads, maximum(product(frame.outer_extents), 1)), 1
        )
        even = minimum(maximum(rounded(ceil_div(frame.columns, pieces), self.lanes), self.lanes), most)
        wide = even if self.block is None else self.block
        counts = [*frame.outer_extents, ceil_div(frame.columns, wide)]
        with parallel(product(counts)) as number:
            coordinates = delinearize(number, counts)
            column = mul(coordinates.pop(), wide)
            columns = minimum(wide, sub(frame.columns, column))
            columns_of_task(Task(coordinates, 0, frame.rows, column, columns))

    def depth_of(self, task: Task) -> tuple[View | None, Index]:
        """The entries of the depth for the row of `task`, if they are listed, and how many steps there are."""
        if self.frame.plan.listed == "depth":
            return self.frame.list_of(task)
        return None, self.frame.extents[self.axis]

    def factors_of(self, task: Task) -> tuple[Factor, Factor]:
        """The factors at the row and the first column of `task`."""
        frame = self.frame
        factors = frame.factors_of(task)
        return (
            factors.rows.moved(lambda view: frame.row_offset(view, task.row)),
            factors.columns.moved(lambda view: frame.column_offset(view, task.column)),
        )

    def build_dot(self) -> None:
        """The dot form: as many columns as a vector has lanes, for one row after another while they are cached."""
        self.build(self.dot_task, 1 << 30, 4)

    def dot_task(self, task: Task) -> None:
        """A block of columns; what is listed differs from row to row, so then the rows run outside."""
        partial = scratch(self.frame.plan.sum_type, self.lanes * self.lanes)
        if not self.is_listed:
            with loop(0, task.columns, self.lanes) as column, loop(0, task.rows) as row:
                at = replace(task, row=row, rows=1)
                factor, _ = self.factors_of(at)
                self.dot_products(at, factor, column, partial)
            return
        listed = scratch(self.frame.plan.sum_type, add(self.frame.extents[self.axis], self.lanes))
        with loop(0, task.rows) as row:
            at = replace(task, row=row, rows=1)
            factor = self.listed_row(at, listed)
            with loop(0, task.columns, self.lanes) as column:
                self.dot_products(at, factor, column, partial)

    def listed_row(self, task: Task, buffer: ir.Value) -> Factor:
        """The row factor with 0 where it is not listed: reading all columns in order is faster than some at random."""
        frame, axis, lanes = self.frame, self.axis, self.lanes
        with loop(0, frame.extents[axis], lanes) as k:
            vector.store(zero(self.vector), buffer, [k])
        entries, count = frame.list_of(task)
        row, _ = self.factors_of(task)
        with loop(0, count) as number:
            place = index_at(entries, number)
            at = row.moved(lambda view: mul(place, view.strides[axis]))
            found = at.compute(lambda view: view.load(0, 0, lanes, None), lanes)
            memref.store(vector.extract(found, [], [0]), buffer, [value(place)])
        strides = tuple(int(number == axis) for number in range(len(frame.plan.axes)))
        view = View(Access(buffer, (axis,), False), buffer, 0, strides, ())
        return Factor(row.result, {row.result: view}, {})

    def dot_products(self, task: Task, row: Factor, column: Index, partial: ir.Value) -> None:
        """A vector of dot products of `row`, the one row of `task`, with its columns from `column` on."""
        lanes = self.lanes
        _, columns = self.factors_of(task)
        at_once = min(COLUMNS, lanes)
        with loop(0, lanes, at_once) as group:
            places = [minimum(add(column, add(group, n)), sub(task.columns, 1)) for n in range(at_once)]
            sums = self.dot_sums(row, [self.at_column(columns, place) for place in places])
            for number, total in enumerate(sums):
                vector.store(total, partial, [value(mul(add(group, number), lanes))])
        kept = [vector.load(self.vector, partial, [value(n * lanes)]) for n in range(lanes)]
        finished = self.frame.finish_row(task, 0)
        finished.store(total_of(transpose(kept)), column, sub(task.columns, column))

    def at_column(self, columns: Factor, column: Index) -> Factor:
        """The columns from `column` of the task on."""
        return columns.moved(lambda view: self.frame.column_offset(view, column))

    def dot_sums(self, row: Factor, columns: list[Factor]) -> list[ir.Value]:
        """For each of `columns` a vector whose elements sum up to its dot product with `row`."""
        lanes, steps = self.lanes, self.frame.extents[self.axis]

        def step(k: Index, sums: list[ir.Value], mask: ir.Value | None) -> list[ir.Value]:
            left = self.along_depth(row, k, mask)
            return [
                multiply_add(left, self.along_depth(factor, k, mask), total)
                for factor, total in zip(columns, sums, strict=True)
            ]

        def several(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            count = len(columns)
            return [
                total
                for part in range(VECTORS)
                for total in step(add(k, part * lanes), sums[part * count : (part + 1) * count], None)
            ]

        wide = mul(floor_div(steps, VECTORS * lanes), VECTORS * lanes)
        start = [zero(self.vector)] * (VECTORS * len(columns))
        sums = fold(0, wide, VECTORS * lanes, start, several)
        sums = [total_of(sums[number :: len(columns)]) for number in range(len(columns))]
        whole = mul(floor_div(steps, lanes), lanes)
        sums = fold(wide, whole, lanes, sums, lambda k, carried: step(k, carried, None))
        return step(whole, sums, first_lanes(sub(steps, whole), lanes))

    def along_depth(self, factor: Factor, k: Index, mask: ir.Value | None) -> ir.Value:
        """A vector of `factor` along the depth, from step `k` on; 0 outside `mask`."""

        def load(view: View) -> ir.Value:
            stride = view.strides[self.axis]
            return view.load(mul(k, stride), stride, self.lanes, mask)

        found = factor.compute(load, self.lanes)
        return found if mask is None else arith.select(mask, found, zero(self.vector))

    def build_axpy(self) -> None:
        """The axpy form: sums of a block of columns stay in the cache while steps of the depth stream by."""
        bits = self.frame.plan.sum_type.width
        # Each step reads one stretch of memory, which should be long.
        self.build(self.axpy_task, BYTES_OF_SUMS * 8 // bits, 1)

    def axpy_task(self, task: Task) -> None:
        """A block of columns, a few steps of the depth at a time for all rows; one row at a time with a list."""
        pitch = add(task.columns, self.lanes)
        sums = scratch(self.frame.plan.sum_type, mul(pitch, task.rows))
        with loop(0, task.rows) as row, loop(0, task.columns, self.lanes) as column:
            vector.store(zero(self.vector), sums, [value(add(mul(row, pitch), column))])

        def steps(first: Index, stop: Index, at_once: int, rows: Task) -> None:
            entries, _ = self.depth_of(rows)
            with loop(first, stop, at_once) as k, loop(rows.row, add(rows.row, rows.rows)) as row:
                places = [self.coordinate(entries, add(k, n)) for n in range(at_once)]
                self.add_steps(replace(task, row=row, rows=1), sums, mul(row, pitch), places)

        with loop(0, task.rows if self.is_listed else 1) as row:
            rows = replace(task, row=row, rows=1) if self.is_listed else task
            _, depth = self.depth_of(rows)
            whole = mul(floor_div(depth, STEPS), STEPS)
            steps(0, whole, STEPS, rows)
            steps(whole, depth, 1, rows)
        with loop(0, task.rows) as row:
            finished = self.frame.finish_row(task, row)
            with loop(0, task.columns, self.lanes) as column:
                total = vector.load(self.vector, sums, [value(add(mul(row, pitch), column))])
                finished.store(total, column, sub(task.columns, column))

    def coordinate(self, entries: View | None, k: Index) -> Index:
        """The coordinate of step `k` along the depth."""
        return k if entries is None else index_at(entries, k)

    def add_steps(self, task: Task, sums: ir.Value, first_sum: Index, steps: list[Index]) -> None:
        """Adds the products of the one row of `task` at coordinates `steps` of the depth to the sums of its columns."""
        axis, column_axis, lanes = self.axis, self.frame.column_axis, self.lanes
        row, columns = self.factors_of(task)
        # A factor is computed on vectors; one lane of it is wanted, and spread.
        left = [
            row.moved(lambda view, k=k: mul(k, view.strides[axis])).compute(
                lambda view: view.load(0, 0, lanes, None), lanes
            )
            for k in steps
        ]
        right = [columns.moved(lambda view, k=k: mul(k, view.strides[axis])) for k in steps]

        def body(column: ir.Value, mask: ir.Value | None) -> None:
            place = value(add(first_sum, column))
            total = vector.load(self.vector, sums, [place])
            for factor, scalar in zip(right, left, strict=True):
                found = factor.compute(
                    lambda view: view.load(
                        mul(column, view.strides[column_axis]), view.strides[column_axis], lanes, mask
                    ),
                    lanes,
                )
                total = multiply_add(scalar, found, total)
            vector.store(total, sums, [place])

        vectors(task.columns, lanes, body)


def total_of(rows: list[ir.Value]) -> ir.Value:
    """The sum of vectors, pair by pair."""
    while len(rows) > 1:
        rows = [plus(rows[n], rows[n + 1]) for n in range(0, len(rows) - 1, 2)] + rows[len(rows) & ~1 :]
    return rows[0]

"""Two forms of a contraction with very few rows, which stream the columns from memory without packing them.

Where the columns are contiguous along the depth, a vector of columns is a vector of dot products, transposed and
summed at the end; a few rows share each vector that is read. Where they are contiguous along the columns, a few steps
of the depth at a time are added to sums that stay in the first-level cache.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    choose,
    compare,
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
    plus,
    rounded,
    scratch,
)
from pit_mlir.codegen.cpu.contract_pairs import halved, in_pairs
from pit_mlir.codegen.cpu.contract_views import View, first_lanes
from pit_mlir.codegen.cpu.micro_kernel import multiply_add, multiply_add_pairs
from pit_mlir.codegen.cpu.pack import Factor, lies_across, vectors

MOST_ROWS_OF_DOT = 16
MOST_ROWS_OF_AXPY = 4
"""Rows up to which reading the columns where they lie is faster than packing them."""
MOST_ROWS_OF_SEGMENT = 48
"""The same where the columns are those of one segment of rows, such as the weights of an expert: no other rows will use
what is packed. Measured with 128 experts of 2048 x 768, bf16, 16 rows each, one thread: a limit of 16 takes 1.12 times
as long as one of 64."""
ROWS_AT_ONCE = (1, 2, 4, 6)
"""Rows that share each vector of columns that is read: 6 x 4 sums fill the registers beside the operands."""
MOST_ROWS_OF_STREAM = 2
"""Rows up to which memory is the limit, which one column after another reads at its speed."""
COLUMNS = 4
"""Columns that are summed at once for more rows: few streams do not evict each other where the columns lie a multiple
of the page size apart."""
SUMS = 16
"""Sums that hide the latency of their additions: of few rows, those of several vectors along the depth."""
STEPS = 4
"""Steps of the depth that are added at once: the sums are loaded and stored once for each four products."""
BYTES_OF_SUMS = 16 * 1024
"""Half of a first-level cache."""


def skinny_form(frame: Frame) -> "SkinnyForm | None":
    """The form of `frame` for few rows, if there is one."""
    block = frame.plan.block_of("column")
    if block is not None and block < frame.tile.lanes:
        # Columns with a list each are no vectors.
        return None
    if is_dot(frame):
        # Columns read in order are faster than some of their elements at random: a list is of no use.
        return DotForm(in_pairs(frame) or frame, block) if frame.plan.listed != "depth" else None
    return AxpyForm(frame, block) if is_axpy(frame) else None


def is_dot(frame: Frame) -> bool:
    """Whether the dot form does `frame`: one axis of depth, columns and rows contiguous along it."""
    axis = frame.depth_axes[-1]
    return (
        is_plain(frame)
        and lies_across(frame.factors.columns, frame.column_axis, axis)
        and any(view.is_contiguous(axis) for view in frame.factors.rows.views.values())
    )


def is_axpy(frame: Frame) -> bool:
    """Whether the axpy form does `frame`: one axis of depth, columns contiguous along the columns."""
    views = frame.factors.columns.views.values()
    return is_plain(frame) and any(is_unit(view.strides[frame.column_axis]) for view in views)


def is_plain(frame: Frame) -> bool:
    """One axis of depth."""
    return len(frame.depth_axes) == 1


class SkinnyForm(ABC):
    """Builds the tasks of either form in the kernel of `frame`: a block of columns, for all rows.

    With lists for `block` columns each, these are a task.
    """

    most_rows: ClassVar[int]
    most_rows_of_segment: ClassVar[int]
    tasks_per_thread: ClassVar[int]

    @property
    @abstractmethod
    def most_columns(self) -> int:
        """Columns of a task at most."""

    def __init__(self, frame: Frame, block: int | None) -> None:
        self.frame, self.lanes, self.block = frame, frame.tile.lanes, block
        self.axis = frame.depth_axes[-1]
        self.is_listed = frame.plan.listed == "depth"
        self.vector = ir.VectorType.get([self.lanes], frame.plan.sum_type)

    @abstractmethod
    def build_task(self, task: Task) -> None:
        """Emits a block of columns, of at most `most_columns`, for all rows of `task`."""

    def build(self) -> None:
        """Emits the tasks, none where there are no rows."""
        frame = self.frame
        pieces = maximum(
            ceil_div(self.tasks_per_thread * frame.host.threads, maximum(product(frame.outer_extents), 1)), 1
        )
        even = maximum(rounded(ceil_div(frame.columns, pieces), self.lanes), self.lanes)
        wide = minimum(even, self.most_columns) if self.block is None else self.block
        counts = [minimum(frame.rows, 1), *frame.outer_extents, ceil_div(frame.columns, wide)]
        with parallel(product(counts)) as number:
            _, *coordinates = delinearize(number, counts)
            column = mul(coordinates.pop(), wide)
            columns = minimum(wide, sub(frame.columns, column))
            self.build_task(Task(coordinates, 0, frame.rows, column, columns))

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


class DotForm(SkinnyForm):
    """As many columns as a vector has lanes, for some rows after others while they are cached."""

    most_rows = MOST_ROWS_OF_DOT
    most_rows_of_segment = MOST_ROWS_OF_SEGMENT
    tasks_per_thread = 4

    @property
    def most_columns(self) -> int:
        """Any number: nothing is kept from one vector of columns to the next."""
        return 1 << 30

    def build_task(self, task: Task) -> None:
        """A block of columns."""
        partial = scratch(self.frame.plan.sum_type, ROWS_AT_ONCE[-1] * self.lanes * self.lanes)
        # As many rows in one pass as in the other.
        passes = maximum(ceil_div(task.rows, ROWS_AT_ONCE[-1]), 1)
        high = maximum(ceil_div(task.rows, passes), 1)
        with loop(0, task.columns, self.lanes) as column, loop(0, task.rows, high) as row:
            some = replace(task, row=add(task.row, row), rows=minimum(high, sub(task.rows, row)))
            self.dot_rows(some, column, partial, ROWS_AT_ONCE)

    def dot_rows(self, task: Task, column: Index, partial: ir.Value, heights: Sequence[int]) -> None:
        """A vector of columns from `column` of `task` on, by the lowest of `heights` that does its rows."""
        height, *higher = heights

        def here() -> list[ir.Value]:
            self.dot_products(task, height, column, partial)
            return []

        def above() -> list[ir.Value]:
            self.dot_rows(task, column, partial, higher)
            return []

        if higher:
            choose(compare("sle", task.rows, height), [], here, above)
        else:
            here()

    def dot_products(self, task: Task, height: int, column: Index, partial: ir.Value) -> None:
        """A vector of dot products of each row of `task`, at most `height`, with its columns from `column` on."""
        lanes = self.lanes
        _, columns = self.factors_of(task)
        at_once = 1 if height <= MOST_ROWS_OF_STREAM else min(COLUMNS, lanes)
        # Rows behind the last one are that one again.
        places = [minimum(n, sub(task.rows, 1)) if n else 0 for n in range(height)]
        rows = [self.factors_of(replace(task, row=add(task.row, place)))[0] for place in places]
        with loop(0, lanes, at_once) as group:
            numbers = [minimum(add(column, add(group, n)), sub(task.columns, 1)) for n in range(at_once)]
            sums = self.dot_sums(rows, [self.at_column(columns, number) for number in numbers])
            for number, total in enumerate(sums):
                row, inside = divmod(number, at_once)
                vector.store(total, partial, [value(mul(add(group, row * lanes + inside), lanes))])
        with loop(0, task.rows) as row:
            first = mul(row, lanes * lanes)
            kept = [vector.load(self.vector, partial, [value(add(first, n * lanes))]) for n in range(lanes)]
            finished = self.frame.finish_row(task, row)
            finished.store(sums_of(kept), column, sub(task.columns, column))

    def at_column(self, columns: Factor, column: Index) -> Factor:
        """The columns from `column` of the task on."""
        return columns.moved(lambda view: self.frame.column_offset(view, column))

    def dot_sums(self, rows: list[Factor], columns: list[Factor]) -> list[ir.Value]:
        """For each of `rows`, and each of `columns`, a vector whose elements sum up to their dot product."""
        lanes, steps = self.lanes, self.frame.extents[self.axis]
        count = len(rows) * len(columns)

        def step(k: Index, sums: list[ir.Value], mask: ir.Value | None) -> list[ir.Value]:
            right, left = ([self.along_depth(factor, k, mask) for factor in side] for side in (columns, rows))
            if mask is None and len(columns) > 1:
                self.prefetch(columns, k)
            pairs = ((one, other) for one in left for other in right)
            return [self.multiply_add(*pair, total) for pair, total in zip(pairs, sums, strict=True)]

        def several(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            return [
                total
                for part in range(at_once)
                for total in step(add(k, part * lanes), sums[part * count : (part + 1) * count], None)
            ]

        at_once = max(1, SUMS // count)
        wide = mul(floor_div(steps, at_once * lanes), at_once * lanes)
        sums = fold(0, wide, at_once * lanes, [zero(self.vector)] * (at_once * count), several)
        sums = [total_of(sums[number::count]) for number in range(count)]
        whole = mul(floor_div(steps, lanes), lanes)
        if at_once > 1:
            sums = fold(wide, whole, lanes, sums, lambda k, carried: step(k, carried, None))
        rest = sub(steps, whole)
        sums = choose(
            compare("sgt", rest, 0),
            [self.vector] * count,
            lambda: step(whole, sums, first_lanes(rest, lanes)),
            lambda: sums,
        )
        if self.frame.last_half is None:
            return sums
        rows, columns = ([halved(factor) for factor in side] for side in (rows, columns))
        return step(steps, sums, first_lanes(self.frame.last_half, lanes))

    def prefetch(self, columns: list[Factor], k: Index) -> None:
        """Asks for what lies a vector of columns behind `columns` at step `k`, which is multiplied next.

        Several columns are several streams, which a processor follows less well than one.
        """
        for factor in columns:
            for view in factor.views.values():
                ahead = mul(self.lanes, view.strides[self.frame.column_axis])
                place = add(add(view.base, ahead), mul(k, view.strides[self.axis]))
                memref.prefetch(view.buffer, [value(place)], False, 2, True)

    def along_depth(self, factor: Factor, k: Index, mask: ir.Value | None) -> ir.Value:
        """A vector of `factor` along the depth, from step `k` on; 0 outside `mask`."""

        def load(view: View) -> ir.Value:
            stride = view.strides[self.axis]
            return view.load(mul(k, stride), stride, self.lanes, mask)

        found = factor.compute(load, self.lanes)
        return found if mask is None else arith.select(mask, found, zero(found.type))

    def multiply_add(self, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
        """`left * right + total`; of pairs, both products."""
        return (multiply_add_pairs if self.frame.is_paired else multiply_add)(left, right, total)


class AxpyForm(SkinnyForm):
    """Sums of a block of columns stay in the cache while steps of the depth stream by."""

    most_rows = MOST_ROWS_OF_AXPY
    most_rows_of_segment = MOST_ROWS_OF_AXPY
    # Each step reads one stretch of memory, which should be long.
    tasks_per_thread = 1

    @property
    def most_columns(self) -> int:
        """Columns whose sums stay in the cache."""
        return BYTES_OF_SUMS * 8 // self.frame.plan.sum_type.width

    def build_task(self, task: Task) -> None:
        """A block of columns, a few steps of the depth at a time for all rows; one row at a time with a list."""
        pitch = add(task.columns, self.lanes)
        sums = scratch(self.frame.plan.sum_type, mul(pitch, task.rows))
        with loop(0, task.rows) as row, loop(0, task.columns, self.lanes) as column:
            vector.store(zero(self.vector), sums, [value(add(mul(row, pitch), column))])

        def steps(first: Index, stop: Index, at_once: int, rows: Task) -> None:
            entries, _ = self.depth_of(rows)
            with loop(first, stop, at_once) as k, loop(0, rows.rows) as row:
                places = [self.coordinate(entries, add(k, n)) for n in range(at_once)]
                at = replace(task, row=add(rows.row, row), rows=1)
                self.add_steps(at, sums, mul(sub(at.row, task.row), pitch), places)

        with loop(0, task.rows if self.is_listed else 1) as row:
            rows = replace(task, row=add(task.row, row), rows=1) if self.is_listed else task
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


def sums_of(rows: Sequence[ir.Value]) -> ir.Value:
    """The vector whose lane i is the sum of the lanes of vector i of as many as they have lanes.

    The first half of a transposition, and an addition after each exchange: half the vectors are left each time.
    """
    result, lanes, distance = list(rows), len(rows), 1
    while distance < lanes:
        low = [lane if not lane & distance else lanes + lane - distance for lane in range(lanes)]
        high = [lane + distance if not lane & distance else lanes + lane for lane in range(lanes)]
        pairs = zip(result[::2], result[1::2], strict=True)
        result = [plus(vector.shuffle(*pair, low), vector.shuffle(*pair, high)) for pair in pairs]
        distance *= 2
    return result[0]


def total_of(rows: list[ir.Value]) -> ir.Value:
    """The sum of vectors, pair by pair."""
    while len(rows) > 1:
        rows = [plus(rows[n], rows[n + 1]) for n in range(0, len(rows) - 1, 2)] + rows[len(rows) & ~1 :]
    return rows[0]

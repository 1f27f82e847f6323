"""A contraction with few rows whose columns are contiguous along the columns: they are read where they lie.

A few steps of the depth, of two vectors of columns, are held in registers while all rows add their products to sums
that stay in the first-level cache.
"""

from collections.abc import Sequence

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    splat,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import Task, scratch
from pit_mlir.codegen.cpu.contract_pairs import PairView, halved
from pit_mlir.codegen.cpu.contract_skinny import MOST_ROWS_OF_STREAM, Lines, SkinnyForm
from pit_mlir.codegen.cpu.contract_views import first_lanes
from pit_mlir.codegen.cpu.pack import Factor
from pit_mlir.target import LINE_BYTES

VECTORS = 2
"""Vectors of columns that are held of a step: half the registers hold those of several, whose products are added to
sums that are loaded and stored once. 16 and 32 rows of 4096 x 4096: 8 steps take an eighth less than 4."""
BYTES_OF_SUMS = 32 * 1024
"""Two thirds of a first-level cache: blocks of columns, which are stretches of memory, should be long."""
COLUMNS_OF_STRETCH = 512
"""Each step reads one stretch of memory, which should be long: 256 columns are slower by a tenth, 1024 no faster."""


class StreamForm(SkinnyForm):
    """A block of columns for all rows, a few steps of the depth after others."""

    most_rows = MOST_ROWS_OF_STREAM
    most_rows_of_segment = MOST_ROWS_OF_STREAM
    tasks_per_thread = 4
    fewest_columns = COLUMNS_OF_STRETCH

    @property
    def steps_at_once(self) -> int:
        """Steps of the depth whose columns are held."""
        return self.frame.host.registers // (2 * VECTORS)

    def build_task(self, task: Task) -> None:
        """As many columns after others as have room for their sums."""
        wide = VECTORS * self.lanes
        rows = self.pack_rows(task)
        size = self.frame.plan.sum_type.width // 8
        products = self.frame.products
        fit = floor_div(BYTES_OF_SUMS // size // len(products), maximum(task.rows, 1))
        block = maximum(mul(floor_div(fit, wide), wide), wide)
        pitch = add(block, self.lanes)
        sums = [Lines(scratch(self.frame.plan.sum_type, mul(task.rows, pitch)), pitch) for _ in products]
        columns = [self.columns_of(product, task) for product in products]
        with loop(0, task.columns, block) as first:
            count = minimum(block, sub(task.columns, first))
            for factor, lines in zip(columns, sums, strict=True):
                self.add_products(task, self.at_column(factor, first), count, rows, lines)
            with loop(0, task.rows) as row:
                finished = self.frame.finish_row(task, row)
                with loop(0, count, self.lanes) as column:
                    totals = [lines.load(self.vector, row, column) for lines in sums]
                    finished.store(totals, add(first, column), sub(count, column))

    def add_products(self, task: Task, columns: Factor, count: Index, rows: Lines, sums: Lines) -> None:
        """The sums of `count` columns, which begin with `columns`, for all rows of `task`."""
        steps = self.frame.extents[self.axis]
        at_once = self.steps_at_once
        whole = mul(floor_div(steps, at_once), at_once)
        with loop(0, task.rows) as row, loop(0, count, self.lanes) as column:
            sums.store(zero(self.vector), row, column)
        with loop(0, whole, at_once) as step:
            places = [add(step, number) for number in range(at_once)]
            self.add_steps(task, self.at_steps(columns, places), places, count, rows, sums)
        with loop(whole, steps) as step:
            self.add_steps(task, self.at_steps(columns, [step]), [step], count, rows, sums)
        if self.frame.last_half is not None:
            with loop(steps, self.frame.steps) as step:
                self.add_steps(task, self.at_steps(halved(columns), [step]), [step], count, rows, sums)

    def at_steps(self, columns: Factor, steps: Sequence[Index]) -> list[Factor]:
        """The columns at each of `steps` of the depth."""
        return [columns.moved(lambda view, step=step: mul(step, view.strides[self.axis])) for step in steps]

    def add_steps(
        self,
        task: Task,
        columns: Sequence[Factor],
        steps: Sequence[Index],
        count: Index,
        rows: Lines,
        sums: Lines,
    ) -> None:
        """Adds the products of all rows with `columns`, those at `steps` of the depth."""
        wide = VECTORS * self.lanes
        whole = mul(floor_div(count, wide), wide)
        with loop(0, whole, wide) as column:
            places = [add(column, number * self.lanes) for number in range(VECTORS)]
            if len(steps) > 1:
                self.prefetch(columns, column)
            self.add_vectors(task, columns, steps, places, None, rows, sums)
        with loop(whole, count, self.lanes) as column:
            mask = first_lanes(sub(count, column), self.lanes)
            self.add_vectors(task, columns, steps, [column], mask, rows, sums)

    def add_vectors(
        self,
        task: Task,
        columns: Sequence[Factor],
        steps: Sequence[Index],
        places: Sequence[Index],
        mask: ir.Value | None,
        rows: Lines,
        sums: Lines,
    ) -> None:
        """Adds the products of all rows with the vectors of `columns` from each of `places` on."""
        right = [[self.along_columns(factor, place, mask) for place in places] for factor in columns]
        with loop(0, task.rows) as row:
            totals = [sums.load(self.vector, row, place) for place in places]
            for step, vectors in zip(steps, right, strict=True):
                left = splat(rows.element(row, step), self.lanes)
                totals = [
                    self.multiply_add(left, found, total)
                    for found, total in zip(vectors, totals, strict=True)
                ]
            for place, total in zip(places, totals, strict=True):
                sums.store(total, row, place)

    def along_columns(self, factor: Factor, place: Index, mask: ir.Value | None) -> ir.Value:
        """A vector of `factor` along the columns."""
        axis = self.frame.column_axis
        return factor.compute(
            lambda view: view.load(mul(place, view.strides[axis]), view.strides[axis], self.lanes, mask),
            self.lanes,
        )

    def prefetch(self, columns: Sequence[Factor], column: Index) -> None:
        """Asks for `columns` as many steps ahead as they are: each is a stream that is too short to be foreseen."""
        axis = self.frame.column_axis
        views = [view for factor in columns for view in factor.views.values()]
        views += [view.moved(view.partner) for view in views if isinstance(view, PairView)]
        for view in views:
            ahead = mul(len(columns), view.strides[self.axis])
            place = add(add(view.base, ahead), mul(column, view.strides[axis]))
            per_line = LINE_BYTES * 8 // view.buffer.type.element_type.width
            for inside in range(0, VECTORS * self.lanes, per_line):
                memref.prefetch(view.buffer, [value(add(place, inside))], False, 2, True)

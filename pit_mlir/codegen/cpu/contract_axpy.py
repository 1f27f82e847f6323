"""A contraction with few rows and a list along the depth, whose columns are contiguous along the columns.

What a list names of the columns is read where it lies, and added to sums that stay in the first-level cache.
"""

from dataclasses import replace

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.build import Index, add, floor_div, loop, mul, sub, value, zero
from pit_mlir.codegen.cpu.contract_frame import Task, scratch
from pit_mlir.codegen.cpu.contract_skinny import MOST_ROWS_OF_AXPY, SkinnyForm
from pit_mlir.codegen.cpu.contract_views import index_at
from pit_mlir.codegen.cpu.micro_kernel import multiply_add
from pit_mlir.codegen.cpu.pack import vectors

STEPS = 4
"""Steps of the depth that are added at once: the sums are loaded and stored once for each four products."""
BYTES_OF_SUMS = 16 * 1024
"""Half of a first-level cache."""


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
        """A block of columns, one row after another, a few steps of its list at a time."""
        pitch = add(task.columns, self.lanes)
        sums = scratch(self.frame.plan.sum_type, mul(pitch, task.rows))
        with loop(0, task.rows) as row, loop(0, task.columns, self.lanes) as column:
            vector.store(zero(self.vector), sums, [value(add(mul(row, pitch), column))])
        with loop(0, task.rows) as row:
            alone = replace(task, row=add(task.row, row), rows=1)
            entries, depth = self.frame.list_of(alone)
            whole = mul(floor_div(depth, STEPS), STEPS)
            for first, stop, at_once in ((0, whole, STEPS), (whole, depth, 1)):
                with loop(first, stop, at_once) as k:
                    steps = [index_at(entries, add(k, number)) for number in range(at_once)]
                    self.add_steps(alone, sums, mul(row, pitch), steps)
        with loop(0, task.rows) as row:
            finished = self.frame.finish_row(task, row)
            with loop(0, task.columns, self.lanes) as column:
                total = vector.load(self.vector, sums, [value(add(mul(row, pitch), column))])
                finished.store([total], column, sub(task.columns, column))

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

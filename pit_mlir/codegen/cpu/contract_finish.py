"""The end of a task of a contraction: its sums pass through the epilogue to their places in the result."""

from collections.abc import Callable

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.cpu.build import Index, add, loop, minimum, mul, sub, value
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, scratch
from pit_mlir.codegen.cpu.pack import transpose

SumsAt = Callable[[Index, Index], ir.Value]
"""The vector of sums of a row from a column on, both counted from the first ones of the task."""


def finish(frame: Frame, task: Task, sums_at: SumsAt) -> None:
    """Passes the sums of `task` through the epilogue to the result."""
    if frame.lies_along_rows:
        finish_columns(frame, task, sums_at)
        return
    with loop(0, task.rows) as row:
        finished = frame.finish_row(task, row)
        with loop(0, task.columns, frame.tile.lanes) as column:
            finished.store(sums_at(row, column), column, sub(task.columns, column))


def finish_columns(frame: Frame, task: Task, sums_at: SumsAt) -> None:
    """As `finish`, column by column: squares of sums are transposed, so that whole vectors are stored."""
    lanes, element = frame.tile.lanes, frame.plan.sum_type
    type_, square = ir.VectorType.get([lanes], element), scratch(element, lanes * lanes)
    with loop(0, task.rows, lanes) as row, loop(0, task.columns, lanes) as column:
        # Rows behind the last one are that one again.
        rows = [minimum(add(row, number), sub(task.rows, 1)) for number in range(lanes)]
        for number, line in enumerate(transpose([sums_at(inside, column) for inside in rows])):
            vector.store(line, square, [value(number * lanes)])
        with loop(0, minimum(lanes, sub(task.columns, column))) as number:
            line = vector.load(type_, square, [value(mul(number, lanes))])
            frame.finish_column(task, add(column, number)).store(line, row, sub(task.rows, row))

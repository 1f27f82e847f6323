"""The end of a task of a contraction: its sums pass through the epilogue to their places in the result."""

from collections.abc import Callable

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.build import Index, add, loop, minimum, mul, sub, value
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, scratch
from pit_mlir.codegen.cpu.pack import transpose

SumsAt = Callable[[Index, Index], list[ir.Value]]
"""The vector of sums, for each product, of a row from a column on, both counted from the first ones of the task."""


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
    type_ = ir.VectorType.get([lanes], element)
    squares = [scratch(element, lanes * lanes) for _ in frame.products]
    with loop(0, task.rows, lanes) as row, loop(0, task.columns, lanes) as column:
        # Rows behind the last one are that one again.
        rows = [minimum(add(row, number), sub(task.rows, 1)) for number in range(lanes)]
        for square, sums in zip(squares, zip(*(sums_at(i, column) for i in rows), strict=True), strict=True):
            for number, line in enumerate(transpose(sums)):
                vector.store(line, square, [value(number * lanes)])
        with loop(0, minimum(lanes, sub(task.columns, column))) as number:
            lines = [vector.load(type_, square, [value(mul(number, lanes))]) for square in squares]
            frame.finish_column(task, add(column, number)).store(lines, row, sub(task.rows, row))

"""Forms of a contraction with few rows, which read the columns from memory without packing them.

Their rows are packed once a task: what computes them runs once, and their addresses are simple.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from pit_mlir.bindings import ir, memref, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, rounded, scratch
from pit_mlir.codegen.cpu.contract_pairs import in_parts
from pit_mlir.codegen.cpu.micro_kernel import multiply_add, multiply_add_pairs
from pit_mlir.codegen.cpu.pack import Factor, Rows
from pit_mlir.codegen.vectorize import plus

MOST_ROWS_OF_DOT = 32
MOST_ROWS_OF_STREAM = 32
MOST_ROWS_OF_AXPY = 4
"""Rows up to which reading the columns where they lie is faster than packing them."""
MOST_ROWS_OF_SEGMENT = 6
"""The same where the columns are those of one segment of rows, such as the weights of an expert, each step of which is
packed right before it is multiplied. Experts of 2048 x 768, bf16, one thread, 8, 16, 32, 64 rows each: where they lie
17.2, 21.7, 37.8, 60.2 ms, packed 16.5, 21.1, 32.4, 56.7."""


@dataclass(frozen=True)
class Lines:
    """Lines of a buffer of ours, `pitch` elements apart."""

    buffer: ir.Value
    pitch: Index
    first: Index = 0

    def moved(self, line: Index) -> "Lines":
        """The lines from `line` on."""
        return replace(self, first=add(self.first, mul(line, self.pitch)))

    def load(self, type_: ir.VectorType, line: Index, place: Index) -> ir.Value:
        """A vector from `place` of `line` on."""
        return vector.load(type_, self.buffer, [value(add(add(self.first, mul(line, self.pitch)), place))])

    def element(self, line: Index, place: Index) -> ir.Value:
        """One element of `line`."""
        return memref.load(self.buffer, [value(add(add(self.first, mul(line, self.pitch)), place))])

    def store(self, values: ir.Value, line: Index, place: Index) -> None:
        """Stores a vector from `place` of `line` on."""
        vector.store(values, self.buffer, [value(add(add(self.first, mul(line, self.pitch)), place))])


class SkinnyForm(ABC):
    """Builds the tasks in the kernel of `frame`: a block of columns, for all rows.

    With lists for `block` columns each, these are a task.
    """

    most_rows: ClassVar[int]
    most_rows_of_segment: ClassVar[int]
    tasks_per_thread: ClassVar[int]
    fewest_columns: ClassVar[int] = 1
    """Columns of a task at least, as long as each thread has one."""

    @property
    def most_columns(self) -> int | None:
        """Columns of a task at most; None for any number."""
        return None

    def __init__(self, frame: Frame, block: int | None) -> None:
        self.frame, self.lanes, self.block = frame, frame.tile.lanes, block
        self.axis = frame.depth_axes[-1]
        self.vector = ir.VectorType.get([self.lanes], frame.plan.sum_type)
        self.packed_type = ir.IntegerType.get_signless(32) if frame.is_paired else frame.plan.sum_type

    @abstractmethod
    def build_task(self, task: Task) -> None:
        """Emits a block of columns, of at most `most_columns`, for all rows of `task`."""

    def build(self) -> None:
        """Emits the tasks, none where there are no rows.

        A thread that is done takes the next one: one core may be slower, or have less of the memory's speed.
        """
        frame = self.frame
        several, one = (self.columns_for(tasks) for tasks in (self.tasks_per_thread, 1))
        even = maximum(several, minimum(one, self.fewest_columns))
        fit = even if self.most_columns is None else minimum(even, self.most_columns)
        wide = fit if self.block is None else self.block
        counts = [minimum(frame.rows, 1), *frame.outer_extents, ceil_div(frame.columns, wide)]
        with parallel(product(counts), dynamic=True) as number:
            _, *coordinates = delinearize(number, counts)
            column = mul(coordinates.pop(), wide)
            columns = minimum(wide, sub(frame.columns, column))
            self.build_task(Task(coordinates, 0, frame.rows, column, columns))

    def columns_for(self, tasks: int) -> Index:
        """The columns of a task where each thread has so many `tasks`: whole vectors."""
        frame = self.frame
        pieces = maximum(ceil_div(tasks * frame.host.threads, maximum(product(frame.outer_extents), 1)), 1)
        return maximum(rounded(ceil_div(frame.columns, pieces), self.lanes), self.lanes)

    def factors_of(self, task: Task) -> tuple[Factor, Factor]:
        """The factors at the row and the first column of `task`."""
        frame = self.frame
        factors = frame.factors_of(task)
        return (
            factors.rows.moved(lambda view: frame.row_offset(view, task.row)),
            factors.columns.moved(lambda view: frame.column_offset(view, task.column)),
        )

    def columns_of(self, product: Frame, task: Task) -> Factor:
        """The columns of `product`, one of the frame's, at the first column of `task`."""
        return product.factors_of(task).columns.moved(lambda view: product.column_offset(view, task.column))

    def at_column(self, columns: Factor, column: Index) -> Factor:
        """The columns from `column` of the task on."""
        return columns.moved(lambda view: self.frame.column_offset(view, column))

    def pack_rows(self, task: Task) -> Lines:
        """The rows of `task`, computed for the whole depth."""
        frame, lanes = self.frame, self.lanes
        # Not a multiple of a large power of 2, or all rows would share cache sets.
        pitch = add(rounded(frame.steps, lanes), lanes)
        buffer = scratch(self.packed_type, mul(task.rows, pitch))
        factor = frame.factors_of(task).rows

        def pack(part: Factor, start: Index, count: Index) -> None:
            Rows(buffer, pitch, start, lanes).pack(
                part, task.rows, frame.row_offset_in(task), self.axis, count
            )

        in_parts(frame, factor, 0, frame.steps, pack)
        return Lines(buffer, pitch)

    def multiply_add(self, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
        """`left * right + total`; of pairs, both products."""
        return (multiply_add_pairs if self.frame.is_paired else multiply_add)(left, right, total)


def total_of(rows: list[ir.Value]) -> ir.Value:
    """The sum of vectors, pair by pair."""
    while len(rows) > 1:
        rows = [plus(rows[n], rows[n + 1]) for n in range(0, len(rows) - 1, 2)] + rows[len(rows) & ~1 :]
    return rows[0]

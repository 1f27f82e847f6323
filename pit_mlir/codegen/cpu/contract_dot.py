"""A contraction with few rows whose columns are contiguous along the depth: they are read where they lie.

A vector of a column and one of a row, along the depth, is a vector of products; sixteen columns' sums are transposed
and added up at the end. One or two rows read one column after another, at the speed of memory. More of them go
through a part of the depth of all rows and columns, which fits the first-level cache, before the next one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    choose,
    compare,
    either,
    floor_div,
    fold,
    loop,
    maximum,
    minimum,
    mul,
    select,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import Task, scratch
from pit_mlir.codegen.cpu.contract_pairs import halved
from pit_mlir.codegen.cpu.contract_skinny import (
    MOST_ROWS_OF_DOT,
    MOST_ROWS_OF_SEGMENT,
    Lines,
    SkinnyForm,
    total_of,
)
from pit_mlir.codegen.cpu.contract_views import View, first_lanes
from pit_mlir.codegen.cpu.pack import Factor
from pit_mlir.codegen.vectorize import plus

STREAMED_AT_ONCE = (1, 2, 3, 4, 6)
"""Rows of which memory is the limit: one column after another reads at its speed."""
COLUMNS_OF_STRETCH = 512
"""Columns of one product before those of its sibling: streams that take turns too often are slower, by 4 to 8 %."""
FEWEST_ROWS = 2
BYTES_OF_STREAMED = 24 * 1024
"""Half of a first-level cache: more rows than the fewest must stay in it while columns stream through."""
BYTES_AHEAD = 8192
"""How far ahead a stream is asked for: experts of 2048 x 768, bf16, four rows each: 24 to 27 GB/s, 21 without."""
ROWS_AT_ONCE = (4, 6)
"""Rows that share each vector of columns that is read: 6 x 4 sums fill the registers beside the operands."""
COLUMNS = 4
"""Columns that are summed at once for more rows: few streams do not evict each other where the columns lie a multiple
of the page size apart."""
SUMS = 16
"""Sums that hide the latency of their additions: of few rows, those of several vectors along the depth."""
BYTES_OF_PART = 1024
"""Bytes of a row that are multiplied with a vector of columns before the next ones: those of 16 rows and of 4 columns
fit the first-level cache. 16 x 4096 x 4096, bf16: the whole depth takes 1.6 ms, 1 KiB of it 1.2."""


@dataclass(frozen=True)
class Part:
    """`count` steps of the depth from `first` on; the next part begins at `end`."""

    first: Index
    count: Index
    end: Index


class DotForm(SkinnyForm):
    """As many columns as a vector has lanes, part by part of the depth, for some rows after others.

    Rows are packed once a task, so that what computes them runs once, and each part of them stays in the first-level
    cache, as its columns do.
    """

    most_rows = MOST_ROWS_OF_DOT
    most_rows_of_segment = MOST_ROWS_OF_SEGMENT
    tasks_per_thread = 4

    def build_task(self, task: Task) -> None:
        """A block of columns."""
        rows, lanes, products = self.pack_rows(task), self.lanes, self.frame.products
        element = self.frame.plan.sum_type
        partial = Lines(scratch(element, mul(task.rows, lanes * lanes)), lanes * lanes)
        pitch = COLUMNS_OF_STRETCH + lanes
        sums = [Lines(scratch(element, mul(task.rows, pitch)), pitch) for _ in products]
        columns = [self.columns_of(product, task) for product in products]

        def emit(form: Callable[[Task, Index, Factor, Lines, Lines], None]) -> None:
            with loop(0, task.columns, COLUMNS_OF_STRETCH) as first:
                count = minimum(COLUMNS_OF_STRETCH, sub(task.columns, first))
                for factor, lines in zip(columns, sums, strict=True):
                    with loop(0, count, lanes) as column:
                        form(task, add(first, column), factor, rows, partial)
                        self.add_up(task, partial, lines, column)
                self.finish(task, first, count, sums)

        bytes_of_rows = mul(mul(task.rows, self.frame.steps), self.packed_type.width // 8)
        is_stream = arith.andi(
            compare("sle", task.rows, STREAMED_AT_ONCE[-1]),
            arith.ori(
                compare("sle", task.rows, FEWEST_ROWS), compare("sle", bytes_of_rows, BYTES_OF_STREAMED)
            ),
        )
        either(is_stream, lambda: emit(self.stream), lambda: emit(self.in_parts))

    def stream(self, task: Task, column: Index, factor: Factor, rows: Lines, partial: Lines) -> None:
        """One column after another, each in the whole of its depth."""
        steps = self.frame.extents[self.axis]
        part = Part(0, steps, steps)
        with loop(0, self.lanes) as number:
            self.dot_rows(task, (column, number, 1), factor, part, rows, partial, STREAMED_AT_ONCE)

    def in_parts(self, task: Task, column: Index, factor: Factor, rows: Lines, partial: Lines) -> None:
        """Part by part of the depth, a few columns for all rows before the next ones."""
        steps = self.frame.extents[self.axis]
        length = BYTES_OF_PART * 8 // self.packed_type.width
        # As many rows in one pass as in the other.
        passes = maximum(ceil_div(task.rows, ROWS_AT_ONCE[-1]), 1)
        high = maximum(ceil_div(task.rows, passes), 1)
        at_once = min(COLUMNS, self.lanes)
        with loop(0, maximum(steps, 1), length) as first, loop(0, self.lanes, at_once) as group:
            part = Part(first, minimum(length, sub(steps, first)), add(first, length))
            with loop(0, task.rows, high) as row:
                some = replace(task, row=add(task.row, row), rows=minimum(high, sub(task.rows, row)))
                columns = column, group, at_once
                lines = rows.moved(row), partial.moved(row)
                self.dot_rows(some, columns, factor, part, *lines, ROWS_AT_ONCE)

    def add_up(self, task: Task, partial: Lines, sums: Lines, column: Index) -> None:
        """Sums up a vector of dot products for each row of `task`."""
        with loop(0, task.rows) as row:
            kept = [partial.load(self.vector, row, number * self.lanes) for number in range(self.lanes)]
            sums.store(sums_of(kept), row, column)

    def finish(self, task: Task, first: Index, count: Index, sums: Sequence[Lines]) -> None:
        """Passes the sums of `count` columns from `first` on, of each product, through the epilogue."""
        with loop(0, task.rows) as row:
            finished = self.frame.finish_row(task, row)
            with loop(0, count, self.lanes) as column:
                totals = [lines.load(self.vector, row, column) for lines in sums]
                finished.store(totals, add(first, column), sub(count, column))

    def dot_rows(
        self,
        task: Task,
        columns: tuple[Index, Index, int],
        factor: Factor,
        part: Part,
        rows: Lines,
        partial: Lines,
        heights: Sequence[int],
    ) -> None:
        """The rows of `task` by the lowest of `heights` that does them."""
        height, *higher = heights

        def here() -> list[ir.Value]:
            self.dot_products(task, height, columns, factor, part, rows, partial)
            return []

        def above() -> list[ir.Value]:
            self.dot_rows(task, columns, factor, part, rows, partial, higher)
            return []

        if higher:
            choose(compare("sle", task.rows, height), [], here, above)
        else:
            here()

    def dot_products(
        self,
        task: Task,
        height: int,
        columns: tuple[Index, Index, int],
        factor: Factor,
        part: Part,
        rows: Lines,
        partial: Lines,
    ) -> None:
        """Adds `part` of the dot products of each row of `task`, at most `height`, with `columns` of `factor`.

        These are the first column of a vector of them, the first one inside of it, and how many.
        """
        column, group, at_once = columns
        # Rows behind the last one are that one again.
        places = [minimum(n, sub(task.rows, 1)) if n else 0 for n in range(height)]
        left = [rows.moved(place) for place in places]
        inside = [add(group, n) for n in range(at_once)]
        last = sub(task.columns, 1)
        right = [self.at_column(factor, minimum(add(column, number), last)) for number in inside]
        sums = [(line, mul(number, self.lanes)) for line in map(partial.moved, places) for number in inside]
        totals = choose(
            compare("eq", part.first, 0),
            [self.vector] * len(sums),
            lambda: [zero(self.vector)] * len(sums),
            lambda: [line.load(self.vector, 0, place) for line, place in sums],
        )
        totals = self.dot_sums(left, right, part, totals)
        for total, (line, place) in zip(totals, sums, strict=True):
            line.store(total, 0, place)

    def dot_sums(
        self, rows: list[Lines], columns: list[Factor], part: Part, initial: list[ir.Value]
    ) -> list[ir.Value]:
        """`initial`, for each of `rows` and each of `columns` a vector, with the products of `part` added."""
        lanes, stop = self.lanes, add(part.first, part.count)
        count = len(rows) * len(columns)
        ahead = self.distances_ahead(part, columns[0], streamed=len(columns) == 1)
        packed = ir.VectorType.get([lanes], self.packed_type)

        def step(k: Index, sums: list[ir.Value], mask: ir.Value | None) -> list[ir.Value]:
            right = [self.along_depth(factor, k, mask) for factor in columns]
            left = [masked(row.load(packed, 0, k), mask) for row in rows]
            if mask is None:
                self.prefetch(columns, k, ahead)
            pairs = ((one, other) for one in left for other in right)
            return [self.multiply_add(*pair, total) for pair, total in zip(pairs, sums, strict=True)]

        def several(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            return [
                total
                for number in range(at_once)
                for total in step(add(k, number * lanes), sums[number * count : (number + 1) * count], None)
            ]

        at_once = max(1, SUMS // count)
        wide = add(part.first, mul(floor_div(part.count, at_once * lanes), at_once * lanes))
        others = [zero(self.vector)] * ((at_once - 1) * count)
        sums = fold(part.first, wide, at_once * lanes, [*initial, *others], several)
        sums = [total_of(sums[number::count]) for number in range(count)]
        whole = add(part.first, mul(floor_div(part.count, lanes), lanes))
        if at_once > 1:
            sums = fold(wide, whole, lanes, sums, lambda k, carried: step(k, carried, None))
        rest = sub(stop, whole)
        types = [self.vector] * count
        sums = choose(
            compare("sgt", rest, 0), types, lambda: step(whole, sums, first_lanes(rest, lanes)), lambda: sums
        )
        if self.frame.last_half is None:
            return sums
        half = select(compare("sge", part.end, self.frame.extents[self.axis]), self.frame.last_half, 0)
        columns = [halved(factor) for factor in columns]
        return choose(
            compare("sgt", half, 0), types, lambda: step(stop, sums, first_lanes(half, lanes)), lambda: sums
        )

    def distances_ahead(self, part: Part, columns: Factor, *, streamed: bool) -> dict[ir.Value, Index]:
        """How far what is multiplied next lies behind each view of `columns`.

        It is the next part of the depth, else the first one of the next vector of columns. Of what is `streamed` it is
        so many bytes on.
        """
        if streamed:
            views = columns.views.items()
            return {
                s: BYTES_AHEAD * 8 // ir.MemRefType(view.buffer.type).element_type.width for s, view in views
            }
        has_next = compare("slt", part.end, self.frame.extents[self.axis])

        def distance(view: View) -> Index:
            step = view.strides[self.axis]
            below = sub(mul(self.lanes, view.strides[self.frame.column_axis]), mul(part.first, step))
            return select(has_next, mul(sub(part.end, part.first), step), below)

        return {scalar: distance(view) for scalar, view in columns.views.items()}

    def prefetch(self, columns: Sequence[Factor], k: Index, ahead: Mapping[ir.Value, Index]) -> None:
        """Asks for what lies `ahead` of `columns` at step `k`.

        Several columns are several streams, which a processor follows less well than one.
        """
        for factor in columns:
            for scalar, view in factor.views.items():
                place = add(add(view.base, ahead[scalar]), mul(k, view.strides[self.axis]))
                memref.prefetch(view.buffer, [value(place)], False, 3, True)

    def along_depth(self, factor: Factor, k: Index, mask: ir.Value | None) -> ir.Value:
        """A vector of `factor` along the depth, from step `k` on; 0 outside `mask`."""

        def load(view: View) -> ir.Value:
            stride = view.strides[self.axis]
            return view.load(mul(k, stride), stride, self.lanes, mask)

        return masked(factor.compute(load, self.lanes), mask)


def masked(values: ir.Value, mask: ir.Value | None) -> ir.Value:
    """`values`, and 0 outside `mask`."""
    return values if mask is None else arith.select(mask, values, zero(values.type))


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

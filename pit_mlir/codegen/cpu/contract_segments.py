"""The tasks of a contraction whose columns depend on the segment of a row: one flat list of blocks of rows.

Segments are as unequal as the data makes them, and most may be empty. What is shared out among the threads is
therefore not the segments but their blocks of rows, which are listed one after another before the tasks start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    fold,
    loop,
    minimum,
    mul,
    product,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, index_at, scratch


@dataclass(frozen=True)
class Blocks:
    """Blocks of at most `high` rows: number i is rows `first[i] .. first[i] + rows[i])` of segment `segment[i]`."""

    segment: ir.Value
    first: ir.Value
    rows: ir.Value
    count: ir.Value

    def at(self, number: Index) -> tuple[Index, Index, Index]:
        """Segment, first row and number of rows of block `number`."""
        segment, first, rows = (
            memref.load(buffer, [value(number)]) for buffer in (self.segment, self.first, self.rows)
        )
        return segment, first, rows


def most_rows(frame: Frame) -> ir.Value:
    """The rows of the longest segment."""
    _, _, counts = frame.lists

    def longest(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.maxsi(carried[0], value(index_at(counts, segment)))]

    return fold(0, segment_count(frame), 1, [value(0)], longest)[0]


def list_blocks(frame: Frame, high: Index) -> Blocks:
    """The blocks of all segments, in order; an empty segment has none."""
    _, begins, counts = frame.lists
    # A segment adds at most one block that is not full.
    most = add(ceil_div(frame.rows, high), minimum(frame.rows, segment_count(frame)))
    index = ir.IndexType.get()
    buffers = (scratch(index, most), scratch(index, most), scratch(index, most))

    def visit(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        begin, count = index_at(begins, segment), index_at(counts, segment)
        blocks = ceil_div(count, high)
        with loop(0, blocks) as number:
            done = mul(number, high)
            entries = (segment, add(begin, done), minimum(high, sub(count, done)))
            for buffer, entry in zip(buffers, entries, strict=True):
                memref.store(value(entry), buffer, [value(add(carried[0], number))])
        return [value(add(carried[0], blocks))]

    total = fold(0, segment_count(frame), 1, [value(0)], visit)[0]
    segments, firsts, rows = buffers
    return Blocks(segments, firsts, rows, total)


def keyed(frame: Frame, outer: Sequence[Index], segment: Index) -> list[Index]:
    """The coordinates of all outer axes: `outer` are those that the list leaves free, the keys those of `segment`."""
    plan = frame.plan
    numbers = delinearize(segment, frame.group_extents[: len(plan.block)])
    free = iter(outer)
    keys = (plan.axes[a].iterators[-1] for a in frame.outer)
    return [numbers[plan.group.index(p)] if p in plan.keys else next(free) for p in keys]


def segment_count(frame: Frame) -> Index:
    """The number of segments."""
    return product(frame.group_extents[: len(frame.plan.block)])

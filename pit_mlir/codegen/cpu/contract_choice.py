"""Which of its lists a contraction follows, if any: decided in every call, by counts and by measured costs of steps.

A list costs more for each step than the dense loop does: its rows are gathered, its columns are packed for few rows or
are addressed one step at a time, and bf16 is not multiplied in pairs. The higher its micro-tiles are the less a step
costs for each row, and the fewer of them are zero. So the entries of each list are counted, and what all this costs is
computed, before one is followed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.cover import HEIGHTS, Term, dense_terms, listed_terms, parts_terms, streamed_terms
from pit_mlir.analysis.tiles import costs
from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    compare,
    minimum,
    mul,
    product,
    select,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, rounded
from pit_mlir.codegen.cpu.contract_kernel import packed_form, parts_form, sides, skinny_form
from pit_mlir.codegen.cpu.contract_pairs import in_pairs
from pit_mlir.codegen.cpu.contract_segments import segment_count
from pit_mlir.codegen.cpu.row_bits import Counts

PARTS = 16
"""Costs are integers, in parts of this of a picosecond."""


@dataclass(frozen=True)
class Candidate:
    """A list that may be followed, or none: its kernel is that of `frame`, and `counts` are of its list."""

    frame: Frame
    counts: Counts | None


def cheapest(candidates: Sequence[Candidate]) -> ir.Value:
    """The number of the candidate that is expected to be the fastest; of equal ones the last."""
    best, number = value(cost_of(candidates[0])), value(0)
    for place, candidate in enumerate(candidates[1:], start=1):
        cost = cost_of(candidate)
        is_best = compare("sle", cost, best)
        best, number = select(is_best, cost, best), select(is_best, place, number)
    return number


def cost_of(candidate: Candidate) -> Index:
    """What `candidate` is expected to take."""
    frame, counts = candidate.frame, candidate.counts
    if counts is not None and frame.plan.listed == "parts":
        return in_parts(frame, counts)
    if counts is None:
        packed = packed_dense(frame)
        few = [(frame, form.most_rows)] if (form := skinny_form(frame)) else []
        high, steps = frame.rows, mul(product(frame.outer_extents), depth_of(frame))
    else:
        packed = packed_listed(frame, counts)
        few = [(side, form.most_rows) for side in sides(frame) if (form := skinny_form(side))]
        high, steps = rows_of_segment(frame), mul(counts.entries, repeated(frame))
    for side, most in few:
        packed = select(compare("sle", side.rows, most), streamed(frame, side, high, steps), packed)
    return packed


def packed_listed(frame: Frame, counts: Counts) -> Index:
    """The packed form with the list."""
    times, high = repeated(frame), rows_of_segment(frame)
    block = frame.plan.block_of("row")
    form = packed_form(frame)
    rows = mul(counts.entries, high) if counts.rows is None or not form.skips_rows else counts.rows
    terms = listed_terms(
        mul(counts.entries, times),
        mul(rows, times),
        whole_panels(frame),
        depth_of(frame),
        segment_count(frame),
        micro_tile=max(HEIGHTS) if block is None else block,
        shares=form.shares,
        has_runs=frame.plan.has_runs,
    )
    return price(terms)


def in_parts(frame: Frame, counts: Counts) -> Index:
    """The form that follows lists of rows for parts of the depth."""
    form = parts_form(frame)
    high, wide = form.sizes()
    outer, depth = product(frame.outer_extents), depth_of(frame)
    size = frame.plan.block[form.part]
    terms = parts_terms(
        counts.entries,
        whole_panels(frame),
        size,
        ceil_div(frame.columns, wide),
        # Columns are packed for a part of which a task has rows.
        minimum(mul(counts.entries, size), product([outer, ceil_div(frame.rows, high), depth])),
        product([outer, ceil_div(depth, size), frame.rows]),
        pairs=form.frame.is_paired,
    )
    return price(terms)


def rows_of_segment(frame: Frame) -> Index:
    """The rows that share a list."""
    block = frame.plan.block_of("row")
    return frame.rows if block is None else minimum(block, frame.rows)


def repeated(frame: Frame) -> Index:
    """How often an entry is followed: at each coordinate of the axes that the index does not know."""
    plan = frame.plan
    free = [
        frame.extents[number]
        for number in (*frame.outer, *frame.depth_axes)
        if not set(plan.axes[number].iterators) & set(plan.group)
    ]
    return product(free)


def packed_dense(frame: Frame) -> Index:
    """The packed form without a list."""
    paired = in_pairs(frame)
    outer = product(frame.outer_extents)
    steps = mul(outer, depth_of(frame))
    return price(dense_terms(frame.rows, whole_panels(frame), steps, pairs=paired is not None))


def streamed(frame: Frame, side: Frame, high: Index, steps: Index) -> Index:
    """The form that streams the columns of `side`, for so many rows of `frame` at each of `steps`."""
    many, few = (frame.columns, high) if side.column_axis == frame.column_axis else (high, frame.columns)
    bits = sum(width_of(view.element) for view in side.factors.columns.views.values())
    return price(streamed_terms(many, few, steps, bits // 8))


def price(terms: Sequence[Term[Index]]) -> Index:
    """What `terms` cost, in parts of a picosecond."""
    known, total = costs(), 0
    for term in terms:
        total = add(total, mul(product(term.times), round(known[term.unit] * PARTS)))
    return total


def depth_of(frame: Frame) -> Index:
    """The steps of the whole depth."""
    return product([frame.extents[axis] for axis in frame.depth_axes])


def whole_panels(frame: Frame) -> Index:
    """The columns of `frame`, rounded up: a panel that is not full costs as much as one that is."""
    return rounded(frame.columns, frame.tile.width)


def width_of(element: ir.Type) -> int:
    """The bits that an element takes in memory."""
    if isinstance(element, ir.IntegerType):
        return max(8, ir.IntegerType(element).width)
    assert isinstance(element, ir.FloatType), "factors are computed from numbers"
    return element.width

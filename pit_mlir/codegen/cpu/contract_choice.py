"""Which of its lists a contraction follows, if any: decided in every call, by counts and by measured costs of steps.

A list costs more for each step than the dense loop does: its rows are gathered, its columns are packed for few rows or
are addressed one step at a time, and bf16 is not multiplied in pairs. The higher its micro-tiles are the less a step
costs for each row, and the fewer of them are zero. So the entries of each list are counted, and what all this costs is
computed, before one is followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from pit_mlir.analysis.cover import (
    HEIGHTS,
    PHASES,
    Listed,
    Term,
    dense_terms,
    listed_terms,
    parts_terms,
    phase_of,
    streamed_terms,
)
from pit_mlir.analysis.tiles import costs
from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    floor_div,
    maximum,
    minimum,
    mul,
    product,
    select,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_blocks import (
    ROWS_OF_TASK,
    BlocksForm,
    packs_columns,
    plain_columns,
    reads_whole,
)
from pit_mlir.codegen.cpu.contract_columns import is_zero
from pit_mlir.codegen.cpu.contract_frame import Frame, rounded
from pit_mlir.codegen.cpu.contract_kernel import packed_form, parts_form, sides, skinny_form
from pit_mlir.codegen.cpu.contract_pairs import in_pairs
from pit_mlir.codegen.cpu.contract_panels import is_panelled
from pit_mlir.codegen.cpu.contract_segments import segment_count
from pit_mlir.codegen.cpu.pack import Factor, lies_across
from pit_mlir.target import LINE_BYTES

MARGIN = 32
"""A list is followed where it saves one part of this of the time without it."""
MOVES_OF_PACKED = 4
"""Columns that are packed for all tasks are read, their places in memory too, written, and read again."""
BYTES_AT_ONCE = 1024
"""Sizes are compared in these, so that products of them are numbers of 64 bits."""
PARTS = 16
"""Costs are integers, in parts of this of a picosecond."""


@dataclass(frozen=True)
class Candidate:
    """A list that may be followed, or none: its kernel is that of `frame`.

    Its list is expected to have `entries`, and asks for a look at `left` elements.
    """

    frame: Frame
    entries: Index | None
    left: Index = 0


Cost = Mapping[str, Index]
"""What each phase of the work is expected to take, in parts of a picosecond of one thread."""


def cheapest(costs: Sequence[Cost]) -> Index:
    """The number of the candidate of `costs` that is expected to be the fastest; of equal ones the last.

    That is the one without a list, which must be beaten clearly: costs are known to a few hundredths.
    """
    *lists, dense = map(total, costs)
    best, number = lists[0], 0
    for place, here in enumerate([*lists[1:], sub(dense, floor_div(dense, MARGIN))], start=1):
        is_best = compare("sle", here, best)
        best, number = select(is_best, here, best), select(is_best, place, number)
    return number


def total(cost: Cost) -> Index:
    """The sum of all phases."""
    found: Index = 0
    for phase in PHASES:
        found = add(found, cost[phase])
    return found


def numbers_of(number: Index, candidates: Sequence[Candidate], costs: Sequence[Cost]) -> ir.Value:
    """What `pit.choice` says where candidate `number` is followed: costs are picoseconds of one thread."""
    found: list[Index] = [number]
    for candidate, cost in zip(candidates, costs, strict=True):
        found.append(0 if candidate.entries is None else candidate.entries)
        found += [floor_div(cost[phase], PARTS) for phase in PHASES]
    i64 = ir.IntegerType.get_signless(64)
    values = [arith.index_cast(i64, value(one)) for one in found]
    return tensor.from_elements(ir.RankedTensorType.get([len(values)], i64), values)


def cost_of(candidate: Candidate) -> Cost:
    """What `candidate` is expected to take."""
    frame, entries = candidate.frame, candidate.entries
    if entries is not None and frame.plan.listed == "parts":
        return price(in_parts(frame, entries, candidate.left))
    if entries is None:
        packed = price(packed_dense(frame))
        few = [(frame, form.most_rows)] if (form := skinny_form(frame)) else []
        high, steps = frame.rows, mul(product(frame.outer_extents), depth_of(frame))
    else:
        packed = price(listed_terms(packed_listed(frame, entries, candidate.left)))
        few = [(side, form.most_rows) for side in sides(frame) if (form := skinny_form(side))]
        high, steps = rows_of_segment(frame), mul(entries, repeated(frame))
    for side, most in () if is_panelled(frame) else few:
        is_few, few_cost = compare("sle", side.rows, most), price(streamed(frame, side, high, steps))
        packed = {phase: select(is_few, few_cost[phase], packed[phase]) for phase in PHASES}
    return packed


def packed_listed(frame: Frame, listed: Index, left: Index) -> Listed[Index]:
    """The packed form with the list."""
    times, high, columns = repeated(frame), rows_of_segment(frame), whole_panels(frame)
    block = frame.plan.block_of("row")
    form = packed_form(frame)
    # A register tile that is not full costs as much as one that is.
    multiplied = rounded(high, form.kernel.rows) if isinstance(form, BlocksForm) else high
    entries = mul(listed, times)
    rows = mul(entries, high)
    steps = depth_of(frame)
    once, often = mul(steps, columns), mul(entries, columns)
    elements = product([*frame.outer_extents, frame.rows, steps])
    work = Listed[Index](
        micro_tile=max(HEIGHTS) if block is None else block,
        # Rows that are zero throughout are looked for, which is to look at all again.
        left=add(left, elements) if form.skips_rows and not frame.plan.has_runs else left,
        possible=mul(segment_count(frame), frame.group_extents[-1]),
        whole=0,
        gathered=0 if frame.plan.has_runs else rows,
        row=rows if frame.plan.has_runs else 0,
        packed=0 if is_panelled(frame) else once if form.shares else often,
        fetched=0,
        missed=0,
        multiplied=product([entries, multiplied, columns]),
        far=0,
        turned=is_turned(frame),
    )
    moved = far_of_columns(frame, entries)
    if isinstance(form, BlocksForm):
        # A task of packed columns reads a step once for all its rows, else each entry does.
        tasks = ceil_div(product([*frame.outer_extents, frame.rows]), ROWS_OF_TASK)
        work = replace(work, fetched=minimum(often, mul(once, tasks)))
        if form.may_read_whole(frame.factors.rows):
            is_whole = reads_whole(frame, listed)
            work = replace(work, whole=select(is_whole, elements, 0), gathered=select(is_whole, 0, rows))
        if plain_columns(frame) is not None and not is_panelled(frame):
            is_packed = packs_columns(frame, listed)
            read = mul(entries, frame.columns), mul(steps, frame.columns)
            first = missed(*read, bytes_of_columns(frame), frame.host.l3_bytes)
            work = replace(
                work,
                packed=select(is_packed, once, 0),
                fetched=select(is_packed, work.fetched, often),
                missed=select(is_packed, 0, first),
            )
            moved = select(is_packed, moved, 0)
        moved = mul(moved, MOVES_OF_PACKED)
    return replace(work, far=add(far_of_rows(frame, work, elements), moved))


def far_of_rows(frame: Frame, work: Listed[Index], elements: Index) -> Index:
    """The bytes of `elements` of rows that come from memory where `work` is done."""
    size, cache = bytes_of(frame.factors.rows, frame), frame.host.l3_bytes
    read = minimum(mul(work.gathered, LINE_BYTES), mul(elements, size))
    for part in (work.left, work.whole, work.row):
        read = add(read, mul(part, size))
    return far(read, mul(elements, size), cache)


def far_of_columns(frame: Frame, steps: Index) -> Index:
    """The bytes of columns that move from memory or to it where so many `steps` ask for them, each at most once."""
    size, whole = mul(bytes_of(frame.factors.columns, frame), frame.columns), bytes_of_columns(frame)
    return far(minimum(mul(steps, size), whole), whole, frame.host.l3_bytes)


def bytes_of_columns(frame: Frame) -> Index:
    """The bytes of all columns."""
    return product([bytes_of(frame.factors.columns, frame), frame.columns, depth_of(frame)])


def far(read: Index, whole: Index, cache: int) -> Index:
    """Of `read` bytes of a tensor of `whole` those that come from memory.

    A fourth of the last-level cache is still there when it is read again, of half of it nothing is.
    """
    quarter = cache // 4
    return floor_div(mul(read, minimum(maximum(sub(whole, quarter), 0), quarter)), quarter)


def missed(reads: Index, elements: Index, whole: Index, cache: int) -> Index:
    """Of `reads` of a tensor of so many `elements`, `whole` bytes, those that come from memory: each element once.

    Later reads find it in a cache; so do first ones what a fourth of the last-level cache has room for.
    """
    over, all_ = (floor_div(size, BYTES_AT_ONCE) for size in (maximum(sub(whole, cache // 4), 0), whole))
    return floor_div(mul(minimum(reads, elements), over), maximum(all_, 1))


def bytes_of(factor: Factor, frame: Frame) -> int:
    """The bytes of what `factor` reads at each step of the depth."""
    axis = frame.depth_axes[-1]
    views = [view for view in factor.views.values() if not is_zero(view.strides[axis])]
    return sum(width_of(view.element) for view in views) // 8


def in_parts(frame: Frame, entries: Index, left: Index) -> list[Term[Index]]:
    """The form that follows lists of rows for parts of the depth."""
    form = parts_form(frame)
    high, wide = form.sizes()
    outer, depth = product(frame.outer_extents), depth_of(frame)
    size, width = frame.plan.block[form.part], bytes_of(frame.factors.rows, frame)
    listed = mul(entries, size)
    read, whole = mul(add(left, listed), width), product([outer, frame.rows, depth, width])
    return parts_terms(
        entries,
        whole_panels(frame),
        size,
        ceil_div(frame.columns, wide),
        # Columns are packed for a part of which a task has rows.
        minimum(listed, product([outer, ceil_div(frame.rows, high), depth])),
        product([outer, ceil_div(depth, size), frame.rows]),
        left,
        add(far(read, whole, frame.host.l3_bytes), far_of_columns(frame, listed)),
        pairs=form.frame.is_paired,
        turned=is_turned(frame),
    )


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


def packed_dense(frame: Frame) -> list[Term[Index]]:
    """The packed form without a list."""
    steps = mul(product(frame.outer_extents), depth_of(frame))
    read = product([frame.rows, steps, bytes_of(frame.factors.rows, frame)])
    return dense_terms(
        frame.rows,
        whole_panels(frame),
        steps,
        add(far(read, read, frame.host.l3_bytes), far_of_columns(frame, steps)),
        pairs=in_pairs(frame) is not None,
        turned=is_turned(frame),
        packed=not is_panelled(frame),
    )


def is_turned(frame: Frame) -> bool:
    """Whether the columns lie along the depth."""
    return lies_across(frame.factors.columns, frame.column_axis, frame.depth_axes[-1])


def streamed(frame: Frame, side: Frame, high: Index, steps: Index) -> list[Term[Index]]:
    """The form that streams the columns of `side`, for so many rows of `frame` at each of `steps`."""
    many, few = (frame.columns, high) if side.column_axis == frame.column_axis else (high, frame.columns)
    bits = sum(width_of(view.element) for view in side.factors.columns.views.values())
    return streamed_terms(many, few, steps, bits // 8, turned=is_turned(side))


def price(terms: Sequence[Term[Index]]) -> Cost:
    """What `terms` cost."""
    known, found = costs(), dict.fromkeys(PHASES, cast(Index, 0))
    for term in terms:
        phase, cost = phase_of(term.unit), mul(product(term.times), round(known[term.unit] * PARTS))
        found[phase] = add(found[phase], cost)
    return found


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

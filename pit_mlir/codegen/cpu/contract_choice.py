"""Whether a list along the depth pays, decided in every call by the entries that were counted.

A list costs more for each step than the dense loop does: its rows are gathered, its columns are packed for few rows or
are addressed one step at a time, and bf16 is not multiplied in pairs. So a list that is nearly full is left, and the
contraction runs as if there were none.
"""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    compare,
    floor_div,
    fold,
    maximum,
    minimum,
    mul,
    product,
    select,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, rounded
from pit_mlir.codegen.cpu.contract_segments import segment_count
from pit_mlir.codegen.cpu.contract_views import index_at

SCALE = 16
"""Costs are in parts of this of a multiply-add of f32 in the packed form with a list (12 ps on the machine measured).

Measured with `python -m bench.relu` and `python -m bench.pruning`, f32 and bf16, by solving for the slopes in rows and
in columns of both forms: a Zen 5 core with AVX-512. What matters is the ratios.
"""
ENTRY = 108 * SCALE
"""Gathering and packing an element of a listed row."""
ROW = 38 * SCALE
"""Packing an element of a row."""
MULTIPLIED = SCALE
DENSE = 14
DENSE_PAIR = 7
"""A multiply-add: with a list, without one, and where pairs of bf16 are multiplied."""
COLUMN = 26 * SCALE
COLUMN_PAIR = 13 * SCALE
"""Packing an element of a column, alone or as half of a pair."""
BYTE = 3 * SCALE
"""Reading a byte of columns that are streamed for few rows."""
SHARED = 7 * SCALE
"""Reading an element of columns that were packed once for all rows, at a step that is listed."""


def list_pays(
    frame: Frame,
    dense: Frame,
    *,
    shares: bool,
    rows_at_once: int,
    few: Sequence[tuple[Frame, int]],
    few_dense: int | None,
) -> ir.Value:
    """Whether `frame`, with its list, is expected to be faster than `dense`, the same contraction without it.

    `shares` says that the packed form with a list packs its columns once for all rows; the dense one does so for each
    `rows_at_once` rows. `few` has the sides of `frame` whose other one is streamed where it has so few rows, and
    `few_dense` up to how many that is so of `dense`.
    """
    rows = frame.plan.block_of("row")
    high: Index = frame.rows if rows is None else minimum(rows, frame.rows)
    listed, once = packed_entry(frame, high, shares=shares)
    for side, most in few:
        is_few = compare("sle", side.rows, most)
        listed = select(is_few, streamed(frame, side, high), listed)
        once = select(is_few, 0, once)
    unlisted = packed_step(frame, dense, high, rows_at_once)
    if few_dense is not None:
        is_few = compare("sle", dense.rows, few_dense)
        unlisted = select(is_few, streamed(frame, dense, high), unlisted)
    work = add(mul(count_entries(frame), listed), mul(capacity(frame), once))
    return compare("slt", work, mul(capacity(frame), unlisted))


def packed_entry(frame: Frame, high: Index, *, shares: bool) -> tuple[Index, Index]:
    """What an entry for `high` rows costs in the packed form with the list, and what each step costs, listed or not."""
    columns = whole_panels(frame)
    row = ROW if frame.plan.has_runs else ENTRY
    entry = add(mul(high, add(row, mul(columns, MULTIPLIED))), mul(columns, SHARED if shares else COLUMN))
    # What is packed for all rows is packed whole.
    once = floor_div(mul(columns, COLUMN), maximum(segment_count(frame), 1)) if shares else 0
    return entry, once


def packed_step(frame: Frame, dense: Frame, high: Index, rows_at_once: int) -> Index:
    """What a step for `high` rows costs in the packed form without the list."""
    columns = whole_panels(frame)
    multiplied, packed = (DENSE_PAIR, COLUMN_PAIR) if dense.is_paired else (DENSE, COLUMN)
    passes = ceil_div(mul(high, packed), maximum(minimum(frame.rows, rows_at_once), 1))
    return add(mul(high, add(ROW, mul(columns, multiplied))), mul(columns, passes))


def streamed(frame: Frame, side: Frame, high: Index) -> Index:
    """What a step for `high` rows of `frame` costs where the columns of `side` are streamed for its few rows."""
    many, few = (frame.columns, high) if side.column_axis == frame.column_axis else (high, frame.columns)
    bits = sum(width_of(view.element) for view in side.factors.columns.views.values())
    return mul(many, add(bits * BYTE // 8, mul(few, MULTIPLIED)))


def whole_panels(frame: Frame) -> Index:
    """The columns of `frame`, rounded up: a panel that is not full costs as much as one that is."""
    return rounded(frame.columns, frame.tile.width)


def width_of(element: ir.Type) -> int:
    """The bits that an element takes in memory."""
    if isinstance(element, ir.IntegerType):
        return max(8, ir.IntegerType(element).width)
    assert isinstance(element, ir.FloatType), "factors are computed from numbers"
    return element.width


def count_entries(frame: Frame) -> ir.Value:
    """The entries of all segments."""
    _, counts, _ = frame.lists

    def step(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], value(index_at(counts, segment)))]

    return fold(0, segment_count(frame), 1, [value(0)], step)[0]


def capacity(frame: Frame) -> Index:
    """The entries that all segments would have if everything were live."""
    return product(frame.group_extents)

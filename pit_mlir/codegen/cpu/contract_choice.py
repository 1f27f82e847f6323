"""Whether a list along the depth pays, decided in every call by the entries that were counted.

A list costs more for each step than the dense loop does: its rows are gathered, its columns are packed for few rows or
are addressed one step at a time, and bf16 is not multiplied in pairs. So a list that is nearly full is left, and the
contraction runs as if there were none.
"""

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
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame
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
SHARED = 7 * SCALE
"""Reading an element of columns that were packed once for all rows, at a step that is listed."""


def list_pays(frame: Frame, dense: Frame, *, shares: bool, rows_at_once: int) -> ir.Value:
    """Whether `frame`, with its list, is expected to be faster than `dense`, the same contraction without it.

    `shares` says that the packed form with a list packs its columns once for all rows; the dense one does so for
    each `rows_at_once` rows.
    """
    rows = frame.plan.block_of("row")
    high: Index = frame.rows if rows is None else minimum(rows, frame.rows)
    # A panel of columns that is not full costs as much as one that is.
    columns = mul(ceil_div(frame.columns, frame.tile.width), frame.tile.width)
    multiplied, packed = (DENSE_PAIR, COLUMN_PAIR) if dense.is_paired else (DENSE, COLUMN)
    listed = add(mul(high, add(ENTRY, mul(columns, MULTIPLIED))), mul(columns, SHARED if shares else COLUMN))
    # Where rows are few each block of them is all rows there are, and columns are packed for them as with a list.
    passes = ceil_div(mul(high, packed), maximum(minimum(frame.rows, rows_at_once), 1))
    unlisted = add(mul(high, add(ROW, mul(columns, multiplied))), mul(columns, passes))
    if shares:
        # What is packed for all rows is packed whole, whatever is listed.
        once = floor_div(mul(columns, COLUMN), maximum(segment_count(frame), 1))
        unlisted = sub(unlisted, once)
    return compare("slt", mul(count_entries(frame), listed), mul(capacity(frame), unlisted))


def count_entries(frame: Frame) -> ir.Value:
    """The entries of all segments."""
    _, counts, _ = frame.lists

    def step(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], value(index_at(counts, segment)))]

    return fold(0, segment_count(frame), 1, [value(0)], step)[0]


def capacity(frame: Frame) -> Index:
    """The entries that all segments would have if everything were live."""
    return product(frame.group_extents)

"""A contraction whose rows are listed for each block of columns: what a mask leaves of a projection.

Rows are weights, columns are tokens, and a list says which rows a block of tokens, a *strip*, wants. With few tokens in
a strip, each wanted element is a dot product of a row and a token as they lie in memory; with more, the strip is packed
and multiplied like any other task, its rows gathered.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    either,
    floor_div,
    fold,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    splat,
    sub,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, is_unit, rounded
from pit_mlir.codegen.cpu.contract_packed import ROWS_OF_TASK, TASKS_PER_THREAD, PackedForm
from pit_mlir.codegen.cpu.contract_pairs import in_pairs
from pit_mlir.codegen.cpu.contract_skinny import total_of
from pit_mlir.codegen.cpu.contract_views import first_lanes, index_at
from pit_mlir.codegen.cpu.micro_kernel import multiply_add
from pit_mlir.codegen.cpu.pack import Factor

MOST_COLUMNS = 4
"""Columns of a strip up to which dot products are faster: packing rows for so few products costs more than these."""
VECTORS = 4
"""Vectors of a dot product that are summed at once, which hides the latency of additions."""


def build_strips(frame: Frame) -> None:
    """Emits the kernel of `frame`, in the form that the number of columns asks for."""
    packed = in_pairs(frame) or frame
    if not lies_along_depth(frame):
        build_packed(packed)
        return
    few = compare("sle", minimum(frame.columns, width_of(frame)), MOST_COLUMNS)
    either(few, lambda: build_dots(frame), lambda: build_packed(packed))


def lies_along_depth(frame: Frame) -> bool:
    """Whether there is one axis of depth along which both factors are contiguous: what dot products read."""
    *outside, axis = frame.depth_axes
    factors = (frame.factors.rows, frame.factors.columns)
    return not outside and all(
        any(is_unit(view.strides[axis]) for view in factor.views.values()) for factor in factors
    )


def width_of(frame: Frame) -> Index:
    """The number of columns of a strip."""
    return frame.plan.block_of("column") or maximum(frame.columns, 1)


@contextmanager
def parts(frame: Frame, multiple: int) -> Iterator[Task]:
    """Tasks in parallel, each a strip and a part of its list, a multiple of `multiple` rows but for the last part."""
    wide = width_of(frame)
    strips = [*frame.outer_extents, ceil_div(frame.columns, wide)]
    pieces = ceil_div(TASKS_PER_THREAD * frame.host.threads, maximum(product(strips), 1))
    with parallel(product([*strips, pieces])) as number:
        *outer, strip, piece = delinearize(number, [*strips, pieces])
        column = mul(strip, wide)
        columns = minimum(wide, sub(frame.columns, column))
        begins, counts, _ = frame.lists
        segment = frame.segment_of(Task(outer, 0, 0, column, columns))
        count = index_at(counts, segment)
        share = rounded(ceil_div(count, pieces), multiple)
        first = minimum(mul(piece, share), count)
        rows = minimum(share, sub(count, first))
        yield Task(outer, add(index_at(begins, segment), first), rows, column, columns)


def build_packed(frame: Frame) -> None:
    """Strips that are packed and multiplied like blocks of any other contraction, their rows gathered."""
    form, tile = PackedForm(frame), frame.tile
    high = minimum(maximum(rounded(frame.rows, tile.rows), tile.rows), ROWS_OF_TASK)
    wide = rounded(width_of(frame), tile.width)
    with parts(frame, tile.rows) as part, loop(0, part.rows, high) as row:
        rows = minimum(high, sub(part.rows, row))
        form.build_task(replace(part, row=add(part.row, row), rows=rows), high, wide)


def build_dots(frame: Frame) -> None:
    """Dot products of the listed rows with all columns of their strip, a row at a time while it is cached."""
    with parts(frame, 1) as part, loop(0, part.rows) as row:
        factors = frame.factors_of(part)
        line = factors.rows.moved(lambda view: frame.row_offset(view, add(part.row, row)))
        finished = frame.finish_row(part, row)
        with loop(0, part.columns) as column:
            place = add(part.column, column)
            other = factors.columns.moved(lambda view: frame.column_offset(view, place))
            finished.store([dot_product(frame, line, other)], column, 1)


def dot_product(frame: Frame, left: Factor, right: Factor) -> ir.Value:
    """The dot product of both factors along the depth, in the first lane of a vector."""
    axis, lanes = frame.depth_axes[-1], frame.tile.lanes
    type_ = ir.VectorType.get([lanes], frame.plan.sum_type)
    steps = frame.extents[axis]

    def along(factor: Factor, k: Index, mask: ir.Value | None) -> ir.Value:
        found = factor.compute(
            lambda view: view.load(mul(k, view.strides[axis]), view.strides[axis], lanes, mask), lanes
        )
        return found if mask is None else arith.select(mask, found, zero(type_))

    def step(k: Index, total: ir.Value, mask: ir.Value | None) -> ir.Value:
        return multiply_add(along(left, k, mask), along(right, k, mask), total)

    def several(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        return [step(add(k, number * lanes), total, None) for number, total in enumerate(sums)]

    wide = mul(floor_div(steps, VECTORS * lanes), VECTORS * lanes)
    whole = mul(floor_div(steps, lanes), lanes)
    sums = fold(0, wide, VECTORS * lanes, [zero(type_)] * VECTORS, several)
    [total] = fold(wide, whole, lanes, [total_of(sums)], lambda k, carried: [step(k, carried[0], None)])
    total = step(whole, total, first_lanes(sub(steps, whole), lanes))
    return splat(vector.reduction(frame.plan.sum_type, vector.CombiningKind.ADD, total), lanes)

"""The end of a tile of a contraction: sums pass through the epilogue from registers to their places in the result, as
many neighbours at once as an instruction writes."""

from collections.abc import Callable, Sequence

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    compare,
    floor_div,
    is_truth,
    remainder,
    select,
    sub,
    value,
    when,
)
from pit_mlir.codegen.gpu.build import load_chunk, store_chunk
from pit_mlir.codegen.gpu.contract_frame import Frame, Task, View
from pit_mlir.codegen.gpu.kernels.contract_cores import Row, Run
from pit_mlir.codegen.gpu.launch import shuffle
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.yield_ import yielded

LANES_OF_ROW = 4
"""Lanes of a warp that have the sums of a row, two of each eight columns."""
Place = Callable[[View, int], Index]
"""Where a view has number n of neighbouring columns."""


def finish(frame: Frame, task: Task, sums: Row) -> None:
    """Passes the sums of a row of `task` through the epilogue to the result. All lanes of a warp must come here."""
    views = frame.views_of(frame.plan.epilogue_elements)
    at_once = stored_at_once(frame)
    runs = in_runs(sums, at_once)
    with when(compare("slt", sums.row, task.rows)):
        row = add(task.row, sums.row)

        def line(view: View) -> Index:
            return add(frame.outer_offset(view, task.outer), frame.row_offset(view, row))

        starts = {view: line(view) for view in (*dict.fromkeys(views.values()), frame.result)}
        for first, run in runs:
            for inside in range(0, len(run), at_once):
                column = add(first, inside)
                with when(compare("slt", column, task.columns)):
                    place = add(task.column, column)

                    def at(view: View, number: int, place: Index = place) -> Index:
                        return add(starts[view], frame.column_offset(view, add(place, number)))

                    store(frame, run[inside : inside + at_once], at)


def stored_at_once(frame: Frame) -> int:
    """How many columns of the result are written at once; so many divide all columns, and those of a strip."""
    if frame.adds:
        return 1
    strip = frame.plan.block_of("column") if frame.plan.listed == "strips" else None
    count = neighbours(frame, frame.result)
    while count > 1 and not all(
        isinstance(size, int) and size % count == 0 for size in (frame.columns, strip or count)
    ):
        count //= 2
    return count


def neighbours(frame: Frame, view: View) -> int:
    """How many elements of `view` lie together at columns from a multiple of that number on; at most 16 bytes."""
    iterators = frame.plan.axes[frame.column_axis].iterators
    if not iterators or view.strides.get(last := iterators[-1]) != 1 or is_truth(view.access.element):
        return 1
    count, extent = view.piece(last), frame.iterators[last]
    is_one_line = frame.stride_along(view, frame.column_axis) is not None
    while count > 1 and not is_one_line and not (isinstance(extent, int) and extent % count == 0):
        count //= 2
    return count


def in_runs(row: Row, count: int) -> Sequence[Run]:
    """The sums of `row` in runs of `count` neighbours, as far as the lanes that share the row can exchange theirs."""
    runs, distance = list(row.runs), 1
    while row.lane is not None and len(runs[0][1]) < count and len(runs) % 2 == 0 and distance < LANES_OF_ROW:
        runs = [
            exchanged(low, high, row.lane, distance) for low, high in zip(runs[::2], runs[1::2], strict=True)
        ]
        distance *= 2
    return runs


def exchanged(low: Run, high: Run, lane: ir.Value, distance: int) -> Run:
    """A run of twice as many neighbours: each lane gives one of its two to the lane `distance` away, whose columns lie
    beside its own. The lower lane keeps `low`."""
    is_upper = compare("ne", remainder(floor_div(lane, distance), 2), 0)
    (first, lows), (other, highs) = low, high
    came = [shuffle(arith.select(is_upper, a, b), distance, "xor") for a, b in zip(lows, highs, strict=True)]
    before = [arith.select(is_upper, b, a) for a, b in zip(lows, came, strict=True)]
    after = [arith.select(is_upper, b, a) for a, b in zip(came, highs, strict=True)]
    return select(is_upper, sub(other, len(lows)), first), [*before, *after]


def store(frame: Frame, totals: Sequence[ir.Value], at: Place) -> None:
    """Passes the sums `totals` of neighbouring columns through the epilogue to their places."""
    block, count = frame.plan.op.regions[1].blocks[0], len(totals)
    views = frame.views_of(frame.plan.epilogue_elements)
    elements = {view: loaded(frame, view, count, at) for view in dict.fromkeys(views.values())}
    finals: list[ir.Value] = []
    for number, total in enumerate(totals):
        known = {block.arguments[0]: total, **{scalar: scalar for scalar in frame.plan.captured}}
        known |= {scalar: elements[view][number] for scalar, view in views.items()}
        finals += copied(yielded(block), block, known)
    result = frame.result
    place = value(add(result.base, at(result, 0)))
    if frame.adds:
        # A place may be listed in several tasks.
        [final] = finals
        add_to(result.buffer, place, final)
    elif count == 1:
        memref.store(finals[0], result.buffer, [place])
    else:
        whole = vector.from_elements(ir.VectorType.get([count], finals[0].type), finals)
        store_chunk(whole, result.buffer, place)


def loaded(frame: Frame, view: View, count: int, at: Place) -> list[ir.Value]:
    """The elements of `view` at `count` neighbouring columns."""
    if not any(p in view.strides for p in frame.plan.axes[frame.column_axis].iterators):
        return [view.load(at(view, 0))] * count
    at_once = min(count, neighbours(frame, view))
    if at_once == 1:
        return [view.load(at(view, number)) for number in range(count)]
    found: list[ir.Value] = []
    for number in range(0, count, at_once):
        chunk = load_chunk(view.buffer, add(view.base, at(view, number)), at_once)
        found += [vector.extract(chunk, [], [inside]) for inside in range(at_once)]
    return found


def add_to(buffer: ir.Value, at: Index, amount: ir.Value) -> None:
    """Adds `amount` to an element of `buffer`, whoever else does."""
    is_float = isinstance(amount.type, ir.FloatType)
    kind = arith.AtomicRMWKind.addf if is_float else arith.AtomicRMWKind.addi
    memref.atomic_rmw(kind, amount, buffer, [value(at)])

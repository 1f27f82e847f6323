"""Neighbouring operations that work row by row share one loop over the rows.

What one of them writes of a row is still in the first-level cache when the next one reads it (a softmax or a layer
norm is four to six operations), and threads are woken once. What nobody else reads has room for one row on the
stack of a thread and never reaches memory.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import prod

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.buffers import VIEWS, is_contiguous, root, same
from pit_mlir.codegen.build import Index, delinearize, loop, product
from pit_mlir.codegen.cpu.loops import (
    body_cost,
    chunks,
    emit_point,
    emit_serial,
    innermost,
    ordered_as_output,
    rows_at_once,
)
from pit_mlir.codegen.nest import Nest, collapsed, position

# Shorter rows are better off in one long loop per operation.
SHORTEST_ROW = 32
# Fewer rows leave threads without work.
FEWEST_ROWS = 16
# Elements of a row that have room on the stack of a thread.
LONGEST_ROW = 8192
# Operations that may stand between those of a group: none of them touches the contents of a buffer.
TRANSPARENT = frozenset({"memref.alloc", "memref.dim", "memref.get_global", "memref.cast", "affine.apply"})


def is_transparent(op: ir.Operation) -> bool:
    """Whether `op` may stand between operations of a group."""
    return op.name in TRANSPARENT or op.name.startswith("arith.")


def rows_in_common(nests: Sequence[Nest]) -> int:
    """How many leading dimensions of all outputs are rows that the `nests` can go through together; 0 if none."""
    ranks = [len(map_.results) for nest in nests for map_ in nest.output_maps]
    most = min(min(ranks), max(ranks) - 1)
    return next((count for count in range(most, 0, -1) if are_rows(nests, count)), 0)


def are_rows(nests: Sequence[Nest], count: int) -> bool:
    """Whether a row, the first `count` dimensions of the outputs, depends on the same row of the others only."""
    leads = [row_iterators(nest, count) for nest in nests]
    if any(lead is None for lead in leads):
        return False
    rows = [lead for lead in leads if lead is not None]
    first = [nests[0].extents[d] for d in rows[0]]
    known = [size for size in first if isinstance(size, int)]
    if len(known) == len(first) and prod(known) < FEWEST_ROWS:
        return False
    for nest, lead in zip(nests, rows, strict=True):
        if not all(same(nest.extents[d], size) for d, size in zip(lead, first, strict=True)):
            return False
        if not has_long_rows(nest, lead):
            return False
    return all_agree(nests, rows, count)


def row_iterators(nest: Nest, count: int) -> list[int] | None:
    """The iterators of the first `count` dimensions of every output; None if outputs differ or one is no iterator."""
    leads = [[position(expression) for expression in list(map_.results)[:count]] for map_ in nest.output_maps]
    lead = [d for d in leads[0] if d is not None]
    parallels = nest.parallels()
    fits = len(lead) == count and len(set(lead)) == count and all(d in parallels for d in lead)
    return lead if fits and all(other == leads[0] for other in leads) else None


def has_long_rows(nest: Nest, rows: Sequence[int]) -> bool:
    """Whether the loops inside of a row are worth their overhead and are the ones that run along memory."""
    inside = [d for d in range(len(nest.extents)) if d not in rows]
    if not inside:
        return True
    # A size that is not known counts as long; no code is built to multiply it.
    sizes = [nest.extents[d] for d in inside]
    known = [size for size in sizes if isinstance(size, int)]
    long = len(known) < len(sizes) or prod(known) >= SHORTEST_ROW
    return long and innermost(nest, nest.parallels(), range(len(nest.extents))) not in rows


def all_agree(nests: Sequence[Nest], rows: Sequence[Sequence[int]], count: int) -> bool:
    """Whether every buffer that one of the `nests` writes is accessed row by row, and under one name, by all."""
    written = {root(operand): operand for nest in nests for operand in nest.operands[nest.inputs :]}
    for nest, lead in zip(nests, rows, strict=True):
        # A body that looks up elements may ask for any row.
        if not written.keys().isdisjoint(looked_up(nest.body)):
            return False
        for operand, map_ in zip(nest.operands, nest.maps, strict=True):
            if not isinstance(operand.type, ir.MemRefType) or root(operand) not in written:
                continue
            dims = [position(expression) for expression in list(map_.results)[:count]]
            if operand != written[root(operand)] or dims != list(lead):
                return False
    return True


def looked_up(body: ir.Block) -> set[ir.Value]:
    """The buffers that operations inside of `body` name themselves, beside what is passed to it."""
    found: set[ir.Value] = set()

    def visit(op: ir.Operation) -> ir.WalkResult:
        found.update(root(operand) for operand in op.operands if isinstance(operand.type, ir.MemRefType))
        return ir.WalkResult.ADVANCE

    for op in body.operations:
        op.operation.walk(visit)
    return found


def emit_rows(nests: Sequence[Nest], count: int, ops: Collection[ir.Operation]) -> None:
    """Builds one parallel loop over rows at the insertion point, with the rest of each nest inside.

    `ops` are the operations that the `nests` stand for: what only they read or write needs no more room than a row.
    """
    passing = passing_buffers(nests, count, ops)
    inside = [collapsed(nest, row_iterators(nest, count) or ()) for nest in nests]
    leads = [row_iterators(nest, count) or [] for nest in inside]
    sizes = [inside[0].extents[d] for d in leads[0]]
    work = row_work(inside, leads)
    with chunks(product(sizes), rows_at_once(work)) as (start, stop):
        rooms = {buffer: row_room(buffer, count) for buffer in passing}
        narrow = [in_rooms(nest, count, rooms) for nest in inside]
        with loop(start, stop) as linear:
            row = delinearize(linear, sizes)
            for nest, lead in zip(narrow, leads, strict=True):
                emit_row(nest, lead, row)


def passing_buffers(nests: Sequence[Nest], count: int, ops: Collection[ir.Operation]) -> list[ir.Value]:
    """The buffers that only `ops` use, whose rows are of a known size that fits the first-level cache."""
    dynamic = ir.ShapedType.get_dynamic_size()
    found: list[ir.Value] = []
    # What a loop repeats would take more of the stack each time.
    if any(op.parent is None or op.parent.operation.name != "func.func" for op in ops):
        return found
    for buffer in dict.fromkeys(root(operand) for nest in nests for operand in nest.operands[nest.inputs :]):
        inside = ir.MemRefType(buffer.type).shape[count:]
        if dynamic in inside or prod(inside) > LONGEST_ROW or not is_allocated(buffer):
            continue
        if is_contiguous(buffer) and all(user in ops for user in users(buffer)):
            found.append(buffer)
    return found


def is_allocated(buffer: ir.Value) -> bool:
    """Whether the program makes `buffer` itself, and on the heap."""
    maker = buffer.owner
    return not isinstance(maker, ir.Block) and maker.operation.name == "memref.alloc"


def users(buffer: ir.Value) -> Iterator[ir.Operation]:
    """The operations that read or write `buffer`, or views of it; asking for a size is neither."""
    for use in buffer.uses:
        user = use.owner.operation
        if user.name in VIEWS:
            yield from users(user.results[0])
        elif user.name != "memref.dim":
            yield user


def row_room(buffer: ir.Value, count: int) -> ir.Value:
    """Room on the stack for what one row, behind the first `count` dimensions, has in `buffer`."""
    type_ = ir.MemRefType(buffer.type)
    alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64)
    room = ir.MemRefType.get([prod(type_.shape[count:])], type_.element_type)
    return memref.alloca(room, [], [], alignment=alignment)


def in_rooms(nest: Nest, count: int, rooms: Mapping[ir.Value, ir.Value]) -> Nest:
    """`nest` with each row of the buffers that have one of `rooms` there: a step to the next row is one of 0."""
    operands: list[ir.Value] = []
    for operand in nest.operands:
        room = rooms.get(root(operand)) if isinstance(operand.type, ir.MemRefType) else None
        if room is None:
            operands.append(operand)
            continue
        inner = list(ir.MemRefType(operand.type).shape)[count:]
        sizes = [1] * count + inner
        strides = [0] * count + [prod(inner[dim + 1 :]) for dim in range(len(inner))]
        layout = ir.StridedLayoutAttr.get(0, strides)
        view = ir.MemRefType.get(sizes, ir.MemRefType(operand.type).element_type, layout)
        operands.append(memref.reinterpret_cast(view, room, [], [], [], [0], sizes, strides))
    return replace(nest, operands=tuple(operands))


def row_work(nests: Sequence[Nest], leads: Sequence[Sequence[int]]) -> Index:
    """What one row costs, in additions: that of the most expensive nest times how many there are."""
    costs = [
        product([body_cost(nest.body), *(n for d, n in enumerate(nest.extents) if d not in lead)])
        for nest, lead in zip(nests, leads, strict=True)
    ]
    known = [cost for cost in costs if isinstance(cost, int)]
    unknown = [cost for cost in costs if not isinstance(cost, int)]
    return product([len(costs), unknown[0]]) if unknown else max(1, sum(known))


def emit_row(nest: Nest, lead: Sequence[int], row: Sequence[Index]) -> None:
    """The loops of `nest` inside of one row."""
    coordinates: list[Index] = [0] * len(nest.extents)
    for iterator, coordinate in zip(lead, row, strict=True):
        coordinates[iterator] = coordinate
    rest = [d for d in range(len(nest.extents)) if d not in lead]
    if not rest:
        emit_point(nest, coordinates)
        return
    parallels = nest.parallels()
    inner = innermost(nest, parallels, rest)
    outer = ordered_as_output(nest, [d for d in rest if d in parallels and d != inner])
    reductions = [d for d in rest if d not in parallels and d != inner]
    with ExitStack() as stack:
        for iterator in outer:
            coordinates[iterator] = stack.enter_context(loop(0, nest.extents[iterator]))
        emit_serial(nest, reductions, inner, inner in parallels, coordinates, 0, nest.extents[inner])

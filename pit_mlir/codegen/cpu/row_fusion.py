"""Neighbouring operations that work row by row share one loop over the rows.

What one of them writes of a row is still in the first-level cache when the next one reads it (a softmax or a layer
norm is four to six operations), and threads are woken once. What nobody else reads has room for one row on the
stack of a thread and never reaches memory.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import prod

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.buffers import is_allocated, is_contiguous, root, users
from pit_mlir.codegen.build import Index, delinearize, loop, product
from pit_mlir.codegen.cpu.loops import body_cost, chunks, emit_point, emit_serial, rows_at_once
from pit_mlir.codegen.nest import Nest, collapsed, innermost, ordered_as_output
from pit_mlir.codegen.row_groups import row_iterators

# Elements of a row that have room on the stack of a thread.
LONGEST_ROW = 8192


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

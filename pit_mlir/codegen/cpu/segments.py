"""`pit.generic` on buffers: any body over the points that an index lists; nothing is packed."""

from collections.abc import Sequence
from contextlib import ExitStack

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import give
from pit_mlir.codegen.buffers import load, store
from pit_mlir.codegen.build import Index, loop, move_here
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.nest import mentions, position
from pit_mlir.codegen.ragged import Ragged, usable_segments
from pit_mlir.dialect.structured import Structured, is_used


def lower_generic(op: ir.Operation, lowering: CpuLowering) -> None:
    """Loops over segments, their entries and all other iterators, with the body inside."""
    ragged = Ragged.of(op, lowering.indices)
    emit(ragged, usable_segments(ragged))
    for buffer, result in zip(ragged.outputs, op.results, strict=True):
        give(buffer, result)


def emit(ragged: Ragged, segments: Index) -> None:
    """Segments in parallel where each has its own elements of the outputs."""
    view = ragged.view
    own = all(
        any(position(expression) == iterator for expression in map_.results)
        for map_ in view.output_maps
        for iterator in ragged.segments
    )
    # Rows of compact outputs are those of one segment each.
    parallel = own or (bool(view.output_maps) and len(view.inputs) in view.compact)
    others = [d for d in range(len(view.iterators)) if d not in view.group]
    work = build.product([1, *ragged.block, *(ragged.extents[d] for d in (*ragged.axis, *others))])
    with ExitStack() as stack:
        low, high = stack.enter_context(chunks(segments, rows_at_once(work))) if parallel else (0, segments)
        emit_segment(ragged, stack.enter_context(loop(low, high)), others)


def emit_segment(ragged: Ragged, segment: ir.Value, others: Sequence[int]) -> None:
    """The loops of one segment: its coordinates, its entries, and all other iterators."""
    view, index = ragged.view, ragged.index
    point: list[Index] = [0] * len(view.iterators)
    counts = index.extents[: len(ragged.segments)]
    begin, count = (
        arith.index_cast(ir.IndexType.get(), memref.load(buffer, [segment]))
        for buffer in (index.begin, index.count)
    )
    with ExitStack() as stack:
        numbers = build.delinearize(segment, counts)
        for iterator, number, size in zip(ragged.segments, numbers, ragged.block, strict=True):
            first = build.mul(number, size)
            last = build.minimum(build.add(first, size), ragged.extents[iterator])
            point[iterator] = first if size == 1 else stack.enter_context(loop(first, last))
        # An iterator over which the outputs are contiguous runs innermost, the entries outside of it.
        outer, inner = split(view, others)
        for iterator in outer:
            point[iterator] = stack.enter_context(loop(0, ragged.extents[iterator]))
        number = stack.enter_context(loop(0, count))
        row = build.add(begin, number)
        linear = arith.index_cast(ir.IndexType.get(), memref.load(index.entries, [build.value(row)]))
        sizes = index.extents[len(ragged.segments) :]
        for iterator, coordinate in zip(ragged.axis, build.delinearize(linear, sizes), strict=True):
            point[iterator] = coordinate
        for iterator in inner:
            point[iterator] = stack.enter_context(loop(0, ragged.extents[iterator]))
        emit_point(ragged, row, point)


def split(view: Structured, others: Sequence[int]) -> tuple[list[int], list[int]]:
    """The iterators that run outside of the entries, and those that run inside."""
    last = [list(map_.results)[-1] for map_ in view.output_maps if list(map_.results)]
    inner = [d for d in others if any(mentions(expression, d) for expression in last)]
    return [d for d in others if d not in inner], inner


def emit_point(ragged: Ragged, row: Index, point: Sequence[Index]) -> None:
    """The body at `point`; outputs are read where the body wants them, and written."""
    view = ragged.view
    inputs = len(view.inputs)
    for number, (scalar, buffer) in enumerate(
        zip(view.scalars, (*ragged.inputs, *ragged.outputs), strict=True)
    ):
        if is_used(scalar):
            element = load(buffer, view.maps[number], ragged.map_at(number, row, point))
            scalar.replace_all_uses_with(element)
    *operations, terminator = [op.operation for op in view.body.operations]
    for op in operations:
        if op.name != "pit.element":
            move_here(op)
    for number, (final, buffer) in enumerate(zip(terminator.operands, ragged.outputs, strict=True)):
        place = ragged.map_at(inputs + number, row, point)
        store(final, buffer, view.maps[inputs + number], place)

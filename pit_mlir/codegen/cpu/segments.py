"""`pit.generic` on buffers: any body over the points that an index lists; nothing is packed."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import Lowering, give, private_copy, read
from pit_mlir.codegen.buffers import extent, load, store
from pit_mlir.codegen.build import Index, loop, move_here
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.cpu.loops import chunks, is_used, rows_at_once
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.nest import mentions, position
from pit_mlir.dialect.group import segment_blocks
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Structured
from pit_mlir.errors import UnsupportedError


@dataclass(frozen=True)
class Ragged:
    """A `pit.generic` on buffers: `inputs` and `outputs` as its view has them, the index and its blocks."""

    view: Structured
    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    index: IndexBuffers
    segments: tuple[int, ...]
    axis: tuple[int, ...]
    block: tuple[int, ...]
    extents: tuple[Index, ...]

    def map_at(self, number: int, rows: Index, point: Sequence[Index]) -> list[Index]:
        """The coordinates that operand `number` is read or written at: `point`, or the row where it is compact."""
        if number not in self.view.compact:
            return list(point)
        place = list(point)
        place[self.view.group[0]] = rows
        return place


def lower_generic(op: ir.Operation, lowering: Lowering) -> None:
    """Loops over segments, their entries and all other iterators, with the body inside."""
    view = Structured.of(op)
    assert view is not None and view.index is not None
    index = lowering.indices[view.index]
    blocks = segment_blocks(view.index)
    if blocks is None:
        raise UnsupportedError("an index that is not made by pit.detect", location=location_text(op.location))
    count = len(blocks)
    inputs = tuple(map(read, view.inputs))
    outputs = tuple(map(private_copy, view.outputs))
    ragged = Ragged(
        view,
        inputs,
        outputs,
        index,
        view.group[:count],
        view.group[count:],
        tuple(max(1, size) for size in blocks),
        extents_of(view, inputs, outputs, index, count),
    )
    emit(ragged, usable_segments(ragged))
    for buffer, result in zip(outputs, op.results, strict=True):
        give(buffer, result)


def extents_of(
    view: Structured,
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    index: IndexBuffers,
    segments: int,
) -> tuple[Index, ...]:
    """The extent of each iterator, of one that no buffer carries (compact operands only) off the index."""
    extents: list[Index | None] = [None] * len(view.iterators)
    for number, (buffer, map_) in enumerate(zip((*inputs, *outputs), view.maps, strict=True)):
        for dim, expression in enumerate(map_.results):
            iterator = position(expression)
            if iterator is None or (number in view.compact and iterator == view.group[0]):
                continue
            if extents[iterator] is None:
                extents[iterator] = extent(buffer, dim)
    for number, iterator in enumerate(view.group):
        if extents[iterator] is None:
            extents[iterator] = index.extents[number]
    known = [size for size in extents if size is not None]
    assert len(known) == len(extents), f"an iterator without an extent in {view.op}"
    return tuple(known)


def usable_segments(ragged: Ragged) -> Index:
    """The number of segments; none, and a failed check, where sizes of operands differ from the index's."""
    view = ragged.view
    fits: list[ir.Value] = []
    for number, (buffer, map_) in enumerate(zip((*ragged.inputs, *ragged.outputs), view.maps, strict=True)):
        for dim, expression in enumerate(map_.results):
            iterator = position(expression)
            if iterator is None:
                continue
            rows = number in view.compact and iterator == view.group[0]
            expected = ragged.index.total if rows else ragged.extents[iterator]
            size = extent(buffer, dim)
            if size != expected:
                fits.append(build.compare("eq", size, expected))
    for number, iterator in enumerate(view.group):
        block = ragged.block[number] if number < len(ragged.block) else 1
        blocks = build.ceil_div(ragged.extents[iterator], block)
        if blocks != ragged.index.extents[number]:
            fits.append(build.compare("eq", blocks, ragged.index.extents[number]))
    segments = build.product(ragged.index.extents[: len(ragged.segments)])
    message = "sizes of the operands of an operation differ from those of its index"
    return where_all(fits, [segments], message, view.op)[0]


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

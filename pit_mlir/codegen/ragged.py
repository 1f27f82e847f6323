"""`pit.generic` on buffers: its operands, its index, and how far its iterators run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import private_copy, read
from pit_mlir.codegen.buffers import extent
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.nest import position
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

    @staticmethod
    def of(op: ir.Operation, indices: Mapping[ir.Value, IndexBuffers]) -> "Ragged":
        """The view of `op`, a `pit.generic` whose tensors become buffers, as `indices` are.

        Raises `UnsupportedError` for an index of which nothing tells the blocks.
        """
        view = Structured.of(op)
        assert view is not None and view.index is not None
        index, blocks = indices[view.index], segment_blocks(view.index)
        if blocks is None:
            raise UnsupportedError(
                "an index that is not made by pit.detect", location=location_text(op.location)
            )
        inputs, outputs = tuple(map(read, view.inputs)), tuple(map(private_copy, view.outputs))
        return Ragged(
            view,
            inputs,
            outputs,
            index,
            view.group[: len(blocks)],
            view.group[len(blocks) :],
            tuple(max(1, size) for size in blocks),
            extents_of(view, inputs, outputs, index),
        )

    def map_at(self, number: int, rows: Index, point: Sequence[Index]) -> list[Index]:
        """The coordinates that operand `number` is read or written at: `point`, or the row where it is compact."""
        if number not in self.view.compact:
            return list(point)
        place = list(point)
        place[self.view.group[0]] = rows
        return place


def extents_of(
    view: Structured,
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    index: IndexBuffers,
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

"""The lists that a contraction may follow: how many entries each has, known before it is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.cpu.brackets import Lowering, sizes
from pit_mlir.codegen.cpu.build import Index, ceil_div, product, sum_over
from pit_mlir.codegen.cpu.index_buffers import IndexBuffers, IndexShape, MicroTile, Sample
from pit_mlir.codegen.cpu.row_bits import (
    WORD,
    count_live,
    count_parts,
    list_live,
    list_parts,
)
from pit_mlir.codegen.cpu.sampled_bits import all_bits, sample_of
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.detect import DetectOp, is_by_key
from pit_mlir.dialect.structured import owner


@dataclass(frozen=True)
class Alternative:
    """An index of a contraction, with its group and its blocks; `in_parts`: it lists rows for parts of the depth."""

    index: ir.Value
    group: tuple[int, ...]
    block: tuple[int, ...]
    in_parts: bool = False

    @property
    def micro_tile(self) -> MicroTile:
        """What an entry stands for, where neighbours share one."""
        size = max(self.block, default=1)
        return MicroTile(1, size) if self.in_parts else MicroTile(size, 1)


@dataclass(frozen=True)
class Shape:
    """The extents of an index that is not made yet."""

    extents: tuple[Index, ...]
    total: Index = 0


@dataclass(frozen=True)
class Live:
    """What is known of a list before the choice, and how to get it; `left` elements must be looked at for it."""

    shape: IndexShape
    count: Callable[[], Index]
    left: Callable[[], Index]
    make: Callable[[], IndexBuffers]


def alternatives_of(op: ir.Operation) -> list[Alternative | None]:
    """The indices of a `pit.contract`; one `None` if it has none."""
    operands, attributes = list(op.operands)[1:], op.attributes
    if not operands:
        return [None]
    further = attributes["alternatives"] if "alternatives" in attributes else []  # noqa: SIM401 has no get
    said: list[tuple[Any, Any]] = [(attributes["group"], attributes["block"])]
    said += [(one["group"], one["block"]) for one in map(ir.DictAttr, further)]
    is_depth = ["reduction" in str(kind) for kind in attributes["iterator_types"]]
    return [
        Alternative(index, tuple(group), tuple(block), lists_parts(tuple(group), is_depth))
        for index, (group, block) in zip(operands, said, strict=True)
    ]


def lists_parts(group: Sequence[int], is_depth: Sequence[bool]) -> bool:
    """Whether an index over `group` lists rows for each part of the depth."""
    return bool(group) and not is_depth[group[-1]] and any(is_depth[position] for position in group)


def is_deferred(op: ir.Operation) -> bool:
    """Whether the index of `op`, a `pit.detect`, is made where it is followed: one of several that bits tell."""
    users = [use.owner for use in op.results[0].uses]
    return micro_tile_of(op) is not None and bool(users) and all(is_choice(user.operation) for user in users)


def is_choice(op: ir.Operation) -> bool:
    """Whether `op` is a contraction that may follow several lists, or was told to follow one."""
    return isinstance(op.opview, ContractOp) and (len(list(op.operands)) > 2 or "always" in op.attributes)


def micro_tile_of(op: ir.Operation) -> MicroTile | None:
    """What an entry of `op`, a `pit.detect`, stands for in its source, if bits of the rows of that tell it.

    They do for lists along the rows, for blocks of rows, and for lists of rows for parts that are a word of bits.
    """
    if is_by_key(op):
        return None
    rank = ir.RankedTensorType(op.operands[0].type).rank
    segments, axis, block = (list(op.attributes[name]) for name in ("segments", "axis", "block"))
    outer = list(range(rank - 2))
    if rank < 2 or any(size != 1 for size in block[:-1]):
        return None
    if axis == [rank - 1] and segments == [*outer, rank - 2]:
        return MicroTile(block[-1], 1)
    is_parts = axis == [rank - 2] and segments == [*outer, rank - 1] and block[-1] == WORD
    return MicroTile(1, WORD) if is_parts else None


def live_of(alternative: Alternative, lowering: Lowering) -> Live:
    """What is known of the list `alternative` at the insertion point."""
    if alternative.index in lowering.indices:
        made = lowering.indices[alternative.index]
        return Live(made, lambda: entries_of(made, alternative.block), lambda: 0, lambda: made)
    maker = owner(alternative.index)
    assert maker is not None and isinstance(maker.opview, DetectOp), "only a pit.detect is deferred"
    source, tile = maker.operands[0], micro_tile_of(maker)
    assert tile is not None, "bits tell what is deferred"
    seen, is_parts = known_bits(source, lowering), tile.steps == WORD
    *outer, rows, steps = sizes(source)
    shape = (
        Shape((*outer, ceil_div(steps, WORD), rows))
        if is_parts
        else Shape((*outer, ceil_div(rows, tile.rows), steps))
    )

    def make() -> IndexBuffers:
        bits = all_bits(seen)
        return list_parts(bits) if is_parts else list_live(bits, tile.rows)

    return Live(
        shape,
        lambda: known_counts(source, lowering)[tile],
        lambda: seen.if_not_all(product([*outer, rows, steps]), 0),
        make,
    )


def known_bits(source: ir.Value, lowering: Lowering) -> Sample:
    """The bits of `source`, made once; a sample of them, unless more than one contraction would ask for the rest."""
    if source not in lowering.bits:
        makers = deferred(source)
        users = {use.owner.operation for maker in makers for use in maker.results[0].uses}
        everything = len(users) > 1 or any("always" in user.attributes for user in users)
        lowering.bits[source] = sample_of(
            source, max(heights_of(makers), default=WORD), everything=everything
        )
    return lowering.bits[source]


def known_counts(source: ir.Value, lowering: Lowering) -> Mapping[MicroTile, Index]:
    """What the bits of `source` are expected to count for each list that some contraction may follow, counted once."""
    if source not in lowering.counts:
        makers = deferred(source)
        heights, seen = heights_of(makers), known_bits(source, lowering)
        counts = count_live(seen.bits, heights) if heights else []
        found = {MicroTile(height, 1): count for height, count in zip(heights, counts, strict=True)}
        if (parts := MicroTile(1, WORD)) in map(micro_tile_of, makers):
            found[parts] = count_parts(seen.bits)
        lowering.counts[source] = {tile: seen.scaled(count) for tile, count in found.items()}
    return lowering.counts[source]


def deferred(source: ir.Value) -> list[ir.Operation]:
    """The indices of `source` that are made where they are followed."""
    makers = [use.owner.operation for use in source.uses]
    return [maker for maker in makers if isinstance(maker.opview, DetectOp) and is_deferred(maker)]


def heights_of(makers: Sequence[ir.Operation]) -> tuple[int, ...]:
    """The heights of the micro-tiles that `makers` list along the rows."""
    tiles = {tile for maker in makers if (tile := micro_tile_of(maker))}
    return tuple(sorted(tile.rows for tile in tiles if tile.steps == 1))


def entries_of(index: IndexBuffers, block: tuple[int, ...]) -> Index:
    """The entries of an index that was made."""
    segments = product(index.extents[: len(block)])

    def count(segment: ir.Value) -> Index:
        return arith.index_cast(ir.IndexType.get(), memref.load(index.count, [segment]))

    return sum_over(segments, count)

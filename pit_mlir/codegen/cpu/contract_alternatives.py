"""The lists that a contraction may follow: how many entries each has, known before it is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.cpu.brackets import Lowering
from pit_mlir.codegen.cpu.build import Index, fold, product, value
from pit_mlir.codegen.cpu.index_buffers import IndexBuffers, IndexShape, MicroTile
from pit_mlir.codegen.cpu.row_bits import (
    WORD,
    Counts,
    RowBits,
    count_live,
    count_parts,
    list_live,
    list_parts,
    row_bits,
    segments_of_parts,
)
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
    """What is known of a list before the choice, and how to get it."""

    shape: IndexShape
    count: Callable[[], Counts]
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
        return Live(made, lambda: counts_of(made, alternative.block), lambda: made)
    maker = owner(alternative.index)
    assert maker is not None and isinstance(maker.opview, DetectOp), "only a pit.detect is deferred"
    source, tile = maker.operands[0], micro_tile_of(maker)
    assert tile is not None, "bits tell what is deferred"
    bits = known_bits(source, lowering)
    if tile.steps == WORD:
        shape, make = Shape((*segments_of_parts(bits), bits.rows)), lambda: list_parts(bits)
    else:
        shape, make = Shape((*bits.segments(tile.rows), bits.steps)), lambda: list_live(bits, tile.rows)
    return Live(shape, lambda: known_counts(source, lowering)[tile], make)


def known_bits(source: ir.Value, lowering: Lowering) -> RowBits:
    """The bits of `source`, made once."""
    if source not in lowering.bits:
        lowering.bits[source] = row_bits(source)
    return lowering.bits[source]


def known_counts(source: ir.Value, lowering: Lowering) -> Mapping[MicroTile, Counts]:
    """What the bits of `source` count for each list that some contraction may follow, counted once."""
    if source not in lowering.counts:
        makers = [use.owner.operation for use in source.uses]
        detects = [maker for maker in makers if isinstance(maker.opview, DetectOp) and is_deferred(maker)]
        tiles = {tile for maker in detects if (tile := micro_tile_of(maker))}
        heights = tuple(sorted(tile.rows for tile in tiles if tile.steps == 1))
        bits = known_bits(source, lowering)
        counts = count_live(bits, heights) if heights else []
        found = {MicroTile(height, 1): count for height, count in zip(heights, counts, strict=True)}
        if (parts := MicroTile(1, WORD)) in tiles:
            found[parts] = count_parts(bits)
        lowering.counts[source] = found
    return lowering.counts[source]


def counts_of(index: IndexBuffers, block: tuple[int, ...]) -> Counts:
    """The entries of an index that was made; which rows are live is not known."""
    segments = product(index.extents[: len(block)])

    def step(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        count = arith.index_cast(ir.IndexType.get(), memref.load(index.count, [segment]))
        return [arith.addi(carried[0], count)]

    return Counts(fold(0, segments, 1, [value(0)], step)[0], None)

"""The lists that a contraction may follow: how many entries each has, known before it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.cpu.brackets import Lowering
from pit_mlir.codegen.cpu.build import Index, fold, product, value
from pit_mlir.codegen.cpu.index_buffers import IndexBuffers, IndexShape
from pit_mlir.codegen.cpu.row_bits import Counts, RowBits, count_live, list_live, row_bits
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.detect import DetectOp, is_by_key
from pit_mlir.dialect.structured import owner


@dataclass(frozen=True)
class Alternative:
    """An index of a contraction, with its group and its blocks."""

    index: ir.Value
    group: tuple[int, ...]
    block: tuple[int, ...]


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
    return [
        Alternative(index, tuple(group), tuple(block))
        for index, (group, block) in zip(operands, said, strict=True)
    ]


def is_deferred(op: ir.Operation) -> bool:
    """Whether the index of `op`, a `pit.detect`, is made where it is followed: one of several that bits tell."""
    users = [use.owner for use in op.results[0].uses]
    return has_bits(op) and bool(users) and all(is_choice(user.operation) for user in users)


def is_choice(op: ir.Operation) -> bool:
    """Whether `op` is a contraction that may follow several lists, or was told to follow one."""
    return isinstance(op.opview, ContractOp) and (len(list(op.operands)) > 2 or "always" in op.attributes)


def has_bits(op: ir.Operation) -> bool:
    """Whether `op` lists along the rows of its source, for blocks of rows: bits tell then what is live."""
    if is_by_key(op):
        return False
    rank = ir.RankedTensorType(op.operands[0].type).rank
    segments, axis, block = (list(op.attributes[name]) for name in ("segments", "axis", "block"))
    return (
        rank > 1
        and axis == [rank - 1]
        and segments == list(range(rank - 1))
        and all(size == 1 for size in block[:-1])
    )


def live_of(alternative: Alternative, lowering: Lowering) -> Live:
    """What is known of the list `alternative` at the insertion point."""
    if alternative.index in lowering.indices:
        made = lowering.indices[alternative.index]
        return Live(made, lambda: counts_of(made, alternative.block), lambda: made)
    maker = owner(alternative.index)
    assert maker is not None and isinstance(maker.opview, DetectOp), "only a pit.detect is deferred"
    source, block = maker.operands[0], alternative.block[-1]
    bits = known_bits(source, lowering)
    shape = Shape((*bits.segments(block), bits.steps))
    return Live(shape, lambda: known_counts(source, lowering)[block], lambda: list_live(bits, block))


def known_bits(source: ir.Value, lowering: Lowering) -> RowBits:
    """The bits of `source`, made once."""
    if source not in lowering.bits:
        lowering.bits[source] = row_bits(source)
    return lowering.bits[source]


def known_counts(source: ir.Value, lowering: Lowering) -> Mapping[int, Counts]:
    """What the bits of `source` count for each height that some contraction may follow, counted once."""
    if source not in lowering.counts:
        makers = [use.owner.operation for use in source.uses]
        detects = [maker for maker in makers if isinstance(maker.opview, DetectOp) and is_deferred(maker)]
        heights = tuple(sorted({list(maker.attributes["block"])[-1] for maker in detects}))
        found = count_live(known_bits(source, lowering), heights)
        lowering.counts[source] = dict(zip(heights, found, strict=True))
    return lowering.counts[source]


def counts_of(index: IndexBuffers, block: tuple[int, ...]) -> Counts:
    """The entries of an index that was made; which rows are live is not known."""
    segments = product(index.extents[: len(block)])

    def step(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        count = arith.index_cast(ir.IndexType.get(), memref.load(index.count, [segment]))
        return [arith.addi(carried[0], count)]

    return Counts(fold(0, segments, 1, [value(0)], step)[0], None)

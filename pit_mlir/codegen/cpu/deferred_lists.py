"""Lists that are made where they are followed: how many entries each has, known before it is made."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pit_mlir.analysis.tiles import costs
from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.brackets import sizes
from pit_mlir.codegen.build import Index, bytes_of, ceil_div, compare, mul, product, sum_over
from pit_mlir.codegen.contract_alternatives import Alternative, is_choice, is_deferred, micro_tile_of
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.cpu.row_bits import list_live, list_parts
from pit_mlir.codegen.cpu.sampled_bits import all_bits, sample_of
from pit_mlir.codegen.index_buffers import WORD, IndexBuffers, IndexShape, MicroTile, Sample
from pit_mlir.dialect.detect import DetectOp
from pit_mlir.dialect.structured import owner

LOOK = 32
"""All is looked at where that costs one part of this of the products without a list: a choice loses no more by it."""


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


def live_of(alternative: Alternative, lowering: CpuLowering) -> Live:
    """What is known of the list `alternative` at the insertion point."""
    if alternative.index in lowering.indices:
        known = lowering.indices[alternative.index]
        return Live(known, lambda: entries_of(known, alternative.block), lambda: 0, lambda: known)
    source, tile = deferred_of(alternative.index)
    seen, is_parts = known_sample(source, lowering), tile.steps == WORD
    *outer, rows, steps = sizes(source)
    shape = (
        Shape((*outer, ceil_div(steps, WORD), rows))
        if is_parts
        else Shape((*outer, ceil_div(rows, tile.rows), steps))
    )

    return Live(
        shape,
        lambda: seen.counts[tile],
        lambda: seen.if_not_all(product([*outer, rows, steps]), 0),
        lambda: made(alternative.index, lowering),
    )


def deferred_of(index: ir.Value) -> tuple[ir.Value, MicroTile]:
    """The tensor that a deferred `index` is of, and its micro-tile."""
    maker = owner(index)
    assert maker is not None and isinstance(maker.opview, DetectOp), "only a pit.detect is deferred"
    tile = micro_tile_of(maker)
    assert tile is not None, "bits tell what is deferred"
    return maker.operands[0], tile


def made(index: ir.Value, lowering: CpuLowering) -> IndexBuffers:
    """The deferred `index`, made at the insertion point."""
    source, tile = deferred_of(index)
    bits = all_bits(known_sample(source, lowering))
    return list_parts(bits) if tile.steps == WORD else list_live(bits, tile.rows)


def index_of(index: ir.Value, lowering: CpuLowering) -> IndexBuffers:
    """The buffers of `index`, which who follows it has not left here if it is deferred."""
    if index not in lowering.indices:
        found = made(index, lowering)
        segments = product(found.extents[:-1])
        lowering.indices[index] = replace(found, total=total_of(found, segments))
    return lowering.indices[index]


def known_sample(source: ir.Value, lowering: CpuLowering) -> Sample:
    """What is expected of `source`, found once; exact where more than one contraction would ask for the rest."""
    if source not in lowering.samples:
        makers = deferred(source)
        users = {use.owner.operation for maker in makers for use in maker.results[0].uses}
        contractions = [user for user in users if is_choice(user)]
        choosing = [user for user in contractions if "always" not in user.attributes]
        tiles = sorted({tile for maker in makers if choosing and (tile := micro_tile_of(maker))})
        everything = True if contractions != choosing or len(choosing) > 1 else is_cheap(source, choosing[0])
        lowering.samples[source] = sample_of(source, tiles, everything)
    return lowering.samples[source]


def is_cheap(source: ir.Value, op: ir.Operation) -> bool | ir.Value:
    """Whether it costs next to nothing, beside the products of `op`, to look at all of `source`."""
    known, size = costs(), bytes_of(ir.RankedTensorType(source.type).element_type)
    product_of_both = known["dense_pair" if size == 2 else "dense"]
    least = round(LOOK * (known["bit"] + size * known["far"]) / product_of_both)
    results, rows = product(sizes(op.operands[0])), product(sizes(source)[:-1])
    needed = mul(rows, least)
    if isinstance(results, int) and isinstance(needed, int):
        return results >= needed
    return compare("sge", results, needed)


def deferred(source: ir.Value) -> list[ir.Operation]:
    """The indices of `source` that are made where they are followed."""
    makers = [use.owner.operation for use in source.uses]
    return [maker for maker in makers if isinstance(maker.opview, DetectOp) and is_deferred(maker)]


def entries_of(index: IndexBuffers, block: tuple[int, ...]) -> Index:
    """The entries of an index that was made, of which `block` has a size for each dimension of segments."""
    return total_of(index, product(index.extents[: len(block)]))


def total_of(index: IndexBuffers, segments: Index) -> Index:
    """The entries of all `segments` of an index."""

    def count(segment: ir.Value) -> Index:
        return arith.index_cast(ir.IndexType.get(), memref.load(index.count, [segment]))

    return sum_over(segments, count)

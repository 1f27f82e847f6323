"""`pit.block_mask` on buffers: what its elements range over in a block of queries and one of keys.

That is found by loops over the block: over its queries or keys where an element carries one of the two, over all of its
pairs where it carries both, which is then the one thing that costs more than the number of blocks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Element, captured_scalars, elements_of
from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.index_space import LIMIT
from pit_mlir.codegen.intervals import Range, empty, evaluate, exactly, union
from pit_mlir.codegen.vectorize import vector_type
from pit_mlir.dialect.block_mask import BlockMaskOp, split_operands
from pit_mlir.dialect.pit import int_array

LANES = 16
"""Floats that are compared at once; a register of any machine holds these or some of them."""


@dataclass(frozen=True)
class Span:
    """`count` neighbouring queries or keys, from number `start` of their segment."""

    start: Index
    count: Index


@dataclass(frozen=True)
class BlockMask:
    """A `pit.block_mask` whose tensors are buffers; `rows` are the buffers of its index over `segments`.

    `in_vectors`: whether the machine compares floats that are neighbours in registers of several.
    """

    body: ir.Block
    extents: tuple[Index, ...]
    block: tuple[int, int]
    sources: tuple[Element, ...]
    rows: IndexBuffers | None
    segments: tuple[int, ...]
    in_vectors: bool

    @property
    def q(self) -> int:
        """The iterator of queries; that of keys is the next one."""
        return len(self.extents) - 2

    @property
    def counts(self) -> list[Index]:
        """Segments, blocks of queries and blocks of keys there are at most."""
        blocks = [build.ceil_div(*pair) for pair in zip(self.extents[self.q :], self.block, strict=True)]
        return [*self.extents[: self.q], *blocks]


def block_mask_of(
    operation: ir.Operation, indices: Mapping[ir.Value, IndexBuffers], *, in_vectors: bool = True
) -> BlockMask:
    """The view of a `pit.block_mask`, whose tensors and `indices` are buffers."""
    op = operation.opview
    assert isinstance(op, BlockMaskOp)
    sizes, rows = split_operands(operation)
    body = operation.regions[0].blocks[0]
    sources = tuple(elements_of(body))
    queries, keys = int_array(op, "block")
    return BlockMask(
        body,
        tuple(size_of(size) for size in sizes),
        (queries, keys),
        sources,
        indices[rows[0]] if rows else None,
        tuple(int_array(op, "segments")),
        in_vectors,
    )


def places_of(mask: BlockMask, op: ir.Operation) -> tuple[list[Index], Index, Index]:
    """The extents of the segments of blocks of keys, how many such blocks each has, and how many all together.

    None, and a failed check, where these do not fit 32 bits.
    """
    *outer, across = mask.counts
    capacity = build.mul(build.product(outer), across)
    if not isinstance(capacity, int) or capacity > LIMIT:
        fits = build.compare("sle", capacity, LIMIT)
        message = f"a list of more than {LIMIT} blocks of queries and keys does not fit 32 bits"
        across, capacity = where_all([fits], [across, capacity], message, op)
    return outer, across, capacity


def liveness(
    mask: BlockMask, point: Sequence[Index], block: Index, across: Index
) -> tuple[Index, Callable[[Index], ir.Value]]:
    """How many of `across` blocks of keys the `block`-th block of queries at `point` meets, and whether one is live."""
    first, queries, keys = rows_at(mask, point)
    here = span(block, mask.block[0], queries)
    known = {scalar: exactly(scalar) for scalar in captured_scalars(mask.body)}
    for source in mask.sources:
        if mask.q + 1 not in source.positions:
            known[source.scalar] = range_of(mask, source, point, first, here, None)

    def is_live(number: Index) -> ir.Value:
        there = span(number, mask.block[1], keys)
        ranges = dict(known)
        for source in mask.sources:
            if source.scalar not in ranges:
                ranges[source.scalar] = range_of(mask, source, point, first, here, there)
        return evaluate(mask.body, ranges)[0].hi

    # Rows of the index end before the blocks do.
    met = build.minimum(across, build.ceil_div(keys, mask.block[1]))
    return build.select(build.is_less(here.start, queries), met, 0), is_live


def size_of(size: ir.Value) -> Index:
    """A size as a number where it is a constant."""
    maker = size.owner
    if isinstance(maker, ir.Block) or maker.operation.name != "arith.constant":
        return size
    return ir.IntegerAttr(maker.operation.attributes["value"]).value


def rows_at(mask: BlockMask, point: Sequence[Index]) -> tuple[Index, Index, Index]:
    """The first row of the segment at `point`, if there are rows, and the numbers of queries and keys."""
    if mask.rows is None:
        return 0, mask.extents[mask.q], mask.extents[mask.q + 1]
    segment: Index = 0
    for iterator in mask.segments:
        segment = build.add(build.mul(segment, mask.extents[iterator]), point[iterator])
    count = load_index(mask.rows.count, segment)
    return load_index(mask.rows.begin, segment), count, count


def span(number: Index, length: int, end: Index) -> Span:
    """The `number`-th block of `length`, which ends at `end` at the latest."""
    start = build.mul(number, length)
    return Span(start, build.minimum(build.sub(end, start), length))


def range_of(
    mask: BlockMask, source: Element, point: Sequence[Index], first: Index, queries: Span, keys: Span | None
) -> Range:
    """What `source` ranges over in a block of `queries` and `keys`."""
    along = [(mask.q, queries), (mask.q + 1, keys)]
    loops = [
        (iterator, span) for iterator, span in along if span is not None and iterator in source.positions
    ]

    def load(at: dict[int, Index]) -> Range:
        return exactly(
            memref.load(source.buffer, [build.value(at[position]) for position in source.positions])
        )

    def visit(depth: int, at: dict[int, Index], so_far: Range) -> Range:
        if depth == len(loops):
            return union(so_far, load(at))
        iterator, span = loops[depth]
        if depth == len(loops) - 1 and is_read_in_vectors(mask, source, iterator):
            return range_of_row(source, at, iterator, span, so_far)

        def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            place = coordinate(mask, first, build.add(span.start, number))
            found = visit(depth + 1, at | {iterator: place}, Range(*carried))
            return [found.lo, found.hi]

        return Range(*build.fold(0, span.count, 1, [so_far.lo, so_far.hi], step))

    at = dict(enumerate(point))
    return visit(0, at, empty(wide_type(source.buffer))) if loops else load(at)


def is_read_in_vectors(mask: BlockMask, source: Element, iterator: int) -> bool:
    """Whether what `source` ranges over along `iterator` is found by comparing vectors."""
    return mask.in_vectors and mask.rows is None and is_neighbouring(source, iterator)


def is_neighbouring(source: Element, iterator: int) -> bool:
    """Whether elements along `iterator` are neighbours in memory, and floats that a vector can be loaded of.

    LLVM makes vectors of the loops over integers by itself; of the smallest of floats, NaN among them, it does not.
    """
    type_ = ir.MemRefType(source.buffer.type).element_type
    return source.positions[-1] == iterator and isinstance(type_, ir.F32Type | ir.F64Type)


def range_of_row(source: Element, at: dict[int, Index], iterator: int, span: Span, so_far: Range) -> Range:
    """The union of `so_far` with neighbouring elements, `LANES` at a time and the rest one by one."""
    type_ = vector_type(ir.MemRefType(source.buffer.type).element_type, LANES)

    def place(number: Index) -> list[ir.Value]:
        coordinates = at | {iterator: build.add(span.start, number)}
        return [build.value(coordinates[position]) for position in source.positions]

    def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        given = vector.load(type_, source.buffer, place(number))
        found = union(Range(*carried), Range(given, given))
        return [found.lo, found.hi]

    def last(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        found = union(Range(*carried), exactly(memref.load(source.buffer, place(number))))
        return [found.lo, found.hi]

    whole = build.mul(build.floor_div(span.count, LANES), LANES)
    ends = [vector.broadcast(type_, end) for end in (so_far.lo, so_far.hi)]
    lo, hi = build.fold(0, whole, LANES, ends, step)
    kinds = (vector.CombiningKind.MINIMUMF, vector.CombiningKind.MAXIMUMF)
    reduced = [
        vector.reduction(type_.element_type, kind, end) for kind, end in zip(kinds, (lo, hi), strict=True)
    ]
    return Range(*build.fold(whole, span.count, 1, reduced, last))


def coordinate(mask: BlockMask, first: Index, number: Index) -> Index:
    """Where query or key `number` of a segment, whose rows begin at `first`, lies along the axis."""
    return number if mask.rows is None else load_index(mask.rows.entries, build.add(first, number))


def wide_type(buffer: ir.Value) -> ir.Type:
    """The type in which intervals keep the elements of `buffer`."""
    type_ = ir.MemRefType(buffer.type).element_type
    is_integer = isinstance(type_, ir.IndexType) or (
        isinstance(type_, ir.IntegerType) and ir.IntegerType(type_).width > 1
    )
    return ir.IntegerType.get_signless(64) if is_integer else type_

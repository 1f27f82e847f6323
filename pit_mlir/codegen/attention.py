"""What the kernel of `pit.attend` is built from: buffers, the lists it may have, and the sizes read off them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import read
from pit_mlir.codegen.buffers import extent, has_unit_stride, load_index
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.fingerprint import is_constant
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.vectorize import vector_type
from pit_mlir.dialect.attend import AttendOp, indices_of
from pit_mlir.dialect.element import elements
from pit_mlir.dialect.pit import int_array, integer
from pit_mlir.dialect.structured import projection


@dataclass(frozen=True)
class Ragged:
    """An index as memrefs of i32: segment s owns `entries[begin[s] .. begin[s] + count[s]]`."""

    begin: ir.Value
    count: ir.Value
    entries: ir.Value

    @property
    def buffers(self) -> tuple[ir.Value, ir.Value, ir.Value]:
        """All three."""
        return self.begin, self.count, self.entries


@dataclass(frozen=True)
class Blocks:
    """Which blocks of keys a block of queries looks at: as `Ragged`, a segment being a point of the batch iterators
    `iterators` and one of `along` blocks of queries.

    `lowest`: a row that finds no score above `LOWEST_LIMIT` among them looks at all.
    """

    lists: Ragged
    along: ir.Value
    iterators: tuple[int, ...]
    lowest: bool


@dataclass(frozen=True)
class Element:
    """A `pit.element` of the body: the scalar it makes there, the buffer it reads and the iterators it reads at."""

    scalar: ir.Value
    buffer: ir.Value
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """`count` rows of one point of the batch: queries or keys `start ..`; rows of the index begin at `base`."""

    base: Index
    start: Index
    count: Index

    def number(self, row: Index) -> Index:
        """The number of the `row`-th of them among all rows of the index."""
        return build.add(self.base, build.add(self.start, row))


@dataclass(frozen=True)
class Attention:
    """A `pit.attend` whose tensors are buffers (query, key, value, result) and whose body is still to be emitted.

    `captured` maps the scalars that the body captures to values that are visible at the insertion point.
    """

    body: ir.Block
    buffers: tuple[ir.Value, ir.Value, ir.Value, ir.Value]
    positions: tuple[tuple[int, ...], ...]
    compact: frozenset[int]
    batch: int
    segments: tuple[int, ...]
    elements: tuple[Element, ...]
    captured: Mapping[ir.Value, ir.Value]
    ragged: Ragged | None
    blocks: Blocks | None
    guarded: bool

    @property
    def values(self) -> list[ir.Value]:
        """All SSA values the code of a task uses."""
        blocks = self.blocks
        lists = [self.ragged, None if blocks is None else blocks.lists]
        return [
            *self.buffers,
            *(element.buffer for element in self.elements),
            *self.captured.values(),
            *(buffer for index in lists if index is not None for buffer in index.buffers),
            *([] if blocks is None else [blocks.along]),
        ]

    @property
    def score_type(self) -> ir.Type:
        """The type of the scores: that of the body's argument."""
        return self.body.arguments[0].type

    def position(self, rows: Rows, row: Index) -> Index:
        """The coordinate along the axis of the `row`-th of `rows`."""
        if self.ragged is None:
            return build.add(rows.start, row)
        return load_index(self.ragged.entries, rows.number(row))

    def rebound(self, values: Sequence[ir.Value]) -> tuple["Attention", list[ir.Value]]:
        """The same attention with the first of `values` in place of `self.values`, and the rest of them."""
        rest = iter(values)
        query, key, value, result = (next(rest) for _ in range(4))
        elements = tuple(replace(element, buffer=next(rest)) for element in self.elements)
        captured = {scalar: next(rest) for scalar in self.captured}
        ragged = None if self.ragged is None else Ragged(next(rest), next(rest), next(rest))
        blocks = self.blocks
        if blocks is not None:
            blocks = replace(blocks, lists=Ragged(next(rest), next(rest), next(rest)), along=next(rest))
        inside = replace(
            self,
            buffers=(query, key, value, result),
            elements=elements,
            captured=captured,
            ragged=ragged,
            blocks=blocks,
        )
        return inside, list(rest)


def batch_extents(attention: Attention) -> list[Index]:
    """The extents of the batch iterators, each read off a buffer that carries it or off the index."""
    sources = list(zip(attention.buffers, attention.positions, strict=True))
    sources += [(element.buffer, element.positions) for element in attention.elements]
    extents: list[Index] = []
    for iterator in range(attention.batch):
        carrier = next(((b, p) for b, p in sources if iterator in p), None)
        if carrier is None:
            assert attention.ragged is not None and attention.segments == (iterator,), (
                "the verifier saw to it"
            )
            extents.append(extent(attention.ragged.count, 0))
        else:
            extents.append(extent(carrier[0], carrier[1].index(iterator)))
    return extents


def longest_rows(attention: Attention) -> Index:
    """The largest number of queries of any point of the batch."""
    if attention.ragged is None:
        return extent(attention.buffers[0], attention.positions[0].index(attention.batch))
    count = attention.ragged.count
    longest = build.fold(
        0,
        extent(count, 0),
        1,
        [build.value(0)],
        lambda segment, carried: [build.value(build.maximum(carried[0], load_index(count, segment)))],
    )
    return longest[0]


def segment_rows(
    attention: Attention, point: Sequence[Index], extents: Sequence[Index]
) -> tuple[Index, Index, Index]:
    """First row, number of queries and number of keys of a point of the batch."""
    if attention.ragged is None:
        keys = extent(attention.buffers[1], attention.positions[1].index(attention.batch + 1))
        return 0, longest_rows(attention), keys
    segment: Index = 0
    for iterator in attention.segments:
        segment = build.add(build.mul(segment, extents[iterator]), point[iterator])
    count = load_index(attention.ragged.count, segment)
    return load_index(attention.ragged.begin, segment), count, count


def stored_type(buffer: ir.Value) -> ir.Type:
    """The type in which elements of `buffer` are kept for vectors: a vector of i1 in memory would be packed bits."""
    element_type = ir.MemRefType(buffer.type).element_type
    i1 = ir.IntegerType.get_signless(1)
    return ir.IntegerType.get_signless(8) if element_type == i1 else element_type


def as_stored(scalar: ir.Value) -> ir.Value:
    """`scalar` as `stored_type` keeps it."""
    i1 = ir.IntegerType.get_signless(1)
    return arith.extui(ir.IntegerType.get_signless(8), scalar) if scalar.type == i1 else scalar


def extended(values: ir.Value, type_: ir.Type) -> ir.Value:
    """A vector in the wider float type `type_`."""
    given = ir.VectorType(values.type)
    return values if given.element_type == type_ else arith.extf(vector_type(type_, given.shape[0]), values)


def truncated(values: ir.Value, type_: ir.Type) -> ir.Value:
    """A vector in the narrower float type `type_`."""
    given = ir.VectorType(values.type)
    return values if given.element_type == type_ else arith.truncf(vector_type(type_, given.shape[0]), values)


def attention_of(op: AttendOp, indices: Mapping[ir.Value, IndexBuffers], result: ir.Value) -> Attention:
    """The view of `op` whose tensors are buffers, as are its `indices`."""
    body = op.operation.regions[0].blocks[0]
    query, key, value = list(op.operation.operands)[:3]
    rows, keys = indices_of(op.operation)
    return Attention(
        body,
        (read(query), read(key), read(value), result),
        tuple(positions(map_) for map_ in op.operation.attributes["indexing_maps"]),
        frozenset(int_array(op, "compact")),
        integer(op, "batch"),
        tuple(int_array(op, "segments")),
        tuple(elements_of(body)),
        {scalar: scalar for scalar in captured_scalars(body)},
        None if rows is None else lists_of(indices[rows]),
        None if keys is None else blocks_of(op, indices[keys]),
        "guarded" in op.operation.attributes,
    )


def elements_of(body: ir.Block) -> list[Element]:
    """What `body` reads of tensors, as buffers."""
    return [
        Element(
            reader.operation.results[0], read(reader.source), positions(reader.operation.attributes["map"])
        )
        for reader in elements(body)
    ]


def lists_of(index: IndexBuffers) -> Ragged:
    """What a kernel needs of an index."""
    return Ragged(index.begin, index.count, index.entries)


def blocks_of(op: AttendOp, index: IndexBuffers) -> Blocks:
    """The blocks of keys that `op` looks at."""
    along = build.value(index.extents[-2])
    return Blocks(lists_of(index), along, tuple(int_array(op, "keys")), "lowest" in op.operation.attributes)


def positions(map_: ir.Attribute) -> tuple[int, ...]:
    """The iterators a map of a `pit.attend` selects; its verifier has seen that it selects."""
    selected = projection(ir.AffineMapAttr(map_).value)
    assert selected is not None, "the verifier saw to it"
    return selected


def captured_scalars(body: ir.Block) -> list[ir.Value]:
    """What the body uses of scalars made outside of it; constants are not captured but made anew."""
    inside = set(body.arguments)
    found: dict[ir.Value, None] = {}
    for op in body.operations:
        operation = op.operation
        if operation.name != "pit.element":
            outside = [operand for operand in operation.operands if operand not in inside]
            found.update((scalar, None) for scalar in outside if not is_constant(scalar))
        inside.update(operation.results)
    return list(found)


@dataclass(frozen=True)
class Operand:
    """Query, key, value or result `number` of `attention` at one `point` of the batch, as rows of `width` elements."""

    attention: Attention
    point: Sequence[Index]
    number: int
    width: Index

    @property
    def buffer(self) -> ir.Value:
        """The buffer that holds it."""
        return self.attention.buffers[self.number]

    @property
    def type(self) -> ir.Type:
        """The type of an element."""
        return ir.MemRefType(self.buffer.type).element_type

    @cached_property
    def has_rows(self) -> bool:
        """Whether the elements of a row are neighbours in memory."""
        last = self.attention.positions[self.number][-1]
        return last >= self.attention.batch + 2 and has_unit_stride(self.buffer)

    def place(self, rows: Rows, row: Index, inner: Index) -> list[ir.Value]:
        """Where element `inner` of the `row`-th of `rows` is."""
        attention = self.attention
        along = rows.number(row) if self.number in attention.compact else attention.position(rows, row)
        values = dict(enumerate(self.point))
        values |= dict.fromkeys((attention.batch, attention.batch + 1), along)
        values |= dict.fromkeys((attention.batch + 2, attention.batch + 3), inner)
        return [build.value(values[position]) for position in attention.positions[self.number]]

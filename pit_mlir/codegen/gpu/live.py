"""Which entries of an index are live, a bit each: a thread makes the byte of eight neighbouring entries.

Each line of the axis has bytes of its own. Neighbouring threads read neighbouring memory: they are given neighbouring
entries or, where these are what lies next to each other, neighbouring segments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, truth, truth_type, value
from pit_mlir.codegen.detect_layout import Dim, Layout
from pit_mlir.codegen.gpu.flat import is_aligned, load_vector
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.live import bits_of

BYTE = 8
"""Entries that share a byte of bits."""


@dataclass(frozen=True)
class Bits:
    """Bit b of byte `buffer[s * bytes_of_segment + l * bytes_of_line + j]`: whether entry 8 j + b of line l is live.

    `line` is how many entries a line of the axis has, `lines` how many lines a segment.
    """

    buffer: ir.Value
    segments: Index
    lines: Index
    line: Index

    @property
    def bytes_of_line(self) -> Index:
        """Bytes of a line; the bits behind its end are 0."""
        return build.ceil_div(self.line, BYTE)

    @property
    def bytes_of_segment(self) -> Index:
        """Bytes of a segment."""
        return build.mul(self.lines, self.bytes_of_line)

    @property
    def count(self) -> Index:
        """All bytes."""
        return build.mul(self.segments, self.bytes_of_segment)

    def entry(self, byte: Index) -> Index:
        """The entry for which bit 0 of the `byte`-th byte of a segment stands."""
        line, place = build.delinearize(byte, [self.lines, self.bytes_of_line])
        return build.add(build.mul(line, self.line), build.mul(place, BYTE))


@dataclass(frozen=True)
class Source:
    """The tensor that is looked at: a flat buffer, and how it lies."""

    buffer: ir.Value
    layout: Layout

    @property
    def element(self) -> ir.Type:
        """The type of an element."""
        return ir.MemRefType(self.buffer.type).element_type


def fill(source: Source, bits: Bits) -> None:
    """Makes all bits of the entries of `source`."""
    layout = source.layout
    segments = [dim.count for dim in layout.of("segment")]
    lines = [dim.extent for dim in layout.of("axis")[:-1]]
    bytes_ = [*lines, bits.bytes_of_line]
    with each(bits.count) as number:
        if layout.is_across:
            *rest, last = build.delinearize(number, [*segments[:-1], *bytes_, segments[-1]])
            point, place = [*rest[: len(segments) - 1], last], rest[len(segments) - 1 :]
        else:
            coordinates = build.delinearize(number, [*segments, *bytes_])
            point, place = coordinates[: len(segments)], coordinates[len(segments) :]
        byte = live_byte(source, point, place[:-1], build.mul(place[-1], BYTE))
        segment, inside = linear(point, segments), linear(place, bytes_)
        at = build.add(build.mul(segment, bits.bytes_of_segment), inside)
        memref.store(byte, bits.buffer, [value(at)])


def live_byte(source: Source, segment: Sequence[Index], line: Sequence[Index], start: Index) -> ir.Value:
    """The byte of the eight entries from `start` of a line on, of one segment."""
    layout = source.layout
    axis = layout.of("axis")
    base: Index = 0
    for dim, coordinate in zip(axis[:-1], line, strict=True):
        base = build.add(base, build.mul(coordinate, dim.stride))
    spans = [span_of(dim, number) for dim, number in zip(layout.of("segment"), segment, strict=True)]
    spans += [Span(0, dim.extent, dim.stride) for dim in layout.dims if dim.role == "rest"]
    if is_read_in_vectors(source):
        return byte_of_neighbours(source, base, start, spans)

    def is_live(entry: Index) -> ir.Value:
        at = build.add(base, build.mul(entry, axis[-1].stride))
        return is_not_zero(ored(source, at, spans, 1))

    return byte_of(start, axis[-1].extent, is_live)


@dataclass(frozen=True)
class Span:
    """Places `start .. stop` along a dimension, `stride` apart."""

    start: Index
    stop: Index
    stride: Index


def span_of(dim: Dim, number: Index) -> Span:
    """The neighbours that share coordinate `number` of the segment."""
    start = build.mul(number, dim.block)
    return Span(start, build.minimum(build.add(start, dim.block), dim.extent), dim.stride)


def is_read_in_vectors(source: Source) -> bool:
    """Whether eight neighbouring entries are neighbours in memory, and begin at a multiple of 16 bytes."""
    layout, line = source.layout, source.layout.line
    others = [dim.stride for dim in layout.dims if dim != line]
    is_whole = isinstance(line.extent, int) and line.extent % BYTE == 0
    is_neighbouring = isinstance(line.stride, int) and line.stride == 1
    return (
        is_whole
        and is_neighbouring
        and source.element != truth_type()
        and is_aligned(BYTE, source.element, [*others, BYTE])
    )


def byte_of_neighbours(source: Source, base: Index, start: Index, spans: Sequence[Span]) -> ir.Value:
    """`live_byte` where the entries are neighbours in memory."""
    words = ored(source, build.add(base, start), spans, BYTE)
    byte = arith.constant(i8(), 0)
    for number in range(BYTE):
        live = is_not_zero(vector.extract(words, [], [number]))
        byte = with_bit(byte, live, arith.constant(i8(), number))
    return byte


def ored(source: Source, base: Index, spans: Sequence[Span], lanes: int) -> ir.Value:
    """What must not be 0 of the elements at `base` and over all of `spans`, ored together; `lanes` neighbours each."""

    def load(at: Index) -> ir.Value:
        if lanes > 1:
            return as_integers(bits_of(load_vector(source.buffer, [at], lanes)))
        return as_integers(bits_of(memref.load(source.buffer, [value(at)])))

    def visit(remaining: Sequence[Span], at: Index, so_far: ir.Value) -> ir.Value:
        if not remaining:
            return arith.ori(so_far, load(at))
        span = remaining[0]

        def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            return [visit(remaining[1:], build.add(at, build.mul(number, span.stride)), carried[0])]

        return build.fold(span.start, span.stop, 1, [so_far], step)[0]

    width = integer_type(source.element)
    none = build.zero(ir.VectorType.get([lanes], width) if lanes > 1 else width)
    return visit(spans, base, none)


def integer_type(element: ir.Type) -> ir.Type:
    """The integers that hold the bits of `element`."""
    if isinstance(element, ir.IndexType):
        return ir.IntegerType.get_signless(64)
    if isinstance(element, ir.FloatType):
        return ir.IntegerType.get_signless(element.width)
    return element


def as_integers(given: ir.Value) -> ir.Value:
    """`given`, indices as integers."""
    is_vector = isinstance(given.type, ir.VectorType)
    element = ir.VectorType(given.type).element_type if is_vector else given.type
    if not isinstance(element, ir.IndexType):
        return given
    i64 = ir.IntegerType.get_signless(64)
    return arith.index_cast(
        ir.VectorType.get(ir.VectorType(given.type).shape, i64) if is_vector else i64, given
    )


def is_not_zero(given: ir.Value) -> ir.Value:
    """Whether an integer is not 0."""
    if given.type == truth_type():
        return given
    return arith.cmpi(arith.CmpIPredicate.ne, given, build.zero(given.type))


def with_bit(byte: ir.Value, live: ir.Value, place: ir.Value) -> ir.Value:
    """`byte` with the bit at `place` set if `live`."""
    return arith.ori(byte, arith.shli(arith.extui(i8(), live), place))


def i8() -> ir.Type:
    """The type of a byte of bits."""
    return ir.IntegerType.get_signless(8)


def linear(coordinates: Sequence[Index], extents: Sequence[Index]) -> Index:
    """The number of a place in a space of `extents`, the last coordinate running fastest."""
    number: Index = 0
    for coordinate, extent in zip(coordinates, extents, strict=True):
        number = build.add(build.mul(number, extent), coordinate)
    return number


def fill_by_key(keys: ir.Value, extents: Sequence[Index], axis: Sequence[int], bits: Bits) -> None:
    """Makes the bits of segment v those of the coordinates along `axis` at which any element of `keys` is v.

    A thread reads the keys of eight coordinates, for all values one after another.
    """
    rest = [dim for dim in range(len(extents)) if dim not in axis]
    space = [extents[dim] for dim in axis]
    with each(bits.bytes_of_segment) as number:
        start = build.mul(number, BYTE)
        with build.loop(0, bits.segments) as key:

            def is_listed(entry: Index, key: ir.Value = key) -> ir.Value:
                place: list[Index] = [0] * len(extents)
                for dim, coordinate in zip(axis, build.delinearize(entry, space), strict=True):
                    place[dim] = coordinate
                return any_equal(keys, key, place, [(dim, extents[dim]) for dim in rest], truth(False))

            byte = byte_of(start, bits.line, is_listed)
            at = build.add(build.mul(key, bits.bytes_of_segment), number)
            memref.store(byte, bits.buffer, [value(at)])


def byte_of(start: Index, end: Index, is_live: Callable[[Index], ir.Value]) -> ir.Value:
    """The byte of the eight entries from `start` on; those from `end` on are not live, and not asked for."""

    def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        entry = build.add(start, number)
        is_inside = build.is_less(entry, end)
        [live] = build.choose(is_inside, [is_inside.type], lambda: [is_live(entry)], lambda: [truth(False)])
        return [with_bit(carried[0], live, arith.index_cast(i8(), number))]

    return build.fold(0, BYTE, 1, [arith.constant(i8(), 0)], step)[0]


def any_equal(
    keys: ir.Value, key: ir.Value, place: list[Index], rest: Sequence[tuple[int, Index]], found: ir.Value
) -> ir.Value:
    """`found`, or whether any of `keys` at `place` and over the dimensions `rest`, with their extents, is `key`."""
    if not rest:
        element = memref.load(keys, [value(coordinate) for coordinate in place])
        number = element if isinstance(element.type, ir.IndexType) else arith.index_cast(key.type, element)
        return arith.ori(found, arith.cmpi(arith.CmpIPredicate.eq, number, key))
    (dim, extent), *others = rest

    def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        there = [number if at == dim else coordinate for at, coordinate in enumerate(place)]
        return [any_equal(keys, key, there, others, carried[0])]

    return build.fold(0, extent, 1, [found], step)[0]

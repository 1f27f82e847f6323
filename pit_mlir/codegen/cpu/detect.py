"""`pit.detect` on buffers: live coordinates per segment, in ascending order."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.cpu import build
from pit_mlir.codegen.cpu.brackets import Lowering, allocate, read, sizes
from pit_mlir.codegen.cpu.build import Index, loop, value
from pit_mlir.codegen.cpu.checks import where_all
from pit_mlir.codegen.cpu.detect_keys import Keys, list_keys
from pit_mlir.codegen.cpu.index_buffers import IndexBuffers, as_i32
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.dialect.detect import is_by_key
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

LIMIT = 2**31 - 1
"""Coordinates are i32."""


@dataclass(frozen=True)
class Detection:
    """A detect: `extents` of the source, which of its dimensions are segments (with a block each) and axis."""

    source: ir.Value
    extents: tuple[Index, ...]
    segments: tuple[int, ...]
    axis: tuple[int, ...]
    block: tuple[int, ...]

    @property
    def counts(self) -> list[Index]:
        """How many segments there are along each segment dimension."""
        pairs = zip(self.segments, self.block, strict=True)
        return [build.ceil_div(self.extents[dim], size) for dim, size in pairs]

    @property
    def has_rows(self) -> bool:
        """Whether an entry is one row: segments of a single coordinate."""
        return all(size == 1 for size in self.block)

    @property
    def is_plain(self) -> bool:
        """Whether an entry is one element of the source, so that nothing is collected first."""
        return self.has_rows and len(self.segments) + len(self.axis) == len(self.extents)


def lower_detect(op: ir.Operation, lowering: Lowering) -> None:
    """Computes the buffers of an index; raises `UnsupportedError` for one that does not fit 32 bits."""
    if is_by_key(op):
        lower_keys(op, lowering)
        return
    detection = detection_of(op)
    capacity = build.product([detection.extents[dim] for dim in detection.axis])
    segments, coordinates = fitting(op, build.product(detection.counts), capacity)
    i32 = ir.IntegerType.get_signless(32)
    begin, count = allocate([segments], i32), allocate([segments], i32)
    entries = allocate([coordinates], i32)
    extents = (*detection.counts, *(detection.extents[dim] for dim in detection.axis))
    if detection.has_rows:
        rows = allocate([coordinates], i32)
        total = list_rows(detection, segments, capacity, (begin, count, entries, rows))
    else:
        rows = entries
        total = list_blocks(detection, segments, capacity, (begin, count, entries))
    lowering.indices[op.results[0]] = IndexBuffers(begin, count, entries, rows, total, extents)
    # The users of the index find its buffers in `lowering`; the operation goes when they are gone.


def lower_keys(op: ir.Operation, lowering: Lowering) -> None:
    """As `lower_detect`, by keys: no more places are taken than there are keys."""
    attributes = op.attributes
    extents = tuple(sizes(op.operands[0]))
    values, axis = attributes["values"].value, tuple(attributes["axis"])
    _, coordinates = fitting(op, values, build.product([extents[dim] for dim in axis]))
    keys = Keys(read(op.operands[0]), extents, axis, build.floor_div(coordinates, values), values)
    most = build.minimum(coordinates, build.product(extents))
    i32 = ir.IntegerType.get_signless(32)
    begin, count = allocate([keys.values], i32), allocate([keys.values], i32)
    entries, rows = allocate([most], i32), allocate([most], i32)
    total = list_keys(keys, (begin, count, entries, rows))
    group = (keys.values, *(extents[dim] for dim in keys.axis))
    lowering.indices[op.results[0]] = IndexBuffers(begin, count, entries, rows, total, group)


def fitting(op: ir.Operation, segments: Index, capacity: Index) -> tuple[Index, Index]:
    """`segments` and their coordinates, `capacity` each; none, and a failed check, where these do not fit 32 bits."""
    coordinates = build.mul(segments, capacity)
    if isinstance(coordinates, int) and coordinates > LIMIT:
        raise UnsupportedError(
            f"an index over {coordinates} coordinates does not fit 32 bits",
            location=location_text(op.location),
        )
    if isinstance(coordinates, int):
        return segments, coordinates
    fits = build.compare("sle", coordinates, LIMIT)
    message = "an index over more than 2147483647 coordinates does not fit 32 bits"
    segments, coordinates = where_all([fits], [segments, coordinates], message, op)
    return segments, coordinates


def detection_of(op: ir.Operation) -> Detection:
    """The view of a `pit.detect`; a block that was not chosen is 1."""
    attributes = op.attributes
    return Detection(
        read(op.operands[0]),
        tuple(sizes(op.operands[0])),
        tuple(attributes["segments"]),
        tuple(attributes["axis"]),
        tuple(max(1, size) for size in attributes["block"]),
    )


def is_live(element: ir.Value) -> ir.Value:
    """Whether `element` is not zero: NaN, infinities and denormals are live, -0.0 is not."""
    if isinstance(element.type, ir.FloatType):
        zero = arith.constant(element.type, 0.0)
        return arith.cmpf(arith.CmpFPredicate.UNE, element, zero)
    if element.type == ir.IntegerType.get_signless(1):
        return element
    return arith.cmpi(arith.CmpIPredicate.ne, element, arith.constant(element.type, 0))


def list_rows(
    detection: Detection,
    segments: Index,
    capacity: Index,
    buffers: tuple[ir.Value, ir.Value, ir.Value, ir.Value],
) -> ir.Value:
    """Fills begin, count, entries and rows, the segments one after another; returns how many rows there are."""
    begin, count, entries, rows = buffers
    flags = None if detection.is_plain else collect(detection, segments, capacity)
    zero = value(0)

    def segment(s: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        start = carried[0]
        memref.store(as_i32(start), begin, [s])

        def coordinate(a: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            live = flag_at(detection, flags, s, a, capacity)
            # Written in any case and kept only if live: a branch on data that nobody can predict costs more.
            memref.store(as_i32(a), entries, [carried[0]])
            memref.store(as_i32(build.add(build.mul(s, capacity), a)), rows, [carried[0]])
            return [arith.addi(carried[0], arith.index_castui(ir.IndexType.get(), live))]

        end = build.fold(0, capacity, 1, [start], coordinate)[0]
        memref.store(as_i32(arith.subi(end, start)), count, [s])
        return [end]

    return build.fold(0, segments, 1, [zero], segment)[0]


def list_blocks(
    detection: Detection, segments: Index, capacity: Index, buffers: tuple[ir.Value, ir.Value, ir.Value]
) -> ir.Value:
    """Fills begin, count and entries, each segment at its own place, in parallel; returns the sum of the counts."""
    begin, count, entries = buffers
    flags = collect(detection, segments, capacity)
    work = build.mul(capacity, 2)
    with chunks(segments, rows_at_once(work)) as (start, stop), loop(start, stop) as s:
        base = build.mul(s, capacity)
        memref.store(as_i32(base), begin, [s])

        def coordinate(a: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            live = flag_at(detection, flags, s, a, capacity)
            memref.store(as_i32(a), entries, [value(build.add(base, carried[0]))])
            return [arith.addi(carried[0], arith.index_castui(ir.IndexType.get(), live))]

        memref.store(as_i32(build.fold(0, capacity, 1, [value(0)], coordinate)[0]), count, [s])

    def add_count(s: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], arith.index_cast(ir.IndexType.get(), memref.load(count, [s])))]

    return build.fold(0, segments, 1, [value(0)], add_count)[0]


def flag_at(
    detection: Detection, flags: ir.Value | None, s: ir.Value, a: ir.Value, capacity: Index
) -> ir.Value:
    """Whether entry `a` of segment `s` is live, from `flags` or from the source itself."""
    if flags is not None:
        return is_live(memref.load(flags, [value(build.add(build.mul(s, capacity), a))]))
    point: list[Index] = [0] * len(detection.extents)
    for dims, linear in ((detection.segments, s), (detection.axis, a)):
        sizes_ = [detection.extents[dim] for dim in dims]
        for dim, coordinate in zip(dims, build.delinearize(linear, sizes_), strict=True):
            point[dim] = coordinate
    return is_live(memref.load(detection.source, [value(coordinate) for coordinate in point]))


def collect(detection: Detection, segments: Index, capacity: Index) -> ir.Value:
    """One byte for each entry of each segment: whether any element that it stands for is live.

    Segments in parallel; inside, the source is read in the order in which it lies in memory.
    """
    i8 = ir.IntegerType.get_signless(8)
    flags = allocate([build.mul(segments, capacity)], i8)
    rest = [d for d in range(len(detection.extents)) if d not in (*detection.segments, *detection.axis)]
    work = build.product([capacity, *detection.block, *(detection.extents[d] for d in rest)])
    with chunks(segments, rows_at_once(work)) as (start, stop), loop(start, stop) as s:
        base = build.mul(s, capacity)
        with loop(0, capacity) as a:
            memref.store(arith.constant(i8, 0), flags, [value(build.add(base, a))])
        *bounds, (first, last, _) = bounds_of(detection, s)
        is_entry = len(detection.extents) - 1 in detection.axis
        with ExitStack() as stack:
            point: list[Index] = [
                low if fixed else stack.enter_context(loop(low, high)) for low, high, fixed in bounds
            ]
            if is_entry:
                point.append(stack.enter_context(loop(first, last)))
                live = is_live(load_at(detection.source, point))
            else:
                live = any_live(detection.source, point, first, last)
            axis_sizes = [detection.extents[dim] for dim in detection.axis]
            entry: Index = 0
            for dim, size in zip(detection.axis, axis_sizes, strict=True):
                entry = build.add(build.mul(entry, size), point[dim])
            place = [value(build.add(base, entry))]
            memref.store(arith.ori(memref.load(flags, place), arith.extui(i8, live)), flags, place)
    return flags


def any_live(source: ir.Value, point: Sequence[Index], first: Index, last: Index) -> ir.Value:
    """Whether any element at `point` is live, from `first` to `last` of the last dimension: kept in a register."""

    def visit(place: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.ori(carried[0], is_live(load_at(source, [*point, place])))]

    none = arith.constant(ir.IntegerType.get_signless(1), 0)
    return build.fold(first, last, 1, [none], visit)[0]


def load_at(source: ir.Value, point: Sequence[Index]) -> ir.Value:
    """The element of `source` at `point`."""
    return memref.load(source, [value(coordinate) for coordinate in point])


def bounds_of(detection: Detection, s: ir.Value) -> list[tuple[Index, Index, bool]]:
    """For each dimension of the source where segment `s` begins and ends, and whether that is one coordinate."""
    bounds: list[tuple[Index, Index, bool]] = [(0, extent, False) for extent in detection.extents]
    numbers: Sequence[Index] = build.delinearize(s, detection.counts)
    for dim, number, size in zip(detection.segments, numbers, detection.block, strict=True):
        first = build.mul(number, size)
        bounds[dim] = (first, build.minimum(build.add(first, size), detection.extents[dim]), size == 1)
    return bounds

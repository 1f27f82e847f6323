"""`pit.detect` on buffers: live coordinates per segment, in ascending order, by way of a bit for each entry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate, read
from pit_mlir.codegen.build import Index, loop, value
from pit_mlir.codegen.contract_alternatives import is_deferred
from pit_mlir.codegen.cpu.contract_views import flat_buffer
from pit_mlir.codegen.cpu.detect_keys import Keys, list_keys
from pit_mlir.codegen.cpu.list_bits import PIECE, Buffers, Lists, Packing, count_ones, give_places, write
from pit_mlir.codegen.cpu.live_bits import Bits, Piece, Source, fill
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.cpu.turned_bits import Strip, fill_turned, scratch, segments_at_once
from pit_mlir.codegen.detect_layout import Layout, layout_of
from pit_mlir.codegen.fingerprint import digest
from pit_mlir.codegen.index_buffers import WORD, IndexBuffers
from pit_mlir.codegen.index_space import IndexSpace
from pit_mlir.codegen.index_users import asks_for_bits, asks_for_rows
from pit_mlir.codegen.outline import outline
from pit_mlir.dialect.detect import is_by_key

READ_AT_ONCE = 8
"""Bytes that are read and compared while simple work is done on one element (`loops.GRAIN`)."""
FEWEST_WORDS = 8
"""Words of a piece where there are few of them: a line of the cache."""
ENOUGH_PIECES = 16
"""Pieces that threads share evenly."""


@dataclass(frozen=True)
class Detection:
    """What a detect does: on `layout`, for `segments` of `capacity` entries each."""

    layout: Layout
    segments: Index
    capacity: Index
    has_rows: bool
    keeps_bits: bool
    packing: Packing

    @property
    def lines(self) -> list[Index]:
        """The extents of the axis but for its last part, along which words lie."""
        return [dim.extent for dim in self.layout.of("axis")[:-1]]

    @property
    def words(self) -> Index:
        """How many words a line has."""
        return build.ceil_div(self.layout.line.extent, WORD)

    @property
    def words_of_segment(self) -> Index:
        """How many words a segment has."""
        return build.product([*self.lines, self.words])

    @property
    def words_of_piece(self) -> int:
        """How many words a piece has at most: as many as can be listed at once, fewer where there are not enough."""
        words = build.mul(self.segments, self.words_of_segment)
        few = words // ENOUGH_PIECES if isinstance(words, int) else PIECE
        return max(FEWEST_WORDS, min(PIECE, few))

    @property
    def pieces(self) -> Index:
        """How many pieces the lines of a segment have."""
        return build.product([*self.lines, build.ceil_div(self.words, self.words_of_piece)])

    def piece(self, number: ir.Value) -> Piece:
        """The piece `number` of all segments."""
        size = self.words_of_piece
        extents = [*self.lines, build.ceil_div(self.words, size)]
        segment, *line, part = build.delinearize(number, [self.segments, *extents])
        first = build.mul(part, size)
        line_number, start = linear(line, self.lines), build.mul(first, WORD)
        place = linear([segment, line_number, first], [self.segments, build.product(self.lines), self.words])
        entry = build.add(build.mul(line_number, self.layout.line.extent), start)
        return Piece(segment, line, start, entry, place, build.minimum(build.sub(self.words, first), size))

    def work(self, source: Source, words: Index, neighbours: Index = 1) -> Index:
        """The work of so many words of `source`, of `neighbours` elements each, in that of simple elements."""
        dims = [dim for dim in self.layout.dims if dim.role != "axis"]
        if self.layout.is_across:
            dims.remove(self.layout.inner)
        sizes = [dim.extent if dim.role == "rest" else dim.block for dim in dims]
        read = build.product([words, WORD, neighbours, *sizes, source.bytes_of_element])
        return build.maximum(build.floor_div(read, READ_AT_ONCE), 1)


def lower_detect(op: ir.Operation, lowering: CpuLowering) -> None:
    """Computes the buffers of an index; raises `UnsupportedError` for one that does not fit 32 bits.

    An index that is not always followed is made by who follows it.
    """
    if is_deferred(op):
        return
    if is_by_key(op):
        lower_keys(op, lowering)
        return
    space = IndexSpace.of(op)
    segments, coordinates = space.segments, space.coordinates
    i32 = ir.IntegerType.get_signless(32)
    begin, count = allocate([segments], i32), allocate([segments], i32)
    entries = allocate([coordinates], i32)
    total = allocate([1], ir.IndexType.get())
    detection = Detection(
        layout_of(space.extents, strides_of(space.extents), space.segment_dims, space.axis, space.block),
        segments,
        space.capacity,
        segments != 1 and asks_for_rows(op),
        len(space.axis) == 1 and asks_for_bits(op),
        Packing.of(lowering.host),
    )
    rows = allocate([coordinates], i32) if detection.has_rows else entries
    word = ir.IntegerType.get_signless(WORD)
    bits = allocate([segments, detection.words], word) if detection.keeps_bits else None
    kept = () if bits is None else (bits,)
    call(detection, read(op.operands[0]), (begin, count, entries, rows, total, *kept))
    whole = memref.load(total, [value(0)])
    lowering.indices[op.results[0]] = IndexBuffers(begin, count, entries, rows, whole, space.group, bits)
    # The users of the index find its buffers in `lowering`; the operation goes when they are gone.


def lower_keys(op: ir.Operation, lowering: CpuLowering) -> None:
    """As `lower_detect`, by keys: no more places are taken than there are keys."""
    space = IndexSpace.by_key(op)
    keys = Keys(
        read(op.operands[0]), space.extents, space.axis, space.capacity, op.attributes["values"].value
    )
    most = space.most_of_keys
    i32 = ir.IntegerType.get_signless(32)
    begin, count = allocate([keys.values], i32), allocate([keys.values], i32)
    entries, rows = allocate([most], i32), allocate([most], i32)
    total = list_keys(keys, (begin, count, entries, rows))
    lowering.indices[op.results[0]] = IndexBuffers(begin, count, entries, rows, total, space.group)


def strides_of(extents: Sequence[Index]) -> list[Index]:
    """The strides of a buffer whose elements follow one another."""
    return [build.product(extents[dim + 1 :]) for dim in range(len(extents))]


def call(detection: Detection, source: ir.Value, results: Sequence[ir.Value]) -> None:
    """Calls the function that does it, which all detects of the same form share."""
    flat, base, _ = flat_buffer(source)
    buffers = [flat_buffer(buffer)[0] for buffer in results]
    numbers = [*detection.layout.indices, detection.segments, detection.capacity]
    unknown = [number for number in numbers if not isinstance(number, int)]
    known = [number if isinstance(number, int) else None for number in numbers]
    form = [str(detection.layout), str(known), str(flat.type)]
    form.append(str((detection.has_rows, detection.keeps_bits, detection.packing)))

    def emit(arguments: Sequence[ir.Value]) -> None:
        flat, base, begin, count, entries, rows, total, *given = arguments
        rest = iter(given)
        words = next(rest) if detection.keeps_bits else None

        def inside(number: Index) -> Index:
            return number if isinstance(number, int) else next(rest)

        layout = detection.layout.mapped(inside)
        here = replace(
            detection, layout=layout, segments=inside(detection.segments), capacity=inside(detection.capacity)
        )
        kept = rows if here.has_rows else None
        lists = Lists(begin, count, entries, kept, here.capacity, here.packing)
        memref.store(make_lists(here, Source(flat, base, layout), lists, words), total, [value(0)])

    outline(f"pit_detect_{digest(form)}", [flat, base, *buffers, *unknown], emit)


def make_lists(detection: Detection, source: Source, lists: Lists, words: ir.Value | None) -> ir.Value:
    """Fills the lists of all segments, one after another, and their `words`; returns how many entries there are.

    Pieces of segments are counted, and listed when it is known where each of them begins.
    """
    word = ir.IntegerType.get_signless(WORD)
    places = build.mul(detection.segments, detection.words_of_segment)
    bits = Bits(memref.alloc(build.flat(word), [value(places)], []) if words is None else words)
    is_across = source.layout.is_across
    if is_across:
        turn_all(detection, source, bits)
    pieces = build.mul(detection.segments, detection.pieces)
    starts = memref.alloc(build.flat(ir.IndexType.get()), [value(pieces)], [])
    at_once = rows_at_once(detection.work(source, build.minimum(detection.words, detection.words_of_piece)))
    with chunks(pieces, at_once) as (start, stop), loop(start, stop) as number:
        piece = detection.piece(number)
        if not is_across:
            fill(source, bits, piece)
        memref.store(count_ones(bits, piece), starts, [number])
    total = give_places(lists, starts, detection.segments, detection.pieces)
    with chunks(pieces, at_once) as (start, stop):
        buffers = Buffers.alloca(lists.packing)
        with loop(start, stop) as number:
            write(lists, bits, detection.piece(number), memref.load(starts, [number]), buffers)
    return total


def turn_all(detection: Detection, source: Source, bits: Bits) -> None:
    """Fills the bits of all segments where these are neighbours in memory: tasks of some segments and 64 lines each."""
    layout, inner = detection.layout, detection.layout.inner
    words, some = detection.words_of_segment, segments_at_once(source)
    *outer, neighbours = [dim.count for dim in layout.of("segment")]
    counts = [*outer, build.ceil_div(neighbours, some), *detection.lines, detection.words]
    width = build.minimum(build.mul(some, inner.block), inner.extent)
    with chunks(build.product(counts), rows_at_once(detection.work(source, 1, width))) as (start, stop):
        buffers = scratch()
        with loop(start, stop) as task:
            place = build.delinearize(task, counts)
            numbers, strip, line = place[: len(outer)], place[len(outer)], place[len(outer) + 1 :]
            first = build.mul(strip, some)
            number = linear(line, [*detection.lines, detection.words])
            segment = build.mul(linear(numbers, outer), neighbours)
            here = Strip(
                numbers,
                first,
                build.minimum(build.add(first, some), neighbours),
                line[:-1],
                build.mul(line[-1], WORD),
                build.add(build.mul(segment, words), number),
                words,
            )
            fill_turned(source, bits, here, buffers)


def linear(coordinates: Sequence[Index], extents: Sequence[Index]) -> Index:
    """The number of a place in a space of `extents`, the last coordinate running fastest."""
    number: Index = 0
    for coordinate, extent in zip(coordinates, extents, strict=True):
        number = build.add(build.mul(number, extent), coordinate)
    return number

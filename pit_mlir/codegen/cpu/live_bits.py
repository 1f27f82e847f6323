"""Which entries of an index are live, a bit each: the source is read once, in the order in which it lies in memory.

Where neighbours in memory are neighbouring entries, 64 of them are compared at once and make a word. Where they belong
to neighbouring segments, 64 lines of such words are turned (a transposition of 64 x 64 bits).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, loop, truth, truth_type, value
from pit_mlir.codegen.detect_layout import Dim, Layout
from pit_mlir.codegen.index_buffers import WORD
from pit_mlir.codegen.live import bits_of, is_live
from pit_mlir.target import LINE_BYTES

AHEAD = 8192
"""Bytes ahead that are asked for: two pages, which the processor does not foresee. Measured: 3.6 ms become 1.7."""
TILE = 4096
"""Neighbours that are compared before those of another line are: memory is read fast where it is read on."""


@dataclass(frozen=True)
class Bits:
    """A bit for each entry, in words: segment after segment, line after line, each line in words of its own."""

    buffer: ir.Value

    def load(self, place: Index) -> ir.Value:
        """The word at `place`."""
        return memref.load(self.buffer, [value(place)])

    def store(self, word: ir.Value, place: Index) -> None:
        """Makes `word` the one at `place`."""
        memref.store(word, self.buffer, [value(place)])

    def add(self, word: ir.Value, place: Index) -> None:
        """Sets the bits of `word` in the one at `place`."""
        self.store(arith.ori(self.load(place), word), place)


@dataclass(frozen=True)
class Piece:
    """`words` neighbouring words of a line of `segment`, the first of which is at `place`.

    The line has the coordinates `line` along the axis, all but the last; there its lowest bit stands for `start`,
    which is `entry` of the segment.
    """

    segment: Index
    line: Sequence[Index]
    start: Index
    entry: Index
    place: Index
    words: Index

    def word(self, number: Index) -> Index:
        """Where word `number` of the piece is."""
        return build.add(self.place, number)


@dataclass(frozen=True)
class Source:
    """The tensor that is looked at: a flat buffer, where it begins, and how it lies."""

    buffer: ir.Value
    base: Index
    layout: Layout

    @property
    def bytes_of_element(self) -> int:
        """The size of an element in memory."""
        return build.bytes_of(ir.MemRefType(self.buffer.type).element_type)


def i64(number: int) -> ir.Value:
    """A word."""
    return arith.constant(ir.IntegerType.get_signless(64), number)


def as_word(index: Index) -> ir.Value:
    """An index as a word."""
    return arith.index_cast(ir.IntegerType.get_signless(64), value(index))


def shifted(word: ir.Value, places: Index) -> ir.Value:
    """`word` without its lowest bits."""
    return word if isinstance(places, int) and places == 0 else arith.shrui(word, as_word(places))


def live_word(buffer: ir.Value, start: Index, mask: ir.Value | None = None) -> ir.Value:
    """A bit for each of the 64 elements from `start` on, the first one lowest; 0 for those that are not in `mask`."""
    bytes_ = build.bytes_of(ir.MemRefType(buffer.type).element_type)
    for line in range(0, WORD * bytes_, LINE_BYTES):
        memref.prefetch(buffer, [value(build.add(start, (line + AHEAD) // bytes_))], False, 3, True)
    return word_of(load_vector(buffer, start, WORD, mask))


def word_of(elements: ir.Value) -> ir.Value:
    """A bit for each of 64 `elements`, a vector: whether it is live."""
    live = is_live(elements)
    word = vector.bitcast(ir.VectorType.get([1], ir.IntegerType.get_signless(WORD)), live)
    return vector.extract(word, [], [0])


def load_vector(buffer: ir.Value, start: Index, lanes: int, mask: ir.Value | None = None) -> ir.Value:
    """The `lanes` elements from `start` on, 0 for those that are not in `mask`."""
    type_ = ir.VectorType.get([lanes], ir.MemRefType(buffer.type).element_type)
    if mask is None:
        return vector.load(type_, buffer, [value(start)])
    return vector.maskedload(type_, buffer, [value(start)], mask, build.zero(type_))


def load_bit(source: Source, place: Index) -> ir.Value:
    """The element at `place` as a word: 1 if it is live."""
    return arith.extui(ir.IntegerType.get_signless(WORD), is_live(memref.load(source.buffer, [value(place)])))


def word_of_run(source: Source, run: Index, first: Index, length: Index, *, is_long: bool) -> ir.Value:
    """The word of the elements `first .. first + 64` of a run of `length` that begins at `run`; 0 behind its end.

    A run `is_long` if it has 64 elements: its last word is read where 64 elements end with it.
    """
    if is_long:
        even = isinstance(length, int) and length % WORD == 0
        over: Index = 0 if even else build.maximum(build.sub(build.add(first, WORD), length), 0)
        return shifted(live_word(source.buffer, build.add(run, build.sub(first, over))), over)

    def visit(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        bit = load_bit(source, build.add(run, build.add(first, number)))
        return [arith.ori(carried[0], arith.shli(bit, as_word(number)))]

    return build.fold(0, build.minimum(build.sub(length, first), WORD), 1, [i64(0)], visit)[0]


@contextmanager
def lines_of(source: Source, numbers: Sequence[Index], *, without: Dim | None = None) -> Iterator[Index]:
    """Loops over all places that an entry of the segment at `numbers` stands for; inside, where they begin.

    Dimensions of the axis, and the one `without`, are left to the caller.
    """
    with ExitStack() as stack:
        offset = source.base
        for dim in source.layout.dims:
            if dim.role == "axis" or dim is without:
                continue
            first, last = bounds(dim, numbers)
            one = dim.role == "segment" and isinstance(dim.block, int) and dim.block == 1
            place = first if one else stack.enter_context(loop(first, last))
            offset = build.add(offset, build.mul(place, dim.stride))
        yield offset


def bounds(dim: Dim, numbers: Sequence[Index]) -> tuple[Index, Index]:
    """From where to where along `dim` an entry of the segment at `numbers` goes."""
    if dim.role == "rest":
        return 0, dim.extent
    first = build.mul(numbers[dim.order], dim.block)
    return first, build.minimum(build.add(first, dim.block), dim.extent)


def fill(source: Source, bits: Bits, piece: Piece) -> None:
    """Fills the words of `piece` from one line of elements after another; entries are neighbours or lie anywhere."""
    layout = source.layout
    line = layout.line
    by_bit = layout.inner is not line
    inner = layout.inner if by_bit and layout.inner.role != "axis" else None
    numbers = build.delinearize(piece.segment, [dim.count for dim in layout.of("segment")])
    # Also where each word is written once: lines of words that are in the cache before cost the stores less.
    with loop(0, piece.words) as number:
        bits.store(i64(0), piece.word(number))

    def fill_from(run: Index, is_long: bool) -> None:
        with loop(0, piece.words) as number:
            first = build.add(piece.start, build.mul(number, WORD))
            if by_bit:
                word = word_by_bit(source, numbers, inner, run, first)
            else:
                word = word_of_run(source, run, first, line.extent, is_long=is_long)
            bits.add(word, piece.word(number))

    with lines_of(source, numbers, without=inner) as offset:
        run = build.add(offset, build.dot(piece.line, [dim.stride for dim in layout.of("axis")[:-1]]))
        if by_bit:
            fill_from(run, False)
        else:
            by_length(line.extent, lambda is_long: fill_from(run, is_long))


def by_length(length: Index, emit: Callable[[bool], None]) -> None:
    """`emit(is_long)`: decided now where `length` is known, else at run time."""
    if isinstance(length, int):
        emit(length >= WORD)
        return

    def branch(is_long: bool) -> Callable[[], list[ir.Value]]:
        def build_branch() -> list[ir.Value]:
            emit(is_long)
            return []

        return build_branch

    build.choose(build.compare("sge", length, WORD), [], branch(True), branch(False))


def word_by_bit(
    source: Source, numbers: Sequence[Index], inner: Dim | None, run: Index, start: Index
) -> ir.Value:
    """The word of the entries from `start` on, none of which are neighbours; each any of a run along `inner`."""
    line = source.layout.line

    def visit(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        place = build.add(run, build.mul(build.add(start, number), line.stride))
        if inner is None:
            bit = load_bit(source, place)
        else:
            first, last = bounds(inner, numbers)
            bit = arith.extui(
                ir.IntegerType.get_signless(WORD),
                any_of(source, build.add(place, first), run_length(inner, first, last)),
            )
        return [arith.ori(carried[0], arith.shli(bit, as_word(number)))]

    return build.fold(0, build.minimum(build.sub(line.extent, start), WORD), 1, [i64(0)], visit)[0]


def run_length(inner: Dim, first: Index, last: Index) -> Index:
    """How many elements from `first` to `last`, a number where all blocks are whole."""
    extent, block = inner.extent, inner.block
    if inner.role == "segment" and isinstance(extent, int) and isinstance(block, int) and extent % block == 0:
        return block
    return build.sub(last, first)


def any_of(source: Source, start: Index, length: Index) -> ir.Value:
    """Whether any of `length` neighbours from `start` on is live."""
    if isinstance(length, int) and 1 < length <= WORD:
        return vector.reduction(
            ir.IntegerType.get_signless(1),
            vector.CombiningKind.OR,
            is_live(load_vector(source.buffer, start, length)),
        )

    def by_vector() -> list[ir.Value]:
        def visit(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            at = build.minimum(number, build.sub(length, WORD))
            return [arith.ori(carried[0], bits_of(load_vector(source.buffer, build.add(start, at), WORD)))]

        found = build.fold(0, length, WORD, [bits_of(load_vector(source.buffer, start, WORD))], visit)[0]
        live = arith.cmpi(arith.CmpIPredicate.ne, found, build.zero(found.type))
        return [vector.reduction(ir.IntegerType.get_signless(1), vector.CombiningKind.OR, live)]

    def one_by_one() -> list[ir.Value]:
        def visit(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            return [
                arith.ori(carried[0], is_live(memref.load(source.buffer, [value(build.add(start, number))])))
            ]

        return build.fold(0, length, 1, [truth(False)], visit)

    if isinstance(length, int):
        return (by_vector if length >= WORD else one_by_one)()[0]
    return build.choose(build.compare("sge", length, WORD), [truth_type()], by_vector, one_by_one)[0]

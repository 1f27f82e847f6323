"""Live bits of a source whose neighbours in memory belong to neighbouring segments: 64 lines of words are turned."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, loop, value
from pit_mlir.codegen.cpu.live_bits import (
    TILE,
    WORD,
    Bits,
    Source,
    by_length,
    i64,
    lines_of,
    word_of_run,
)


@dataclass(frozen=True)
class Scratch:
    """What one thread needs: `marks`, the words of 64 lines, word after word, and 64 words that were `turned`."""

    marks: ir.Value
    turned: ir.Value


def scratch() -> Scratch:
    """Buffers on the stack, which hold what 64 lines of a tile need."""
    word = ir.IntegerType.get_signless(WORD)
    sizes = (TILE, WORD)
    alignment = ir.IntegerAttr.get(word, 64)
    return Scratch(
        *(memref.alloca(ir.MemRefType.get([size], word), [], [], alignment=alignment) for size in sizes)
    )


@dataclass(frozen=True)
class Strip:
    """Neighbouring segments, from `first` to `last`, behind the outer ones at `numbers`, in a word of their entries.

    The word has the coordinates `line` along the axis, and its lowest bit stands for `start` along the last part of
    it. It is at `place` for segment 0; from one segment to the next it is `words` further.
    """

    numbers: Sequence[Index]
    first: Index
    last: Index
    line: Sequence[Index]
    start: Index
    place: Index
    words: Index

    def at(self, segment: Index) -> Index:
        """Where the word of `segment` is."""
        return build.add(self.place, build.mul(segment, self.words))


def segments_at_once(source: Source) -> Index:
    """How many neighbouring segments are a task: whole ones, of a tile or more."""
    inner = source.layout.inner
    return build.maximum(build.floor_div(TILE, build.maximum(inner.block, 1)), 1)


def fill_turned(source: Source, bits: Bits, strip: Strip, scratch: Scratch) -> None:
    """Fills a word of each segment of `strip`."""
    layout = source.layout
    inner = layout.inner
    with loop(strip.first, strip.last) as segment:
        bits.store(i64(0), strip.at(segment))
    end = build.minimum(build.mul(strip.last, inner.block), inner.extent)
    with loop(build.mul(strip.first, inner.block), end, TILE) as first:
        words = build.ceil_div(build.minimum(build.sub(end, first), TILE), WORD)
        with loop(0, build.mul(words, WORD)) as place:
            memref.store(i64(0), scratch.marks, [place])
        by_length(inner.extent, lambda is_long: mark(source, strip, (first, words), scratch, is_long))
        with loop(0, words) as word:
            turn(scratch, word)
            column = build.add(first, build.mul(word, WORD))
            spread(bits, scratch, strip, inner.block, column, build.minimum(build.sub(end, column), WORD))


def mark(source: Source, strip: Strip, tile: tuple[Index, Index], scratch: Scratch, is_long: bool) -> None:
    """Marks what is live in a tile: of each of its lines so many words from an element on."""
    layout = source.layout
    first, words = tile
    lines = build.minimum(build.sub(layout.line.extent, strip.start), WORD)
    strides = [dim.stride for dim in layout.of("axis")]
    with loop(0, lines) as line, lines_of(source, [*strip.numbers, 0], without=layout.inner) as offset:
        run = build.add(offset, build.dot([*strip.line, build.add(strip.start, line)], strides))
        with loop(0, words) as word:
            column = build.add(first, build.mul(word, WORD))
            live = word_of_run(source, run, column, layout.inner.extent, is_long=is_long)
            place = [value(build.add(build.mul(word, WORD), line))]
            memref.store(arith.ori(memref.load(scratch.marks, place), live), scratch.marks, place)


def turn(scratch: Scratch, word: Index) -> None:
    """The 64 words of the lines become those of the columns: bit c of word l becomes bit l of word c.

    Squares of 2j x 2j bits have two of their quarters exchanged, for j = 32, 16, .. 1: a word keeps one half of its
    bits and takes the other from its partner, j words away.
    """
    type_ = ir.VectorType.get([WORD], ir.IntegerType.get_signless(WORD))
    words = vector.load(type_, scratch.marks, [value(build.mul(word, WORD))])
    for j in (32, 16, 8, 4, 2, 1):
        low = sum(((1 << j) - 1) << start for start in range(0, WORD, 2 * j))
        is_low = [line & j == 0 for line in range(WORD)]
        partners = vector.shuffle(words, words, [line ^ j for line in range(WORD)])
        left = arith.shli(partners, lanes([j if low_one else WORD - j for low_one in is_low]))
        right = arith.shrui(partners, lanes([WORD - j if low_one else j for low_one in is_low]))
        kept = lanes([low if low_one else ~low for low_one in is_low])
        taken = lanes([~low if low_one else low for low_one in is_low])
        words = arith.ori(arith.andi(words, kept), arith.andi(arith.ori(left, right), taken))
    vector.store(words, scratch.turned, [value(0)])


def lanes(numbers: list[int]) -> ir.Value:
    """A constant vector of words."""
    word = ir.IntegerType.get_signless(WORD)
    signed = [number - (1 << WORD) if number >= 1 << (WORD - 1) else number for number in numbers]
    attributes = [ir.IntegerAttr.get(word, number) for number in signed]
    type_ = ir.VectorType.get([len(numbers)], word)
    return arith.constant(type_, ir.DenseElementsAttr.get(attributes, type_))


def spread(bits: Bits, scratch: Scratch, strip: Strip, block: Index, column: Index, columns: Index) -> None:
    """Sets the turned bits of `columns` columns from `column` on in the words of their segments."""
    if isinstance(block, int) and block == 1:
        with loop(0, columns) as place:
            bits.store(memref.load(scratch.turned, [place]), strip.at(build.add(column, place)))
        return
    end = build.add(column, columns)
    with loop(build.floor_div(column, block), build.ceil_div(end, block)) as segment:
        low = build.maximum(build.mul(segment, block), column)
        high = build.minimum(build.mul(build.add(segment, 1), block), end)

        def visit(place: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            word = memref.load(scratch.turned, [value(build.sub(place, column))])
            return [arith.ori(carried[0], word)]

        bits.add(build.fold(low, high, 1, [i64(0)], visit)[0], strip.at(segment))

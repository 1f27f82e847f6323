"""Lists of the live entries from their bits: counted, given places, and written, each part by one thread."""

from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, memref, vector, x86
from pit_mlir.codegen.cpu import build
from pit_mlir.codegen.cpu.build import Index, loop, value
from pit_mlir.codegen.cpu.index_buffers import as_i32
from pit_mlir.codegen.cpu.live_bits import WORD, Bits, Piece, i64

PIECE = 64
"""Words that are counted as one and listed at once: 4096 entries, which the first cache holds."""
LANES = 16
"""Coordinates that a vector register holds where a processor packs them together."""


@dataclass(frozen=True)
class Lists:
    """Where the index goes; `rows` is None where it is the same as `entries`, or nobody asks for it."""

    begin: ir.Value
    count: ir.Value
    entries: ir.Value
    rows: ir.Value | None
    capacity: Index
    has_compress: bool


@dataclass(frozen=True)
class Buffers:
    """What a thread needs to list a piece: its words that hold any bit, by number, and the entries, `packed`.

    They are packed here, where vectors may overlap, since stores that miss the caches should be few.
    """

    words: ir.Value
    packed: ir.Value

    @classmethod
    def alloca(cls) -> "Buffers":
        """Buffers on the stack; vectors of entries go over the end of a piece."""
        index, i32 = ir.IndexType.get(), ir.IntegerType.get_signless(32)
        alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64)
        types = (ir.MemRefType.get([PIECE], index), ir.MemRefType.get([PIECE * WORD + LANES], i32))
        return cls(*(memref.alloca(type_, [], [], alignment=alignment) for type_ in types))


def ones(word: ir.Value) -> ir.Value:
    """How many bits of a word are set, as an index."""
    return arith.index_castui(ir.IndexType.get(), math.ctpop(word))


def count_ones(bits: Bits, piece: Piece) -> ir.Value:
    """How many bits of `piece` are set."""

    def visit(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], math.ctpop(bits.load(piece.word(number))))]

    return arith.index_castui(ir.IndexType.get(), build.fold(0, piece.words, 1, [i64(0)], visit)[0])


def give_places(lists: Lists, starts: ir.Value, segments: Index, pieces: Index) -> ir.Value:
    """Lets each piece start where the one before it ends, by their numbers in `starts`; returns the end of the last."""

    def visit_segment(segment: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        memref.store(as_i32(carried[0]), lists.begin, [segment])

        def visit_piece(piece: ir.Value, inside: list[ir.Value]) -> list[ir.Value]:
            place = [value(build.add(build.mul(segment, pieces), piece))]
            length = memref.load(starts, place)
            memref.store(inside[0], starts, place)
            return [arith.addi(inside[0], length)]

        end = build.fold(0, pieces, 1, carried, visit_piece)[0]
        memref.store(as_i32(arith.subi(end, carried[0])), lists.count, [segment])
        return [end]

    return build.fold(0, segments, 1, [value(0)], visit_segment)[0]


def write(lists: Lists, bits: Bits, piece: Piece, start: ir.Value, buffers: Buffers) -> None:
    """Lists the set bits of `piece` from place `start` on."""
    length = pack(bits, piece, buffers, has_compress=lists.has_compress)
    row = build.add(build.mul(piece.segment, lists.capacity), piece.entry)
    copy(lists, buffers.packed, start, length, piece.entry, row)


def pack(bits: Bits, piece: Piece, buffers: Buffers, *, has_compress: bool) -> ir.Value:
    """Lists the set bits of `piece`, counted from its first, in the buffer of the thread; returns how many there are.

    Words that hold any are listed first, since whether a word does cannot be predicted.
    """
    index = ir.IndexType.get()

    def visit_word(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        memref.store(number, buffers.words, carried)
        some = arith.cmpi(arith.CmpIPredicate.ne, bits.load(piece.word(number)), i64(0))
        return [arith.addi(carried[0], arith.index_castui(index, some))]

    def visit_live(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        word_number = memref.load(buffers.words, [number])
        pack_word = pack_lanes if has_compress else pack_one_by_one
        word = bits.load(piece.word(word_number))
        return [pack_word(buffers.packed, word, build.mul(word_number, WORD), carried[0])]

    live = build.fold(0, piece.words, 1, [value(0)], visit_word)[0]
    return build.fold(0, live, 1, [value(0)], visit_live)[0]


def pack_lanes(packed: ir.Value, word: ir.Value, first: Index, place: ir.Value) -> ir.Value:
    """Lists the set bits of `word`, the lowest of which stands for entry `first`; returns the next place.

    `LANES` bits at once; what a vector holds behind its last entry is overwritten by the next.
    """
    i32, i16 = ir.IntegerType.get_signless(32), ir.IntegerType.get_signless(LANES)
    type_ = ir.VectorType.get([LANES], i32)
    numbers = arith.constant(
        type_, ir.DenseElementsAttr.get([ir.IntegerAttr.get(i32, lane) for lane in range(LANES)], type_)
    )
    truths = ir.VectorType.get([LANES], ir.IntegerType.get_signless(1))
    for step in range(0, WORD, LANES):
        some = arith.trunci(i16, arith.shrui(word, i64(step)))
        mask = vector.bitcast(truths, vector.broadcast(ir.VectorType.get([1], i16), some))
        entries = arith.addi(numbers, build.splat(as_i32(build.add(first, step)), LANES))
        vector.store(x86.avx512_mask_compress(mask, entries), packed, [place])
        place = arith.addi(place, ones(arith.extui(ir.IntegerType.get_signless(WORD), some)))
    return place


def pack_one_by_one(packed: ir.Value, word: ir.Value, first: Index, place: ir.Value) -> ir.Value:
    """As `pack_lanes`, by the lowest bit that is left."""

    def visit(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        left, here = carried
        lowest = arith.index_castui(ir.IndexType.get(), math.cttz(left))
        memref.store(as_i32(build.add(first, lowest)), packed, [here])
        return [arith.andi(left, arith.subi(left, i64(1))), value(build.add(here, 1))]

    return build.fold(0, ones(word), 1, [word, place], visit)[1]


def copy(lists: Lists, packed: ir.Value, start: ir.Value, length: ir.Value, entry: Index, row: Index) -> None:
    """Copies `length` packed entries to their places from `start` on; the first bit stands for `entry` and `row`."""
    whole = build.mul(build.floor_div(length, LANES), LANES)
    type_ = ir.VectorType.get([LANES], ir.IntegerType.get_signless(32))
    targets = [(lists.entries, as_i32(entry))]
    if lists.rows is not None:
        targets.append((lists.rows, as_i32(row)))
    with loop(0, whole, LANES) as number:
        found = vector.load(type_, packed, [number])
        for target, first in targets:
            place = [value(build.add(start, number))]
            vector.store(arith.addi(found, build.splat(first, LANES)), target, place)
    with loop(whole, length) as number:
        one = memref.load(packed, [number])
        for target, first in targets:
            memref.store(arith.addi(one, first), target, [value(build.add(start, number))])

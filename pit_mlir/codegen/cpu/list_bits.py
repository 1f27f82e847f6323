"""Lists of the live entries from their bits: counted, given places, and written, each part by one thread."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, llvm, math, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, loop, value
from pit_mlir.codegen.cpu.live_bits import Bits, Piece, i64
from pit_mlir.codegen.index_buffers import WORD, as_i32
from pit_mlir.target import Host

PIECE = 64
"""Words that are counted as one and listed at once: 4096 entries, which the first cache holds."""
LANES = 16
"""Entries that are copied to their places at once."""
PACKED_BITS = 16
"""Entries of a piece, counted from its first, are small."""


@dataclass(frozen=True)
class Packing:
    """How a processor brings the numbers of set bits together: so many `lanes` at once, of `bits` each.

    With one lane it takes one after another.
    """

    lanes: int
    bits: int

    @classmethod
    def of(cls, host: Host) -> "Packing":
        """The best that `host` can."""
        if host.architecture != "x86_64" or host.vector_bits < 512:
            return cls(1, PACKED_BITS)
        bits = PACKED_BITS if "avx512_vbmi2" in host.features else 32
        return cls(host.vector_bits // bits, bits)


@dataclass(frozen=True)
class Lists:
    """Where the index goes; `rows` is None where it is the same as `entries`, or nobody asks for it."""

    begin: ir.Value
    count: ir.Value
    entries: ir.Value
    rows: ir.Value | None
    capacity: Index
    packing: Packing


@dataclass(frozen=True)
class Buffers:
    """What a thread needs to list a piece: its words that hold any bit, by number, and the entries, `packed`.

    They are packed here, where vectors may overlap, since stores that miss the caches should be few.
    """

    words: ir.Value
    packed: ir.Value

    @classmethod
    def alloca(cls, packing: Packing) -> "Buffers":
        """Buffers on the stack; vectors of entries go over the end of a piece."""
        index, entry = ir.IndexType.get(), ir.IntegerType.get_signless(packing.bits)
        size = PIECE * WORD + packing.lanes
        alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64)
        types = (ir.MemRefType.get([PIECE], index), ir.MemRefType.get([size], entry))
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
    length = pack(bits, piece, buffers, lists.packing)
    row = build.add(build.mul(piece.segment, lists.capacity), piece.entry)
    copy(lists, buffers.packed, start, length, piece.entry, row)


def pack(bits: Bits, piece: Piece, buffers: Buffers, packing: Packing) -> ir.Value:
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
        pack_word = pack_lanes if packing.lanes > 1 else pack_one_by_one
        word = bits.load(piece.word(word_number))
        return [pack_word(packing, buffers.packed, word, build.mul(word_number, WORD), carried[0])]

    live = build.fold(0, piece.words, 1, [value(0)], visit_word)[0]
    return build.fold(0, live, 1, [value(0)], visit_live)[0]


def pack_lanes(packing: Packing, packed: ir.Value, word: ir.Value, first: Index, place: ir.Value) -> ir.Value:
    """Lists the set bits of `word`, the lowest of which stands for entry `first`; returns the next place.

    As many as `packing` has lanes at once; what a vector holds behind its last entry is overwritten by the next.
    """
    lanes = packing.lanes
    integer = ir.IntegerType.get_signless(packing.bits)
    some_bits = ir.IntegerType.get_signless(lanes)
    type_ = ir.VectorType.get([lanes], integer)
    numbers = arith.constant(
        type_, ir.DenseElementsAttr.get([ir.IntegerAttr.get(integer, lane) for lane in range(lanes)], type_)
    )
    truths = ir.VectorType.get([lanes], ir.IntegerType.get_signless(1))
    for step in range(0, WORD, lanes):
        some = arith.trunci(some_bits, arith.shrui(word, i64(step)))
        mask = vector.bitcast(truths, vector.broadcast(ir.VectorType.get([1], some_bits), some))
        start = arith.index_cast(integer, value(build.add(first, step)))
        entries = arith.addi(numbers, build.splat(start, lanes))
        vector.store(compressed(entries, mask), packed, [place])
        place = arith.addi(place, ones(arith.extui(ir.IntegerType.get_signless(WORD), some)))
    return place


def compressed(elements: ir.Value, mask: ir.Value) -> ir.Value:
    """The elements where `mask` holds, one next to another."""
    call = llvm.CallIntrinsicOp(
        elements.type, "llvm.x86.avx512.mask.compress", [elements, build.zero(elements.type), mask], [], []
    )
    return call.operation.results[0]


def pack_one_by_one(
    packing: Packing, packed: ir.Value, word: ir.Value, first: Index, place: ir.Value
) -> ir.Value:
    """As `pack_lanes`, by the lowest bit that is left."""

    def visit(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        left, here = carried
        lowest = arith.index_castui(ir.IndexType.get(), math.cttz(left))
        entry = arith.index_cast(ir.IntegerType.get_signless(packing.bits), value(build.add(first, lowest)))
        memref.store(entry, packed, [here])
        return [arith.andi(left, arith.subi(left, i64(1))), value(build.add(here, 1))]

    return build.fold(0, ones(word), 1, [word, place], visit)[1]


def widened(packed: ir.Value) -> ir.Value:
    """Packed entries as i32."""
    i32 = ir.IntegerType.get_signless(32)
    shape = ir.VectorType(packed.type).shape if isinstance(packed.type, ir.VectorType) else None
    type_ = i32 if shape is None else ir.VectorType.get(shape, i32)
    return packed if packed.type == type_ else arith.extui(type_, packed)


def copy(lists: Lists, packed: ir.Value, start: ir.Value, length: ir.Value, entry: Index, row: Index) -> None:
    """Copies `length` packed entries to their places from `start` on; the first bit stands for `entry` and `row`.

    Whole vectors go to whole cache lines: a store that crosses from one to the next takes twice as long.
    """
    targets = [(lists.entries, as_i32(entry))]
    if lists.rows is not None:
        targets.append((lists.rows, as_i32(row)))
    some = copy_some if lists.packing.lanes > 1 else copy_one_by_one
    to_line = build.remainder(build.sub(LANES, build.remainder(start, LANES)), LANES)
    head = build.minimum(length, to_line)
    rest = build.sub(length, head)
    whole = build.add(head, build.mul(build.floor_div(rest, LANES), LANES))
    some(targets, packed, start, 0, head)
    with loop(head, whole, LANES) as number:
        found = load_packed(packed, number)
        for target, first in targets:
            place = [value(build.add(start, number))]
            vector.store(arith.addi(found, build.splat(first, LANES)), target, place)
    some(targets, packed, start, whole, length)


Targets = Sequence[tuple[ir.Value, ir.Value]]
"""Buffers, and what their entries are counted from."""


def load_packed(packed: ir.Value, number: Index) -> ir.Value:
    """A vector of packed entries, as i32; behind the last one it holds anything."""
    type_ = ir.VectorType.get([LANES], ir.MemRefType(packed.type).element_type)
    return widened(vector.load(type_, packed, [value(number)]))


def copy_some(targets: Targets, packed: ir.Value, start: ir.Value, begin: Index, end: Index) -> None:
    """Copies the packed entries from `begin` to `end`, fewer than a vector holds."""
    mask_type = ir.VectorType.get([LANES], ir.IntegerType.get_signless(1))
    mask = vector.create_mask(mask_type, [value(build.sub(end, begin))])
    found = load_packed(packed, begin)
    for target, first in targets:
        numbers = arith.addi(found, build.splat(first, LANES))
        vector.maskedstore(target, [value(build.add(start, begin))], mask, numbers)


def copy_one_by_one(targets: Targets, packed: ir.Value, start: ir.Value, begin: Index, end: Index) -> None:
    """As `copy_some`, for processors without masks."""
    with loop(begin, end) as number:
        one = widened(memref.load(packed, [number]))
        for target, first in targets:
            memref.store(arith.addi(one, first), target, [value(build.add(start, number))])

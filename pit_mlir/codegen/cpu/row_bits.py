"""What is live in a matrix, one bit an element: counts and lists for micro-tiles of any height come from it.

A word of bits is 64 neighbours of a row, and so a micro-tile of its own: of lists of rows for parts of the depth.

The matrix is read once, as it lies in memory; the bits are 1/32 of it (of f32), so that the micro-tiles of several
heights are counted before a list is made, and only that of the height that was picked is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, llvm, math, memref, vector
from pit_mlir.codegen.brackets import allocate, read, sizes
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    fold,
    loop,
    minimum,
    mul,
    parallel,
    product,
    sub,
    sum_over,
    value,
    when,
    zero,
)
from pit_mlir.codegen.cpu.contract_views import first_lanes, flat_buffer
from pit_mlir.codegen.cpu.live_bits import live_word
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.index_buffers import WORD, IndexBuffers, MicroTile, RowBits, as_i32, floor_of

LANES = 8
"""Words of a vector: a row of bits is whole vectors of them."""
PIECE = 16
"""RowBits that become entries at once."""
ELEMENTS_OF_WORK = 8
"""Elements that are compared in the time of one simple operation on one."""


def words_type() -> ir.VectorType:
    """A vector of words."""
    return ir.VectorType.get([LANES], ir.IntegerType.get_signless(WORD))


def row_bits(source: ir.Value, wanted: Index = 1) -> RowBits:
    """The bits of a tensor whose rows lie along its last dimension; no row is looked at where `wanted` is 0."""
    return counted_bits(source, (), wanted)[0]


def counted_bits(
    source: ir.Value, tiles: Sequence[MicroTile], wanted: Index = 1
) -> tuple[RowBits, dict[MicroTile, Index]]:
    """As `row_bits`, and how many micro-tiles of each of the shapes `tiles` are live: counted while in the cache."""
    *outer, rows, steps = sizes(source)
    buffer, base, _ = flat_buffer(read(source))
    words = ceil_div(steps, WORD)
    pitch = mul(ceil_div(words, LANES), LANES)
    matrices = product([*outer, wanted])
    i64 = ir.IntegerType.get_signless(WORD)
    bits = RowBits(allocate([product([matrices, rows, pitch])], i64), pitch, tuple(outer), rows, steps)
    none, whole = arith.constant(i64, 0), floor_of(steps, WORD)
    tall = max((tile.rows for tile in tiles), default=1)
    groups = mul(matrices, ceil_div(rows, tall))
    counts = Counts.of(tiles, groups)
    work = ceil_div(mul(steps, tall), ELEMENTS_OF_WORK)
    with chunks(groups, rows_at_once(work)) as (start, stop), loop(start, stop) as group:
        first_row, there = bits.place(group, tall)
        with loop(first_row, add(first_row, there)) as row:
            first, target = add(base, mul(row, steps)), mul(row, pitch)
            with loop(0, whole) as word:
                found = live_word(buffer, add(first, mul(word, WORD)), None)
                memref.store(found, bits.buffer, [value(add(target, word))])
            with loop(whole, words) as word:
                at = mul(word, WORD)
                found = live_word(buffer, add(first, at), first_lanes(sub(steps, at), WORD))
                memref.store(found, bits.buffer, [value(add(target, word))])
            with loop(words, pitch) as word:
                memref.store(none, bits.buffer, [value(add(target, word))])
        counts.add(bits, group, first_row, there)
    return bits, counts.totals()


@dataclass(frozen=True)
class Counts:
    """How many micro-tiles of each shape are live: a number for each of `groups` groups of rows, which are added up."""

    buffers: Mapping[MicroTile, ir.Value]
    groups: Index

    @staticmethod
    def of(tiles: Sequence[MicroTile], groups: Index) -> "Counts":
        """Room for the numbers."""
        return Counts({tile: allocate([groups], ir.IndexType.get()) for tile in tiles}, groups)

    def add(self, bits: RowBits, group: Index, first: Index, rows: Index) -> None:
        """Counts in the `rows` rows of `bits` from `first` on, which are group number `group`."""
        for tile, buffer in self.buffers.items():

            def count(at: ir.Value, carried: list[ir.Value], tile: MicroTile = tile) -> list[ir.Value]:
                entries = count_tile(bits, add(first, at), minimum(tile.rows, sub(rows, at)))
                return [arith.addi(carried[0], entries)]

            is_parts = tile.steps == WORD
            found = (
                count_words(bits, first, rows) if is_parts else fold(0, rows, tile.rows, [value(0)], count)[0]
            )
            memref.store(found, buffer, [value(group)])

    def totals(self) -> dict[MicroTile, Index]:
        """The sums over all groups."""
        return {
            tile: sum_over(self.groups, lambda number, buffer=buffer: memref.load(buffer, [number]))
            for tile, buffer in self.buffers.items()
        }


def joined(bits: RowBits, row: Index, rows: Index, word: Index) -> ir.Value:
    """A vector of words from `word` on in which a bit is set that is set in any of `rows` rows from `row` on."""

    def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        place = add(mul(add(row, number), bits.pitch), word)
        return [arith.ori(carried[0], vector.load(words_type(), bits.buffer, [value(place)]))]

    return fold(0, rows, 1, [zero(words_type())], step)[0]


def total(words: ir.Value) -> ir.Value:
    """The sum of the elements of a vector of words, as an index."""
    i64 = ir.IntegerType.get_signless(WORD)
    return arith.index_cast(ir.IndexType.get(), vector.reduction(i64, vector.CombiningKind.ADD, words))


def count_tile(bits: RowBits, row: Index, rows: Index) -> ir.Value:
    """How many entries the block of `rows` rows from `row` on has."""

    def vector_of_words(word: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], math.ctpop(joined(bits, row, rows, word)))]

    return total(fold(0, bits.pitch, LANES, [zero(words_type())], vector_of_words)[0])


def list_live(bits: RowBits, block: int) -> IndexBuffers:
    """The index of the live micro-tiles for blocks of `block` rows: segments in parallel, entries ascending."""
    segments, i32 = product(bits.segments(block)), ir.IntegerType.get_signless(32)
    begin, count = allocate([segments], i32), allocate([segments], i32)
    # Whole pieces are stored: behind the last entry of a segment there is room for one.
    capacity = add(mul(bits.pitch, WORD), PIECE)
    entries = allocate([mul(segments, capacity)], i32)
    kept = allocate([segments, bits.pitch], ir.IntegerType.get_signless(WORD))
    with (
        chunks(segments, rows_at_once(mul(bits.pitch, 4 * block))) as (start, stop),
        loop(start, stop) as segment,
    ):
        base = mul(segment, capacity)
        memref.store(as_i32(base), begin, [segment])
        first, rows = bits.place(segment, block)

        def vector_of_words(word: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            pieces_type = ir.VectorType.get([LANES * WORD // PIECE], ir.IntegerType.get_signless(PIECE))
            words = joined(bits, first, rows, word)
            vector.store(words, kept, [segment, word])
            pieces = vector.bitcast(pieces_type, words)
            place = carried[0]
            for number in range(LANES * WORD // PIECE):
                piece = vector.extract(pieces, [], [number])
                place = put(piece, add(mul(word, WORD), number * PIECE), entries, place)
            return [place]

        end = fold(0, bits.pitch, LANES, [value(base)], vector_of_words)[0]
        memref.store(as_i32(sub(end, base)), count, [segment])
    extents = (*bits.segments(block), bits.steps)
    none = value(0)
    return IndexBuffers(begin, count, entries, entries, none, extents, kept)


def put(piece: ir.Value, coordinate: Index, entries: ir.Value, place: ir.Value) -> ir.Value:
    """Writes the coordinates of the bits of `piece`, the first of which is `coordinate`; returns where they end."""
    i1, i32 = ir.IntegerType.get_signless(1), ir.IntegerType.get_signless(32)
    type_ = ir.VectorType.get([PIECE], i32)
    as_vector = vector.broadcast(ir.VectorType.get([1], piece.type), piece)
    mask = vector.bitcast(ir.VectorType.get([PIECE], i1), as_vector)
    steps = ir.DenseElementsAttr.get([ir.IntegerAttr.get(i32, n) for n in range(PIECE)], type_)
    coordinates = arith.addi(arith.constant(type_, steps), vector.broadcast(type_, as_i32(coordinate)))
    packed = llvm.call_intrinsic(
        type_, "llvm.experimental.vector.compress", [coordinates, mask, zero(type_)], [], []
    )
    vector.store(packed, entries, [place])
    here = arith.index_castui(ir.IndexType.get(), math.ctpop(piece))
    return arith.addi(place, here)


def segments_of_parts(bits: RowBits) -> tuple[Index, ...]:
    """How many lists of rows there are: for each outer dimension, and for each word of a row."""
    return (*bits.outer, ceil_div(bits.steps, WORD))


def live_words(bits: RowBits, place: Index) -> ir.Value:
    """1 for each of a vector of words, from `place` on, that has a bit, else 0."""
    words = vector.load(words_type(), bits.buffer, [value(place)])
    return arith.extui(words_type(), arith.cmpi(arith.CmpIPredicate.ne, words, zero(words_type())))


def count_words(bits: RowBits, first: Index, rows: Index) -> ir.Value:
    """The live words of `rows` rows from `first` on: each is an entry of a list of rows for its part of the depth."""

    def vector_of_words(place: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], live_words(bits, place))]

    # Rows lie one behind the other, whole vectors each.
    places = (mul(first, bits.pitch), mul(add(first, rows), bits.pitch))
    return total(fold(*places, LANES, [zero(words_type())], vector_of_words)[0])


def list_parts(bits: RowBits) -> IndexBuffers:
    """The index of the rows that are live in each part of the depth, which is a word; entries ascend.

    A task owns the words of one vector, which are a line of the cache, and passes the rows once. Each row is written to
    all of its lists, and remains where it is live: there is no branch.
    """
    i32, index = ir.IntegerType.get_signless(32), ir.IndexType.get()
    segments = segments_of_parts(bits)
    words, matrices = segments[-1], product(bits.outer)
    begin, count = allocate([product(segments)], i32), allocate([product(segments)], i32)
    entries = allocate([product([matrices, bits.pitch, bits.rows])], i32)
    vectors = floor_of(bits.pitch, LANES)
    with parallel(mul(matrices, vectors)) as task:
        matrix, number = delinearize(task, [matrices, vectors])
        word = mul(number, LANES)
        lists = mul(add(mul(matrix, bits.pitch), word), bits.rows)
        bases = [value(add(lists, mul(lane, bits.rows))) for lane in range(LANES)]
        first = mul(matrix, bits.rows)

        def put_row(row: ir.Value, places: list[ir.Value]) -> list[ir.Value]:
            live = live_words(bits, add(mul(add(first, row), bits.pitch), word))
            entry = as_i32(row)
            following: list[ir.Value] = []
            for lane, place in enumerate(places):
                memref.store(entry, entries, [place])
                here = arith.index_castui(index, vector.extract(live, [], [lane]))
                following.append(arith.addi(place, here))
            return following

        ends = fold(0, bits.rows, 1, bases, put_row)
        for lane, (base, end) in enumerate(zip(bases, ends, strict=True)):
            with when(compare("slt", add(word, lane), words)):
                segment = value(add(mul(matrix, words), add(word, lane)))
                memref.store(as_i32(base), begin, [segment])
                memref.store(as_i32(sub(end, base)), count, [segment])
    return IndexBuffers(begin, count, entries, entries, value(0), (*segments, bits.rows))

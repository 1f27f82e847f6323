"""Bits of a part of a matrix, by which it is decided whether any more of it is looked at.

A list is worth making only where much is 0, and to read all of a matrix may cost as much as the product does: that of
few rows with a large weight. So windows of some blocks of rows are looked at, enough of them to tell how many
micro-tiles are live; which ones differs from block to block, so that bands, diagonals and columns of zeros are met as
often as they are there. All bits are made where a list is followed. The choice depends on values alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.brackets import allocate, read, sizes
from pit_mlir.codegen.build import (
    Index,
    add,
    bytes_of,
    ceil_div,
    compare,
    either,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    product,
    remainder,
    select,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_views import first_lanes, flat_buffer
from pit_mlir.codegen.cpu.live_bits import load_vector, word_of
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.cpu.row_bits import ELEMENTS_OF_WORK, LANES, WORD, Counts, counted_bits, row_bits
from pit_mlir.codegen.index_buffers import MicroTile, RowBits, Sample, floor_of
from pit_mlir.target import LINE_BYTES

WINDOW = LANES * WORD
"""Steps of a window: a vector of words."""
WINDOWS = 32
"""Windows of a block of rows that are looked at: half a million elements tell shares to a hundredth."""
ALL = 2 * WINDOWS
"""Of so many windows nothing is left out: what is saved would not be noticed."""
GOLDEN = 40503
"""2**16 over the golden ratio: multiples of it, modulo 2**16, are spread evenly however many they are."""


def all_bits(sample: Sample) -> RowBits:
    """All bits of what `sample` is of: made now, unless they are at hand."""
    if isinstance(sample.is_all, bool):
        return sample.bits if sample.is_all else row_bits(sample.source)
    made = row_bits(sample.source, select(sample.is_all, 0, 1))
    return replace(made, buffer=arith.select(sample.is_all, sample.bits.buffer, made.buffer))


def sample_of(source: ir.Value, tiles: Sequence[MicroTile], everything: bool | ir.Value) -> Sample:
    """What `source`, whose rows lie along its last dimension, has of live micro-tiles of the shapes `tiles`.

    All of it is looked at if `everything`, or if it is small; else windows, the same ones for all rows of a block,
    which has as many as the highest micro-tile.
    """
    *outer, rows, steps = sizes(source)
    block = max((tile.rows for tile in tiles), default=1)
    windows = ceil_div(steps, WINDOW)
    blocks = product([*outer, ceil_div(rows, block)])
    every = mul(blocks, windows)
    is_small = every <= ALL if isinstance(every, int) else compare("sle", every, ALL)
    is_all = either_of(is_small, everything)
    if is_all is True:
        return Sample(source, *counted_bits(source, tiles), True)
    # What is looked at as a whole is nothing of the rest.
    whole, counts = counted_bits(source, tiles, select(is_all, 1, 0) if isinstance(is_all, ir.Value) else 0)
    some = maximum(minimum(blocks, WINDOWS), 1)
    taken = minimum(windows, ceil_div(WINDOWS, some))
    wanted = select(is_all, 0, some) if isinstance(is_all, ir.Value) else some
    seen = count_windows(whole, source, tiles, wanted, taken)
    scaled = {tile: floor_of(mul(count, every), mul(some, taken)) for tile, count in seen.items()}
    if isinstance(is_all, ir.Value):
        scaled = {tile: select(is_all, counts[tile], count) for tile, count in scaled.items()}
    return Sample(source, whole, scaled, is_all)


def either_of(one: bool | ir.Value, other: bool | ir.Value) -> bool | ir.Value:
    """Whether one of both holds."""
    if isinstance(one, bool):
        return True if one else other
    if isinstance(other, bool):
        return True if other else one
    return arith.ori(one, other)


def count_windows(
    whole: RowBits, source: ir.Value, tiles: Sequence[MicroTile], some: Index, taken: Index
) -> dict[MicroTile, Index]:
    """The live micro-tiles of `taken` windows of each row of `some` blocks of the matrices that `whole` is of."""
    block = max((tile.rows for tile in tiles), default=1)
    windows, blocks = ceil_div(whole.steps, WINDOW), product(whole.segments(block))
    pitch = mul(taken, LANES)
    buffer = allocate([value(mul(mul(some, block), pitch))], ir.IntegerType.get_signless(WORD))
    bits = RowBits(buffer, pitch, (1,), mul(some, block), whole.steps)
    counts = Counts.of(tiles, some)
    values, base, _ = flat_buffer(read(source))
    apart = floor_of(windows, taken)
    work = ceil_div(mul(taken, block * WINDOW), ELEMENTS_OF_WORK)
    with chunks(some, rows_at_once(work)) as (start, stop), loop(start, stop) as number:
        segment = floor_of(mul(number, blocks), some)
        first_row, there = whole.place(segment, block)
        drawn = remainder(mul(number, GOLDEN), 1 << 16)
        first = floor_div(mul(drawn, windows), 1 << 16)
        with loop(0, block) as row, loop(0, taken) as which:
            window = remainder(add(first, mul(which, apart)), windows)
            begin = mul(window, WINDOW)
            place = add(base, add(mul(add(first_row, row), whole.steps), begin))
            target = add(mul(add(mul(number, block), row), pitch), mul(which, LANES))
            is_there = compare("slt", row, there)
            steps = select(is_there, minimum(WINDOW, sub(whole.steps, begin)), 0)
            fill_window(buffer, values, place, target, steps, whole.steps)
        counts.add(bits, number, mul(number, block), block)
    return counts.totals()


def fill_window(
    bits: ir.Value, values: ir.Value, place: Index, target: Index, steps: Index, pitch: Index
) -> None:
    """Writes the words of a window from `place` on to `bits`, from `target` on; `steps` elements are there.

    The window of the next row, `pitch` elements on, is asked for: nothing else would bring it in time.
    """
    per_line = LINE_BYTES // bytes_of(ir.MemRefType(values.type).element_type)

    def inside() -> None:
        for lane in range(LANES):
            first = add(place, lane * WORD)
            for line in range(0, WORD, per_line):
                memref.prefetch(values, [value(add(add(first, pitch), line))], False, 3, True)
            word = word_of(load_vector(values, first, WORD))
            memref.store(word, bits, [value(add(target, lane))])

    def at_the_end() -> None:
        with loop(0, LANES) as lane:
            at = mul(lane, WORD)
            mask = first_lanes(sub(steps, at), WORD)
            word = word_of(load_vector(values, add(place, at), WORD, mask))
            memref.store(word, bits, [value(add(target, lane))])

    either(compare("sge", steps, WINDOW), inside, at_the_end)

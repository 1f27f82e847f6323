"""Lists in no order, in one reading of what is looked at: a warp takes places for what it has found live by one atomic
addition.

What ascending lists take beside is not needed: bits are neither written nor read, and no kernel counts them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pit_mlir.bindings import arith, ir, math, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, truth_type, when
from pit_mlir.codegen.gpu.launch import MOST_BLOCKS, THREADS, WARP, atomic_add, ballot, each, launch, shuffle
from pit_mlir.codegen.gpu.listing import Lists
from pit_mlir.codegen.gpu.live import BYTE, Bits, Source, live_byte
from pit_mlir.codegen.index_buffers import as_i32

BYTES = 2
"""Bytes of eight entries that a thread looks at before its warp takes places for all of them."""


def may_list_unordered(source: Source, lists: Lists, room: Index) -> bool:
    """Whether each of `room` lists has a place of its own, and the entries of a warp are those of one segment."""
    has_room = not lists.is_flat or (isinstance(room, int) and room == 1)
    return has_room and not source.layout.is_across


def list_unordered(source: Source, bits: Bits, lists: Lists, room: Index) -> None:
    """Builds the kernels that fill `room` `lists` with the live entries of `source`; `bits` says how these count."""
    i32 = ir.IntegerType.get_signless(32)
    with each(room) as segment:
        memref.store(as_i32(build.mul(segment, lists.capacity)), lists.begin, [segment])
        memref.store(arith.constant(i32, 0), lists.count, [segment])
    tasks = build.ceil_div(bits.bytes_of_segment, WARP * BYTES)
    count = build.mul(bits.segments, tasks)
    warps = THREADS // WARP
    with launch(build.minimum(build.ceil_div(count, warps), MOST_BLOCKS)) as grid:
        first = build.add(build.mul(grid.block, warps), grid.warp)
        # All lanes of a warp go the same way: they vote.
        with build.loop(first, count, build.mul(grid.blocks, warps)) as number:
            segment, task = build.delinearize(number, [bits.segments, tasks])
            found: list[Found] = []
            for step in range(BYTES):
                byte = build.add(build.mul(task, WARP * BYTES), build.add(step * WARP, grid.lane))
                found += look_at(source, bits, segment, byte)
            take_places(lists, segment, found, grid.lane)


class Found(NamedTuple):
    """An entry of each lane: its number, whether it is live, and a bit for each lane that says so of its own."""

    entry: Index
    is_live: ir.Value
    votes: ir.Value


def look_at(source: Source, bits: Bits, segment: Index, byte: Index) -> Iterator[Found]:
    """The eight entries of the `byte`-th byte of a segment; none is live of one behind the last."""
    layout = source.layout
    point = build.delinearize(segment, [dim.count for dim in layout.of("segment")])
    lines = [*(dim.extent for dim in layout.of("axis")[:-1]), bits.bytes_of_line]
    i8 = ir.IntegerType.get_signless(8)

    def look() -> list[ir.Value]:
        *line, place = build.delinearize(byte, lines)
        return [live_byte(source, point, line, build.mul(place, BYTE))]

    is_inside = build.is_less(byte, bits.bytes_of_segment)
    [eight] = build.choose(is_inside, [i8], look, lambda: [arith.constant(i8, 0)])
    entry = bits.entry(byte)
    for bit in range(BYTE):
        is_live = arith.trunci(truth_type(), arith.shrui(eight, arith.constant(i8, bit)))
        yield Found(build.add(entry, bit), is_live, ballot(is_live))


def take_places(lists: Lists, segment: Index, found: Sequence[Found], lane: ir.Value) -> None:
    """Writes the entries that are live."""
    i32 = ir.IntegerType.get_signless(32)
    starts = [arith.constant(i32, 0)]
    for one in found:
        starts.append(arith.addi(starts[-1], math.ctpop(one.votes)))
    any_live = arith.cmpi(arith.CmpIPredicate.ne, starts[-1], starts[0])
    with when(any_live):
        is_first = build.compare("eq", lane, 0)
        [taken] = build.choose(
            is_first,
            [i32],
            lambda: [atomic_add(starts[-1], lists.count, [segment])],
            lambda: [arith.constant(i32, 0)],
        )
        base = arith.addi(shuffle(taken, 0, "idx"), as_i32(build.mul(segment, lists.capacity)))
        one = arith.constant(i32, 1)
        before = arith.subi(arith.shli(one, as_i32(lane)), one)
        for (entry, is_live, votes), start in zip(found, starts[:-1], strict=True):
            with when(is_live):
                inside = math.ctpop(arith.andi(votes, before))
                at = arith.index_cast(ir.IndexType.get(), arith.addi(arith.addi(base, start), inside))
                memref.store(as_i32(entry), lists.entries, [at])
                if lists.rows is not None:
                    row = build.add(build.mul(segment, lists.capacity), entry)
                    memref.store(as_i32(row), lists.rows, [at])

"""From a bit for each entry to lists: ascending, segment after segment, the same in every run.

A block of threads lists a part of a segment, each thread the set bits of a byte of it. Where it begins follows from how
many bits are set before, which is counted by the block itself where bits are few, else by a kernel in between.
"""

from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate
from pit_mlir.codegen.build import Index, value, when
from pit_mlir.codegen.gpu.launch import THREADS, Grid, each_block, launch, scan
from pit_mlir.codegen.gpu.live import BYTE, Bits
from pit_mlir.codegen.index_buffers import as_i32

PART = 8 * THREADS
"""Bytes of a part: a block goes through it in eight steps."""
FEW = 1 << 14
"""Bytes of bits that each block counts again rather than that a kernel of its own counts them."""


@dataclass(frozen=True)
class Lists:
    """Buffers of an index. Where it `is_flat`, lists follow one another and `rows`, if asked for, goes along with them;
    else each segment has room for `capacity` entries. `total` has one element, the number of all entries."""

    begin: ir.Value
    count: ir.Value
    entries: ir.Value
    rows: ir.Value | None
    total: ir.Value
    capacity: Index
    is_flat: bool


@dataclass(frozen=True)
class Parts:
    """The bytes of `bits`, shared out in parts of one segment each; `counts` of parts are kept where that pays."""

    bits: Bits
    counts: ir.Value | None

    @property
    def of_segment(self) -> Index:
        """Parts of a segment: one at least, which says that the list is empty."""
        return build.maximum(build.ceil_div(self.bits.bytes_of_segment, PART), 1)

    @property
    def count(self) -> Index:
        """All parts."""
        return build.mul(self.bits.segments, self.of_segment)


def make_lists(bits: Bits, lists: Lists) -> None:
    """Builds the kernels that fill `lists`."""
    counted = Parts(bits, None)
    if is_large(bits, lists):
        counted = Parts(bits, allocate([counted.count], i32()))
        count_parts(counted)
    with launch(build.maximum(counted.count, 1)) as grid:
        room = grid.shared([grid.warps], i32())
        with when(build.is_less(grid.block, counted.count)):
            list_part(grid, counted, lists, room)
        is_empty = build.compare("eq", counted.count, 0)
        with when(arith.andi(is_empty, build.compare("eq", grid.block, 0))), when(is_first(grid)):
            memref.store(zero(), lists.total, [value(0)])


def is_large(bits: Bits, lists: Lists) -> bool:
    """Whether what comes before a part of the lists is, or may be, too much to be counted again by each block."""
    relevant = bits.count if lists.is_flat else bits.bytes_of_segment
    return not (isinstance(relevant, int) and relevant <= FEW)


def count_parts(parts: Parts) -> None:
    """Builds the kernel that counts the set bits of each part."""
    assert parts.counts is not None
    with each_block(parts.count) as grid:
        count_part(grid, parts, grid.shared([grid.warps], i32()))


def count_part(grid: Grid, parts: Parts, room: ir.Value) -> None:
    """One block: how many bits are set in its part."""
    assert parts.counts is not None
    segment, part = build.delinearize(grid.block, [parts.bits.segments, parts.of_segment])
    start = build.mul(part, PART)
    stop = build.minimum(build.add(start, PART), parts.bits.bytes_of_segment)
    base = build.mul(segment, parts.bits.bytes_of_segment)
    found = ones_between(grid, parts.bits, build.add(base, start), build.add(base, stop))
    _, whole = scan(grid, found, room)
    with when(is_first(grid)):
        memref.store(whole, parts.counts, [grid.block])


def ones_between(grid: Grid, bits: Bits, start: Index, stop: Index) -> ir.Value:
    """The set bits of this thread's share of the bytes `start .. stop`."""

    def step(byte: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], ones(memref.load(bits.buffer, [byte])))]

    return build.fold(build.add(start, grid.thread), stop, grid.threads, [zero()], step)[0]


def ones(byte: ir.Value) -> ir.Value:
    """How many bits of a byte are set."""
    return math.ctpop(arith.extui(i32(), byte))


def list_part(grid: Grid, parts: Parts, lists: Lists, room: ir.Value) -> None:
    """One block: where its part begins, its entries, and what is known of its segment where the part is a first one."""
    bits = parts.bits
    segment, part = build.delinearize(grid.block, [bits.segments, parts.of_segment])
    base = build.mul(segment, bits.bytes_of_segment)
    start = build.mul(part, PART)
    of_segments = first_of_segment(grid, parts, lists, segment, room)
    inside = before_part(grid, parts, segment, part, room)
    first = arith.addi(of_segments, inside)
    stop = build.minimum(build.add(start, PART), bits.bytes_of_segment)

    def step(at: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        here = build.add(at, grid.thread)
        [byte] = build.choose(
            build.is_less(here, stop),
            [ir.IntegerType.get_signless(8)],
            lambda: [memref.load(bits.buffer, [value(build.add(base, here))])],
            lambda: [arith.constant(ir.IntegerType.get_signless(8), 0)],
        )
        before, whole = scan(grid, ones(byte), room)
        write_entries(lists, byte, arith.addi(carried[0], before), bits.entry(here), segment)
        return [arith.addi(carried[0], whole)]

    after = build.fold(start, stop, grid.threads, [first], step)[0]
    is_last = build.compare("eq", part, build.sub(parts.of_segment, 1))
    with when(arith.andi(is_last, build.compare("eq", grid.thread, 0))):
        memref.store(of_segments, lists.begin, [value(segment)])
        memref.store(arith.subi(after, of_segments), lists.count, [value(segment)])
        is_end = build.compare("eq", segment, build.sub(bits.segments, 1))
        if lists.is_flat:
            with when(is_end):
                memref.store(after, lists.total, [value(0)])


def first_of_segment(grid: Grid, parts: Parts, lists: Lists, segment: Index, room: ir.Value) -> ir.Value:
    """Where the list of `segment` begins."""
    if not lists.is_flat:
        return as_i32(build.mul(segment, lists.capacity))
    if parts.counts is not None:
        return sum_of_counts(grid, parts.counts, 0, build.mul(segment, parts.of_segment), room)
    before = build.mul(segment, parts.bits.bytes_of_segment)
    return scan(grid, ones_between(grid, parts.bits, 0, before), room)[1]


def before_part(grid: Grid, parts: Parts, segment: Index, part: Index, room: ir.Value) -> ir.Value:
    """How many bits are set in the parts of a segment before this one."""
    if isinstance(parts.of_segment, int) and parts.of_segment == 1:
        return zero()
    if parts.counts is not None:
        first = build.mul(segment, parts.of_segment)
        return sum_of_counts(grid, parts.counts, first, build.add(first, part), room)
    base = build.mul(segment, parts.bits.bytes_of_segment)
    found = ones_between(grid, parts.bits, base, build.add(base, build.mul(part, PART)))
    return scan(grid, found, room)[1]


def sum_of_counts(grid: Grid, counts: ir.Value, start: Index, stop: Index, room: ir.Value) -> ir.Value:
    """The sum of `counts[start .. stop]`, by all threads of the block."""

    def step(at: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        return [arith.addi(carried[0], memref.load(counts, [at]))]

    mine = build.fold(build.add(start, grid.thread), stop, grid.threads, [zero()], step)[0]
    return scan(grid, mine, room)[1]


def write_entries(lists: Lists, byte: ir.Value, first: ir.Value, entry: Index, segment: Index) -> None:
    """Writes the entries of a byte's set bits from place `first` on; bit 0 stands for `entry`."""

    def step(bit: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        i8 = byte.type
        shifted = arith.shrui(byte, arith.index_cast(i8, bit))
        is_set = arith.trunci(ir.IntegerType.get_signless(1), shifted)
        with when(is_set):
            here = build.add(entry, bit)
            place = arith.index_cast(ir.IndexType.get(), carried[0])
            memref.store(as_i32(here), lists.entries, [place])
            if lists.rows is not None:
                row = build.add(build.mul(segment, lists.capacity), here)
                memref.store(as_i32(row), lists.rows, [place])
        return [arith.addi(carried[0], arith.extui(i32(), is_set))]

    build.fold(0, BYTE, 1, [first], step)


def sum_counts(lists: Lists, segments: Index) -> None:
    """Builds the kernel that adds up the counts of segments with room of their own, where the total is asked for."""
    with launch(1) as grid:
        room = grid.shared([grid.warps], i32())
        whole = sum_of_counts(grid, lists.count, 0, segments, room)
        with when(is_first(grid)):
            memref.store(whole, lists.total, [value(0)])


def is_first(grid: Grid) -> ir.Value:
    """Whether this is the first thread of its block."""
    return build.compare("eq", grid.thread, 0)


def i32() -> ir.Type:
    """The type of entries and counts."""
    return ir.IntegerType.get_signless(32)


def zero() -> ir.Value:
    """No entry."""
    return arith.constant(i32(), 0)

"""`pit.detect` by keys on buffers: a counting sort, so that all segments are listed in two passes over the keys."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate
from pit_mlir.codegen.build import Index, loop, value, when
from pit_mlir.codegen.cpu.loops import chunks
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.index_buffers import IndexBuffers, as_i32

KEYS_OF_PART = 8192
"""Keys that take a thread ten times as long as waking it does."""
MOST_PARTS = 16
"""Parts that threads share evenly."""


@dataclass(frozen=True)
class Keys:
    """The keys in `source`, of `extents`, at `capacity` coordinates along `axis`; they are less than `values`."""

    source: ir.Value
    extents: tuple[Index, ...]
    axis: tuple[int, ...]
    capacity: Index
    values: int

    @property
    def rest(self) -> list[int]:
        """The dimensions over which a coordinate has several keys."""
        return [dim for dim in range(len(self.extents)) if dim not in self.axis]

    @property
    def part_size(self) -> Index:
        """How many coordinates are a part: enough keys to be worth a thread and what it keeps for each value."""
        least = max(KEYS_OF_PART, 4 * self.values)
        keys = build.maximum(build.product([self.extents[dim] for dim in self.rest]), 1)
        return build.maximum(build.ceil_div(least, keys), build.ceil_div(self.capacity, MOST_PARTS))


@dataclass(frozen=True)
class Part:
    """The coordinates `start .. stop` of the axis, and what a thread keeps of them for each value, from `first` on.

    `next_` is how many places there are, then where the next one goes; `last` the coordinate that was listed last:
    several keys may repeat it.
    """

    start: Index
    stop: Index
    first: Index
    next_: ir.Value
    last: ir.Value

    def at(self, key: Index) -> list[ir.Value]:
        """Where what is kept for `key` is."""
        return [value(build.add(self.first, key))]


def list_keys(keys: Keys, buffers: tuple[ir.Value, ir.Value, ir.Value, ir.Value]) -> ir.Value:
    """Fills begin, count, entries and rows, in segment v the coordinates whose key is v, ascending; counts the rows.

    Threads count parts of the coordinates, each segment is given to the parts in their order, and they fill it.
    """
    begin, count, entries, rows = buffers
    values, size = keys.values, keys.part_size
    parts = build.ceil_div(keys.capacity, size)
    index = ir.IndexType.get()
    next_, last = (allocate([build.mul(parts, values)], index) for _ in range(2))

    def part_of(start: Index, stop: Index) -> Part:
        return Part(start, stop, build.mul(build.floor_div(start, size), values), next_, last)

    with chunks(keys.capacity, size) as bounds:
        part = part_of(*bounds)
        with loop(0, values) as v:
            memref.store(value(0), next_, part.at(v))
            memref.store(value(-1), last, part.at(v))

        def count_one(key: ir.Value, _coordinate: Index) -> None:
            memref.store(value(build.add(memref.load(next_, part.at(key)), 1)), next_, part.at(key))

        for_each_key(keys, part, count_one)

    def begin_segment(v: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        memref.store(as_i32(carried[0]), begin, [v])

        def begin_part(number: ir.Value, inside: list[ir.Value]) -> list[ir.Value]:
            place = [value(build.add(build.mul(number, values), v))]
            length = memref.load(next_, place)
            memref.store(inside[0], next_, place)
            memref.store(value(-1), last, place)
            return [arith.addi(inside[0], length)]

        end = build.fold(0, parts, 1, carried, begin_part)[0]
        memref.store(as_i32(arith.subi(end, carried[0])), count, [v])
        return [end]

    total = build.fold(0, values, 1, [value(0)], begin_segment)[0]

    with chunks(keys.capacity, size) as bounds:
        part = part_of(*bounds)

        def place_one(key: ir.Value, coordinate: Index) -> None:
            place = memref.load(next_, part.at(key))
            memref.store(as_i32(coordinate), entries, [place])
            memref.store(as_i32(build.add(build.mul(key, keys.capacity), coordinate)), rows, [place])
            memref.store(value(build.add(place, 1)), next_, part.at(key))

        for_each_key(keys, part, place_one)
    return total


def for_each_key(keys: Keys, part: Part, visit: Callable[[ir.Value, Index], None]) -> None:
    """`visit(key, coordinate)` for each key in range, in order of the coordinates; equal keys of one count once."""
    # As unsigned numbers, negative ones are too large as well.
    with each_key(keys, part) as (coordinate, key), when(build.compare("ult", key, keys.values)):
        if not keys.rest:
            visit(key, coordinate)
            return
        with when(build.compare("ne", memref.load(part.last, part.at(key)), coordinate)):
            memref.store(value(coordinate), part.last, part.at(key))
            visit(key, coordinate)


@contextmanager
def each_key(keys: Keys, part: Part) -> Iterator[tuple[Index, ir.Value]]:
    """Loops over the keys of `part`; inside, the coordinate along the axis, and the key."""
    with ExitStack() as stack:
        coordinate = stack.enter_context(loop(part.start, part.stop))
        point: list[Index] = [0] * len(keys.extents)
        numbers = build.delinearize(coordinate, [keys.extents[dim] for dim in keys.axis])
        for dim, number in zip(keys.axis, numbers, strict=True):
            point[dim] = number
        for dim in keys.rest:
            point[dim] = stack.enter_context(loop(0, keys.extents[dim]))
        key = memref.load(keys.source, [value(number) for number in point])
        is_index = isinstance(key.type, ir.IndexType)
        yield coordinate, key if is_index else arith.index_cast(ir.IndexType.get(), key)


def lower_segment(op: ir.Operation, lowering: CpuLowering) -> None:
    """The entries of one segment, copied to an index of its own."""
    whole, number = lowering.indices[op.operands[0]], op.attributes["number"].value
    index, i32 = ir.IndexType.get(), ir.IntegerType.get_signless(32)
    first, length = (
        arith.index_cast(index, memref.load(buffer, [value(number)])) for buffer in (whole.begin, whole.count)
    )
    begin, count = allocate([1], i32), allocate([1], i32)
    entries = allocate([length], i32)
    memref.store(as_i32(0), begin, [value(0)])
    memref.store(as_i32(length), count, [value(0)])
    with loop(0, length) as row:
        memref.store(memref.load(whole.entries, [value(build.add(first, row))]), entries, [row])
    lowering.indices[op.results[0]] = IndexBuffers(begin, count, entries, entries, length, whole.extents[1:])

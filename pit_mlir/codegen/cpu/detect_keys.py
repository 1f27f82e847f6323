"""`pit.detect` by keys on buffers: a counting sort, so that all segments are listed in two passes over the keys."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.cpu import build
from pit_mlir.codegen.cpu.brackets import Lowering, allocate
from pit_mlir.codegen.cpu.build import Index, loop, value, when
from pit_mlir.codegen.cpu.index_buffers import IndexBuffers, as_i32


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


def list_keys(keys: Keys, buffers: tuple[ir.Value, ir.Value, ir.Value, ir.Value]) -> ir.Value:
    """Fills begin, count, entries and rows, in segment v the coordinates whose key is v, ascending; counts the rows."""
    begin, count, entries, rows = buffers
    capacity, values = keys.capacity, keys.values
    index = ir.IndexType.get()
    # Where each segment's next entry goes, and the last coordinate that it listed: several keys may repeat it.
    next_, last = allocate([values], index), allocate([values], index)
    with loop(0, values) as v:
        memref.store(value(0), next_, [v])
        memref.store(value(-1), last, [v])

    def count_one(key: ir.Value, _coordinate: Index) -> None:
        memref.store(value(build.add(memref.load(next_, [key]), 1)), next_, [key])

    for_each_key(keys, last, count_one)

    def begin_segment(v: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        length = memref.load(next_, [v])
        memref.store(as_i32(carried[0]), begin, [v])
        memref.store(as_i32(length), count, [v])
        memref.store(carried[0], next_, [v])
        memref.store(value(-1), last, [v])
        return [arith.addi(carried[0], length)]

    total = build.fold(0, values, 1, [value(0)], begin_segment)[0]

    def place_one(key: ir.Value, coordinate: Index) -> None:
        place = memref.load(next_, [key])
        memref.store(as_i32(coordinate), entries, [place])
        memref.store(as_i32(build.add(build.mul(key, capacity), coordinate)), rows, [place])
        memref.store(value(build.add(place, 1)), next_, [key])

    for_each_key(keys, last, place_one)
    return total


def for_each_key(keys: Keys, last: ir.Value, visit: Callable[[ir.Value, Index], None]) -> None:
    """`visit(key, coordinate)` for each key in range, in order of the coordinates; equal keys of one count once."""
    # As unsigned numbers, negative ones are too large as well.
    with each_key(keys) as (coordinate, key), when(build.compare("ult", key, keys.values)):
        if not keys.rest:
            visit(key, coordinate)
            return
        with when(build.compare("ne", memref.load(last, [key]), coordinate)):
            memref.store(value(coordinate), last, [key])
            visit(key, coordinate)


@contextmanager
def each_key(keys: Keys) -> Iterator[tuple[Index, ir.Value]]:
    """Loops over all keys; inside, the coordinate along the axis, and the key."""
    with ExitStack() as stack:
        coordinate = stack.enter_context(loop(0, keys.capacity))
        point: list[Index] = [0] * len(keys.extents)
        numbers = build.delinearize(coordinate, [keys.extents[dim] for dim in keys.axis])
        for dim, number in zip(keys.axis, numbers, strict=True):
            point[dim] = number
        for dim in keys.rest:
            point[dim] = stack.enter_context(loop(0, keys.extents[dim]))
        key = memref.load(keys.source, [value(number) for number in point])
        is_index = isinstance(key.type, ir.IndexType)
        yield coordinate, key if is_index else arith.index_cast(ir.IndexType.get(), key)


def lower_segment(op: ir.Operation, lowering: Lowering) -> None:
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

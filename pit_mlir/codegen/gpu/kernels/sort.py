"""`tm_tensor.sort`: a block of threads per row sorts the numbers of its places by bitonic exchanges; stable.

What is exchanged are numbers of places, in shared memory where a row is short: elements are compared where they lie,
and of two that may stand in either order the one that came first stays first.
"""

from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate, allocate_like, give, read, sizes
from pit_mlir.codegen.build import Index, truth, truth_type, value
from pit_mlir.codegen.gpu.launch import barrier, each_block
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.sorting import Row

LONGEST_SHARED = 8192
"""Places of a row that fit shared memory, 4 bytes each."""
FEWEST_THREADS = 32
MOST_THREADS = 512


@dataclass(frozen=True)
class Line(Row):
    """A row of `length` elements, none of which is moved: numbers of places are."""

    length: Index

    def comes_first(self, left: Index, right: Index) -> ir.Value:
        """Whether what is at place `left` stands before what is at `right`. Behind the end nothing does."""
        is_earlier = build.is_less(left, right)
        first, second = build.select(is_earlier, left, right), build.select(is_earlier, right, left)

        def compared() -> list[ir.Value]:
            ordered = self.is_ordered(self.load(first), self.load(second))
            return [arith.select(is_earlier, ordered, arith.xori(ordered, truth(True)))]

        both = build.is_less(second, self.length)
        return build.choose(both, [truth_type()], compared, lambda: [is_earlier])[0]


def lower_sort(op: ir.Operation, lowering: GpuLowering) -> None:
    """Writes the sorted rows of the operands along `dimension` to new buffers."""
    dimension = ir.IntegerAttr(op.attributes["dimension"]).value
    inputs = tuple(read(operand) for operand in op.operands)
    extents = sizes(op.operands[0])
    outputs = tuple(allocate_like(operand.type, extents) for operand in op.operands)
    length = extents[dimension]
    others = [d for d in range(len(extents)) if d != dimension]
    rows = build.product([extents[d] for d in others])
    room = power_of_two(length)
    shared = room if isinstance(room, int) and room <= LONGEST_SHARED else None
    i32 = ir.IntegerType.get_signless(32)
    places = allocate([build.mul(rows, room)], i32) if shared is None else None
    threads = min(max(room // 2, FEWEST_THREADS), MOST_THREADS) if isinstance(room, int) else MOST_THREADS
    with each_block(rows, threads) as grid:
        point: list[Index] = [0] * len(extents)
        for dim, coordinate in zip(
            others, build.delinearize(grid.block, [extents[d] for d in others]), strict=True
        ):
            point[dim] = coordinate
        row = Line(op.regions[0].blocks[0], inputs, tuple(point), dimension, length)
        if places is None:
            order = Order(grid.shared([shared or 0], i32), 0)
        else:
            order = Order(places, build.mul(grid.block, room))
        sort_places(row, order, room, grid.thread, threads)
        with build.loop(grid.thread, length, threads) as position:
            replace(row, buffers=outputs).store(row.load(order.load(position)), position)
    for buffer, result in zip(outputs, op.results, strict=True):
        give(buffer, result)


@dataclass(frozen=True)
class Order:
    """The numbers of places in the order of their elements: `buffer` from `base` on."""

    buffer: ir.Value
    base: Index

    def load(self, position: Index) -> ir.Value:
        """The place of what comes at `position`."""
        number = memref.load(self.buffer, [value(build.add(self.base, position))])
        return arith.index_cast(ir.IndexType.get(), number)

    def store(self, place: Index, position: Index) -> None:
        """Puts what is at `place` to `position`."""
        number = arith.index_cast(ir.IntegerType.get_signless(32), value(place))
        memref.store(number, self.buffer, [value(build.add(self.base, position))])


def power_of_two(length: Index) -> Index:
    """The next power of two."""
    if isinstance(length, int):
        return 1 << max(0, length - 1).bit_length()
    grown = build.fold(0, 31, 1, [value(1)], lambda _, so_far: [doubled_below(so_far[0], length)])
    return grown[0]


def doubled_below(number: ir.Value, length: Index) -> ir.Value:
    """Twice `number` where it is less than `length`."""
    return build.select(build.is_less(number, length), build.mul(number, 2), number)


def sort_places(row: Line, order: Order, room: Index, thread: ir.Value, threads: int) -> None:
    """Bitonic exchanges of the numbers `0 .. room`, which is a power of two."""
    with build.loop(thread, room, threads) as position:
        order.store(position, position)
    barrier()
    # Runs of 2, 4, .. elements are merged by exchanges over half of a run, a quarter, ..
    with build.loop(1, build.add(exponent_of(room), 1)) as stage, build.loop(0, stage) as step:
        one = value(1)
        run = arith.shli(one, stage)
        distance = arith.shrui(run, value(build.add(step, 1)))
        with build.loop(thread, build.floor_div(room, 2), threads) as pair:
            inside = arith.andi(pair, value(build.sub(distance, 1)))
            low = build.add(build.mul(build.sub(pair, inside), 2), inside)
            high = build.add(low, distance)
            exchange(row, order, low, high, build.compare("eq", arith.andi(value(low), run), 0))
        barrier()


def exponent_of(room: Index) -> Index:
    """The logarithm of a power of two."""
    if isinstance(room, int):
        return room.bit_length() - 1
    return build.sum_over(31, lambda bit: build.select(build.is_less(arith.shli(value(1), bit), room), 1, 0))


def exchange(row: Line, order: Order, low: Index, high: Index, is_rising: ir.Value) -> None:
    """Brings two places of the order in the order that `is_rising` asks for."""
    left, right = order.load(low), order.load(high)
    is_ordered = row.comes_first(left, right)
    with build.when(arith.xori(is_ordered, is_rising)):
        order.store(right, low)
        order.store(left, high)

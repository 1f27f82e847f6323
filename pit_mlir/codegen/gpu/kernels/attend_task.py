"""What the kernels of `pit.attend` have in common: queries and keys of a block of threads, and its walk over them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.images import LOWEST_LIMIT
from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Attention, Operand, Rows, batch_extents
from pit_mlir.codegen.buffers import extent, load_index
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.gpu.launch import Grid, barrier
from pit_mlir.dialect.block_mask import BLOCK
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.yield_ import yielded

State = list[ir.Value]
"""What a thread keeps while it walks over keys, as loops carry it."""
StartOf = Callable[[Index], Index]
"""The first key of a tile, by the number of the tile."""


@dataclass(frozen=True)
class Widths:
    """The lengths of rows: of queries and keys, and of values and results."""

    depth: int
    width: int


class Task(ABC):
    """A block of threads: `queries` neighbouring queries at one `point` of the batch, against tiles of `keys` keys."""

    def __init__(
        self, attention: Attention, point: Sequence[Index], widths: Widths, grid: Grid, tile: tuple[int, int]
    ) -> None:
        self.attention = attention
        self.point = point
        self.grid = grid
        self.queries, self.keys = tile
        self.type = attention.score_type
        depth, width = widths.depth, widths.width
        self.operands = [
            Operand(attention, point, number, size)
            for number, size in enumerate((depth, depth, width, width))
        ]
        self.flag = grid.shared([1], ir.IntegerType.get_signless(32))
        self.lowest = arith.constant(self.type, float("-inf"))
        self.zero = arith.constant(self.type, 0.0)

    @abstractmethod
    def load_queries(self, rows: Rows) -> None:
        """Brings the queries to where they are multiplied from."""

    @abstractmethod
    def start(self) -> State:
        """Nothing seen yet."""

    @abstractmethod
    def walk(self, rows: Rows, keys: Index, state: State, tiles: Index, start_of: StartOf) -> State:
        """So many tiles of the `keys` keys of the point."""

    @abstractmethod
    def largest(self, state: State) -> list[tuple[ir.Value, ir.Value]]:
        """The queries of this thread, by their number in the block, and their largest scores."""

    @abstractmethod
    def finish(self, rows: Rows, state: State) -> None:
        """Divides by the sums of the weights and stores the results."""

    def emit(self, block: Index) -> None:
        """The `block`-th block of queries, if there is one."""
        extents = batch_extents(self.attention)
        base, queries, keys = rows_of(self.attention, self.point, extents)
        start = build.mul(block, self.queries)
        with build.when(build.is_less(start, queries)):
            rows = Rows(base, start, build.minimum(build.sub(queries, start), self.queries))
            self.load_queries(rows)
            if self.attention.blocks is None:
                state = self.walk_all(rows, keys, self.start(), build.ceil_div(keys, self.keys))
            else:
                state = self.walk_listed(rows, keys, extents)
            self.finish(rows, state)

    def walk_all(self, rows: Rows, keys: Index, state: State, tiles: Index) -> State:
        """The first `tiles` tiles."""
        return self.walk(rows, keys, state, tiles, lambda number: build.mul(number, self.keys))

    def walk_listed(self, rows: Rows, keys: Index, extents: Sequence[Index]) -> State:
        """The blocks of keys that are listed; then all, if a row needs them."""
        blocks = self.attention.blocks
        assert blocks is not None
        of_block = BLOCK[1] // self.keys
        segment = number_of(blocks.iterators, self.point, extents)
        segment = build.add(build.mul(segment, blocks.along), build.floor_div(rows.start, BLOCK[0]))
        begin, count = load_index(blocks.lists.begin, segment), load_index(blocks.lists.count, segment)

        def start_of(number: Index) -> Index:
            entry = load_index(blocks.lists.entries, build.add(begin, build.floor_div(number, of_block)))
            inside = build.mul(build.remainder(number, of_block), self.keys)
            return build.add(build.mul(entry, BLOCK[1]), inside)

        found = self.walk(rows, keys, self.start(), build.mul(count, of_block), start_of)
        if not blocks.lowest:
            return found
        is_partial = build.is_less(count, build.ceil_div(keys, BLOCK[1]))
        again = arith.andi(is_partial, self.any_without_keys(rows, found))
        every = build.select(again, build.ceil_div(keys, self.keys), 0)
        state = [arith.select(again, new, old) for new, old in zip(self.start(), found, strict=True)]
        return self.walk_all(rows, keys, state, every)

    def any_without_keys(self, rows: Rows, state: State) -> ir.Value:
        """Whether the largest score of some query of the block counts as -inf: the same for all threads."""
        i32 = ir.IntegerType.get_signless(32)
        with build.when(build.compare("eq", self.grid.thread, 0)):
            memref.store(arith.constant(i32, 0), self.flag, [value(0)])
        barrier()
        limit = arith.constant(self.type, LOWEST_LIMIT)
        for query, largest in self.largest(state):
            is_lowest = arith.cmpf(arith.CmpFPredicate.OLE, largest, limit)
            with build.when(arith.andi(is_lowest, build.is_less(query, rows.count))):
                memref.atomic_rmw(arith.AtomicRMWKind.ori, arith.constant(i32, 1), self.flag, [value(0)])
        barrier()
        found = memref.load(self.flag, [value(0)])
        return arith.cmpi(arith.CmpIPredicate.ne, found, arith.constant(i32, 0))

    def tile_of(self, rows: Rows, keys: Index, start: Index) -> Rows:
        """The keys of a tile; none where all of its block that there are, are in the tiles before."""
        return Rows(rows.base, start, build.maximum(build.minimum(build.sub(keys, start), self.keys), 0))

    def shift(self, largest: ir.Value) -> ir.Value:
        """What is taken off the scores of a query: nothing where all are -inf."""
        is_empty = arith.cmpf(arith.CmpFPredicate.OEQ, largest, self.lowest)
        return arith.select(is_empty, self.zero, largest)

    def divisor(self, total: ir.Value) -> ir.Value:
        """What the weighted sum of a query is divided by."""
        if not self.attention.guarded:
            return total
        is_empty = arith.cmpf(arith.CmpFPredicate.OEQ, total, self.zero)
        return arith.select(is_empty, arith.constant(self.type, 1.0), total)

    def through_body(self, score: ir.Value, given: dict[ir.Value, ir.Value]) -> ir.Value:
        """What the body makes of a score; `given` are its elements."""
        body = self.attention.body
        return copied(yielded(body), body, given | {body.arguments[0]: score})[0]

    def element(self, number: int, query: Index, key: Index) -> ir.Value:
        """The `number`-th element of the body for a query and a key at these coordinates."""
        element = self.attention.elements[number]
        places = dict(enumerate(self.point))
        places |= {self.attention.batch: query, self.attention.batch + 1: key}
        return memref.load(element.buffer, [value(places[position]) for position in element.positions])


def rows_of(
    attention: Attention, point: Sequence[Index], extents: Sequence[Index]
) -> tuple[Index, Index, Index]:
    """First row, number of queries and number of keys of a point of the batch."""
    if attention.ragged is None:
        queries = extent(attention.buffers[0], attention.positions[0].index(attention.batch))
        return 0, queries, extent(attention.buffers[1], attention.positions[1].index(attention.batch + 1))
    segment = number_of(attention.segments, point, extents)
    count = load_index(attention.ragged.count, segment)
    return load_index(attention.ragged.begin, segment), count, count


def number_of(iterators: Sequence[int], point: Sequence[Index], extents: Sequence[Index]) -> Index:
    """The number of `point` among all points of `iterators`."""
    number: Index = 0
    for iterator in iterators:
        number = build.add(build.mul(number, extents[iterator]), point[iterator])
    return number


def larger(left: ir.Value, right: ir.Value) -> ir.Value:
    """The larger of two floats; `right` where `left` is NaN."""
    return arith.select(arith.cmpf(arith.CmpFPredicate.OGT, left, right), left, right)

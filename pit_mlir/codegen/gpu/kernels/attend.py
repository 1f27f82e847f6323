"""`pit.attend`: a block of threads per block of queries, online softmax over tiles of keys, no tensor of scores.

Four neighbouring threads serve one query: of a tile of keys each has every fourth score, of a row of results every
fourth run of four elements. Queries, keys and values are read once into shared memory and multiplied from there; a
query's maximum, sum and results stay in registers (Milakov and Gimelshein, arXiv 1805.02867). Everything is computed in
f32 (f64 for f64).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.images import LOWEST_LIMIT
from pit_mlir.bindings import arith, ir, linalg, math, memref, vector
from pit_mlir.codegen.cpu import build
from pit_mlir.codegen.cpu.attend import attention_of
from pit_mlir.codegen.cpu.attend_kernel import larger
from pit_mlir.codegen.cpu.attend_pack import Operand
from pit_mlir.codegen.cpu.attention import Attention, Rows, batch_extents, load_index
from pit_mlir.codegen.cpu.brackets import allocate_like, give, sizes
from pit_mlir.codegen.cpu.buffers import extent
from pit_mlir.codegen.cpu.build import Index, value
from pit_mlir.codegen.gpu.flat import bytes_of, is_aligned, load_vector
from pit_mlir.codegen.gpu.launch import Grid, barrier, launch, shuffle
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.attend import AttendOp
from pit_mlir.dialect.block_mask import BLOCK
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.yield_ import yielded
from pit_mlir.errors import UnsupportedError

QUAD = 4
"""Threads that serve one query."""
RUN = 4
"""Neighbouring elements that a thread multiplies at once."""
SHARED = 48 << 10
"""Bytes of shared memory that a block has without asking for more."""
TILES = (32, 16, 8)
"""Queries, and keys, of a tile: the first that fits."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a kernel: queries and keys of a tile, the depth of a score and the width of a value, both rounded up to
    whole runs of the threads that share a row."""

    queries: int
    keys: int
    depth: int
    width: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.queries * QUAD

    @property
    def row(self) -> int:
        """The longest row of keys or values."""
        return max(self.depth, self.width)

    def bytes(self, size: int) -> int:
        """Shared memory for elements of `size` bytes: queries, keys or values, and weights."""
        return size * (self.queries * self.depth + self.keys * self.row + self.queries * self.keys) + 64

    @staticmethod
    def of(depth: int, width: int, size: int) -> "Shape | None":
        """The largest that fits; None where rows are too long for any."""
        deep, wide = round_up(depth, RUN), round_up(width, RUN * QUAD)
        shapes = (Shape(tile, tile, deep, wide) for tile in TILES)
        return next((shape for shape in shapes if shape.bytes(size) <= SHARED), None)


def lower_attend(operation: ir.Operation, lowering: GpuLowering) -> None:
    """A launch for a `pit.attend`, and its result in the place of the operation's."""
    op = operation.opview
    assert isinstance(op, AttendOp)
    init = operation.operands[3]
    result = allocate_like(init.type, sizes(init))
    attention = attention_of(op, lowering.indices, result)
    if attention.ragged is not None and 3 not in attention.compact:
        linalg.fill(arith.constant(ir.MemRefType(result.type).element_type, 0.0), outs=[result])
    depth = extent(attention.buffers[0], attention.positions[0].index(attention.batch + 2))
    width = extent(attention.buffers[2], attention.positions[2].index(attention.batch + 3))
    size = bytes_of(attention.score_type)
    shape = Shape.of(depth, width, size) if isinstance(depth, int) and isinstance(width, int) else None
    if shape is None:
        raise UnsupportedError(
            f"attention on a GPU needs rows of keys and values whose length is known and fits {SHARED} bytes of shared "
            f"memory, got keys of {known(depth)} and values of {known(width)} elements",
            location=location_text(operation.location),
        )
    extents = batch_extents(attention)
    blocks = build.ceil_div(most_queries(attention, operation, lowering), shape.queries)
    with launch(build.mul(build.product(extents), blocks), shape.threads) as grid:
        *point, block = build.delinearize(grid.block, [*extents, blocks])
        Task(attention, point, shape, grid, [depth, depth, width, width]).emit(block)
    give(result, operation.results[0])


def known(size: Index) -> str:
    """`size` for a reader."""
    return str(size) if isinstance(size, int) else "an unknown number of"


def most_queries(attention: Attention, op: ir.Operation, lowering: GpuLowering) -> Index:
    """How many queries a point of the batch has at most."""
    if attention.ragged is None:
        return extent(attention.buffers[0], attention.positions[0].index(attention.batch))
    return lowering.indices[op.operands[4]].extents[-1]


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


@dataclass(frozen=True)
class State:
    """What a thread keeps of its query: the largest score, the sum of the weights, and its part of the results."""

    largest: ir.Value
    total: ir.Value
    results: tuple[ir.Value, ...]

    @property
    def values(self) -> list[ir.Value]:
        """All of it, as loops carry it."""
        return [self.largest, self.total, *self.results]

    @staticmethod
    def of(values: Sequence[ir.Value]) -> "State":
        """The state that `values` are."""
        return State(values[0], values[1], tuple(values[2:]))


class Task:
    """One block of threads: a block of queries at one `point` of the batch, against all of its keys.

    `queries` are rows of shared memory, `rows` hold keys and then values, `weights` a row for each query. `widths` are
    the lengths of rows of query, key, value and result.
    """

    def __init__(
        self, attention: Attention, point: Sequence[Index], shape: Shape, grid: Grid, widths: Sequence[Index]
    ) -> None:
        self.attention = attention
        self.point = point
        self.shape = shape
        self.grid = grid
        self.type = attention.score_type
        self.operands = [Operand(attention, point, number, width) for number, width in enumerate(widths)]
        self.queries = grid.shared([shape.queries, shape.depth], self.type)
        self.rows = grid.shared([shape.keys, shape.row], self.type)
        self.weights = grid.shared([shape.queries, shape.keys], self.type)
        self.flag = grid.shared([1], ir.IntegerType.get_signless(32))
        self.query = build.floor_div(grid.thread, QUAD)
        self.part = build.remainder(grid.thread, QUAD)
        self.lowest = arith.constant(self.type, float("-inf"))
        self.zero = arith.constant(self.type, 0.0)

    def emit(self, block: Index) -> None:
        """The `block`-th block of queries, if there is one."""
        extents = batch_extents(self.attention)
        base, queries, keys = rows_of(self.attention, self.point, extents)
        start = build.mul(block, self.shape.queries)
        with build.when(build.is_less(start, queries)):
            rows = Rows(base, start, build.minimum(build.sub(queries, start), self.shape.queries))
            self.load_tile(self.queries, self.operands[0], rows, self.shape.queries, self.shape.depth)
            if self.attention.blocks is None:
                state = self.walk(rows, keys, self.start(), 0, build.ceil_div(keys, self.shape.keys), None)
            else:
                state = self.walk_listed(rows, keys, extents)
            self.finish(rows, state)

    def start(self) -> State:
        """Nothing seen yet."""
        none = build.zero(self.run_type)
        return State(self.lowest, self.zero, (none,) * (self.shape.width // (RUN * QUAD)))

    @property
    def run_type(self) -> ir.Type:
        """The vector of a run."""
        return ir.VectorType.get([RUN], self.type)

    def walk_listed(self, rows: Rows, keys: Index, extents: Sequence[Index]) -> State:
        """The blocks of keys that are listed; then all, if a row needs them."""
        blocks = self.attention.blocks
        assert blocks is not None
        of_block = BLOCK[1] // self.shape.keys
        segment = number_of(blocks.iterators, self.point, extents)
        segment = build.add(build.mul(segment, blocks.along), build.floor_div(rows.start, BLOCK[0]))
        begin, count = load_index(blocks.lists.begin, segment), load_index(blocks.lists.count, segment)

        def start_of(number: Index) -> Index:
            entry = load_index(blocks.lists.entries, build.add(begin, build.floor_div(number, of_block)))
            inside = build.mul(build.remainder(number, of_block), self.shape.keys)
            return build.add(build.mul(entry, BLOCK[1]), inside)

        found = self.walk(rows, keys, self.start(), 0, build.mul(count, of_block), start_of)
        if not blocks.lowest:
            return found
        is_partial = build.is_less(count, build.ceil_div(keys, BLOCK[1]))
        again = arith.andi(is_partial, self.any_without_keys(rows, found))
        every = build.select(again, build.ceil_div(keys, self.shape.keys), 0)
        fresh = self.start().values
        kept = [arith.select(again, new, old) for new, old in zip(fresh, found.values, strict=True)]
        return self.walk(rows, keys, State.of(kept), 0, every, None)

    def any_without_keys(self, rows: Rows, state: State) -> ir.Value:
        """Whether the largest score of some query of the block counts as -inf: the same for all threads."""
        i32 = ir.IntegerType.get_signless(32)
        with build.when(build.compare("eq", self.grid.thread, 0)):
            memref.store(arith.constant(i32, 0), self.flag, [value(0)])
        barrier()
        limit = arith.constant(self.type, LOWEST_LIMIT)
        is_lowest = arith.cmpf(arith.CmpFPredicate.OLE, state.largest, limit)
        needs = arith.andi(is_lowest, build.is_less(self.query, rows.count))
        with build.when(needs):
            memref.atomic_rmw(arith.AtomicRMWKind.ori, arith.constant(i32, 1), self.flag, [value(0)])
        barrier()
        found = memref.load(self.flag, [value(0)])
        return arith.cmpi(arith.CmpIPredicate.ne, found, arith.constant(i32, 0))

    def walk(
        self,
        rows: Rows,
        keys: Index,
        state: State,
        first: Index,
        last: Index,
        start_of: Callable[[Index], Index] | None,
    ) -> State:
        """Tiles of keys `first .. last`, the number of each being that of its place, or `start_of` it its first key."""

        def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            start = build.mul(number, self.shape.keys) if start_of is None else start_of(number)
            # Of a last block that is listed, the last tiles may have no key.
            count = build.maximum(build.minimum(build.sub(keys, start), self.shape.keys), 0)
            return self.attend_to(rows, Rows(rows.base, start, count), State.of(carried)).values

        return State.of(build.fold(first, last, 1, state.values, step))

    def attend_to(self, rows: Rows, keys: Rows, state: State) -> State:
        """One tile of keys: scores, softmax, weighted values."""
        barrier()
        self.load_tile(self.rows, self.operands[1], keys, self.shape.keys, self.shape.depth)
        barrier()
        scores = self.scores(rows, keys)
        largest = state.largest
        for score in scores:
            largest = larger(score, largest)
        for offset in (1, 2):
            largest = larger(shuffle(largest, offset, "xor"), largest)
        shift = self.shift(largest)
        scale = math.exp(arith.subf(state.largest, shift))
        total = arith.mulf(state.total, scale)
        barrier()
        for number, score in enumerate(scores):
            weight = math.exp(arith.subf(score, shift))
            total = arith.addf(total, weight)
            key = value(build.add(number * QUAD, self.part))
            memref.store(weight, self.weights, [value(self.query), key])
        self.load_tile(self.rows, self.operands[2], keys, self.shape.keys, self.shape.width)
        barrier()
        factor = vector.broadcast(self.run_type, scale)
        results = [arith.mulf(run, factor) for run in state.results]
        return State(largest, total, tuple(self.weighted(results)))

    def scores(self, rows: Rows, keys: Rows) -> list[ir.Value]:
        """Every fourth score of the query with the tile's keys, as the body makes them; -inf behind the last key."""
        mine = [build.add(number * QUAD, self.part) for number in range(self.shape.keys // QUAD)]

        def step(at: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            query = self.load_run(self.queries, self.query, at)
            return [
                vector.fma(query, self.load_run(self.rows, key, at), total)
                for key, total in zip(mine, carried, strict=True)
            ]

        none = [build.zero(self.run_type)] * len(mine)
        products = build.fold(0, self.shape.depth, RUN, none, step)
        row = build.minimum(self.query, build.sub(rows.count, 1))
        scores: list[ir.Value] = []
        for key, product in zip(mine, products, strict=True):
            total = vector.reduction(self.type, vector.CombiningKind.ADD, product)
            is_inside = build.is_less(key, keys.count)
            score = build.choose(
                is_inside,
                [self.type],
                lambda key=key, total=total: [self.through_body(total, rows, row, keys, key)],
                lambda: [self.lowest],
            )
            scores.append(score[0])
        return scores

    def through_body(self, score: ir.Value, rows: Rows, row: Index, keys: Rows, key: Index) -> ir.Value:
        """What the body makes of a score."""
        attention = self.attention
        places = dict(enumerate(self.point))
        places[attention.batch] = attention.position(rows, row)
        places[attention.batch + 1] = attention.position(keys, key)
        given = {attention.body.arguments[0]: score}
        for element in attention.elements:
            at = [value(places[position]) for position in element.positions]
            given[element.scalar] = memref.load(element.buffer, at)
        return copied(yielded(attention.body), attention.body, given)[0]

    def weighted(self, results: Sequence[ir.Value]) -> list[ir.Value]:
        """`results` and the values of the tile, each times its weight."""

        def step(key: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            weight = memref.load(self.weights, [value(self.query), key])
            factor = vector.broadcast(self.run_type, weight)
            return [
                vector.fma(factor, self.load_run(self.rows, key, self.column(number)), total)
                for number, total in enumerate(carried)
            ]

        return build.fold(0, self.shape.keys, 1, results, step)

    def column(self, number: int) -> Index:
        """Where the `number`-th run of a row of results that this thread has begins."""
        return build.add(number * RUN * QUAD, build.mul(self.part, RUN))

    def shift(self, largest: ir.Value) -> ir.Value:
        """What is taken off the scores of a query: nothing where all are -inf."""
        is_empty = arith.cmpf(arith.CmpFPredicate.OEQ, largest, self.lowest)
        return arith.select(is_empty, self.zero, largest)

    def load_run(self, buffer: ir.Value, row: Index, column: Index) -> ir.Value:
        """Four neighbours in shared memory."""
        return load_vector(buffer, [row, column], RUN)

    def load_tile(self, target: ir.Value, operand: Operand, rows: Rows, count: int, width: int) -> None:
        """Fills `count` rows of `width` elements of shared memory: those of `operand`, and 0 behind them."""
        lanes = lanes_of(operand, width)
        steps = width // lanes
        with build.loop(self.grid.thread, count * steps, self.shape.threads) as number:
            row, step = build.delinearize(number, [count, steps])
            column = build.mul(step, lanes)
            inside = arith.andi(build.is_less(row, rows.count), build.is_less(column, operand.width))

            def load(row: Index = row, column: Index = column) -> list[ir.Value]:
                place = operand.place(rows, row, column)
                given = (
                    load_vector(operand.buffer, place, lanes)
                    if lanes > 1
                    else memref.load(operand.buffer, place)
                )
                return [widened(given, self.type)]

            type_ = ir.VectorType.get([lanes], self.type) if lanes > 1 else self.type
            [given] = build.choose(inside, [type_], load, lambda type_=type_: [build.zero(type_)])
            at = [value(row), value(column)]
            if lanes > 1:
                vector.store(given, target, at)
            else:
                memref.store(given, target, at)

    def finish(self, rows: Rows, state: State) -> None:
        """Divides by the sums and stores the results."""
        total = state.total
        for offset in (1, 2):
            total = arith.addf(total, shuffle(total, offset, "xor"))
        if self.attention.guarded:
            is_empty = arith.cmpf(arith.CmpFPredicate.OEQ, total, self.zero)
            total = arith.select(is_empty, arith.constant(self.type, 1.0), total)
        result = self.operands[3]
        with build.when(build.is_less(self.query, rows.count)):
            for number, run in enumerate(state.results):
                for lane in range(RUN):
                    column = build.add(self.column(number), lane)
                    quotient = arith.divf(vector.extract(run, [], [lane]), total)
                    with build.when(build.is_less(column, result.width)):
                        place = result.place(rows, self.query, column)
                        memref.store(narrowed(quotient, result.type), result.buffer, place)


def lanes_of(operand: Operand, width: int) -> int:
    """How many neighbours of a row of `operand` are read at once, where `width` are to be filled: 16 bytes, if rows are
    made of such."""
    type_ = ir.MemRefType(operand.buffer.type)
    lanes = 16 // bytes_of(operand.type)
    strides, _ = type_.get_strides_and_offset()
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    others = [value(0) if stride == dynamic else stride for stride in strides[:-1]]
    fits = operand.has_rows and isinstance(operand.width, int) and operand.width % lanes == 0
    return lanes if fits and width % lanes == 0 and is_aligned(lanes, operand.type, others) else 1


def widened(given: ir.Value, type_: ir.Type) -> ir.Value:
    """A float or a vector of them in the wider type `type_`."""
    is_vector = isinstance(given.type, ir.VectorType)
    element = ir.VectorType(given.type).element_type if is_vector else given.type
    if element == type_:
        return given
    return arith.extf(
        ir.VectorType.get(ir.VectorType(given.type).shape, type_) if is_vector else type_, given
    )


def narrowed(given: ir.Value, type_: ir.Type) -> ir.Value:
    """A float in the narrower type `type_`."""
    return given if given.type == type_ else arith.truncf(type_, given)


def round_up(size: int, multiple: int) -> int:
    """`size` as the next multiple of `multiple`, one at least."""
    return max(1, -(-size // multiple)) * multiple

"""`pit.attend` by multiply-adds of f32 or f64, whatever the operands are.

Four neighbouring threads serve one query: of a tile of keys each has every fourth score, of a row of results every
fourth run of four elements. Queries, keys and values are read once into shared memory and multiplied from there; a
query's maximum, sum and results stay in registers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Attention, Operand, Rows
from pit_mlir.codegen.build import Index, bytes_of, value
from pit_mlir.codegen.gpu.flat import is_aligned, load_vector
from pit_mlir.codegen.gpu.kernels.attend_task import StartOf, State, Task, Widths, larger
from pit_mlir.codegen.gpu.launch import SHARED_BYTES, Grid, barrier, shuffle

QUAD = 4
"""Threads that serve one query."""
RUN = 4
"""Neighbouring elements that a thread multiplies at once."""
TILES = (32, 16, 8)
"""Queries, and keys, of a tile: the first that fits."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a kernel: queries and keys of a tile, the depth of a score and the width of a value, both rounded up to
    whole runs of the threads that share a row."""

    tile: int
    depth: int
    width: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.tile * QUAD

    @property
    def row(self) -> int:
        """The longest row of keys or values."""
        return max(self.depth, self.width)

    def bytes(self, size: int) -> int:
        """Shared memory for elements of `size` bytes: queries, keys or values, and weights."""
        return size * self.tile * (self.depth + self.row + self.tile) + 64

    @staticmethod
    def of(widths: Widths, type_: ir.Type) -> "Shape | None":
        """The largest that fits; None where rows are too long for any."""
        deep, wide = round_up(widths.depth, RUN), round_up(widths.width, RUN * QUAD)
        shapes = (Shape(tile, deep, wide) for tile in TILES)
        return next((shape for shape in shapes if shape.bytes(bytes_of(type_)) <= SHARED_BYTES), None)


class FmaTask(Task):
    """`queries_` are rows of shared memory, `rows` hold keys and then values, `weights` a row for each query.

    The state is the largest score of the query, the sum of this thread's weights, and its runs of the result.
    """

    def __init__(
        self, attention: Attention, point: Sequence[Index], widths: Widths, grid: Grid, shape: Shape
    ) -> None:
        super().__init__(attention, point, widths, grid, (shape.tile, shape.tile))
        self.shape = shape
        self.queries_ = grid.shared([shape.tile, shape.depth], self.type)
        self.rows = grid.shared([shape.tile, shape.row], self.type)
        self.weights = grid.shared([shape.tile, shape.tile], self.type)
        self.query = value(build.floor_div(grid.thread, QUAD))
        self.part = build.remainder(grid.thread, QUAD)

    @property
    def run_type(self) -> ir.Type:
        """The vector of a run."""
        return ir.VectorType.get([RUN], self.type)

    def load_queries(self, rows: Rows) -> None:
        """Into shared memory."""
        self.load_tile(self.queries_, self.operands[0], rows, self.shape.depth)

    def start(self) -> State:
        """Nothing seen yet."""
        none = build.zero(self.run_type)
        return [self.lowest, self.zero, *[none] * (self.shape.width // (RUN * QUAD))]

    def largest(self, state: State) -> list[tuple[ir.Value, ir.Value]]:
        """The one query."""
        return [(self.query, state[0])]

    def walk(self, rows: Rows, keys: Index, state: State, tiles: Index, start_of: StartOf) -> State:
        """Tile after tile."""

        def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            return self.attend_to(rows, self.tile_of(rows, keys, start_of(number)), carried)

        return build.fold(0, tiles, 1, state, step)

    def attend_to(self, rows: Rows, keys: Rows, state: State) -> State:
        """One tile of keys: scores, softmax, weighted values."""
        before, total, *results = state
        barrier()
        self.load_tile(self.rows, self.operands[1], keys, self.shape.depth)
        barrier()
        scores = self.scores(rows, keys)
        largest = before
        for score in scores:
            largest = larger(score, largest)
        for offset in (1, 2):
            largest = larger(shuffle(largest, offset, "xor"), largest)
        shift = self.shift(largest)
        scale = math.exp(arith.subf(before, shift))
        total = arith.mulf(total, scale)
        barrier()
        for number, score in enumerate(scores):
            weight = math.exp(arith.subf(score, shift))
            total = arith.addf(total, weight)
            memref.store(weight, self.weights, [self.query, value(self.mine(number))])
        self.load_tile(self.rows, self.operands[2], keys, self.shape.width)
        barrier()
        factor = vector.broadcast(self.run_type, scale)
        return [largest, total, *self.weighted([arith.mulf(run, factor) for run in results])]

    def mine(self, number: int) -> Index:
        """The key of the `number`-th score that this thread has of a tile."""
        return build.add(number * QUAD, self.part)

    def scores(self, rows: Rows, keys: Rows) -> list[ir.Value]:
        """Every fourth score of the query with the tile's keys, as the body makes them; -inf behind the last key."""
        count = self.shape.tile // QUAD

        def step(at: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            query = load_vector(self.queries_, [self.query, at], RUN)
            return [
                vector.fma(query, load_vector(self.rows, [self.mine(number), at], RUN), total)
                for number, total in enumerate(carried)
            ]

        products = build.fold(0, self.shape.depth, RUN, [build.zero(self.run_type)] * count, step)
        row = build.minimum(self.query, build.sub(rows.count, 1))
        return [
            self.score(vector.reduction(self.type, vector.CombiningKind.ADD, product), rows, row, keys, key)
            for key, product in zip(map(self.mine, range(count)), products, strict=True)
        ]

    def score(self, product: ir.Value, rows: Rows, row: Index, keys: Rows, key: Index) -> ir.Value:
        """What the body makes of a score, -inf behind the last key."""
        attention = self.attention

        def inside() -> list[ir.Value]:
            query, place = attention.position(rows, row), attention.position(keys, key)
            given = {
                element.scalar: self.element(number, query, place)
                for number, element in enumerate(attention.elements)
            }
            return [self.through_body(product, given)]

        return build.choose(build.is_less(key, keys.count), [self.type], inside, lambda: [self.lowest])[0]

    def weighted(self, results: Sequence[ir.Value]) -> list[ir.Value]:
        """`results` and the values of the tile, each times its weight."""

        def step(key: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            factor = vector.broadcast(self.run_type, memref.load(self.weights, [self.query, key]))
            return [
                vector.fma(factor, load_vector(self.rows, [key, self.column(number)], RUN), total)
                for number, total in enumerate(carried)
            ]

        return build.fold(0, self.shape.tile, 1, results, step)

    def column(self, number: int) -> Index:
        """Where the `number`-th run of a row of results that this thread has begins."""
        return build.add(number * RUN * QUAD, build.mul(self.part, RUN))

    def load_tile(self, target: ir.Value, operand: Operand, rows: Rows, width: int) -> None:
        """Fills a tile of rows of `width` elements of shared memory: those of `operand`, and 0 behind them."""
        lanes = lanes_of(operand, width)
        space = [self.shape.tile, width // lanes]
        type_ = ir.VectorType.get([lanes], self.type) if lanes > 1 else self.type
        with build.loop(self.grid.thread, build.product(space), self.shape.threads) as number:
            row, step = build.delinearize(number, space)
            column = build.mul(step, lanes)
            inside = arith.andi(build.is_less(row, rows.count), build.is_less(column, operand.width))

            def load(row: Index = row, column: Index = column) -> list[ir.Value]:
                place = operand.place(rows, row, column)
                if lanes > 1:
                    return [widened(load_vector(operand.buffer, place, lanes), self.type)]
                return [widened(memref.load(operand.buffer, place), self.type)]

            [given] = build.choose(inside, [type_], load, lambda: [build.zero(type_)])
            at = [value(row), value(column)]
            if lanes > 1:
                vector.store(given, target, at)
            else:
                memref.store(given, target, at)

    def finish(self, rows: Rows, state: State) -> None:
        """Each thread its runs."""
        _, total, *results = state
        for offset in (1, 2):
            total = arith.addf(total, shuffle(total, offset, "xor"))
        total, result = self.divisor(total), self.operands[3]
        with build.when(build.is_less(self.query, rows.count)):
            for number, run in enumerate(results):
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
    # A stride that is not known is one of whole rows.
    others = [stride for stride in strides[:-1] if stride != dynamic]
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

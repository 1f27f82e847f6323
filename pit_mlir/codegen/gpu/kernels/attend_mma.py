"""`pit.attend` on tensor cores, where queries, keys and values are bf16 or f16 alike: sixteen queries a warp.

Queries are fragments in registers from the start; tiles of keys and of values are copied past the registers into shared
memory, each while the other is multiplied. Scores stay where `mma.sync` leaves them: four neighbouring lanes hold
a row, weights are rounded and are the first factor of the second product without a move. The sum of the weights is that
of f32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Attention, Operand, Rows
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.gpu.build import place_in
from pit_mlir.codegen.gpu.flat import flat_buffer, is_aligned
from pit_mlir.codegen.gpu.instr import cp_async, mma
from pit_mlir.codegen.gpu.kernels.attend_fma import narrowed
from pit_mlir.codegen.gpu.kernels.attend_task import StartOf, State, Task, Widths, larger
from pit_mlir.codegen.gpu.launch import SHARED_BYTES, WARP, Grid, barrier, shuffle
from pit_mlir.codegen.gpu.layout import (
    CHUNK_BYTES,
    COLUMNS_ACROSS,
    COLUMNS_ALONG_DEPTH,
    MMA_COLUMNS,
    MMA_DEPTH,
    MMA_ROWS,
    MatrixAddress,
    SharedTile,
)
from pit_mlir.dialect.block_mask import BLOCK

WARPS = 4
HALF_BYTES = 2
"""Bytes of an element that tensor cores take."""
CHUNK = CHUNK_BYTES // HALF_BYTES
"""Elements that are copied at once."""
SQUARE = MMA_DEPTH
"""The side of what one `ldmatrix` loads."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a kernel: rows of keys and of values as they are multiplied, in whole squares."""

    depth: int
    width: int
    tile: int = WARPS * MMA_ROWS

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return WARPS * WARP

    @property
    def keys(self) -> SharedTile:
        """A tile of keys, lines of keys."""
        return SharedTile(BLOCK[1], power_of_two(self.depth), HALF_BYTES)

    @property
    def values(self) -> SharedTile:
        """A tile of values, lines of keys."""
        return SharedTile(BLOCK[1], power_of_two(self.width), HALF_BYTES)

    @staticmethod
    def of(attention: Attention, widths: Widths) -> "Shape | None":
        """None where tensor cores do not take the operands, or rows are too long."""
        types = {ir.MemRefType(buffer.type).element_type for buffer in attention.buffers[:3]}
        if len(types) != 1 or not all(map(mma.has_mma, types)) or 0 in (widths.depth, widths.width):
            return None
        deep, wide = (-(-size // SQUARE) * SQUARE for size in (widths.depth, widths.width))
        shape = Shape(deep, wide)
        bytes_ = (shape.keys.elements + shape.values.elements) * HALF_BYTES
        # Results and queries of more than 128 elements do not fit the registers.
        return shape if bytes_ < SHARED_BYTES and max(deep, wide) <= 128 else None


@dataclass(frozen=True)
class Stage:
    """Shared memory for a tile of rows of `operand`, of which `width` elements are multiplied."""

    operand: Operand
    tile: SharedTile
    width: int
    buffer: ir.Value
    source: ir.Value
    strides: Sequence[Index]


class MmaTask(Task):
    """The state is, for each of a thread's two queries, the largest score and the sum of its weights, then the sums of
    the results, eight columns after eight."""

    def __init__(
        self, attention: Attention, point: Sequence[Index], widths: Widths, grid: Grid, shape: Shape
    ) -> None:
        super().__init__(attention, point, widths, grid, (shape.tile, BLOCK[1]))
        self.shape = shape
        self.element_type = self.operands[0].type
        self.key_stage = self.stage(1, shape.keys, shape.depth)
        self.value_stage = self.stage(2, shape.values, shape.width)
        first = build.add(build.mul(grid.warp, MMA_ROWS), build.floor_div(grid.lane, 4))
        self.mine = [value(first), value(build.add(first, MMA_ROWS // 2))]
        self.pair = build.mul(build.remainder(grid.lane, 4), 2)
        self.fragments: list[ir.Value] = []

    def stage(self, number: int, tile: SharedTile, width: int) -> Stage:
        """Room for a tile of an operand."""
        buffer = self.grid.shared([tile.elements], self.element_type)
        source, strides = flat_buffer(self.attention.buffers[number])
        return Stage(self.operands[number], tile, width, buffer, source, strides)

    # ---- what is multiplied

    def load_queries(self, rows: Rows) -> None:
        """Fragments of the first factor: of each row two neighbours, and two more eight steps on."""
        type_ = ir.VectorType.get([4, 2], self.element_type)
        for start in range(0, self.shape.depth, SQUARE):
            fragment = build.zero(type_)
            for register in range(4):
                for half in range(2):
                    step = build.add(self.pair, start + 8 * (register // 2) + half)
                    row, operand = self.mine[register % 2], self.operands[0]
                    inside = arith.andi(build.is_less(row, rows.count), build.is_less(step, operand.width))
                    element = self.element_or_zero(operand, rows, row, step, inside)
                    fragment = vector.insert(element, fragment, [], [register, half])
            self.fragments.append(fragment)

    def fetch(self, stage: Stage, rows: Rows) -> None:
        """Starts to bring a tile into shared memory; what is behind the last row or element is 0."""
        operand, grid = stage.operand, self.grid
        lanes = CHUNK if self.is_copied(stage) else 1
        space = [stage.tile.lines, stage.width // lanes]
        last = build.maximum(build.sub(rows.count, 1), 0)
        with build.loop(grid.thread, build.product(space), grid.threads) as number:
            row, step = build.delinearize(number, space)
            column = build.mul(step, lanes)
            to = place_in(stage.tile, row, column)
            inside = arith.andi(build.is_less(row, rows.count), build.is_less(column, operand.width))
            if lanes > 1:
                place = operand.place(rows, build.minimum(row, last), build.select(inside, column, 0))
                at = build.dot(place, stage.strides)
                cp_async.copy(stage.source, at, stage.buffer, to, lanes, build.select(inside, lanes, 0))
            else:
                memref.store(
                    self.element_or_zero(operand, rows, row, column, inside), stage.buffer, [value(to)]
                )

    def element_or_zero(
        self, operand: Operand, rows: Rows, row: Index, column: Index, inside: ir.Value
    ) -> ir.Value:
        """An element of a row; 0 where it is not `inside`."""
        return build.choose(
            inside,
            [self.element_type],
            lambda: [memref.load(operand.buffer, operand.place(rows, row, column))],
            lambda: [build.zero(self.element_type)],
        )[0]

    def is_copied(self, stage: Stage) -> bool:
        """Whether rows are made of pieces that an instruction copies."""
        operand = stage.operand
        known = [stride for stride in stage.strides if isinstance(stride, int) and stride != 1]
        is_whole = isinstance(operand.width, int) and operand.width % CHUNK == 0
        # A stride that is not known is one of whole rows.
        return is_whole and operand.has_rows and is_aligned(CHUNK, self.element_type, known)

    def square(
        self, stage: Stage, line: int, element: int, how: MatrixAddress, *, transpose: bool
    ) -> ir.Value:
        """16 x 16 elements of a tile, as two fragments of the second factor."""
        lane = self.grid.lane
        bits = (build.remainder(build.floor_div(lane, 8), 2), build.floor_div(lane, 16))
        at_line = build.add(build.remainder(lane, 8), build.mul(bits[how.line_bit], 8))
        at_element = build.mul(bits[1 - how.line_bit], 8)
        place = place_in(stage.tile, build.add(at_line, line), build.add(at_element, element))
        return mma.load_matrices(stage.buffer, place, transpose=transpose)

    # ---- the walk

    def start(self) -> State:
        """Nothing seen yet."""
        sums = [mma.no_sums()] * (self.shape.width // MMA_COLUMNS)
        return [self.lowest, self.lowest, self.zero, self.zero, *sums]

    def largest(self, state: State) -> list[tuple[ir.Value, ir.Value]]:
        """Both queries."""
        return list(zip(self.mine, state[:2], strict=True))

    def walk(self, rows: Rows, keys: Index, state: State, tiles: Index, start_of: StartOf) -> State:
        """Tile after tile; the next one's keys are on their way while this one's values are multiplied."""
        barrier()
        with build.when(build.is_less(0, tiles)):
            self.fetch(self.key_stage, self.tile_of(rows, keys, start_of(0)))
        cp_async.commit()

        def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            tile = self.tile_of(rows, keys, start_of(number))
            cp_async.wait(0)
            barrier()
            self.fetch(self.value_stage, tile)
            cp_async.commit()
            products = self.products()
            barrier()
            following = build.add(number, 1)
            with build.when(build.is_less(following, tiles)):
                self.fetch(self.key_stage, self.tile_of(rows, keys, start_of(following)))
            cp_async.commit()
            scores = self.scores(products, rows, tile)
            weights, scaled = self.softmax(scores, carried)
            cp_async.wait(1)
            barrier()
            return [*scaled[:4], *self.weighted(weights, scaled[4:])]

        return build.fold(0, tiles, 1, state, step)

    def products(self) -> list[ir.Value]:
        """The products of the queries with the keys of the tile, eight keys after eight."""
        sums = [mma.no_sums()] * (self.keys // MMA_COLUMNS)
        for number, fragment in enumerate(self.fragments):
            sums = multiplied(
                fragment,
                lambda pair, step=number: self.square(
                    self.key_stage, pair * SQUARE, step * SQUARE, COLUMNS_ALONG_DEPTH, transpose=False
                ),
                sums,
            )
        return sums

    def scores(self, products: Sequence[ir.Value], rows: Rows, keys: Rows) -> list[list[ir.Value]]:
        """What the body makes of the products, for each of the two queries; -inf behind the last key."""
        attention = self.attention
        last = build.maximum(build.sub(keys.count, 1), 0)
        queries = [
            attention.position(rows, build.minimum(row, build.sub(rows.count, 1))) for row in self.mine
        ]
        scores: list[list[ir.Value]] = [[], []]
        of_row: list[dict[int, ir.Value]] = [{}, {}]
        for at, product in enumerate(products):
            for place in range(2):
                key = build.add(self.pair, at * MMA_COLUMNS + place)
                is_inside = build.is_less(key, keys.count)
                coordinate = attention.position(keys, build.minimum(key, last))
                of_key: dict[int, ir.Value] = {}
                for half in range(2):
                    given = {
                        element.scalar: self.read(number, queries[half], coordinate, of_row[half], of_key)
                        for number, element in enumerate(attention.elements)
                    }
                    score = self.through_body(vector.extract(product, [], [half, place]), given)
                    scores[half].append(arith.select(is_inside, score, self.lowest))
        return scores

    def read(
        self,
        number: int,
        query: Index,
        key: Index,
        of_row: dict[int, ir.Value],
        of_key: dict[int, ir.Value],
    ) -> ir.Value:
        """An element of the body, read once for all that share it."""
        positions = self.attention.elements[number].positions
        has_query, has_key = (self.attention.batch + i in positions for i in range(2))
        if has_query and has_key:
            return self.element(number, query, key)
        shared = of_key if has_key else of_row
        if number not in shared:
            shared[number] = self.element(number, query, key)
        return shared[number]

    def softmax(
        self, scores: Sequence[Sequence[ir.Value]], state: State
    ) -> tuple[list[list[ir.Value]], State]:
        """The weights of both queries, and the state scaled to their new maxima."""
        maxima: list[ir.Value] = []
        totals: list[ir.Value] = []
        scales: list[ir.Value] = []
        weights: list[list[ir.Value]] = []
        for half in range(2):
            largest = state[half]
            for score in scores[half]:
                largest = larger(score, largest)
            for offset in (1, 2):
                largest = larger(shuffle(largest, offset, "xor"), largest)
            shift = self.shift(largest)
            scale = math.exp(arith.subf(state[half], shift))
            total = arith.mulf(state[2 + half], scale)
            weights.append([math.exp(arith.subf(score, shift)) for score in scores[half]])
            for weight in weights[-1]:
                total = arith.addf(total, weight)
            maxima.append(largest)
            totals.append(total)
            scales.append(scale)
        factor = build.zero(mma.sums_type())
        for half in range(2):
            for place in range(2):
                factor = vector.insert(scales[half], factor, [], [half, place])
        return weights, [*maxima, *totals, *(arith.mulf(sums, factor) for sums in state[4:])]

    def weighted(self, weights: Sequence[Sequence[ir.Value]], sums: Sequence[ir.Value]) -> list[ir.Value]:
        """`sums` and the values of the tile, each times its weight."""
        result = list(sums)
        for step in range(self.keys // SQUARE):
            result = multiplied(
                self.weight_fragment(weights, step),
                lambda pair, step=step: self.square(
                    self.value_stage, step * SQUARE, pair * SQUARE, COLUMNS_ACROSS, transpose=True
                ),
                result,
            )
        return result

    def weight_fragment(self, weights: Sequence[Sequence[ir.Value]], step: int) -> ir.Value:
        """The weights of sixteen keys as the first factor: sums of the first product lie as it wants them."""
        fragment = build.zero(ir.VectorType.get([4, 2], self.element_type))
        for register in range(4):
            for place in range(2):
                number = 4 * step + 2 * (register // 2) + place
                weight = arith.truncf(self.element_type, weights[register % 2][number])
                fragment = vector.insert(weight, fragment, [], [register, place])
        return fragment

    def finish(self, rows: Rows, state: State) -> None:
        """Each thread its pairs of columns."""
        result = self.operands[3]
        for half in range(2):
            total = state[2 + half]
            for offset in (1, 2):
                total = arith.addf(total, shuffle(total, offset, "xor"))
            total = self.divisor(total)
            with build.when(build.is_less(self.mine[half], rows.count)):
                for at, sums in enumerate(state[4:]):
                    for place in range(2):
                        column = build.add(self.pair, at * MMA_COLUMNS + place)
                        quotient = arith.divf(vector.extract(sums, [], [half, place]), total)
                        with build.when(build.is_less(column, result.width)):
                            to = result.place(rows, self.mine[half], column)
                            memref.store(narrowed(quotient, result.type), result.buffer, to)


def power_of_two(size: int) -> int:
    """The next power of two, one square at least."""
    return max(SQUARE, 1 << (size - 1).bit_length())


def multiplied(
    fragment: ir.Value, square: Callable[[int], ir.Value], sums: Sequence[ir.Value]
) -> list[ir.Value]:
    """`sums`, of eight columns each, and the products of `fragment` with one square of columns after another."""
    result: list[ir.Value] = []
    for pair in range(len(sums) // 2):
        columns = square(pair)
        result += [
            mma.multiply_add(fragment, mma.half_of(columns, 2 * half), sums[2 * pair + half])
            for half in range(2)
        ]
    return result

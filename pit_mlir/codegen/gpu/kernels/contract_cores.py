"""What multiplies a step of a contraction that lies in shared memory: fused multiply-adds of threads, exact in any
type, or the tensor cores of warps for bf16 and f16, and for f32 that may be rounded to tf32. Either keeps its sums in
registers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.build import Index, add, compare, floor_div, mul, remainder, value, zero
from pit_mlir.codegen.gpu.build import load_chunk, place_in, store_chunk
from pit_mlir.codegen.gpu.instr import mma
from pit_mlir.codegen.gpu.kernels.contract_stage import Staging
from pit_mlir.codegen.gpu.launch import Grid, barrier
from pit_mlir.codegen.gpu.layout import (
    COLUMNS_ACROSS,
    COLUMNS_ALONG_DEPTH,
    MMA_COLUMNS,
    MMA_ROWS,
    ROWS_ACROSS,
    ROWS_ALONG_DEPTH,
    MatrixAddress,
    SharedTile,
)
from pit_mlir.codegen.vectorize import plus


@dataclass(frozen=True)
class Operand:
    """A factor in shared memory: `across` its lines are steps, else rows (or columns)."""

    tile: SharedTile
    buffer: ir.Value
    across: bool

    @property
    def element(self) -> ir.Type:
        """The type of its elements."""
        return ir.MemRefType(self.buffer.type).element_type

    @staticmethod
    def of(staging: Staging, buffer: ir.Value) -> "Operand":
        """What `staging` has brought to `buffer`."""
        return Operand(staging.tile, buffer, staging.across)


Run = tuple[Index, Sequence[ir.Value]]
"""Sums of neighbouring columns, from a column on."""


@dataclass(frozen=True)
class Row:
    """The sums of a thread in one row of the tile: runs of neighbours.

    In a fragment of tensor cores, four lanes share the row, `lane` among them: their runs follow each other.
    """

    row: Index
    runs: Sequence[Run]
    lane: ir.Value | None = None


@dataclass
class Core(ABC):
    """Multiplies steps and keeps the sums of the thread.

    Each of the `teams` has `high` x `wide` members, threads or warps, which share out a tile of `rows` x `columns`
    sums. Teams share out the steps of a stage, `depth` of them.
    """

    grid: Grid
    rows: int
    columns: int
    depth: int
    high: int
    wide: int
    teams: int

    @property
    @abstractmethod
    def member(self) -> Index:
        """The number of the thread's member among those of all teams."""

    @abstractmethod
    def start(self) -> list[ir.Value]:
        """Sums of nothing."""

    @abstractmethod
    def step(
        self, sums: Sequence[ir.Value], rows: Operand, columns: Operand, starts: tuple[Index, Index]
    ) -> list[ir.Value]:
        """`sums` plus the product of the tiles that begin at `starts` in the buffers of both operands."""

    @abstractmethod
    def results(self, sums: Sequence[ir.Value]) -> Iterator[Row]:
        """The sums by row."""

    def team(self) -> tuple[Index, int]:
        """Which of the teams the thread is in, and how many there are."""
        return floor_div(self.member, self.high * self.wide), self.teams

    def place_in_team(self) -> tuple[Index, Index]:
        """The row and the column of the thread's member in its team."""
        inside = remainder(self.member, self.high * self.wide)
        return floor_div(inside, self.wide), remainder(inside, self.wide)


@dataclass
class FmaCore(Core):
    """Teams of `high` x `wide` threads, each with `rows / high` x `columns / wide` sums of any type.

    Teams share out the chunks of a stage. Neighbouring threads take neighbouring lines, whose chunks lie in different
    banks; of an operand that lies across the depth they take neighbouring chunks of a line.
    """

    element: ir.Type

    @property
    def member(self) -> Index:
        """See `Core`."""
        return self.grid.thread

    def start(self) -> list[ir.Value]:
        """Sums of nothing."""
        return [zero(ir.VectorType.get([self.columns // self.wide], self.element))] * (self.rows // self.high)

    def part(self, operand: Operand, count: int, threads: int) -> int:
        """How many neighbours of a line a thread takes of an operand that lies across."""
        return min(operand.tile.per_chunk, count // threads) if operand.across else 1

    def place(self, number: int, thread: Index, width: int, threads: int) -> Index:
        """The row (or column) that is number `number` of a thread's, which takes `width` neighbours at once."""
        block, inside = divmod(number, width)
        return add(mul(thread, width), block * threads * width + inside)

    def fragments(
        self, operand: Operand, start: Index, step: Index, thread: Index, count: int, threads: int
    ) -> list[ir.Value]:
        """Chunks that hold the thread's part of the operand for as many steps as a chunk has, from `step` on.

        Along the depth there is a chunk for each row, across it one for each step and each part.
        """
        tile = operand.tile
        if not operand.across:
            lines = [self.place(number, thread, 1, threads) for number in range(count // threads)]
            return [
                load_chunk(operand.buffer, add(start, place_in(tile, line, step)), self.steps(operand))
                for line in lines
            ]
        width = self.part(operand, count, threads)
        places = [self.place(number, thread, width, threads) for number in range(0, count // threads, width)]
        return [
            load_chunk(operand.buffer, add(start, place_in(tile, add(step, inside), place)), width)
            for inside in range(self.steps(operand))
            for place in places
        ]

    def steps(self, operand: Operand) -> int:
        """Steps that are read at once."""
        return min(operand.tile.per_chunk, self.depth)

    def scalars(
        self, operand: Operand, chunks: Sequence[ir.Value], inside: int, count: int, threads: int
    ) -> list[ir.Value]:
        """The thread's elements of step `inside` of `chunks`."""
        if not operand.across:
            return [self.seen(vector.extract(chunk, [], [inside])) for chunk in chunks]
        width = self.part(operand, count, threads)
        per_step = count // threads // width
        mine = chunks[inside * per_step : (inside + 1) * per_step]
        return [self.seen(vector.extract(chunk, [], [number])) for chunk in mine for number in range(width)]

    def seen(self, stored: ir.Value) -> ir.Value:
        """What lies in shared memory as the sum takes it: truth values lie there as bytes."""
        return stored if stored.type == self.element else arith.trunci(self.element, stored)

    def step(
        self, sums: Sequence[ir.Value], rows: Operand, columns: Operand, starts: tuple[Index, Index]
    ) -> list[ir.Value]:
        """`sums` plus the products of `depth` steps."""
        result = list(sums)
        (down, along), (team, _) = self.place_in_team(), self.team()
        at_once = self.steps(rows)
        for number in range(0, self.depth, at_once * self.teams):
            first = add(mul(team, at_once), number)
            left = self.fragments(rows, starts[0], first, down, self.rows, self.high)
            right = self.fragments(columns, starts[1], first, along, self.columns, self.wide)
            for inside in range(at_once):
                line = vector.from_elements(
                    ir.VectorType.get([self.columns // self.wide], self.element),
                    self.scalars(columns, right, inside, self.columns, self.wide),
                )
                for number, scalar in enumerate(self.scalars(rows, left, inside, self.rows, self.high)):
                    factor = vector.broadcast(line.type, scalar)
                    result[number] = multiply_add(factor, line, result[number])
        self.widths = self.part(rows, self.rows, self.high), self.part(columns, self.columns, self.wide)
        return result

    widths: tuple[int, int] = (1, 1)

    def results(self, sums: Sequence[ir.Value]) -> Iterator[Row]:
        """The sums by row."""
        down, along = self.place_in_team()
        high, wide = self.widths
        for number, line in enumerate(sums):
            runs: list[tuple[Index, list[ir.Value]]] = []
            for first in range(0, self.columns // self.wide, wide):
                scalars = [vector.extract(line, [], [first + inside]) for inside in range(wide)]
                runs.append((self.place(first, along, wide, self.wide), scalars))
            yield Row(self.place(number, down, high, self.high), runs)


@dataclass
class MmaCore(Core):
    """Teams of `high` x `wide` warps, each with a part of the tile in blocks of 16 x 8 sums: factors of 16 bits, or of
    f32 as tf32, sums in f32. Teams share out the steps of a stage, two chunks of them at a time."""

    @property
    def member(self) -> Index:
        """See `Core`."""
        return self.grid.warp

    @property
    def blocks(self) -> tuple[int, int]:
        """Blocks of 16 rows and of 8 columns of a warp."""
        return self.rows // self.high // MMA_ROWS, self.columns // self.wide // MMA_COLUMNS

    def first(self) -> tuple[Index, Index]:
        """The first row and the first column of the warp."""
        high, wide = self.blocks
        down, along = self.place_in_team()
        return mul(down, high * MMA_ROWS), mul(along, wide * MMA_COLUMNS)

    def start(self) -> list[ir.Value]:
        """Sums of nothing."""
        high, wide = self.blocks
        return [mma.no_sums()] * (high * wide)

    def matrices(
        self, operand: Operand, start: Index, side: Index, step: Index, how: MatrixAddress
    ) -> ir.Value:
        """16 rows (or columns) by two chunks of steps from row (or column) `side` and step `step` on, as factors."""
        if isinstance(operand.element, ir.F32Type):
            load = self.gathered if operand.across else self.loaded
            return mma.as_tf32(load(operand, start, side, step, how))
        return self.loaded(operand, start, side, step, how)

    def loaded(
        self, operand: Operand, start: Index, side: Index, step: Index, how: MatrixAddress
    ) -> ir.Value:
        """As `matrices`, by one `ldmatrix`."""
        lane = self.grid.lane
        bits = (remainder(floor_div(lane, 8), 2), floor_div(lane, 16))
        line = add(remainder(lane, 8), mul(bits[how.line_bit], 8))
        element = mul(bits[1 - how.line_bit], operand.tile.per_chunk)
        place = (
            (add(line, step), add(element, side)) if operand.across else (add(line, side), add(element, step))
        )
        at = add(start, place_in(operand.tile, *place))
        return mma.load_matrices(operand.buffer, at, transpose=operand.across)

    def gathered(
        self, operand: Operand, start: Index, side: Index, step: Index, how: MatrixAddress
    ) -> ir.Value:
        """As `matrices`, of f32 that lie across, one by one: `ldmatrix` transposes 16 bits only."""
        lane, chunk = self.grid.lane, operand.tile.per_chunk
        found: list[ir.Value] = []
        for matrix in range(mma.MATRICES):
            bits = (matrix % 2, matrix // 2)
            line = add(add(remainder(lane, chunk), step), chunk * bits[how.line_bit])
            element = add(add(floor_div(lane, chunk), side), 8 * bits[1 - how.line_bit])
            at = add(start, place_in(operand.tile, line, element))
            found.append(memref.load(operand.buffer, [value(at)]))
        return vector.from_elements(ir.VectorType.get([mma.MATRICES, 1], operand.element), found)

    def step(
        self, sums: Sequence[ir.Value], rows: Operand, columns: Operand, starts: tuple[Index, Index]
    ) -> list[ir.Value]:
        """`sums` plus the products of `depth` steps, as many at a time as an instruction takes."""
        result, (high, wide) = list(sums), self.blocks
        at_once = mma.depth_of(rows.element)
        row, column = self.first()
        rows_address = ROWS_ACROSS if rows.across else ROWS_ALONG_DEPTH
        columns_address = COLUMNS_ACROSS if columns.across else COLUMNS_ALONG_DEPTH
        team, _ = self.team()
        for first in range(0, self.depth, at_once * self.teams):
            step = add(mul(team, at_once), first)
            left = [
                self.matrices(rows, starts[0], add(row, number * MMA_ROWS), step, rows_address)
                for number in range(high)
            ]
            right: list[ir.Value] = []
            for number in range(0, wide, 2):
                both = self.matrices(
                    columns, starts[1], add(column, number * MMA_COLUMNS), step, columns_address
                )
                right += [mma.half_of(both, 0), mma.half_of(both, 2)]
            for number in range(high * wide):
                factors = left[number // wide], right[number % wide]
                result[number] = mma.multiply_add(*factors, result[number])
        return result

    def results(self, sums: Sequence[ir.Value]) -> Iterator[Row]:
        """The sums by row: see `layout.mma_c`."""
        (high, wide), lane = self.blocks, self.grid.lane
        row, column = self.first()
        inside = add(column, mul(remainder(lane, 4), 2))
        for number in range(high):
            for half in range(2):
                place = add(add(row, floor_div(lane, 4)), number * MMA_ROWS + half * MMA_ROWS // 2)
                runs = [
                    (add(inside, block * MMA_COLUMNS), mma.sums_of(sums[number * wide + block], half))
                    for block in range(wide)
                ]
                yield Row(place, runs, lane)


def multiply_add(left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
    """`left * right + total` of vectors, fused where they are floats."""
    if isinstance(ir.VectorType(total.type).element_type, ir.FloatType):
        return vector.fma(left, right, total)
    return arith.addi(arith.muli(left, right), total)


def combined(
    core: Core, sums: Sequence[ir.Value], grid: Grid, buffer: ir.Value | None
) -> tuple[list[ir.Value], ir.Value | None]:
    """The sums of all teams in those of the first one, by way of `buffer`, which is shared; and who is in that team.

    None where there is only one.
    """
    team, count = core.team()
    if buffer is None:
        return list(sums), None
    members = grid.threads // count
    member = remainder(grid.thread, members)
    shape = ir.VectorType(sums[0].type)
    lanes = prod(shape.shape)
    result = [reshaped(total, [lanes]) for total in sums]

    def place(other: Index, number: int) -> Index:
        # Neighbouring threads lie next to each other.
        return mul(add(mul(add(mul(other, len(sums)), number), members), member), lanes)

    barrier()
    for number, total in enumerate(result):
        store_chunk(total, buffer, place(team, number))
    barrier()
    for other in range(1, count):
        for number, total in enumerate(result):
            theirs = load_chunk(buffer, place(other, number), lanes)
            result[number] = plus(total, theirs)
    return [reshaped(total, shape.shape) for total in result], compare("eq", team, 0)


def reshaped(given: ir.Value, shape: Sequence[int]) -> ir.Value:
    """The elements of a vector in one of `shape`."""
    type_ = ir.VectorType(given.type)
    if list(type_.shape) == list(shape):
        return given
    elements = [vector.extract(given, [], list(place)) for place in product(*map(range, type_.shape))]
    return vector.from_elements(ir.VectorType.get(list(shape), type_.element_type), elements)

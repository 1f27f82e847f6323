"""What a task of attention reads, laid out for its products: rows, transposed rows, pairs of bf16, masks as bits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import Attention, Element, Operand, Rows, as_stored, extended, stored_type
from pit_mlir.codegen.buffers import has_unit_stride
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.cpu.micro_kernel import multiply_add, multiply_add_pairs
from pit_mlir.codegen.cpu.panel import TALL, Panel, transposed
from pit_mlir.codegen.vectorize import vector_type
from pit_mlir.target import Host


@dataclass(frozen=True)
class Format:
    """How numbers are kept for the products of a task.

    `sums` is the type of scores and sums, `lanes` of which fill a register. In `pairs`, two bf16 that follow each
    other along the depth of a product are one i32; else each number is converted to `sums`. A register tile is
    `vectors` wide.
    """

    sums: ir.Type
    lanes: int
    vectors: int
    pairs: bool

    @staticmethod
    def of(attention: Attention, host: Host) -> "Format":
        """The fastest one on `host` for the types of `attention`."""
        sums = attention.score_type
        types = {ir.MemRefType(buffer.type).element_type for buffer in attention.buffers[:3]}
        pairs = types == {ir.BF16Type.get()} and host.has_bf16_dot
        return Format(sums, host.lanes(ir.FloatType(sums).width), 4 if host.registers >= 32 else 2, pairs)

    @property
    def packed(self) -> ir.Type:
        """The type of what is packed."""
        return ir.IntegerType.get_signless(32) if self.pairs else self.sums

    @property
    def depth(self) -> int:
        """How many numbers along the depth are in one that is packed."""
        return 2 if self.pairs else 1

    @property
    def multiply_add(self) -> Callable[[ir.Value, ir.Value, ir.Value], ir.Value]:
        """`left * right + sums` on vectors of what is packed."""
        return multiply_add_pairs if self.pairs else multiply_add


def paired(low: ir.Value, high: ir.Value) -> ir.Value:
    """Vectors of bf16 as one of i32 that holds an element of each."""
    lanes = ir.VectorType(low.type).shape[0]
    i16, i32 = (vector_type(ir.IntegerType.get_signless(bits), lanes) for bits in (16, 32))
    halves = [arith.extui(i32, vector.bitcast(i16, half)) for half in (low, high)]
    sixteen = build.splat(arith.constant(ir.IntegerType.get_signless(32), 16), lanes)
    return arith.ori(halves[0], arith.shli(halves[1], sixteen))


@dataclass(frozen=True)
class VectorOperand(Operand):
    """An operand whose rows are read and written in vectors."""

    def divides(self, count: int) -> bool:
        """Whether panels of vectors of `count` elements hold whole rows and nothing else."""
        return isinstance(self.width, int) and self.width % max(count, TALL) == 0

    def element(self, rows: Rows, row: Index, inner: Index) -> ir.Value:
        """One element of the `row`-th of `rows`; of the last one behind it."""
        row = build.minimum(row, build.sub(rows.count, 1))
        return memref.load(self.buffer, self.place(rows, row, inner))

    def load(self, rows: Rows, row: Index, start: Index, count: int) -> ir.Value:
        """The vector of `count` elements of a row from `start` on; those behind the row's end are 0."""
        type_ = vector_type(self.type, count)
        none = build.zero(type_)
        left = build.sub(self.width, start)
        if self.has_rows:
            if self.divides(count):
                return vector.load(type_, self.buffer, self.place(rows, row, start))
            mask_type = vector_type(ir.IntegerType.get_signless(1), count)
            mask = vector.create_mask(mask_type, [build.value(left)])
            return vector.maskedload(type_, self.buffer, self.place(rows, row, start), mask, none)

        def step(lane: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            scalar = memref.load(self.buffer, self.place(rows, row, build.add(start, lane)))
            return [vector.insert(scalar, carried[0], [lane], [ir.ShapedType.get_dynamic_size()])]

        return build.fold(0, build.maximum(0, build.minimum(left, count)), 1, [none], step)[0]

    def store(self, values: ir.Value, rows: Rows, row: Index, start: Index) -> None:
        """Writes a vector to a row from `start` on, as far as the row goes."""
        count = ir.VectorType(values.type).shape[0]
        left = build.sub(self.width, start)
        if self.has_rows:
            if self.divides(count):
                vector.store(values, self.buffer, self.place(rows, row, start))
                return
            mask_type = vector_type(ir.IntegerType.get_signless(1), count)
            mask = vector.create_mask(mask_type, [build.value(left)])
            vector.maskedstore(self.buffer, self.place(rows, row, start), mask, values)
            return
        with build.loop(0, build.minimum(left, count)) as lane:
            scalar = vector.extract(values, [lane], [ir.ShapedType.get_dynamic_size()])
            memref.store(scalar, self.buffer, self.place(rows, row, build.add(start, lane)))


def pack_rows(panel: Panel, operand: VectorOperand, rows: Rows, format_: Format) -> None:
    """Row after row of `operand` as it is, for the depth to run along them."""
    with build.loop(0, rows.count) as row, build.loop(0, panel.columns, format_.lanes) as column:
        panel.store_vector(packed_vector(operand, rows, row, column, format_), row, column)


def pack_transposed(panel: Panel, operand: VectorOperand, rows: Rows, format_: Format) -> None:
    """Rows as columns of `panel`, one in each lane; lanes behind the last row repeat it."""
    lanes = format_.lanes
    last = build.sub(rows.count, 1)
    with build.loop(0, rows.count, lanes) as start, build.loop(0, panel.rows, lanes) as step:
        square = [
            packed_vector(operand, rows, build.minimum(build.add(start, lane), last), step, format_)
            for lane in range(lanes)
        ]
        for lane, column in enumerate(transposed(square)):
            panel.store_vector(column, build.add(step, lane), start)


def packed_vector(operand: VectorOperand, rows: Rows, row: Index, column: Index, format_: Format) -> ir.Value:
    """A register of packed numbers of a row."""
    if not format_.pairs:
        return extended(operand.load(rows, row, column, format_.lanes), format_.sums)
    values = operand.load(rows, row, build.mul(column, 2), 2 * format_.lanes)
    return vector.bitcast(vector_type(format_.packed, format_.lanes), values)


def pack_across(panel: Panel, operand: VectorOperand, rows: Rows, format_: Format) -> None:
    """Row after row, for the depth to run across them: in pairs of rows, where an odd one's partner is 0."""
    if not format_.pairs:
        pack_rows(panel, operand, rows, format_)
        return
    last = build.sub(rows.count, 1)
    with build.loop(0, build.ceil_div(rows.count, 2)) as pair:
        first = build.mul(pair, 2)
        second = build.minimum(build.add(first, 1), last)
        is_there = build.splat(build.compare("ne", second, first), format_.lanes)
        with build.loop(0, panel.columns, format_.lanes) as column:
            low, high = (operand.load(rows, row, column, format_.lanes) for row in (first, second))
            high = arith.select(is_there, high, build.zero(high.type))
            panel.store_vector(paired(low, high), pair, column)


@dataclass(frozen=True)
class Extra:
    """What a `pit.element` of the body reads, kept so that the body finds a vector of it, one query in each lane.

    It carries queries or keys or both (`along`). Truth values over pairs that lie along the keys in memory are kept as
    bits: a word of `word` bits holds as many keys of one query.
    """

    attention: Attention
    point: Sequence[Index]
    element: Element
    lanes: int
    size: tuple[int, int]

    @property
    def along(self) -> tuple[bool, bool]:
        """Whether it carries queries, keys."""
        batch = self.attention.batch
        return batch in self.element.positions, batch + 1 in self.element.positions

    @property
    def type(self) -> ir.Type:
        """The type of an element."""
        return self.element.scalar.type

    @property
    def is_transposed(self) -> bool:
        """Whether rows of keys lie in memory as they are asked for."""
        return (
            all(self.along)
            and self.element.positions[-1] == self.attention.batch + 1
            and self.attention.ragged is None
            and has_unit_stride(self.element.buffer)
        )

    @property
    def is_bits(self) -> bool:
        """Whether it is kept as bits."""
        return self.is_transposed and self.type == ir.IntegerType.get_signless(1)

    @property
    def word(self) -> int:
        """The bits of a word: as many as a score has, so that both fill a register alike."""
        return ir.FloatType(self.attention.score_type).width

    @cached_property
    def truths(self) -> Panel:
        """Truth values of the keys of one query, on the way to their bits."""
        return Panel.alloca(ir.IntegerType.get_signless(8), 1, self.size[1])

    def allocate(self) -> None:
        """Makes room at the insertion point, where no loop repeats it."""
        if any(self.along):
            _ = self.panel
        if self.is_bits:
            _ = self.truths

    @cached_property
    def panel(self) -> Panel:
        """Where it is kept."""
        queries, keys = self.size
        if self.is_bits:
            return Panel.alloca(ir.IntegerType.get_signless(self.word), keys // self.word, queries)
        carries_queries, carries_keys = self.along
        return Panel.alloca(
            stored_type(self.element.buffer), keys if carries_keys else 1, queries if carries_queries else 1
        )

    def read(self, query: Index | None, key: Index | None) -> ir.Value:
        """The scalar at coordinates `query` and `key` of the axis."""
        return memref.load(self.element.buffer, self.place(query, key))

    def place(self, query: Index | None, key: Index | None) -> list[ir.Value]:
        """Where that scalar is."""
        batch = self.attention.batch
        values: dict[int, Index | None] = dict(enumerate(self.point))
        values |= {batch: query, batch + 1: key}
        chosen = [values[position] for position in self.element.positions]
        return [build.value(coordinate) for coordinate in chosen if coordinate is not None]

    def load_queries(self, rows: Rows) -> None:
        """What is carried by queries alone, once for a task; lanes behind the last one repeat it."""
        last = build.sub(rows.count, 1)
        with build.loop(0, self.size[0]) as row:
            query = self.attention.position(rows, build.minimum(row, last))
            self.panel.store(as_stored(self.read(query, None)), 0, row)

    def load_keys(self, rows: Rows, block: Rows) -> None:
        """What is carried by keys, for a block of them."""
        if not self.along[0]:
            with build.loop(0, block.count) as key:
                scalar = self.read(None, self.attention.position(block, key))
                self.panel.store(as_stored(scalar), key, 0)
        elif self.is_bits:
            self.load_bits(rows, block)
        elif self.is_transposed:
            self.load_squares(rows, block)
        else:
            with build.loop(0, rows.count) as row, build.loop(0, block.count) as key:
                scalar = self.read(self.attention.position(rows, row), self.attention.position(block, key))
                self.panel.store(as_stored(scalar), key, row)

    def load_bits(self, rows: Rows, block: Rows) -> None:
        """A bit for each key of each query."""
        keys = self.size[1]
        i1 = ir.IntegerType.get_signless(1)
        is_whole = build.compare("eq", block.count, keys)
        none = arith.constant(i1, 0)
        with build.loop(0, rows.count) as row:
            query = self.attention.position(rows, row)
            # Most blocks are whole: a loop of as many trips as a register has bytes is one load for LLVM.
            for condition, count in (
                (is_whole, keys),
                (arith.cmpi(arith.CmpIPredicate.eq, is_whole, none), block.count),
            ):
                with build.when(condition), build.loop(0, count) as key:
                    scalar = self.read(query, self.attention.position(block, key))
                    self.truths.store(as_stored(scalar), 0, key)
            bits = arith.trunci(vector_type(i1, keys), self.truths.load_vector(0, 0, keys))
            words = vector.bitcast(vector_type(self.panel.type, keys // self.word), bits)
            for number in range(keys // self.word):
                self.panel.store(vector.extract(words, [], [number]), number, row)

    def load_squares(self, rows: Rows, block: Rows) -> None:
        """Squares of `lanes` queries and keys, transposed."""
        lanes = self.lanes
        type_ = vector_type(self.panel.type, lanes)
        mask_type = vector_type(ir.IntegerType.get_signless(1), lanes)
        last = build.sub(rows.count, 1)
        with build.loop(0, rows.count, lanes) as row, build.loop(0, block.count, lanes) as key:
            mask = vector.create_mask(mask_type, [build.value(build.sub(block.count, key))])
            square: list[ir.Value] = []
            for lane in range(lanes):
                query = self.attention.position(rows, build.minimum(build.add(row, lane), last))
                place = self.place(query, self.attention.position(block, key))
                square.append(vector.maskedload(type_, self.element.buffer, place, mask, build.zero(type_)))
            for lane, column in enumerate(transposed(square)):
                self.panel.store_vector(column, build.add(key, lane), row)

    def vector(self, key: Index, column: Index) -> ir.Value:
        """The element for key `key` of the block and the queries from `column` on, as a vector or one scalar."""
        carries_queries, carries_keys = self.along
        if self.is_bits:
            return self.bit(key, column)
        if not carries_queries and not carries_keys:
            return self.read(None, None)
        row = key if carries_keys else 0
        if not carries_queries:
            stored = self.panel.load(row, 0)
            return stored if stored.type == self.type else arith.trunci(self.type, stored)
        stored = self.panel.load_vector(row, column, self.lanes)
        if self.panel.type == self.type:
            return stored
        return arith.trunci(vector_type(self.type, self.lanes), stored)

    def bit(self, key: Index, column: Index) -> ir.Value:
        """The truth values of `key`."""
        words = self.panel.load_vector(build.floor_div(key, self.word), column, self.lanes)
        place = arith.index_cast(self.panel.type, build.value(build.remainder(key, self.word)))
        chosen = arith.shli(arith.constant(self.panel.type, 1), place)
        none = build.zero(vector_type(self.panel.type, self.lanes))
        return arith.cmpi(arith.CmpIPredicate.ne, arith.andi(words, build.splat(chosen, self.lanes)), none)

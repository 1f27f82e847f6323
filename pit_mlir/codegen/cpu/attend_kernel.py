"""The kernel of `pit.attend`: blocks of queries, online softmax over blocks of keys, no tensor of scores.

A task is one block of queries of one point of the batch iterators. It packs its queries once and then, per block of
keys, packs keys (transposed) and values, computes the scores of the block, passes them through the body, updates the
running maximum and sum of every row, and adds the weighted values. Everything is computed in f32 (f64 for f64), as
in the online softmax of Milakov and Gimelshein (arXiv 1805.02867).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pit_mlir.analysis.images import LOWEST_LIMIT
from pit_mlir.bindings import arith, ir, linalg, math, memref, vector
from pit_mlir.codegen.cpu import build
from pit_mlir.codegen.cpu.buffers import extent
from pit_mlir.codegen.cpu.build import Index
from pit_mlir.codegen.cpu.outline import outline
from pit_mlir.codegen.cpu.panel import Panel, multiply, pack
from pit_mlir.codegen.cpu.vectorize import evaluate, vector_type

QUERIES = 64
"""Queries of a task: packing a block of keys costs about as much as scoring it for 32 queries."""
KEYS = 64
"""Keys of a block: scores of a task (64 x 64 f32) and its packed keys and values stay in the first-level cache."""


@dataclass(frozen=True)
class Ragged:
    """An index as memrefs of i32: segment s owns `entries[begin[s] .. begin[s] + count[s]]`."""

    begin: ir.Value
    count: ir.Value
    entries: ir.Value

    @property
    def buffers(self) -> tuple[ir.Value, ir.Value, ir.Value]:
        """All three."""
        return self.begin, self.count, self.entries


@dataclass(frozen=True)
class Blocks:
    """Which blocks of keys a block of queries looks at: as `Ragged`, a segment being a point of the batch iterators
    `iterators` and one of `along` blocks of queries.

    `lowest`: a row that finds no score above `LOWEST_LIMIT` among them looks at all.
    """

    lists: Ragged
    along: ir.Value
    iterators: tuple[int, ...]
    lowest: bool


@dataclass(frozen=True)
class Element:
    """A `pit.element` of the body: the scalar it makes there, the buffer it reads and the iterators it reads at."""

    scalar: ir.Value
    buffer: ir.Value
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Attention:
    """A `pit.attend` whose tensors are buffers (query, key, value, result) and whose body is still to be emitted.

    `captured` maps the scalars that the body captures to values that are visible at the insertion point.
    """

    body: ir.Block
    buffers: tuple[ir.Value, ir.Value, ir.Value, ir.Value]
    positions: tuple[tuple[int, ...], ...]
    compact: frozenset[int]
    batch: int
    segments: tuple[int, ...]
    elements: tuple[Element, ...]
    captured: Mapping[ir.Value, ir.Value]
    ragged: Ragged | None
    blocks: Blocks | None
    guarded: bool

    @property
    def values(self) -> list[ir.Value]:
        """All SSA values the code of a task uses."""
        blocks = self.blocks
        lists = [self.ragged, None if blocks is None else blocks.lists]
        return [
            *self.buffers,
            *(element.buffer for element in self.elements),
            *self.captured.values(),
            *(buffer for index in lists if index is not None for buffer in index.buffers),
            *([] if blocks is None else [blocks.along]),
        ]

    def rebound(self, values: Sequence[ir.Value]) -> tuple["Attention", list[ir.Value]]:
        """The same attention with the first of `values` in place of `self.values`, and the rest of them."""
        rest = iter(values)
        query, key, value, result = (next(rest) for _ in range(4))
        elements = tuple(replace(element, buffer=next(rest)) for element in self.elements)
        captured = {scalar: next(rest) for scalar in self.captured}
        ragged = None if self.ragged is None else Ragged(next(rest), next(rest), next(rest))
        blocks = self.blocks
        if blocks is not None:
            blocks = replace(blocks, lists=Ragged(next(rest), next(rest), next(rest)), along=next(rest))
        inside = replace(
            self,
            buffers=(query, key, value, result),
            elements=elements,
            captured=captured,
            ragged=ragged,
            blocks=blocks,
        )
        return inside, list(rest)


@dataclass(frozen=True)
class Rows:
    """`count` rows of one point of the batch: queries or keys `start ..`; rows of the index begin at `base`."""

    base: Index
    start: Index
    count: Index


def emit_attend(attention: Attention, lanes: int, name: str) -> None:
    """Emits the tasks at the insertion point, and the function `name` that is one of them.

    `lanes` is the number of scores in a vector register.
    """
    if attention.ragged is not None and 3 not in attention.compact:
        clear(attention.buffers[3])
    extents = batch_extents(attention)
    longest = longest_rows(attention)
    blocks = build.ceil_div(longest, QUERIES)
    tasks = build.mul(build.product(extents), blocks)
    with build.parallel(tasks, dynamic=attention.blocks is not None) as task:
        *point, block = build.delinearize(task, [*extents, blocks])
        coordinates = [build.value(coordinate) for coordinate in (*point, block)]

        def emit_task(arguments: Sequence[ir.Value]) -> None:
            inside, places = attention.rebound(arguments)
            emit_block(inside, places[:-1], places[-1], lanes)

        outline(name, [*attention.values, *coordinates], emit_task)


def emit_block(attention: Attention, point: Sequence[Index], block: Index, lanes: int) -> None:
    """One task: the `block`-th block of queries at `point`, if there is one."""
    base, queries, keys = segment_rows(attention, point, batch_extents(attention))
    start = build.mul(block, QUERIES)
    with build.when(build.is_less(start, queries)):
        rows = Rows(base, start, build.minimum(build.sub(queries, start), QUERIES))
        task = Block(attention, point, lanes)
        if attention.blocks is None:
            task.emit(rows, keys)
        else:
            task.emit_listed(
                rows, keys, attention.blocks, listed_keys(attention, attention.blocks, point, block)
            )


def listed_keys(
    attention: Attention, blocks: Blocks, point: Sequence[Index], block: Index
) -> tuple[Index, Index]:
    """Where the list of the `block`-th block of queries at `point` begins, and how long it is."""
    extents = batch_extents(attention)
    segment: Index = 0
    for iterator in blocks.iterators:
        segment = build.add(build.mul(segment, extents[iterator]), point[iterator])
    segment = build.add(build.mul(segment, blocks.along), block)
    return load_index(blocks.lists.begin, segment), load_index(blocks.lists.count, segment)


def batch_extents(attention: Attention) -> list[Index]:
    """The extents of the batch iterators, each read off a buffer that carries it or off the index."""
    sources = list(zip(attention.buffers, attention.positions, strict=True))
    sources += [(element.buffer, element.positions) for element in attention.elements]
    extents: list[Index] = []
    for iterator in range(attention.batch):
        carrier = next(((b, p) for b, p in sources if iterator in p), None)
        if carrier is None:
            assert attention.ragged is not None and attention.segments == (iterator,), (
                "the verifier saw to it"
            )
            extents.append(extent(attention.ragged.count, 0))
        else:
            extents.append(extent(carrier[0], carrier[1].index(iterator)))
    return extents


def longest_rows(attention: Attention) -> Index:
    """The largest number of queries of any point of the batch."""
    if attention.ragged is None:
        return extent(attention.buffers[0], attention.positions[0].index(attention.batch))
    count = attention.ragged.count
    longest = build.fold(
        0,
        extent(count, 0),
        1,
        [build.value(0)],
        lambda segment, carried: [build.value(build.maximum(carried[0], load_index(count, segment)))],
    )
    return longest[0]


def segment_rows(
    attention: Attention, point: Sequence[Index], extents: Sequence[Index]
) -> tuple[Index, Index, Index]:
    """First row, number of queries and number of keys of a point of the batch."""
    if attention.ragged is None:
        keys = extent(attention.buffers[1], attention.positions[1].index(attention.batch + 1))
        return 0, longest_rows(attention), keys
    segment: Index = 0
    for iterator in attention.segments:
        segment = build.add(build.mul(segment, extents[iterator]), point[iterator])
    count = load_index(attention.ragged.count, segment)
    return load_index(attention.ragged.begin, segment), count, count


def load_index(buffer: ir.Value, position: Index) -> ir.Value:
    """The i32 at `position` of `buffer` as an `index`."""
    return arith.index_cast(ir.IndexType.get(), memref.load(buffer, [build.value(position)]))


def clear(buffer: ir.Value) -> None:
    """Fills `buffer` with zeros: rows that the index does not list are 0."""
    zero = arith.constant(ir.MemRefType(buffer.type).element_type, 0.0)
    linalg.fill(zero, outs=[buffer])


class Block:
    """The code of one task: a block of queries at one `point` of the batch, against all of its keys."""

    def __init__(self, attention: Attention, point: Sequence[Index], lanes: int) -> None:
        self.attention = attention
        self.point = point
        self.lanes = lanes
        self.type = score_type_of(attention)
        self.zero = arith.constant(self.type, 0.0)
        self.lowest = arith.constant(self.type, float("-inf"))
        query, value = attention.buffers[0], attention.buffers[2]
        batch = attention.batch
        self.depth = extent(query, attention.positions[0].index(batch + 2))
        self.width = extent(value, attention.positions[2].index(batch + 3))
        padded = build.mul(build.ceil_div(self.width, lanes), lanes)
        self.queries = Panel.alloca(self.type, QUERIES, self.depth)
        self.keys = Panel.alloca(self.type, self.depth, KEYS)
        self.values = Panel.alloca(self.type, KEYS, padded)
        self.scores = Panel.alloca(self.type, QUERIES, KEYS)
        self.sums = Panel.alloca(self.type, QUERIES, padded)
        self.state = Panel.alloca(self.type, QUERIES, 2)
        self.extras = [
            Panel.alloca(stored_type(element.buffer), 1, KEYS) if batch + 1 in element.positions else None
            for element in attention.elements
        ]

    def emit(self, rows: Rows, keys: Index) -> None:
        """All blocks of keys, then the division by the sums and the store."""
        self.start(rows)
        with build.loop(0, keys, KEYS) as start:
            self.attend_to(rows, keys, start)
        self.finish(rows)

    def emit_listed(self, rows: Rows, keys: Index, blocks: Blocks, listed: tuple[Index, Index]) -> None:
        """The blocks of keys that are `listed`, from where on and how many; then all, if a row needs them."""
        begin, count = listed
        with build.loop(0, 2 if blocks.lowest else 1) as attempt:
            is_first = build.compare("eq", attempt, 0)
            is_needed = is_first
            length: Index = count
            if blocks.lowest:
                every = build.ceil_div(keys, KEYS)
                is_partial = build.is_less(count, every)
                is_needed = arith.ori(
                    is_first, arith.andi(is_partial, self.has_row_without_keys(rows, is_first))
                )
                length = build.select(is_first, count, every)
            with build.when(is_needed):
                self.start(rows)
                with build.loop(0, length) as number:
                    entry = load_index(blocks.lists.entries, build.add(begin, number))
                    block = build.select(is_first, entry, number) if blocks.lowest else entry
                    self.attend_to(rows, keys, build.mul(block, KEYS))
        self.finish(rows)

    def has_row_without_keys(self, rows: Rows, is_first: ir.Value) -> ir.Value:
        """Whether the largest score of some row counts as -inf; nobody knows before the first attempt."""
        limit = arith.constant(self.type, LOWEST_LIMIT)
        used = build.select(is_first, 0, rows.count)

        def step(row: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            return [
                arith.ori(carried[0], arith.cmpf(arith.CmpFPredicate.OLE, self.state.load(row, 0), limit))
            ]

        false = arith.constant(ir.IntegerType.get_signless(1), 0)
        return build.fold(0, used, 1, [false], step)[0]

    def attend_to(self, rows: Rows, keys: Index, start: Index) -> None:
        """One block of keys, from `start` on: scores, softmax, weighted values."""
        block = Rows(rows.base, start, build.minimum(build.sub(keys, start), KEYS))
        self.load_keys(block)
        multiply(self.queries, self.keys, self.scores, rows.count, self.depth, self.lanes, accumulate=False)
        with build.loop(0, rows.count) as row:
            self.softmax(rows, block, row)
        multiply(self.scores, self.values, self.sums, rows.count, block.count, self.lanes, accumulate=True)

    def start(self, rows: Rows) -> None:
        """Packs the queries; sums are 0, maxima -inf."""
        pack(
            self.queries,
            rows.count,
            self.depth,
            lambda row, d: self.load(0, self.coordinates(0, rows, row, d)),
        )
        self.sums.fill(self.zero, self.lanes)
        with build.loop(0, QUERIES) as row:
            self.state.store(self.lowest, row, 0)
            self.state.store(self.zero, row, 1)

    def load_keys(self, block: Rows) -> None:
        """Packs a block of keys, transposed, and of values."""
        pack(
            self.keys,
            block.count,
            self.depth,
            lambda key, d: self.load(1, self.coordinates(1, block, key, d)),
            transposed=True,
        )
        self.values.clear_columns(self.width, self.zero, self.lanes)
        pack(
            self.values,
            block.count,
            self.width,
            lambda key, e: self.load(2, self.coordinates(2, block, key, e)),
        )
        for element, panel in zip(self.attention.elements, self.extras, strict=True):
            if panel is not None and self.attention.batch not in element.positions:
                self.load_extra(element, panel, None, block)

    def coordinates(self, number: int, rows: Rows, row: Index, inner: Index) -> list[Index]:
        """Where operand `number` holds element `inner` of the `row`-th of `rows`."""
        batch = self.attention.batch
        along = self.row(rows, row) if number in self.attention.compact else self.position(rows, row)
        values = dict(enumerate(self.point))
        values |= {batch: along, batch + 1: along, batch + 2: inner, batch + 3: inner}
        return [values[position] for position in self.attention.positions[number]]

    def row(self, rows: Rows, row: Index) -> Index:
        """The number of the `row`-th of `rows` among all rows of the index."""
        return build.add(rows.base, build.add(rows.start, row))

    def position(self, rows: Rows, row: Index) -> Index:
        """The coordinate along the axis of the `row`-th of `rows`."""
        if self.attention.ragged is None:
            return build.add(rows.start, row)
        return load_index(self.attention.ragged.entries, self.row(rows, row))

    def load(self, number: int, coordinates: Sequence[Index]) -> ir.Value:
        """An element of operand `number` in the type of the scores."""
        return extended(
            memref.load(self.attention.buffers[number], [build.value(c) for c in coordinates]), self.type
        )

    def load_extra(self, element: Element, panel: Panel, query: Index | None, block: Rows) -> None:
        """Copies what the body reads along the keys of `block` (for one query, where it carries queries)."""
        with build.loop(0, block.count) as key:
            scalar = self.element(element, query, self.position(block, key))
            panel.store(as_stored(scalar), 0, key)

    def element(self, element: Element, query: Index | None, key: Index | None) -> ir.Value:
        """The scalar that the body reads at positions `query` and `key` of the axis."""
        batch = self.attention.batch
        values: dict[int, Index | None] = dict(enumerate(self.point))
        values |= {batch: query, batch + 1: key}
        coordinates = [values[position] for position in element.positions]
        return memref.load(element.buffer, [build.value(c) for c in coordinates if c is not None])

    def softmax(self, rows: Rows, block: Rows, row: Index) -> None:
        """One row of a block: body, new maximum, weights in place of the scores, sum and sums rescaled."""
        batch = self.attention.batch
        query = self.position(rows, row)
        for element, panel in zip(self.attention.elements, self.extras, strict=True):
            if panel is not None and batch in element.positions:
                self.load_extra(element, panel, query, block)
        before = self.state.load(row, 0)
        highest = self.maximum(row, query, block, before)
        finite = arith.cmpf(arith.CmpFPredicate.OEQ, highest, self.lowest)
        shift = arith.select(finite, self.zero, highest)
        scale = math.exp(arith.subf(before, shift))
        total = self.weights(row, shift)
        self.state.store(highest, row, 0)
        self.state.store(arith.addf(arith.mulf(self.state.load(row, 1), scale), total), row, 1)
        one = arith.constant(self.type, 1.0)
        with build.when(arith.cmpf(arith.CmpFPredicate.UNE, scale, one)):
            self.sums.scale_row(row, scale, self.lanes)

    def maximum(self, row: Index, query: Index, block: Rows, before: ir.Value) -> ir.Value:
        """Passes the scores of a row through the body; the larger of their maximum and `before`.

        Lanes behind the last key become -inf. A NaN is no maximum, and makes its row NaN through its own weight.
        """
        type_ = vector_type(self.type, self.lanes)
        lowest = vector.broadcast(type_, self.lowest)

        def step(column: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            given = self.scores.load_vector(row, column, self.lanes)
            values: dict[ir.Value, ir.Value] = {self.attention.body.arguments[0]: given}
            values |= self.attention.captured
            for element, panel in zip(self.attention.elements, self.extras, strict=True):
                values[element.scalar] = (
                    self.element(element, query, None)
                    if panel is None
                    else from_stored(
                        panel.load_vector(0, column, self.lanes), element.scalar.type, self.lanes
                    )
                )
            score = evaluate(self.attention.body, values, self.lanes)[0]
            rest = build.value(build.maximum(build.sub(block.count, column), 0))
            mask_type = vector_type(ir.IntegerType.get_signless(1), self.lanes)
            mask = vector.create_mask(mask_type, [rest])
            score = arith.select(mask, score, lowest)
            self.scores.store_vector(score, row, column)
            larger = arith.cmpf(arith.CmpFPredicate.OGT, score, carried[0])
            return [arith.select(larger, score, carried[0])]

        best = build.fold(0, KEYS, self.lanes, [lowest], step)[0]
        return vector.reduction(self.type, vector.CombiningKind.MAXNUMF, best, acc=before)

    def weights(self, row: Index, shift: ir.Value) -> ir.Value:
        """Replaces the scores of a row by `exp(score - shift)`; their sum."""
        type_ = vector_type(self.type, self.lanes)
        shifts = vector.broadcast(type_, shift)

        def step(column: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            weight = math.exp(arith.subf(self.scores.load_vector(row, column, self.lanes), shifts))
            self.scores.store_vector(weight, row, column)
            return [arith.addf(carried[0], weight)]

        sums = build.fold(0, KEYS, self.lanes, [vector.broadcast(type_, self.zero)], step)[0]
        return vector.reduction(self.type, vector.CombiningKind.ADD, sums)

    def finish(self, rows: Rows) -> None:
        """Divides by the sums and stores the block of results."""
        result = self.attention.buffers[3]
        element_type = ir.MemRefType(result.type).element_type
        with build.loop(0, rows.count) as row:
            total = self.state.load(row, 1)
            if self.attention.guarded:
                empty = arith.cmpf(arith.CmpFPredicate.OEQ, total, self.zero)
                total = arith.select(empty, arith.constant(self.type, 1.0), total)
            with build.loop(0, self.width) as e:
                quotient = arith.divf(self.sums.load(row, e), total)
                coordinates = self.coordinates(3, rows, row, e)
                memref.store(truncated(quotient, element_type), result, [build.value(c) for c in coordinates])


def score_type_of(attention: Attention) -> ir.Type:
    """The type of the scores: that of the body's argument."""
    return attention.body.arguments[0].type


def stored_type(buffer: ir.Value) -> ir.Type:
    """The type in which elements of `buffer` are kept for vectors: a vector of i1 in memory would be packed bits."""
    element_type = ir.MemRefType(buffer.type).element_type
    i1 = ir.IntegerType.get_signless(1)
    return ir.IntegerType.get_signless(8) if element_type == i1 else element_type


def as_stored(scalar: ir.Value) -> ir.Value:
    """`scalar` as `stored_type` keeps it."""
    i1 = ir.IntegerType.get_signless(1)
    return arith.extui(ir.IntegerType.get_signless(8), scalar) if scalar.type == i1 else scalar


def from_stored(values: ir.Value, type_: ir.Type, lanes: int) -> ir.Value:
    """A vector of `type_` from what `as_stored` kept."""
    i1 = ir.IntegerType.get_signless(1)
    return arith.trunci(vector_type(i1, lanes), values) if type_ == i1 else values


def extended(scalar: ir.Value, type_: ir.Type) -> ir.Value:
    """`scalar` in the wider float type `type_`."""
    return scalar if scalar.type == type_ else arith.extf(type_, scalar)


def truncated(scalar: ir.Value, type_: ir.Type) -> ir.Value:
    """`scalar` in the narrower float type `type_`."""
    return scalar if scalar.type == type_ else arith.truncf(type_, scalar)

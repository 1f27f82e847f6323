"""The kernel of `pit.attend`: blocks of queries, online softmax over blocks of keys, no tensor of scores.

A task is one block of queries of one point of the batch. It packs its queries once, transposed, so that each lane of a
register is a query from the scores to the weighted sums: keys and values are then read as they lie, and the softmax
needs no sum across lanes. Per block of keys a task computes the scores, passes them through the body, updates the
maximum and the sum of every query, and adds the weighted values (Milakov and Gimelshein, arXiv 1805.02867).

Everything is computed in f32 (f64 for f64). Where all three operands are bf16 and the processor multiplies pairs of
them, weights are rounded to bf16 before they meet the values, as torch does; their sum is that of f32.
"""

from collections.abc import Sequence
from functools import partial

from pit_mlir.analysis.images import LOWEST_LIMIT
from pit_mlir.bindings import arith, ir, linalg, math, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.attention import (
    Attention,
    Blocks,
    Rows,
    batch_extents,
    longest_rows,
    segment_rows,
    truncated,
)
from pit_mlir.codegen.buffers import extent, load_index
from pit_mlir.codegen.build import Index, truth
from pit_mlir.codegen.cpu.attend_pack import (
    Extra,
    Format,
    VectorOperand,
    pack_across,
    pack_rows,
    pack_transposed,
    paired,
)
from pit_mlir.codegen.cpu.math import exp_bounded
from pit_mlir.codegen.cpu.panel import TALL, Panel, Product, transposed
from pit_mlir.codegen.outline import outline
from pit_mlir.codegen.vectorize import evaluate
from pit_mlir.target import Host

QUERIES = 64
"""Queries of a task: four vectors of f32 of AVX-512, so that a tile of registers reads each row of keys once."""
KEYS = 64
"""Keys of a block: its scores and the packed queries, keys and values stay in the first two caches."""
SLACK = 5.0
"""How much larger than the number that is taken off it a score may be: weights stay below e**SLACK, and the sums need
not be scaled anew for each larger score."""


def emit_attend(attention: Attention, host: Host, name: str) -> None:
    """Emits the tasks at the insertion point, and the function `name` that is one of them."""
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
            emit_block(inside, places[:-1], places[-1], host)

        outline(name, [*attention.values, *coordinates], emit_task)


def emit_block(attention: Attention, point: Sequence[Index], block: Index, host: Host) -> None:
    """One task: the `block`-th block of queries at `point`, if there is one."""
    base, queries, keys = segment_rows(attention, point, batch_extents(attention))
    start = build.mul(block, QUERIES)
    with build.when(build.is_less(start, queries)):
        rows = Rows(base, start, build.minimum(build.sub(queries, start), QUERIES))
        task = Block(attention, point, host)
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


def clear(buffer: ir.Value) -> None:
    """Fills `buffer` with zeros: rows that the index does not list are 0."""
    zero = arith.constant(ir.MemRefType(buffer.type).element_type, 0.0)
    linalg.fill(zero, outs=[buffer])


class Block:
    """The code of one task: a block of queries at one `point` of the batch, against all of its keys.

    `queries`, `keys` and `values` are packed; `scores` has a row for each key and a column for each query, `sums` one
    for each element of a value and each query. `state` has two rows: what is taken off the scores of each query, and
    the sum of its weights.
    """

    def __init__(self, attention: Attention, point: Sequence[Index], host: Host) -> None:
        self.attention = attention
        self.point = point
        self.format = Format.of(attention, host)
        self.lanes = self.format.lanes
        self.type = attention.score_type
        self.zero = arith.constant(self.type, 0.0)
        self.lowest = arith.constant(self.type, float("-inf"))
        batch = attention.batch
        depth = extent(attention.buffers[0], attention.positions[0].index(batch + 2))
        width = extent(attention.buffers[2], attention.positions[2].index(batch + 3))
        self.operands = [
            VectorOperand(attention, point, number, size)
            for number, size in enumerate((depth, depth, width, width))
        ]
        self.steps = build.ceil_div(depth, self.format.depth)
        self.width = round_up(width, max(self.lanes, TALL))
        self.allocate()

    def allocate(self) -> None:
        """Makes room for all panels."""
        packed = self.format.packed
        steps = round_up(self.steps, self.lanes)
        self.queries = Panel.alloca(packed, steps, QUERIES)
        key = self.operands[1]
        # Rows that are as they are needed are read where they lie.
        self.keys = None if key.has_rows and key.type == packed else Panel.alloca(packed, KEYS, steps)
        self.values = Panel.alloca(packed, KEYS // self.format.depth, self.width)
        self.scores = Panel.alloca(self.type, KEYS, QUERIES)
        self.weights = (
            Panel.alloca(packed, KEYS // self.format.depth, QUERIES) if self.format.pairs else self.scores
        )
        self.sums = Panel.alloca(self.type, self.width, QUERIES)
        self.state = Panel.alloca(self.type, 2, QUERIES)
        self.extras = [
            Extra(self.attention, self.point, element, self.lanes, (QUERIES, KEYS))
            for element in self.attention.elements
        ]
        for extra in self.extras:
            extra.allocate()

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
                arith.ori(carried[0], arith.cmpf(arith.CmpFPredicate.OLE, self.state.load(0, row), limit))
            ]

        false = truth(False)
        return build.fold(0, used, 1, [false], step)[0]

    def attend_to(self, rows: Rows, keys: Index, start: Index) -> None:
        """One block of keys, from `start` on: scores, softmax, weighted values."""
        block = Rows(rows.base, start, build.minimum(build.sub(keys, start), KEYS))
        columns = round_up(rows.count, self.lanes)
        if self.keys is not None:
            pack_rows(self.keys, self.operands[1], block, self.format)
        pack_across(self.values, self.operands[2], block, self.format)
        for extra in self.extras:
            if extra.along[1]:
                extra.load_keys(rows, block)
        key = self.keys.load if self.keys is not None else partial(self.operands[1].element, block)
        multiply_add, vectors = self.format.multiply_add, self.format.vectors
        scores = Product(key, self.queries, self.scores, self.lanes, multiply_add, accumulate=False)
        scores.emit(block.count, self.steps, columns, vectors)
        with build.loop(0, columns, self.lanes) as column:
            self.softmax(block, column)
        sums = Product(
            lambda e, key: self.values.load(key, e),
            self.weights,
            self.sums,
            self.lanes,
            multiply_add,
            accumulate=True,
        )
        sums.emit(self.width, build.ceil_div(block.count, self.format.depth), columns, vectors)

    def start(self, rows: Rows) -> None:
        """Packs the queries; sums are 0, maxima -inf."""
        pack_transposed(self.queries, self.operands[0], rows, self.format)
        for extra in self.extras:
            if extra.along == (True, False):
                extra.load_queries(rows)
        self.sums.fill(self.zero, self.lanes)
        with build.loop(0, QUERIES) as column:
            self.state.store(self.lowest, 0, column)
            self.state.store(self.zero, 1, column)

    def softmax(self, block: Rows, column: Index) -> None:
        """One register of queries of a block: body, new maxima, weights, and the sums of before scaled to them."""
        self.pass_through_body(block, column)
        before = self.state.load_vector(0, column, self.lanes)
        self.raise_maxima(self.maxima(block, column), before, column)
        self.weigh(block, column)

    def pass_through_body(self, block: Rows, column: Index) -> None:
        """Replaces scores by what the body makes of them."""
        with build.loop(0, block.count) as key:
            given = self.scores.load_vector(key, column, self.lanes)
            values: dict[ir.Value, ir.Value] = {self.attention.body.arguments[0]: given}
            values |= self.attention.captured
            values |= {extra.element.scalar: extra.vector(key, column) for extra in self.extras}
            score = evaluate(self.attention.body, values, self.lanes)[0]
            self.scores.store_vector(score, key, column)

    def maxima(self, block: Rows, column: Index) -> ir.Value:
        """The largest score of each query. A NaN is none, and makes its query NaN through its own weight."""

        def step(key: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            score = self.scores.load_vector(key, column, self.lanes)
            return [larger(score, carried[0])]

        return build.fold(0, block.count, 1, [build.splat(self.lowest, self.lanes)], step)[0]

    def raise_maxima(self, best: ir.Value, before: ir.Value, column: Index) -> None:
        """Takes `best` for the maxima and scales the sums, unless all are close to what there was `before`."""
        limit = arith.addf(before, build.splat(arith.constant(self.type, SLACK), self.lanes))
        grows = arith.cmpf(arith.CmpFPredicate.OGT, best, limit)
        i1 = ir.IntegerType.get_signless(1)
        with build.when(vector.reduction(i1, vector.CombiningKind.OR, grows)):
            highest = larger(best, before)
            scale = self.exp(arith.subf(before, self.shift(highest)))
            self.state.store_vector(highest, 0, column)
            total = self.state.load_vector(1, column, self.lanes)
            self.state.store_vector(arith.mulf(total, scale), 1, column)
            with build.loop(0, self.width) as e:
                scaled = arith.mulf(self.sums.load_vector(e, column, self.lanes), scale)
                self.sums.store_vector(scaled, e, column)

    def weigh(self, block: Rows, column: Index) -> None:
        """Turns scores into weights, in pairs where they are multiplied so, and adds these to their sums."""
        shift = self.shift(self.state.load_vector(0, column, self.lanes))
        depth = self.format.depth
        with build.loop(block.count, round_up(block.count, depth)) as key:
            self.scores.store_vector(build.splat(self.lowest, self.lanes), key, column)

        def step(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            keys = [build.add(build.mul(number, depth), i) for i in range(depth)]
            scores = [self.scores.load_vector(key, column, self.lanes) for key in keys]
            weights = [self.exp(arith.subf(score, shift)) for score in scores]
            packed = weights[0]
            if depth == 2:
                packed = paired(*(truncated(weight, ir.BF16Type.get()) for weight in weights))
            self.weights.store_vector(packed, number, column)
            return [arith.addf(total, weight) for total, weight in zip(carried, weights, strict=True)]

        none = build.splat(self.zero, self.lanes)
        totals = build.fold(0, build.ceil_div(block.count, depth), 1, [none] * depth, step)
        total = self.state.load_vector(1, column, self.lanes)
        for part in totals:
            total = arith.addf(total, part)
        self.state.store_vector(total, 1, column)

    def shift(self, highest: ir.Value) -> ir.Value:
        """What is taken off the scores of queries whose largest is `highest`: nothing where all are -inf."""
        is_empty = arith.cmpf(arith.CmpFPredicate.OEQ, highest, build.splat(self.lowest, self.lanes))
        return arith.select(is_empty, build.splat(self.zero, self.lanes), highest)

    def exp(self, x: ir.Value) -> ir.Value:
        """e**x for x of at most `SLACK`."""
        return exp_bounded(x) if isinstance(self.type, ir.F32Type) else math.exp(x)

    def finish(self, rows: Rows) -> None:
        """Divides by the sums and stores the block of results."""
        result, lanes = self.operands[3], self.lanes
        one = build.splat(arith.constant(self.type, 1.0), lanes)
        none = build.splat(self.zero, lanes)
        with build.loop(0, rows.count, lanes) as column:
            totals = self.state.load_vector(1, column, lanes)
            if self.attention.guarded:
                totals = arith.select(arith.cmpf(arith.CmpFPredicate.OEQ, totals, none), one, totals)
            with build.loop(0, self.width, lanes) as start:
                square = [
                    arith.divf(self.sums.load_vector(build.add(start, i), column, lanes), totals)
                    for i in range(lanes)
                ]
                for lane, values in enumerate(transposed(square)):
                    row = build.add(column, lane)
                    with build.when(build.is_less(row, rows.count)):
                        result.store(truncated(values, result.type), rows, row, start)


def larger(left: ir.Value, right: ir.Value) -> ir.Value:
    """The larger of each pair of elements; `right` where `left` is NaN."""
    return arith.select(arith.cmpf(arith.CmpFPredicate.OGT, left, right), left, right)


def round_up(size: Index, multiple: int) -> Index:
    """`size` as the next multiple of `multiple`."""
    return build.mul(build.ceil_div(size, multiple), multiple)

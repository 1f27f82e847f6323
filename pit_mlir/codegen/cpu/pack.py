"""Packing: the factors of a contraction are computed element by element into buffers the micro-kernel reads.

Rows lie one after another at a fixed pitch, each contiguous along the depth. Columns lie in panels of the width of
the register tile, each contiguous along the columns. A source that is contiguous the other way round is read in
square blocks of vectors, which are transposed in registers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    choose,
    compare,
    floor_div,
    is_less,
    loop,
    minimum,
    mul,
    remainder,
    sub,
    value,
    when,
)
from pit_mlir.codegen.cpu.contract_views import View, first_lanes, index_at
from pit_mlir.codegen.vectorize import constant, vector_type, widened

Ask = Callable[[Index, Index], None]
"""Asks for what is packed later, when a vector from this column and step on is read."""
Load = Callable[[View], ir.Value]

ROWS_AHEAD = 4
"""Rows ahead that packing asks for: a row of a step is too short for the processor to foresee the next one."""


@dataclass(frozen=True)
class Factor:
    """One factor of the product: the value that is yielded, and the views of the elements it is computed from.

    `scalars` are what the body captures.
    """

    result: ir.Value
    views: Mapping[ir.Value, View]
    scalars: Mapping[ir.Value, ir.Value]

    def moved(self, offset: Callable[[View], Index]) -> Self:
        """The factor with each view's base moved."""
        return replace(self, views={scalar: view.moved(offset(view)) for scalar, view in self.views.items()})

    def prefetch(self, axis: int, place: Index) -> None:
        """Asks for what lies at `place` of `axis` in the views that are contiguous along it."""
        for view in self.views.values():
            if view.is_contiguous(axis):
                view.prefetch(mul(place, view.strides[axis]))

    def compute(self, load: Load, lanes: int) -> ir.Value:
        """The factor on vectors, its elements read by `load`."""
        known: dict[ir.Value, ir.Value] = {scalar: load(view) for scalar, view in self.views.items()}
        known.update(self.scalars)
        return computed(self.result, known, lanes)


def computed(result: ir.Value, known: dict[ir.Value, ir.Value], lanes: int) -> ir.Value:
    """Emits what `result`, a scalar of a body, needs beyond `known`, on vectors of `lanes`."""
    if result in known:
        return widened(result, known, lanes)
    maker = result.owner
    assert not isinstance(maker, ir.Block), "arguments and captures of a body are known"
    operation = maker.operation
    if operation.name == "arith.constant":
        known[result] = constant(operation)
        return widened(result, known, lanes)
    operands = [computed(operand, known, lanes) for operand in operation.operands]
    made = ir.Operation.create(
        operation.name,
        results=[vector_type(other.type, lanes) for other in operation.results],
        operands=operands,
        attributes={name: operation.attributes[name] for name in operation.attributes},
    )
    known.update(zip(operation.results, made.results, strict=True))
    return known[result]


def lies_across(factor: Factor, vector_axis: int, other: int) -> bool:
    """Whether the factor is contiguous along `other` and not along `vector_axis`."""
    views = factor.views.values()
    if any(view.is_contiguous(vector_axis) for view in views):
        return False
    return any(view.is_contiguous(other) for view in views)


def transpose(rows: Sequence[ir.Value]) -> list[ir.Value]:
    """The transposed square of as many vectors as they have lanes, by exchanging halves of pairs."""
    count = len(rows)
    result = list(rows)
    distance = 1
    while distance < count:
        low = [lane if not lane & distance else count + lane - distance for lane in range(count)]
        high = [lane + distance if not lane & distance else count + lane for lane in range(count)]
        for number in range(count):
            if not number & distance:
                left, right = result[number], result[number + distance]
                result[number] = vector.shuffle(left, right, low)
                result[number + distance] = vector.shuffle(left, right, high)
        distance *= 2
    return result


def transposed_square(
    factor: Factor,
    along: int,
    mask: ir.Value | None,
    across: int,
    first: Index,
    count: Index,
    lanes: int,
    coordinate: Callable[[Index], Index] = lambda number: number,
) -> list[ir.Value]:
    """Vectors of `factor` along axis `across`, read as vectors along axis `along`, of which `mask` is there.

    They begin at number `first` of `count` along `across`, each at its `coordinate`: behind the last one, that is
    read again.
    """
    lines: list[ir.Value] = []
    for number in range(lanes):
        line = coordinate(minimum(add(first, number), sub(count, 1)))

        def load(view: View, line: Index = line) -> ir.Value:
            return view.load(mul(line, view.strides[across]), view.strides[along], lanes, mask)

        lines.append(factor.compute(load, lanes))
    return transpose(lines)


def vectors(count: Index, lanes: int, body: Callable[[ir.Value, ir.Value | None], None]) -> None:
    """Runs `body(first, mask)` over `0 .. count` in steps of a vector; only the last, short step has a mask."""
    whole = mul(floor_div(count, lanes), lanes)
    with loop(0, whole, lanes) as first:
        body(first, None)
    if isinstance(count, int) and count % lanes == 0:
        return
    with when(is_less(whole, count)):
        body(value(whole), first_lanes(sub(count, whole), lanes))


@dataclass(frozen=True)
class Rows:
    """Where packed rows go: element k of row i at `buffer[i * pitch + start + k]`."""

    buffer: ir.Value
    pitch: Index
    start: Index
    lanes: int

    def pack(
        self,
        factor: Factor,
        count: Index,
        row_offset: Callable[[View, Index], Index],
        depth: int,
        steps: Index,
    ) -> None:
        """Packs `count` rows of `steps` elements, which lie along axis `depth`."""
        with loop(0, count) as row:
            at = factor.moved(lambda view: row_offset(view, row))
            later = minimum(add(row, ROWS_AHEAD), sub(count, 1))
            ahead = factor.moved(lambda view: row_offset(view, later))
            target = add(mul(row, self.pitch), self.start)

            def body(first: ir.Value, mask: ir.Value | None) -> None:
                ahead.prefetch(depth, first)

                def load(view: View) -> ir.Value:
                    stride = view.strides[depth]
                    return view.load(mul(first, stride), stride, self.lanes, mask)

                vector.store(at.compute(load, self.lanes), self.buffer, [value(add(target, first))])

            vectors(steps, self.lanes, body)

    def pack_listed(
        self,
        factor: Factor,
        count: Index,
        row_offset: Callable[[View, Index], Index],
        depth: int,
        entries: View,
        steps: Index,
    ) -> None:
        """Packs `count` rows; element k is read at coordinate `entries[k]` of axis `depth`.

        Where a vector of entries are neighbours, as in a list that is nearly full or one of wide blocks, it is loaded
        and not gathered.
        """
        lanes = self.lanes
        has_runs = any(view.is_contiguous(depth) for view in factor.views.values())
        with loop(0, count) as row:
            at = factor.moved(lambda view: row_offset(view, row))
            target = add(mul(row, self.pitch), self.start)

            def gathered(first: ir.Value, mask: ir.Value | None) -> ir.Value:
                listed = entries.load(first, 1, lanes, mask)

                def load(view: View) -> ir.Value:
                    stride = view.strides[depth]
                    if isinstance(stride, int) and stride == 0:
                        return view.load(0, 0, lanes, mask)
                    return view.gather(view.base, scaled_entries(listed, stride), mask)

                return at.compute(load, lanes)

            def loaded(start: Index) -> ir.Value:
                def load(view: View) -> ir.Value:
                    stride = view.strides[depth]
                    return view.load(mul(start, stride), stride, lanes, None)

                return at.compute(load, lanes)

            def body(first: ir.Value, mask: ir.Value | None) -> None:
                if mask is not None or not has_runs:
                    found = gathered(first, mask)
                else:
                    start = index_at(entries, first)
                    distance = sub(index_at(entries, add(first, lanes - 1)), start)
                    [found] = choose(
                        compare("eq", distance, lanes - 1),
                        [ir.VectorType.get([lanes], factor.result.type)],
                        lambda: [loaded(start)],
                        lambda: [gathered(first, None)],
                    )
                vector.store(found, self.buffer, [value(add(target, first))])

            vectors(steps, lanes, body)

    def pack_listed_transposed(
        self, factor: Factor, count: Index, row: int, depth: int, entries: View, steps: Index
    ) -> None:
        """As `pack_listed`, from sources that are contiguous along axis `row`."""
        self.pack_transposed(factor, count, row, depth, steps, lambda step: index_at(entries, step))

    def pack_transposed(
        self,
        factor: Factor,
        count: Index,
        row: int,
        depth: int,
        steps: Index,
        coordinate: Callable[[Index], Index] = lambda step: step,
    ) -> None:
        """As `pack`, from sources that are contiguous along axis `row`; step k is at `coordinate(k)` of `depth`."""

        def block(first_row: ir.Value, mask: ir.Value | None) -> None:
            with loop(0, steps, self.lanes) as first:
                target = add(mul(first_row, self.pitch), add(self.start, first))
                at = factor.moved(lambda view: mul(first_row, view.strides[row]))
                square = transposed_square(at, row, mask, depth, first, steps, self.lanes, coordinate)
                for number, packed in enumerate(square):
                    vector.store(packed, self.buffer, [value(add(target, mul(number, self.pitch)))])

        vectors(count, self.lanes, block)


def scaled_entries(entries: ir.Value, stride: Index) -> ir.Value:
    """The offsets of `entries`, i32 coordinates, `stride` apart."""
    if isinstance(stride, int) and stride == 1:
        return entries
    lanes = ir.VectorType(entries.type).shape[0]
    wide = arith.index_cast(ir.VectorType.get([lanes], ir.IndexType.get()), entries)
    factor = vector.broadcast(wide.type, value(stride))
    return arith.muli(wide, factor)


@dataclass(frozen=True)
class Panels:
    """Where packed columns go: column c at step k is element `k * width + c mod width` of panel `c div width`.

    Panels lie `pitch` elements apart; each has room for `lanes` steps more than it is asked for.
    """

    buffer: ir.Value
    width: int
    pitch: Index
    start: Index
    lanes: int

    def place(self, step: Index, column: Index) -> ir.Value:
        """Where the element of `column` at `step` lies."""
        panel, inside = floor_div(column, self.width), remainder(column, self.width)
        at = add(mul(panel, self.pitch), mul(add(self.start, step), self.width))
        return value(add(at, inside))

    def pack(
        self,
        factor: Factor,
        column: int,
        count: Index,
        steps: Index,
        step_offset: Callable[[View, Index], Index],
    ) -> None:
        """Packs `count` columns, which lie along axis `column`, at `steps` places that `step_offset` gives."""
        with loop(0, steps) as step:
            at = factor.moved(lambda view: step_offset(view, step))

            def body(first: ir.Value, mask: ir.Value | None) -> None:
                def load(view: View) -> ir.Value:
                    stride = view.strides[column]
                    return view.load(mul(first, stride), stride, self.lanes, mask)

                vector.store(at.compute(load, self.lanes), self.buffer, [self.place(step, first)])

            vectors(count, self.lanes, body)

    def pack_along(
        self,
        factor: Factor,
        column: int,
        count: Index,
        depth: int,
        steps: Index,
        ask: Ask | None = None,
    ) -> None:
        """Packs `count` columns at the first `steps` places of axis `depth`, whichever way they lie.

        Where they lie along the depth, `ask(column, step)` may ask for what is packed later, for each vector read.
        """
        if lies_across(factor, column, depth):
            self.pack_transposed(factor, column, count, depth, steps, ask)
        else:
            self.pack(factor, column, count, steps, lambda view, step: mul(step, view.strides[depth]))

    def pack_transposed(
        self,
        factor: Factor,
        column: int,
        count: Index,
        depth: int,
        steps: Index,
        ask: Ask | None = None,
    ) -> None:
        """As `pack`, from sources that are contiguous along axis `depth`."""
        with loop(0, count, self.lanes) as first:

            def block(step: ir.Value, mask: ir.Value | None) -> None:
                place = self.place(step, first)
                at = factor.moved(lambda view: mul(step, view.strides[depth]))
                for number in range(self.lanes if ask is not None and mask is None else 0):
                    assert ask is not None, "there is something to ask for"
                    ask(add(first, number), step)
                square = transposed_square(at, depth, mask, column, first, count, self.lanes)
                for number, packed in enumerate(square):
                    vector.store(packed, self.buffer, [value(add(place, number * self.width))])

            vectors(steps, self.lanes, block)

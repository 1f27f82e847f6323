"""Windowed sums with few terms, as depthwise convolutions and pooling are: all terms of some rows of a vector at once.

Lanes are neighbours of the result along its contiguous dimension. Several of its rows are summed at a time, each in a
register from its first term to its last; what their windows share is loaded once. Each sum has the order of the loops.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from pit_mlir.analysis.affine import affine_values
from pit_mlir.bindings import ir, memref, vector
from pit_mlir.codegen.buffers import coordinates_of, has_unit_stride
from pit_mlir.codegen.build import (
    Index,
    add,
    bytes_of,
    ceil_div,
    compare,
    delinearize,
    either,
    floor_div,
    is_truth,
    loop,
    minimum,
    mul,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_views import first_lanes
from pit_mlir.codegen.nest import Nest, innermost, mentions, ordered_as_output, position
from pit_mlir.codegen.vectorize import ELEMENTWISE, evaluate
from pit_mlir.target import host

MOST_TERMS = 64
"""Terms of a sum that are all in the code: 7x7 windows are 49."""
ROWS_AT_ONCE = 4
"""Rows that are summed at once, where their number is not known: few enough for a small remainder."""
MOST_ROWS_AT_ONCE = 8
"""As many hide the latency of additions."""
MOST_STRIDE = 2


@dataclass(frozen=True)
class Stencil:
    """`nest` with `inner` in lanes, of which a vector has `lanes`; some places of `row` are summed at once."""

    nest: Nest
    outer: tuple[int, ...]
    row: int | None
    reductions: tuple[int, ...]
    inner: int
    lanes: int

    @staticmethod
    def of(nest: Nest) -> "Stencil | None":
        """The stencil that `nest` is; None where it has no windows, or too many terms, or is not for vectors."""
        parallels = nest.parallels()
        reductions = [d for d in range(len(nest.extents)) if d not in parallels]
        if not parallels:
            return None
        inner = innermost(nest, parallels, parallels)
        known = [size for d in reductions if (size := told_extent(nest, d)) is not None]
        if not reductions or len(known) < len(reductions) or not 1 < prod(known) <= MOST_TERMS:
            return None
        if not is_windowed(nest) or not is_elementwise(nest.body):
            return None
        strides = [stride_of(nest, number, inner) for number in range(len(nest.operands))]
        outputs = strides[nest.inputs :]
        if None in strides or any(stride != 1 for stride in outputs):
            return None
        bits = max(
            32, *(8 * bytes_of(ir.MemRefType(v.type).element_type) for v in nest.operands[nest.inputs :])
        )
        rows = ordered_as_output(nest, [d for d in parallels if d != inner])
        row = rows.pop() if rows else None
        return Stencil(nest, tuple(rows), row, tuple(reductions), inner, host().lanes(bits))

    @property
    def rows_at_once(self) -> int:
        """How many rows are summed at once."""
        if self.row is None:
            return 1
        size = self.nest.extents[self.row]
        if not isinstance(size, int):
            return ROWS_AT_ONCE
        even = [count for count in range(ROWS_AT_ONCE, MOST_ROWS_AT_ONCE + 1) if size % count == 0]
        return max(even, default=min(ROWS_AT_ONCE, max(size, 1)))

    @property
    def tasks(self) -> list[Index]:
        """The extents of what threads share: the outer iterators, and blocks of rows."""
        extents = self.nest.extents
        blocks = [] if self.row is None else [ceil_div(extents[self.row], self.rows_at_once)]
        return [*(extents[d] for d in self.outer), *blocks]

    def emit_task(self, linear: Index) -> None:
        """A block of rows, number `linear` of all."""
        places = delinearize(linear, self.tasks)
        coordinates: list[Index] = [0] * len(self.nest.extents)
        for iterator, place in zip(self.outer, places, strict=False):
            coordinates[iterator] = place
        if self.row is None:
            self.emit_rows(coordinates, 1)
            return
        row, extent = self.row, self.nest.extents[self.row]
        first = mul(places[-1], self.rows_at_once)
        coordinates[row] = first
        if isinstance(extent, int) and extent % self.rows_at_once == 0:
            self.emit_rows(coordinates, self.rows_at_once)
            return

        def one_by_one() -> None:
            with loop(first, extent) as number:
                alone = list(coordinates)
                alone[row] = number
                self.emit_rows(alone, 1)

        whole = compare("sle", add(first, self.rows_at_once), extent)
        either(whole, lambda: self.emit_rows(coordinates, self.rows_at_once), one_by_one)

    def emit_rows(self, coordinates: Sequence[Index], rows: int) -> None:
        """`rows` rows from `coordinates` on, a vector of each after another; the last one has fewer lanes."""
        extent = self.nest.extents[self.inner]
        whole = mul(floor_div(extent, self.lanes), self.lanes)
        with loop(0, whole, self.lanes) as start:
            self.emit_vectors(coordinates, rows, start, None)
        if isinstance(extent, int) and extent % self.lanes == 0:
            return
        with loop(whole, extent, self.lanes) as start:
            self.emit_vectors(coordinates, rows, start, minimum(sub(extent, start), self.lanes))

    def emit_vectors(
        self, coordinates: Sequence[Index], rows: int, start: Index, count: Index | None
    ) -> None:
        """A vector of each of `rows` rows, from `start` on; `count` lanes of it, all where that is None."""
        here = list(coordinates)
        here[self.inner] = start
        window = Window(self, here, count)
        nest = self.nest
        outputs = range(nest.inputs, len(nest.operands))
        sums = {
            row: [window.load(number, self.point(row, None)) for number in outputs] for row in range(rows)
        }
        for row, point in self.points(rows):
            inputs = [window.load(number, point) for number in range(nest.inputs)]
            arguments: list[ir.Value] = list(nest.body.arguments)
            known = dict(zip(arguments, [*inputs, *sums[row]], strict=True))
            sums[row] = evaluate(nest.body, known, self.lanes)
        for row, values in sums.items():
            for number, total in zip(outputs, values, strict=True):
                window.store(total, number, self.point(row, None))

    def points(self, rows: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each row and each of its terms, as steps from the first; those that share what they read lie together."""
        terms = list(itertools.product(*(range(told_extent(self.nest, d) or 0) for d in self.reductions)))
        found = [(row, self.point(row, term)) for row in range(rows) for term in terms]
        widest = next(n for n, map_ in enumerate(self.nest.maps) if None in map(position, map_.results))
        yield from sorted(found, key=lambda one: (affine_values(str(self.nest.maps[widest]), one[1]), one[0]))

    def point(self, row: int, term: Sequence[int] | None) -> tuple[int, ...]:
        """Steps along each iterator, to `term` of row `row`."""
        steps = [0] * len(self.nest.extents)
        if self.row is not None:
            steps[self.row] = row
        for iterator, step in zip(self.reductions, term or (), strict=False):
            steps[iterator] = step
        return tuple(steps)


class Window:
    """The operands of a stencil around one vector of its result."""

    def __init__(self, stencil: Stencil, coordinates: Sequence[Index], count: Index | None) -> None:
        self.stencil, self.count = stencil, count
        self.bases = [coordinates_of(map_, coordinates) for map_ in stencil.nest.maps]
        self.loaded: dict[int, tuple[list[int], ir.Value]] = {}
        """The last element, or vector, that was read of each operand, and where."""

    def place(self, number: int, point: Sequence[int]) -> tuple[list[int], list[ir.Value]]:
        """Where operand `number` is read at `point`, in steps from its base and as indices."""
        map_ = str(self.stencil.nest.maps[number])
        none = affine_values(map_, [0] * len(point))
        steps = [at - start for at, start in zip(affine_values(map_, point), none, strict=True)]
        indices = [add(base, step) for base, step in zip(self.bases[number], steps, strict=True)]
        return steps, [index for index in indices if isinstance(index, ir.Value)]

    def load(self, number: int, point: Sequence[int]) -> ir.Value:
        """What operand `number` has for the lanes at `point`: a vector, or a scalar that is the same for all."""
        stencil = self.stencil
        steps, indices = self.place(number, point)
        if number in self.loaded and self.loaded[number][0] == steps:
            return self.loaded[number][1]
        buffer = stencil.nest.operands[number]
        stride = stride_of(stencil.nest, number, stencil.inner)
        assert stride is not None, "asked before"
        found = memref.load(buffer, indices) if stride == 0 else self.vector(buffer, indices, stride)
        self.loaded[number] = steps, found
        return found

    def vector(self, buffer: ir.Value, indices: list[ir.Value], stride: int) -> ir.Value:
        """A vector of elements `stride` apart, which is 1 or 2."""
        lanes = self.stencil.lanes
        type_ = ir.VectorType.get([lanes * stride], ir.MemRefType(buffer.type).element_type)
        if self.count is not None:
            # Behind the last element that is wanted there may be no memory.
            mask = first_lanes(add(mul(sub(self.count, 1), stride), 1), lanes * stride)
            found = vector.maskedload(type_, buffer, indices, mask, zero(type_))
            return found if stride == 1 else vector.shuffle(found, found, list(range(0, 2 * lanes, 2)))
        narrow = ir.VectorType.get([lanes], type_.element_type)
        first = vector.load(narrow, buffer, indices)
        if stride == 1:
            return first
        *outer, last = indices
        second = vector.load(narrow, buffer, [*outer, value(add(last, lanes - 1))])
        # The element after the last one may not be there: the second half begins with the last of the first.
        return vector.shuffle(first, second, [n if n < lanes else n + 1 for n in range(0, 2 * lanes, 2)])

    def store(self, values: ir.Value, number: int, point: Sequence[int]) -> None:
        """Writes the lanes of a result."""
        buffer, (_, indices) = self.stencil.nest.operands[number], self.place(number, point)
        if self.count is None:
            vector.store(values, buffer, indices)
        else:
            vector.maskedstore(buffer, indices, first_lanes(self.count, self.stencil.lanes), values)


def told_extent(nest: Nest, iterator: int) -> int | None:
    """The size of `iterator` that a type tells. Where operands disagree at run time nothing is done at all."""
    dynamic = ir.ShapedType.get_dynamic_size()
    for operand, map_ in zip(nest.operands, nest.maps, strict=True):
        for dim, expression in enumerate(map_.results):
            if position(expression) == iterator and ir.MemRefType(operand.type).shape[dim] != dynamic:
                return ir.MemRefType(operand.type).shape[dim]
    return None


def is_windowed(nest: Nest) -> bool:
    """Whether an input is read at sums of iterators, and no operand at quotients."""
    texts = [str(map_) for map_ in nest.maps]
    if any(word in text for text in texts for word in ("floordiv", "ceildiv", "mod")):
        return False
    return any(position(e) is None for map_ in nest.maps[: nest.inputs] for e in map_.results)


def is_elementwise(body: ir.Block) -> bool:
    """Whether `body` can be evaluated on vectors: of its own arguments and constants."""
    for op in body.operations:
        operation = op.operation
        if not operation.name.startswith((*ELEMENTWISE, "linalg.yield")):
            return False
        for operand in operation.operands:
            maker = operand.owner
            is_own = maker == body if isinstance(maker, ir.Block) else maker.operation.block == body
            if not is_own and (isinstance(maker, ir.Block) or maker.operation.name != "arith.constant"):
                return False
    return True


def stride_of(nest: Nest, number: int, inner: int) -> int | None:
    """How far operand `number` moves in memory along `inner`, 0 if it does not; None for what vectors do not read."""
    operand, map_ = nest.operands[number], nest.maps[number]
    if not isinstance(operand.type, ir.MemRefType) or is_truth(operand.type.element_type):
        return None
    moved = [dim for dim, expression in enumerate(map_.results) if mentions(expression, inner)]
    if not moved:
        return 0
    if moved != [len(map_.results) - 1] or not has_unit_stride(operand):
        return None
    unit = [int(d == inner) for d in range(len(nest.extents))]
    none = [0] * len(unit)
    stride = affine_values(str(map_), unit)[-1] - affine_values(str(map_), none)[-1]
    return stride if 1 <= stride <= MOST_STRIDE else None

"""`pit.generic`: any body over the points that an index lists, a thread for each element of the results it can own.

A thread owns the coordinates of iterators that every output carries as a whole, and walks over the others: over what
is reduced, over the list of its segment where entries are added up, over all lists in order where segments are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import give
from pit_mlir.codegen.buffers import load, store
from pit_mlir.codegen.build import Index, move_here, truth, value
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.nest import position
from pit_mlir.codegen.ragged import Ragged, usable_segments
from pit_mlir.dialect.structured import Structured, is_used


def lower_generic(op: ir.Operation, lowering: GpuLowering) -> None:
    """A launch with the body inside of the loops that a thread walks over."""
    ragged = Ragged.of(op, lowering.indices)
    segments = usable_segments(ragged)
    walk = Walk(ragged)
    if owns_rows(ragged.view):
        walk.by_rows(segments)
    elif walk.owned.issuperset(ragged.segments) and not walk.owned & set(ragged.axis):
        walk.by_segments(segments)
    else:
        walk.in_order(segments)
    for buffer, result in zip(ragged.outputs, op.results, strict=True):
        give(buffer, result)


def owns_rows(view: Structured) -> bool:
    """Whether each row of the index has elements of the results of its own, so that rows are shared out."""
    return len(view.inputs) in view.compact or owned_iterators(view).issuperset(view.group)


def owned_iterators(view: Structured) -> set[int]:
    """The iterators that every output carries as a whole."""
    carried = [{position(expression) for expression in map_.results} for map_ in view.output_maps]
    return {d for d in range(len(view.iterators)) if all(d in positions for positions in carried)}


@dataclass(frozen=True)
class Walk:
    """What a thread does for a `pit.generic` on buffers."""

    ragged: Ragged

    @property
    def owned(self) -> set[int]:
        """The iterators whose coordinates a thread may have for itself."""
        return owned_iterators(self.ragged.view)

    @property
    def others(self) -> list[int]:
        """The iterators that the index does not list."""
        return [d for d in range(len(self.ragged.view.iterators)) if d not in self.ragged.view.group]

    @property
    def free(self) -> list[int]:
        """Those of `others` that threads share out."""
        return [d for d in self.others if d in self.owned]

    @property
    def summed(self) -> list[int]:
        """Those of `others` that a thread walks over."""
        return [d for d in self.others if d not in self.owned]

    def extents(self, iterators: Sequence[int]) -> list[Index]:
        """How far `iterators` run."""
        return [self.ragged.extents[d] for d in iterators]

    def by_rows(self, segments: Index) -> None:
        """A thread for each row, each of the coordinates that share its segment, and each place in it."""
        ragged, free = self.ragged, self.free
        total: Index = ragged.index.total
        if not isinstance(segments, int):
            total = build.select(build.compare("eq", segments, 0), 0, total)
        inner = [*ragged.block, *self.extents(free)]
        count = build.mul(total, build.product(inner))
        most = build.mul(build.product(ragged.index.extents), build.product(inner))
        with each(count, most) as number:
            row, *rest = build.delinearize(number, [total, *inner])
            linear = arith.index_cast(ir.IndexType.get(), memref.load(ragged.index.rows, [value(row)]))
            numbers = build.delinearize(linear, ragged.index.extents)
            point = self.start(free, rest[len(ragged.block) :])
            for iterator, coordinate in zip(ragged.axis, numbers[len(ragged.block) :], strict=True):
                point[iterator] = coordinate
            for place, (iterator, size) in enumerate(zip(ragged.segments, ragged.block, strict=True)):
                point[iterator] = build.add(build.mul(numbers[place], size), rest[place])
            inside = [
                build.is_less(point[iterator], ragged.extents[iterator])
                for iterator, size in zip(ragged.segments, ragged.block, strict=True)
                if size != 1
            ]
            with build.when(all_of(inside)):
                self.accumulate(row, point, None)

    def by_segments(self, segments: Index) -> None:
        """A thread for each element of the results, which walks over the list of its segment."""
        ragged = self.ragged
        mine = [*ragged.segments, *self.free]
        count = build.product(self.extents(mine))
        if not isinstance(segments, int):
            count = build.select(build.compare("eq", segments, 0), 0, count)
        with each(count) as number:
            point = self.start(mine, build.delinearize(number, self.extents(mine)))
            segment: Index = 0
            for iterator, size, extent in zip(
                ragged.segments, ragged.block, ragged.index.extents, strict=False
            ):
                segment = build.add(build.mul(segment, extent), build.floor_div(point[iterator], size))
            self.accumulate(0, point, segment)

    def in_order(self, segments: Index) -> None:
        """A thread for each place that no list concerns, which walks over all segments, one after another."""
        ragged, free = self.ragged, self.free
        with each(build.product(self.extents(free))) as number:
            places = build.delinearize(number, self.extents(free))
            with build.loop(0, segments) as segment:
                numbers = build.delinearize(segment, ragged.index.extents[: len(ragged.segments)])
                point = self.start(free, places)
                self.in_segment(segment, numbers, list(ragged.segments), point)

    def in_segment(
        self, segment: Index, numbers: Sequence[Index], remaining: Sequence[int], point: list[Index]
    ) -> None:
        """Loops over the coordinates that share `segment`, over its list, and over what is summed."""
        ragged = self.ragged
        if remaining:
            iterator = remaining[0]
            place = ragged.segments.index(iterator)
            size = ragged.block[place]
            first = build.mul(numbers[place], size)
            last = build.minimum(build.add(first, size), ragged.extents[iterator])
            with build.loop(first, last) as coordinate:
                point[iterator] = coordinate
                self.in_segment(segment, numbers, remaining[1:], point)
            return
        begin, count = self.list_of(segment)
        with build.loop(0, count) as entry:
            row = build.add(begin, entry)
            self.place_entry(row, point)
            self.accumulate(row, point, None)

    def start(self, iterators: Sequence[int], coordinates: Sequence[Index]) -> list[Index]:
        """A point of which `iterators` are known."""
        point: list[Index] = [0] * len(self.ragged.view.iterators)
        for iterator, coordinate in zip(iterators, coordinates, strict=True):
            point[iterator] = coordinate
        return point

    def list_of(self, segment: Index) -> tuple[Index, Index]:
        """Where the list of `segment` begins, and how long it is."""
        begin, count = (
            arith.index_cast(ir.IndexType.get(), memref.load(buffer, [value(segment)]))
            for buffer in (self.ragged.index.begin, self.ragged.index.count)
        )
        return begin, count

    def place_entry(self, row: Index, point: list[Index]) -> None:
        """Sets the coordinates of the axis to those of the entry at `row`."""
        ragged = self.ragged
        linear = arith.index_cast(ir.IndexType.get(), memref.load(ragged.index.entries, [value(row)]))
        sizes = ragged.index.extents[len(ragged.segments) :]
        for iterator, coordinate in zip(ragged.axis, build.delinearize(linear, sizes), strict=True):
            point[iterator] = coordinate

    def accumulate(self, row: Index, point: list[Index], segment: Index | None) -> None:
        """The results at `point`: read, folded with all that is summed and, of `segment`, with its list; written."""
        view, inputs = self.ragged.view, len(self.ragged.inputs)
        outputs = list(enumerate(self.ragged.outputs, inputs))
        places = self.ragged.map_at(inputs, row, point) if outputs else list(point)
        before = [load(buffer, view.maps[number], places) for number, buffer in outputs]
        after = self.entries(row, point, segment, before)
        for final, (number, buffer) in zip(after, outputs, strict=True):
            store(final, buffer, view.maps[number], places)

    def entries(
        self, row: Index, point: list[Index], segment: Index | None, before: Sequence[ir.Value]
    ) -> Sequence[ir.Value]:
        """The sums over the list of `segment`, if there is one, and over what is summed."""
        if segment is None:
            return self.sums(row, point, self.summed, before)
        begin, count = self.list_of(segment)

        def step(entry: ir.Value, carried: list[ir.Value]) -> Sequence[ir.Value]:
            here, there = list(point), build.add(begin, entry)
            self.place_entry(there, here)
            return self.sums(there, here, self.summed, carried)

        return build.fold(0, count, 1, before, step)

    def sums(
        self, row: Index, point: Sequence[Index], remaining: Sequence[int], before: Sequence[ir.Value]
    ) -> Sequence[ir.Value]:
        """The sums over the iterators `remaining`."""
        if not remaining:
            return self.body(row, point, before)

        def step(coordinate: ir.Value, carried: list[ir.Value]) -> Sequence[ir.Value]:
            here = [coordinate if d == remaining[0] else place for d, place in enumerate(point)]
            return self.sums(row, here, remaining[1:], carried)

        return build.fold(0, self.ragged.extents[remaining[0]], 1, before, step)

    def body(self, row: Index, point: Sequence[Index], before: Sequence[ir.Value]) -> list[ir.Value]:
        """The body, moved to the insertion point; what it yields."""
        view, inputs = self.ragged.view, len(self.ragged.inputs)
        for number, (scalar, buffer) in enumerate(zip(view.scalars, self.ragged.inputs, strict=False)):
            if is_used(scalar):
                place = self.ragged.map_at(number, row, point)
                scalar.replace_all_uses_with(load(buffer, view.maps[number], place))
        for scalar, given in zip(view.scalars[inputs:], before, strict=True):
            scalar.replace_all_uses_with(given)
        *operations, terminator = [op.operation for op in view.body.operations]
        for op in operations:
            if op.name != "pit.element":
                move_here(op)
        return list(terminator.operands)


def all_of(conditions: Sequence[ir.Value]) -> ir.Value:
    """Whether all of `conditions` hold."""
    result = truth(True)
    for condition in conditions:
        result = arith.andi(result, condition)
    return result

"""The factors of a contraction on their way into shared memory: copied past the registers where they are plain
elements, else computed by the threads and stored.

A tile has a *line* for each row (or column) of a task where the factor lies along the depth, or for each step of the
depth where it lies across it, so that neighbours in memory become neighbours in a line.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Literal

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    bytes_of,
    compare,
    floor_div,
    maximum,
    minimum,
    mul,
    remainder,
    sub,
    value,
    when,
    zero,
)
from pit_mlir.codegen.gpu.build import place_in
from pit_mlir.codegen.gpu.contract_frame import Frame, Task, View
from pit_mlir.codegen.gpu.instr import cp_async
from pit_mlir.codegen.gpu.launch import Grid
from pit_mlir.codegen.gpu.layout import SharedTile
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.element import ElementOp
from pit_mlir.dialect.structured import owner

Side = Literal["row", "column"]


@dataclass(frozen=True)
class Step:
    """A step along the depth: coordinates of the axes but the last one, and `count` places of that from `first` on.

    `count` is None where the step is full. `listed` gives the place of a number in a list of the last axis.
    """

    outer: Sequence[Index]
    first: Index
    count: Index | None
    listed: Callable[[Index], Index] | None = None


@dataclass(frozen=True)
class Lines:
    """What a thread knows of its part of a tile before the first step: for each of its pieces the line, and where
    along the rows (or columns) each view lies; `live` says how many elements of each piece are inside of the task."""

    line: Sequence[Index]
    element: Index
    offsets: Sequence[dict[View, Index]]
    live: Index | None


class Staging:
    """Brings `factor`, a scalar of the product's region, into tiles of shared memory by the threads of `grid`.

    A tile has `extent` rows (or columns) and `depth` steps; lines are cut into blocks that are at most `longest`.
    """

    def __init__(
        self,
        frame: Frame,
        side: Side,
        factor: ir.Value,
        readers: Sequence[ir.OpView],
        captured: Mapping[ir.Value, ir.Value],
        extent: int,
        depth: int,
        grid: Grid,
        longest: int | None = None,
    ) -> None:
        self.frame, self.side, self.factor, self.captured, self.grid = frame, side, factor, captured, grid
        self.views = frame.views_of(readers)
        self.last = frame.depth_axes[-1]
        self.is_listed = frame.listed_depth == self.last
        self.element = stored_element(factor.type)
        self.across = self.lies_across()
        lines, width = (depth, extent) if self.across else (extent, depth)
        blocks = 1 if longest is None else max(1, width // longest)
        self.tile = SharedTile(lines, width // blocks, bytes_of(self.element), blocks)
        self.piece = self.copied_at_once()

    def plain(self) -> View | None:
        """What the factor is read from, if it is nothing but an element."""
        maker = owner(self.factor)
        is_element = maker is not None and isinstance(maker.opview, ElementOp)
        return self.views[self.factor] if is_element else None

    def side_axis(self) -> int | None:
        """The one axis of rows, or of columns, if a place on it is a place in memory, and not in a list."""
        if self.side == "column":
            return self.frame.column_axis
        is_list = self.frame.plan.listed in ("rows", "strips")
        axes = self.frame.row_axes
        return axes[0] if len(axes) == 1 and not is_list else None

    def lies_across(self) -> bool:
        """Whether the factor is contiguous along the rows (or columns), and not along the depth."""
        views, axis = self.views.values(), self.side_axis()
        if axis is None or any(self.frame.runs_along(view, self.last) for view in views):
            return False
        return any(self.frame.runs_along(view, axis) for view in views)

    def copied_at_once(self) -> int:
        """How many elements an instruction copies past the registers; 0 if none does."""
        view = self.plain()
        if view is None or self.element != view.access.element:
            return 0
        axis = self.side_axis() if self.across else self.last
        is_run = axis is not None and self.frame.runs_along(view, axis)
        count = view.piece(self.frame.plan.axes[axis].iterators[-1]) if axis is not None and is_run else 1
        if self.frame.plan.listed == "parts":
            # A part begins where it will.
            count = gcd(count, *self.frame.plan.block)
        if self.is_listed and not self.across:
            # Entries along a line are anywhere.
            count = 1
        return count if cp_async.may_copy(self.element, count) else 0

    @property
    def per_line(self) -> int:
        """Pieces of a line."""
        return self.tile.width * self.tile.blocks // max(1, self.piece)

    @property
    def stride(self) -> int:
        """How many lines the threads of a block hold at once."""
        assert self.grid.threads % self.per_line == 0, (
            f"{self.per_line} pieces for {self.grid.threads} threads"
        )
        return self.grid.threads // self.per_line

    def prepare(self, task: Task) -> Lines:
        """What the thread knows of its pieces of the tile for `task`."""
        width, thread = max(1, self.piece), self.grid.thread
        element = mul(remainder(thread, self.per_line), width)
        number = floor_div(thread, self.per_line)
        lines = [add(number, step) for step in range(0, self.tile.lines, self.stride)]
        first, count = (task.row, task.rows) if self.side == "row" else (task.column, task.columns)
        if self.across:
            here = element if width > 1 else minimum(element, sub(count, 1))
            offsets = [{view: self.side_offset(view, task, add(first, here)) for view in self.distinct()}]
            return Lines(lines, element, offsets * len(lines), sub(count, element) if width > 1 else None)
        places = [add(first, minimum(line, sub(count, 1))) for line in lines]
        return Lines(
            lines,
            element,
            [{view: self.side_offset(view, task, place) for view in self.distinct()} for place in places],
            None,
        )

    def distinct(self) -> list[View]:
        """The views, each once."""
        return list(dict.fromkeys(self.views.values()))

    def side_offset(self, view: View, task: Task, place: Index) -> Index:
        """Where row (or column) `place` lies at the outer coordinates of `task`."""
        along = self.frame.row_offset if self.side == "row" else self.frame.column_offset
        return add(self.frame.outer_offset(view, task.outer), along(view, place))

    def fetch(self, lines: Lines, step: Step, target: ir.Value, start: Index) -> None:
        """Starts to bring the tile of `step` to `target[start ..]`; what is behind the last step is 0."""
        outside = {view: self.outer_depth(view, step) for view in self.distinct()}
        emit = self.copy if self.piece else self.compute
        is_whole = self.tile.lines == len(lines.line) * self.stride
        for line, offsets in zip(lines.line, lines.offsets, strict=True):
            places = {view: add(offsets[view], outside[view]) for view in offsets}

            def body(line: Index = line, places: dict[View, Index] = places) -> None:
                emit(lines, step, line, places, target, add(start, place_in(self.tile, line, lines.element)))

            if is_whole:
                body()
                continue
            with when(compare("slt", line, self.tile.lines)):
                body()

    def outer_depth(self, view: View, step: Step) -> Index:
        """Where the coordinates of the depth but the last one lie."""
        result: Index = 0
        for number, place in zip(self.frame.depth_axes[:-1], step.outer, strict=True):
            result = add(result, self.frame.along(view, number, place))
        return result

    def place_of(self, step: Step, number: Index) -> Index:
        """The place along the last axis of the depth of place `number` of `step`."""
        if step.count is not None:
            number = minimum(number, sub(step.count, 1))
        place = add(step.first, number)
        return place if step.listed is None else step.listed(place)

    def copy(
        self, lines: Lines, step: Step, line: Index, places: dict[View, Index], target: ir.Value, to: Index
    ) -> None:
        """Copies a piece."""
        [(view, offset)] = places.items()
        if self.across:
            place = self.frame.along(view, self.last, self.place_of(step, line))
            live = self.live_across(lines, step, line)
        else:
            place = add(step.first, lines.element)
            if self.piece == 1:
                place = self.frame.along(view, self.last, self.place_of(step, lines.element))
            live = None if step.count is None else clamped(sub(step.count, lines.element), self.piece)
        at = add(view.base, add(offset, place))
        cp_async.copy(view.buffer, at, target, to, self.piece, live)

    def live_across(self, lines: Lines, step: Step, line: Index) -> Index | None:
        """How many elements of a piece of line `line`, a step of the depth, are there."""
        live = None if lines.live is None else clamped(lines.live, self.piece)
        if step.count is None:
            return live
        whole = value(self.piece if live is None else live)
        return arith.select(compare("slt", line, step.count), whole, value(0))

    def compute(
        self, lines: Lines, step: Step, line: Index, places: dict[View, Index], target: ir.Value, to: Index
    ) -> None:
        """Computes an element and stores it."""
        number = line if self.across else lines.element
        place = self.place_of(step, number)
        known = {
            scalar: view.load(add(places[view], self.frame.along(view, self.last, place)))
            for scalar, view in self.views.items()
        }
        known.update(self.captured)
        [found] = copied([self.factor], self.frame.plan.op.regions[0].blocks[0], known)
        if found.type != self.element:
            found = arith.extui(self.element, found)
        if step.count is not None:
            found = arith.select(compare("slt", number, step.count), found, zero(self.element))
        memref.store(found, target, [value(to)])


def clamped(count: Index, most: int) -> Index:
    """`count`, at least 0 and at most `most`."""
    return minimum(maximum(count, 0), most)


def stored_element(element: ir.Type) -> ir.Type:
    """The type of a factor in shared memory: truth values lie there as bytes."""
    is_truth = isinstance(element, ir.IntegerType) and ir.IntegerType(element).width == 1
    return ir.IntegerType.get_signless(8) if is_truth else element

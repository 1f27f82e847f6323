"""Columns that lie in memory unpacked, asked for before they are packed: the block after the one that is multiplied.

Packing reads many columns side by side, each for a few hundred elements, which no processor foresees; while it
multiplies, memory is idle. So the micro-kernel asks for some lines of the next block at each of its steps.
"""

from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    floor_div,
    maximum,
    minimum,
    mul,
    select,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, Task
from pit_mlir.codegen.cpu.contract_pairs import PairView
from pit_mlir.codegen.cpu.contract_views import View
from pit_mlir.codegen.cpu.micro_kernel import Asks
from pit_mlir.codegen.cpu.pack import Factor

COLUMNS_OF_BLOCK = 128
"""Columns that are packed at once: what they are packed from, the same of the next block, and the sums of a task fit
into a second-level cache of 1 MiB, even where columns lie a multiple of the page size apart."""


@dataclass(frozen=True)
class NextBlock:
    """The columns that are packed next, if any, as `pairs` of lines for each panel.

    `view` is at the first of them; runs lie `distance` elements apart, the lines of a pair `partner`, panels `panel`.
    """

    view: View
    asks: Asks
    pairs: int
    distance: Index
    partner: Index
    panel: Index
    exists: ir.Value

    def arguments(self, panel: Index, number: Index, count: Index) -> list[ir.Value]:
        """What micro-kernel `number` of `count` takes that asks for its share of `panel`."""
        share = ceil_div(self.pairs, count)
        first = mul(number, share)
        some = value(maximum(minimum(share, sub(self.pairs, first)), 0))
        places = (add(self.view.base, mul(panel, self.panel)), first, self.distance, self.partner)
        return [self.view.buffer, *map(value, places), arith.select(self.exists, some, value(0))]

    def arguments_of_rows(self, row: Index, rows: Index, live: Index) -> list[ir.Value]:
        """What the micro-kernel of `rows` rows from `row` on takes, of the one panel there is: their share of it."""
        first, last = (floor_div(mul(place, self.pairs), live) for place in (row, add(row, rows)))
        places = (self.view.base, first, self.distance, self.partner)
        some = arith.select(self.exists, value(sub(last, first)), value(0))
        return [self.view.buffer, *map(value, places), some]

    def otherwise(self, other: "NextBlock") -> "NextBlock":
        """This block if it exists, else the `other` one, which has as many lines in runs of the same length."""
        assert self.asks == other.asks and self.pairs == other.pairs, "siblings lie alike"
        here, there = self.view, other.view
        view = replace(
            here,
            buffer=arith.select(self.exists, here.buffer, there.buffer),
            base=select(self.exists, here.base, there.base),
        )
        distance, partner, panel = (
            select(self.exists, one, another)
            for one, another in (
                (self.distance, other.distance),
                (self.partner, other.partner),
                (self.panel, other.panel),
            )
        )
        exists = arith.ori(self.exists, other.exists)
        return NextBlock(view, self.asks, self.pairs, distance, partner, panel, exists)


def next_block(frame: Frame, factor: Factor, task: Task, first: Index, column: Index) -> NextBlock | None:
    """What `task` packs after the block from `column` on, and from step `first` on, where `factor` is.

    More columns, or the first ones of the next steps; None where the columns are contiguous along no axis.
    """
    later = add(column, COLUMNS_OF_BLOCK)
    is_beside = compare("slt", later, task.columns)
    exists = arith.ori(is_beside, compare("slt", add(first, frame.tile.depth), frame.steps))
    inside = arith.select(is_beside, value(later), value(0))
    steps = arith.select(is_beside, value(0), value(frame.tile.depth))
    return block_from(frame, factor, task, inside, steps, exists)


def block_from(
    frame: Frame, factor: Factor, task: Task, column: Index, step: Index, exists: ir.Value
) -> NextBlock | None:
    """The block of `task` from `column` and from `step` of `factor` on, if it `exists`; None as in `next_block`."""
    depth = frame.depth_axes[-1]
    for view in factor.views.values():
        element = ir.MemRefType(view.buffer.type).element_type
        if isinstance(element, ir.FloatType | ir.IntegerType) and (
            view.is_contiguous(depth) or view.is_contiguous(frame.column_axis)
        ):
            place = add(frame.column_offset(view, add(task.column, column)), mul(step, view.strides[depth]))
            return block_at(frame, view.moved(place), element, exists)
    return None


def block_at(frame: Frame, view: View, element: ir.FloatType | ir.IntegerType, exists: ir.Value) -> NextBlock:
    """The block that begins where `view` does."""
    depth, tile = frame.depth_axes[-1], frame.tile
    line, stride = Asks(element, 1).line, view.strides[depth]
    panel = mul(tile.width, view.strides[frame.column_axis])
    if view.is_contiguous(depth):
        # Each column is a run.
        run = max(1, tile.depth * (2 if isinstance(view, PairView) else 1) // (2 * line))
        apart = view.strides[frame.column_axis]
        return NextBlock(view, Asks(element, run), run * tile.width, apart, line, panel, exists)
    if isinstance(view, PairView):
        return NextBlock(view, Asks(element, 1), tile.depth, stride, view.partner, panel, exists)
    if tile.width >= 2 * line:
        # Each step is a run.
        run = tile.width // (2 * line)
        return NextBlock(view, Asks(element, run), run * tile.depth, stride, line, panel, exists)
    return NextBlock(view, Asks(element, 1), tile.depth // 2, mul(stride, 2), stride, panel, exists)

"""The panelled form for columns that lie as they are: each step of a panel is packed right before it is multiplied.

What is packed stays in the first-level cache, and memory is read in the order in which it lies: all of a panel's depth
before the next panel. That is what few rows need that have their columns for themselves, such as those of an expert.
"""

from collections.abc import Sequence
from typing import ClassVar

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.build import Index, add, ceil_div, compare, loop, minimum, mul, select, sub, value
from pit_mlir.codegen.cpu.contract_ahead import NextBlock, block_from
from pit_mlir.codegen.cpu.contract_columns import Shared
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, scratch
from pit_mlir.codegen.cpu.contract_packed import Buffers
from pit_mlir.codegen.cpu.contract_pairs import in_parts
from pit_mlir.codegen.cpu.contract_panelled import PanelledForm, Section
from pit_mlir.codegen.cpu.pack import Factor, Panels

STEPS_OF_PANEL = 128
"""Steps of a panel that are packed at once: 16 KiB, a third of a first-level cache. With 256 it takes 5 % longer."""


class FreshForm(PanelledForm):
    """A step of a panel of columns is packed and multiplied with all rows, while the next one is asked for."""

    ahead: ClassVar[int] = 0

    def columns(self) -> Sequence[Shared]:
        """Room for a step of a panel, which all products share."""
        tile = self.tile
        room = scratch(self.packed_type, (tile.depth + tile.lanes) * tile.width)
        return [Shared(self.frame, room, (), 0, 0, 0) for _ in self.frame.products]

    def multiply_panel(self, task: Task, products: Sequence[Buffers], panel: Index, section: Section) -> None:
        """See `PanelledForm`."""
        tile, frames = self.tile, self.frame.products
        factors = [frame.factors_of(task).columns for frame in frames]
        panels, end = ceil_div(task.columns, tile.width), add(section.first, section.count)
        has_panel = compare("slt", add(panel, 1), panels)
        # Behind a panel comes that of the next product, behind the last product's the first one's next panel.
        begin = select(has_panel, section.first, end)
        further = arith.ori(has_panel, compare("slt", end, section.steps))
        after = [
            self.block(frame, factor, task, panel, section.first, compare("eq", 0, 0))
            for frame, factor in zip(frames[1:], factors[1:], strict=True)
        ]
        below = select(has_panel, add(panel, 1), 0)
        after.append(self.block(frames[0], factors[0], task, below, begin, further))
        for frame, factor, buffers, behind in zip(frames, factors, products, after, strict=True):
            with loop(0, section.count) as number:
                step = add(section.first, number)
                has_step = compare("slt", add(number, 1), section.count)
                beside = self.block(frame, factor, task, panel, add(step, 1), has_step)
                following = None if beside is None or behind is None else beside.otherwise(behind)
                self.pack_panel(frame, task, buffers, factor, panel, step, following)
                self.multiply_step(buffers, panel, 0, step, mul(number, section.size), following)

    def block(
        self, frame: Frame, factor: Factor, task: Task, panel: Index, step: Index, exists: ir.Value
    ) -> NextBlock | None:
        """What `step` of a panel is packed from."""
        column, first = mul(panel, self.tile.width), mul(step, self.tile.depth)
        return block_from(frame, factor, task, column, first, exists)

    def pack_panel(
        self,
        frame: Frame,
        task: Task,
        buffers: Buffers,
        factor: Factor,
        panel: Index,
        step: Index,
        following: NextBlock | None,
    ) -> None:
        """Packs `step` of a panel of `factor`, the columns of `frame`, and asks for the `following` one."""
        tile, axis = self.tile, frame.depth_axes[0]
        first, column = mul(step, tile.depth), mul(panel, tile.width)
        count = minimum(tile.depth, sub(frame.steps, first))
        wide = minimum(tile.width, sub(task.columns, column))
        here = factor.moved(
            lambda view: add(
                frame.column_offset(view, add(task.column, column)), mul(first, view.strides[axis])
            )
        )

        def ask(inside: Index, step: Index) -> None:
            assert following is not None, "asked for where there is one"
            view = following.view
            place = add(mul(inside, following.distance), mul(step, view.strides[axis]))
            memref.prefetch(view.buffer, [value(add(view.base, place))], False, 2, True)

        def pack(part: Factor, start: Index, some: Index) -> None:
            target = Panels(buffers.columns, tile.width, 0, start, tile.lanes)
            asks = None if following is None else ask
            target.pack_along(part, frame.column_axis, wide, axis, some, asks)

        in_parts(frame, here, first, count, pack)

"""The packed form for columns that lie in panels: each is one stretch of memory, read from its begin to its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_ahead import NextBlock
from pit_mlir.codegen.cpu.contract_columns import Shared
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, scratch
from pit_mlir.codegen.cpu.contract_packed import Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_pairs import in_parts
from pit_mlir.codegen.cpu.contract_panels import panels_of
from pit_mlir.codegen.cpu.micro_kernel import MicroKernel, call_smallest
from pit_mlir.codegen.cpu.pack import Factor

BYTES_OF_ROWS = 512 * 1024
"""Rows that are packed at once: half of a second-level cache of 1 MiB."""
STEPS_AHEAD = 64
"""Steps of a panel that are asked for ahead: 8 KiB."""


@dataclass(frozen=True)
class Section:
    """As much of the depth as rows are packed for at once: `count` of `steps` steps from `first` on.

    The rows of a step are `size` elements.
    """

    first: Index
    count: Index
    steps: Index
    size: Index


class PanelledForm(PackedForm):
    """Rows are packed for as much of the depth as the cache holds; of few rows that is all of it.

    So a panel is read on where it was left, and the sums of few rows are done in one go. This is what few rows need,
    whose limit is memory.
    """

    least_rows: ClassVar[int] = 16
    ahead: ClassVar[int] = STEPS_AHEAD
    """Steps of a panel that its micro-kernel asks for ahead."""

    @staticmethod
    def does(frame: Frame) -> bool:
        """Whether the form does `frame`, whose columns lie in panels: one axis of depth."""
        return len(frame.depth_axes) == 1

    def build_task(self, task: Task, high: Index, wide: Index) -> None:
        """Packs rows, multiplies panel by panel, and finishes the sums."""
        tile = self.tile
        tall = add(task.rows, max(tile.rows, tile.lanes))
        # Rows of one step lie together: the micro-kernel knows their distance.
        size = mul(tall, tile.pitch)
        steps = maximum(ceil_div(self.frame.steps, tile.depth), 1)
        fit = BYTES_OF_ROWS // (self.packed_type.width // 8)
        most = maximum(minimum(floor_div(fit, size), steps), 1)
        rows = scratch(self.packed_type, mul(most, size))
        products = [
            Buffers(
                rows,
                columns.buffer,
                scratch(self.plan.sum_type, mul(tall, wide)),
                columns.panel_pitch,
                mul(tall, tile.width),
                task.rows,
                columns.place_of(task),
            )
            for columns in self.columns()
        ]
        factor = self.frame.factors_of(task).rows
        with loop(0, steps, most) as first:
            section = Section(first, minimum(most, sub(steps, first)), steps, size)
            with loop(0, section.count) as number:
                self.pack_step(task, products[0], factor, add(first, number), mul(number, size))
            with loop(0, ceil_div(task.columns, tile.width)) as panel:
                self.multiply_panel(task, products, panel, section)
        self.finish_products(products, task)

    def columns(self) -> Sequence[Shared]:
        """The columns of each product, in panels."""
        found = [panels_of(product) for product in self.frame.products]
        return [panels for panels in found if panels is not None]

    def multiply_panel(
        self, task: Task, products: Sequence[Buffers], panel: Index, section: "Section"
    ) -> None:
        """Adds the products of a panel of each of `products` with the rows of `section`."""
        for buffers in products:
            with loop(0, section.count) as number:
                step = add(section.first, number)
                first = mul(mul(step, self.tile.depth), self.tile.width)
                place = add(add(buffers.first, mul(panel, buffers.panel_pitch)), first)
                self.multiply_step(buffers, panel, place, step, mul(number, section.size))

    def pack_step(self, task: Task, buffers: Buffers, factor: Factor, step: Index, begin: Index) -> None:
        """Packs the rows of `task` at `step` of so many between packings, from element `begin` on."""
        frame, axis = self.frame, self.frame.depth_axes[0]
        first = mul(step, self.tile.depth)
        count = minimum(self.tile.depth, sub(frame.steps, first))
        here = factor.moved(lambda view: mul(first, view.strides[axis]))

        def pack(part: Factor, inside: Index, some: Index) -> None:
            self.pack_rows(task, buffers, part, add(begin, inside), some)

        in_parts(frame, here, first, count, pack)

    def multiply_step(
        self,
        buffers: Buffers,
        panel: Index,
        place: Index,
        step: Index,
        begin: Index,
        following: NextBlock | None = None,
    ) -> None:
        """Adds the products of `step` of a panel, from element `place` on, and the rows packed from `begin` on.

        The `following` columns are asked for.
        """
        tile = self.tile
        asks = None if following is None else following.asks
        kind = "pairs" if self.frame.is_paired else "dense"
        kernels = [
            MicroKernel(
                self.plan.sum_type, height, tile.vectors, tile.lanes, tile.pitch, kind, self.ahead, asks
            )
            for height in tile.heights
        ]
        names = sorted((kernel.rows, kernel.get(self.frame.module)) for kernel in kernels)
        with loop(0, buffers.live, tile.rows) as row:
            arguments = [
                buffers.rows,
                value(add(begin, mul(row, tile.pitch))),
                buffers.columns,
                value(place),
                buffers.sums,
                value(add(mul(panel, buffers.sums_pitch), mul(row, tile.width))),
                value(minimum(tile.depth, sub(self.frame.steps, mul(step, tile.depth)))),
                compare("eq", step, 0),
            ]
            left = sub(buffers.live, row)
            if following is not None:
                arguments += following.arguments_of_rows(row, minimum(tile.rows, left), buffers.live)
            call_smallest(names, left, arguments)

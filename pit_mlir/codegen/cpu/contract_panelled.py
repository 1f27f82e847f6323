"""The packed form for columns that lie in panels: each is one stretch of memory, read from its begin to its end."""

from typing import ClassVar

from pit_mlir.codegen.cpu.build import (
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
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, scratch
from pit_mlir.codegen.cpu.contract_packed import Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_pairs import in_parts
from pit_mlir.codegen.cpu.micro_kernel import MicroKernel, call_smallest
from pit_mlir.codegen.cpu.pack import Factor

BYTES_OF_ROWS = 512 * 1024
"""Rows that are packed at once: half of a second-level cache of 1 MiB."""
STEPS_AHEAD = 64
"""Steps of a panel that are asked for ahead: 8 KiB."""


class PanelledForm(PackedForm):
    """Rows are packed for as much of the depth as the cache holds; of few rows that is all of it.

    So a panel is read on where it was left, and the sums of few rows are done in one go. This is what few rows need,
    whose limit is memory.
    """

    least_rows: ClassVar[int] = 16

    @staticmethod
    def does(frame: Frame) -> bool:
        """Whether the form does `frame`, whose columns lie in panels: one axis of depth."""
        return len(frame.depth_axes) == 1

    def build_task(self, task: Task, high: Index, wide: Index) -> None:
        """Packs rows, multiplies panel by panel, and finishes the sums."""
        tile, shared = self.tile, self.panels
        assert shared is not None, "the form is for columns in panels"
        tall = add(task.rows, max(tile.rows, tile.lanes))
        # Rows of one step lie together: the micro-kernel knows their distance.
        size = mul(tall, tile.pitch)
        steps = maximum(ceil_div(self.frame.steps, tile.depth), 1)
        fit = BYTES_OF_ROWS // (self.packed_type.width // 8)
        section = maximum(minimum(floor_div(fit, size), steps), 1)
        buffers = Buffers(
            scratch(self.packed_type, mul(section, size)),
            shared.buffer,
            scratch(self.plan.sum_type, mul(tall, wide)),
            shared.panel_pitch,
            mul(tall, tile.width),
            task.rows,
            shared.place_of(task),
        )
        rows = self.frame.factors_of(task).rows
        with loop(0, steps, section) as first:
            count = minimum(section, sub(steps, first))
            with loop(0, count) as number:
                self.pack_step(task, buffers, rows, add(first, number), mul(number, size))
            with loop(0, ceil_div(task.columns, tile.width)) as panel, loop(0, count) as number:
                self.multiply_step(buffers, panel, add(first, number), mul(number, size))
        self.finish(buffers, task)

    def pack_step(self, task: Task, buffers: Buffers, factor: Factor, step: Index, begin: Index) -> None:
        """Packs the rows of `task` at `step` of so many between packings, from element `begin` on."""
        frame, axis = self.frame, self.frame.depth_axes[0]
        first = mul(step, self.tile.depth)
        count = minimum(self.tile.depth, sub(frame.steps, first))
        here = factor.moved(lambda view: mul(first, view.strides[axis]))

        def pack(part: Factor, inside: Index, some: Index) -> None:
            self.pack_rows(task, buffers, part, add(begin, inside), some)

        in_parts(frame, here, first, count, pack)

    def multiply_step(self, buffers: Buffers, panel: Index, step: Index, begin: Index) -> None:
        """Adds the products of `step` of a panel and the rows packed from `begin` on."""
        tile = self.tile
        kind = "pairs" if self.frame.is_paired else "dense"
        kernels = [
            MicroKernel(self.plan.sum_type, height, tile.vectors, tile.lanes, tile.pitch, kind, STEPS_AHEAD)
            for height in tile.heights
        ]
        names = sorted((kernel.rows, kernel.get(self.frame.module)) for kernel in kernels)
        first = mul(step, tile.depth)
        start = add(buffers.first, mul(panel, buffers.panel_pitch))
        with loop(0, buffers.live, tile.rows) as row:
            arguments = [
                buffers.rows,
                value(add(begin, mul(row, tile.pitch))),
                buffers.columns,
                value(add(start, mul(first, tile.width))),
                buffers.sums,
                value(add(mul(panel, buffers.sums_pitch), mul(row, tile.width))),
                value(minimum(tile.depth, sub(self.frame.steps, first))),
                compare("eq", step, 0),
            ]
            call_smallest(names, sub(buffers.live, row), arguments)

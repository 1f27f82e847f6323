"""The kernel of a contraction: blocks of threads walk over the tiles of the result, each through its depth in steps
that lie in shared memory by the time they are multiplied, and pass the sums through the epilogue to their places."""

from collections.abc import Callable
from contextlib import nullcontext

from pit_mlir.analysis.gpu_chips import Chip
from pit_mlir.bindings import ir
from pit_mlir.codegen.build import (
    Index,
    add,
    compare,
    fold,
    minimum,
    mul,
    remainder,
    when,
)
from pit_mlir.codegen.gpu.contract_frame import Frame, Task
from pit_mlir.codegen.gpu.contract_steps import Steps
from pit_mlir.codegen.gpu.contract_tasks import Tasks
from pit_mlir.codegen.gpu.contract_tiles import GpuTile, narrow_factors
from pit_mlir.codegen.gpu.instr import cp_async
from pit_mlir.codegen.gpu.kernels.contract_cores import Core, FmaCore, MmaCore, Operand, Row, combined
from pit_mlir.codegen.gpu.kernels.contract_finish import finish
from pit_mlir.codegen.gpu.kernels.contract_stage import Lines, Staging
from pit_mlir.codegen.gpu.launch import Grid, barrier, launch
from pit_mlir.codegen.gpu.lowering import GpuLowering

End = Callable[[Frame, Task, Row], None]
"""What becomes of the sums of a row of a task."""
BLOCKS_AT_ONCE = 4
"""Blocks that a multiprocessor runs at a time, at most: a grid that walks over tiles has no more."""


def emit_contract(
    frame: Frame,
    tile: GpuTile,
    chip: Chip,
    lowering: GpuLowering,
    condition: Callable[[Grid], ir.Value] | None = None,
    end: End = finish,
) -> None:
    """A launch that computes what `frame` says, in tiles of `tile`; blocks exit at once unless `condition` holds.

    `end` says what becomes of the sums of a row.
    """
    tasks = Tasks(frame, tile, in_order=lowering.deterministic and (frame.adds or end is not finish))
    with launch(minimum(tasks.most, chip.multiprocessors * BLOCKS_AT_ONCE), tile.threads) as grid:
        kernel = ContractKernel(frame, tile, grid, end)
        with nullcontext() if condition is None else when(condition(grid)), tasks.each(grid) as task:
            kernel.build(task)


class ContractKernel:
    """The code of a block of threads for one tile of the result after the other."""

    def __init__(self, frame: Frame, tile: GpuTile, grid: Grid, end: End) -> None:
        self.frame, self.tile, self.grid, self.end = frame, tile, grid, end
        plan = frame.plan
        self.captured = {scalar: scalar for scalar in plan.captured}
        factors = narrow_factors(plan) if tile.cores == "mma" else plan.factors
        assert factors is not None, "tensor cores take narrow factors only"
        self.rows = Staging(
            frame, "row", factors[0], plan.row_elements, self.captured, tile.rows, tile.depth, grid
        )
        self.columns = Staging(
            frame, "column", factors[1], plan.column_elements, self.captured, tile.columns, tile.depth, grid
        )
        self.buffers = [
            grid.shared([staging.tile.elements * tile.stages], staging.element)
            for staging in (self.rows, self.columns)
        ]
        # What teams have summed up, to be added; of one team nothing is.
        self.sums = (
            grid.shared([tile.rows * tile.columns * tile.teams], plan.sum_type) if tile.teams > 1 else None
        )
        shape = grid, tile.rows, tile.columns, tile.depth, tile.high, tile.wide, tile.teams
        self.core: Core = MmaCore(*shape) if tile.is_mma else FmaCore(*shape, plan.sum_type)

    def build(self, task: Task) -> None:
        """Computes `task`."""
        steps = Steps(self.frame, task, self.tile.depth)
        lines = self.rows.prepare(task), self.columns.prepare(task)
        ahead = self.tile.stages - 1
        # The tile before may still be read.
        barrier()
        for number in range(ahead):
            self.fetch(steps, lines, number, number)
            cp_async.commit()

        def body(number: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            cp_async.wait(ahead - 1)
            # Now all threads' copies for this step are there, and all have done with the step whose place is next.
            barrier()
            later = add(number, ahead)
            self.fetch(steps, lines, later, remainder(later, self.tile.stages))
            cp_async.commit()
            stage = remainder(number, self.tile.stages)
            rows, columns = Operand.of(self.rows, self.buffers[0]), Operand.of(self.columns, self.buffers[1])
            starts = mul(stage, rows.tile.elements), mul(stage, columns.tile.elements)
            return self.core.step(sums, rows, columns, starts)

        sums = fold(0, steps.count, 1, self.core.start(), body)
        cp_async.wait(0)
        sums, is_mine = combined(self.core, sums, self.grid, self.sums)
        with nullcontext() if is_mine is None else when(is_mine):
            for row in self.core.results(sums):
                self.end(self.frame, task, row)

    def fetch(self, steps: Steps, lines: tuple[Lines, Lines], number: Index, stage: Index) -> None:
        """Starts to bring step `number`, if there is one, to `stage`."""
        with when(compare("slt", number, steps.count)):
            step = steps.at(number)
            for staging, mine, buffer in zip((self.rows, self.columns), lines, self.buffers, strict=True):
                staging.fetch(mine, step, buffer, mul(stage, staging.tile.elements))

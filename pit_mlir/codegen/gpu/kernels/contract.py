"""The kernel of a contraction: blocks of threads walk over the tiles of the result, each through its depth in steps
that lie in shared memory by the time they are multiplied, and pass the sums through the epilogue to their places."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from pit_mlir.analysis.gpu_chips import Chip
from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    floor_div,
    fold,
    minimum,
    mul,
    product,
    remainder,
    sub,
    value,
    when,
)
from pit_mlir.codegen.gpu.build import evaluated, index_at
from pit_mlir.codegen.gpu.contract_frame import Frame, Task, View
from pit_mlir.codegen.gpu.contract_tasks import Tasks
from pit_mlir.codegen.gpu.contract_tiles import GpuTile, narrow_factors
from pit_mlir.codegen.gpu.instr import cp_async
from pit_mlir.codegen.gpu.kernels.contract_cores import Core, FmaCore, MmaCore, Operand, Row, combined
from pit_mlir.codegen.gpu.kernels.contract_stage import Lines, Staging, Step
from pit_mlir.codegen.gpu.launch import Grid, barrier, launch
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.yield_ import yielded

BLOCKS_AT_ONCE = 4
"""Blocks that a multiprocessor runs at a time, at most: a grid that walks over tiles has no more."""


def emit_contract(
    frame: Frame,
    tile: GpuTile,
    chip: Chip,
    lowering: GpuLowering,
    condition: Callable[[Grid], ir.Value] | None = None,
) -> None:
    """A launch that computes what `frame` says, in tiles of `tile`; blocks exit at once unless `condition` holds."""
    tasks = Tasks(frame, tile, in_order=lowering.deterministic and frame.adds)
    with launch(minimum(tasks.most, chip.multiprocessors * BLOCKS_AT_ONCE), tile.threads) as grid:
        kernel = ContractKernel(frame, tile, grid, frame.plan.captured)
        with nullcontext() if condition is None else when(condition(grid)), tasks.each(grid) as task:
            kernel.build(task)


class ContractKernel:
    """The code of a block of threads for one tile of the result after the other."""

    def __init__(self, frame: Frame, tile: GpuTile, grid: Grid, scalars: Sequence[ir.Value]) -> None:
        self.frame, self.tile, self.grid = frame, tile, grid
        self.captured = {scalar: scalar for scalar in scalars}
        plan = frame.plan
        factors = narrow_factors(plan) if tile.is_mma else plan.factors
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
        self.core: Core = (
            MmaCore(grid, tile.rows, tile.columns, tile.depth, tile.high, tile.wide, tile.teams)
            if tile.is_mma
            else FmaCore(
                plan.sum_type, grid, tile.rows, tile.columns, tile.depth, tile.high, tile.wide, tile.teams
            )
        )

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
                self.finish(task, row)

    def fetch(self, steps: "Steps", lines: tuple[Lines, Lines], number: Index, stage: Index) -> None:
        """Starts to bring step `number`, if there is one, to `stage`."""
        with when(compare("slt", number, steps.count)):
            step = steps.at(number)
            for staging, mine, buffer in zip((self.rows, self.columns), lines, self.buffers, strict=True):
                staging.fetch(mine, step, buffer, mul(stage, staging.tile.elements))

    def finish(self, task: Task, sums: Row) -> None:
        """Passes the sums of a row through the epilogue to the result."""
        frame = self.frame
        views = frame.views_of(frame.plan.epilogue_elements)
        with when(compare("slt", sums.row, task.rows)):
            row = add(task.row, sums.row)

            def line(view: View) -> Index:
                return add(frame.outer_offset(view, task.outer), frame.row_offset(view, row))

            starts = {view: line(view) for view in (*dict.fromkeys(views.values()), frame.result)}
            for first, run in sums.runs:
                for inside, total in enumerate(run):
                    column = add(first, inside)
                    with when(compare("slt", column, task.columns)):
                        place = add(task.column, column)
                        self.store(
                            total,
                            lambda view, place=place: add(starts[view], frame.column_offset(view, place)),
                        )

    def store(self, total: ir.Value, at: Callable[[View], Index]) -> None:
        """Passes a sum through the epilogue to its place; `at` says where each view has it."""
        frame = self.frame
        block = frame.plan.op.regions[1].blocks[0]
        known = {block.arguments[0]: total, **self.captured}
        for scalar, view in frame.views_of(frame.plan.epilogue_elements).items():
            known[scalar] = view.load(at(view))
        final = evaluated(yielded(block)[0], known)
        result = frame.result
        place = value(add(result.base, at(result)))
        if not frame.adds:
            memref.store(final, result.buffer, [place])
            return
        is_float = isinstance(final.type, ir.FloatType)
        kind = arith.AtomicRMWKind.addf if is_float else arith.AtomicRMWKind.addi
        memref.atomic_rmw(kind, final, result.buffer, [place])


class Steps:
    """The steps along the depth of `task`: places of the last axis, `size` at a time, for each place of the others.

    What is listed of an axis of several iterators is one of them: an entry stands for all places that share it.
    """

    def __init__(self, frame: Frame, task: Task, size: int) -> None:
        self.frame, self.size = frame, size
        extents: list[Index] = [frame.extents[a] for a in frame.depth_axes]
        self.begin: Index = 0
        self.entries: Index = 0
        self.shared: Index = 1
        if frame.listed_depth is not None:
            self.begin, self.entries = frame.depth_list(task)
            iterators = frame.plan.axes[frame.listed_depth].iterators
            self.shared = product([frame.iterators[p] for p in iterators if p != frame.plan.group[-1]])
            extents[frame.depth_axes.index(frame.listed_depth)] = mul(self.entries, self.shared)
        self.outer, self.extent = extents[:-1], extents[-1]
        self.pieces = ceil_div(self.extent, size)
        self.count = product([*self.outer, self.pieces])

    def listed(self, number: Index) -> Index:
        """The place of number `number` on the listed axis."""
        frame, index = self.frame, self.frame.index
        assert index is not None and frame.listed_depth is not None
        iterators, listed = frame.plan.axes[frame.listed_depth].iterators, frame.plan.group[-1]
        if iterators[0] == listed:
            entry, inside = floor_div(number, self.shared), remainder(number, self.shared)
            return add(mul(index_at(index.entries, add(self.begin, entry)), self.shared), inside)
        assert iterators[-1] == listed, "a listed iterator runs first or last on its axis"
        outside, entry = floor_div(number, self.entries), remainder(number, self.entries)
        place = index_at(index.entries, add(self.begin, entry))
        return add(mul(outside, frame.iterators[listed]), place)

    def at(self, number: Index) -> Step:
        """Step `number`."""
        *outer, piece = delinearize(number, [*self.outer, self.pieces])
        axes = self.frame.depth_axes
        for position, axis in enumerate(axes[:-1]):
            if axis == self.frame.listed_depth:
                outer[position] = self.listed(outer[position])
        first = mul(piece, self.size)
        is_whole = isinstance(self.extent, int) and self.extent % self.size == 0
        count = None if is_whole else sub(self.extent, first)
        return Step(outer, first, count, self.listed if axes[-1] == self.frame.listed_depth else None)

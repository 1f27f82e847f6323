"""The kernel of a contraction for sm_90a: four warps, the *producer*, bring steps into shared memory, and groups of
four warps each, the *consumers*, multiply them by `wgmma`.

They meet at two barriers for each stage: *full* when a step is there, *empty* when it was multiplied. The producer goes
on to the next tile while consumers finish the last one.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from pit_mlir.analysis.gpu_chips import Chip
from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    compare,
    either,
    floor_div,
    fold,
    loop,
    minimum,
    mul,
    remainder,
    sub,
    value,
    when,
)
from pit_mlir.codegen.gpu.contract_frame import Frame, Task
from pit_mlir.codegen.gpu.contract_steps import Steps
from pit_mlir.codegen.gpu.contract_tasks import Tasks
from pit_mlir.codegen.gpu.contract_tiles import WgmmaTile, narrow_factors
from pit_mlir.codegen.gpu.instr import cp_async, mbarrier, wgmma
from pit_mlir.codegen.gpu.kernels.contract_cores import Row
from pit_mlir.codegen.gpu.kernels.contract_finish import finish
from pit_mlir.codegen.gpu.kernels.contract_stage import Staging
from pit_mlir.codegen.gpu.launch import WARP, Grid, barrier, launch
from pit_mlir.codegen.gpu.lowering import GpuLowering

PRODUCER_REGISTERS, CONSUMER_REGISTERS = 88, 208
"""Of 64 Ki registers, for one producer and two consumers of 128 threads each."""


def emit_specialized(
    frame: Frame,
    tile: WgmmaTile,
    chip: Chip,
    lowering: GpuLowering,
    condition: Callable[[Grid], ir.Value] | None = None,
) -> None:
    """As `emit_contract`, with a block on each multiprocessor."""
    tasks = Tasks(frame, tile, in_order=lowering.deterministic and frame.adds)
    with (
        launch(minimum(tasks.most, chip.multiprocessors), tile.threads, tile.shared_bytes) as grid,
        nullcontext() if condition is None else when(condition(grid)),
    ):
        SpecializedKernel(frame, tile, grid, tasks).build()


@dataclass(frozen=True)
class Ring:
    """The place of a thread in the ring of stages: how many steps it has seen since the kernel began."""

    counter: ir.Value
    stages: int

    @staticmethod
    def start(stages: int) -> "Ring":
        """At the first step."""
        counter = memref.alloca(ir.MemRefType.get([], ir.IndexType.get()), [], [])
        memref.store(value(0), counter, [])
        return Ring(counter, stages)

    def step(self) -> ir.Value:
        """The number of the step."""
        return memref.load(self.counter, [])

    def go(self, step: Index) -> None:
        """The next step is number `step`."""
        memref.store(value(step), self.counter, [])

    def stage(self, step: Index) -> Index:
        """Where step `step` lies."""
        return remainder(step, self.stages)

    def round(self, step: Index) -> Index:
        """0 or 1 in turn, each time that the ring was gone round."""
        return remainder(floor_div(step, self.stages), 2)


class SpecializedKernel:
    """The code of a block of threads: the last four warps are the producer."""

    def __init__(self, frame: Frame, tile: WgmmaTile, grid: Grid, tasks: Tasks) -> None:
        self.frame, self.tile, self.grid, self.tasks = frame, tile, grid, tasks
        self.group = floor_div(grid.thread, wgmma.THREADS)
        plan = frame.plan
        factors = narrow_factors(plan)
        assert factors is not None, "tensor cores take narrow factors only"
        self.worker = replace(
            grid, thread=value(remainder(grid.thread, wgmma.THREADS)), threads=wgmma.THREADS
        )
        captured = {scalar: scalar for scalar in plan.captured}
        longest = tile.depth
        self.rows = Staging(
            frame, "row", factors[0], plan.row_elements, captured, tile.rows, tile.depth, self.worker, longest
        )
        self.columns = Staging(
            frame,
            "column",
            factors[1],
            plan.column_elements,
            captured,
            tile.columns,
            tile.depth,
            self.worker,
            longest,
        )
        self.element = self.rows.element
        starts = (0, tile.row_bytes * tile.stages)
        self.buffers = [
            grid.carved(start, [staging.tile.elements * tile.stages], self.element)
            for start, staging in zip(starts, (self.rows, self.columns), strict=True)
        ]
        self.addresses = [memref.extract_aligned_pointer_as_index(buffer) for buffer in self.buffers]
        i64 = ir.IntegerType.get_signless(64)
        barriers = memref.extract_aligned_pointer_as_index(
            grid.carved(tile.barriers_at, [2 * tile.stages], i64)
        )
        self.full = mbarrier.Barriers(barriers)
        self.empty = mbarrier.Barriers(add(barriers, tile.stages * mbarrier.BYTES))
        self.ring = Ring.start(tile.stages)

    def build(self) -> None:
        """Sets up the barriers, then each four warps do what is theirs."""
        tile = self.tile
        with when(compare("eq", self.grid.thread, 0)):
            for stage in range(tile.stages):
                self.full.init(stage, wgmma.THREADS)
                self.empty.init(stage, tile.consumers * wgmma.THREADS // WARP)
            mbarrier.fence_init()
        barrier()
        either(compare("eq", self.group, tile.consumers), self.produce, self.consume)

    def produce(self) -> None:
        """Brings step after step of all tasks into the stages, as soon as they are empty."""
        tile, ring = self.tile, self.ring
        # Consumers empty a stage once the next step is there, so that must be told before the stage is waited for.
        behind = tile.stages - 2
        if tile.consumers == 2:
            wgmma.give_registers(PRODUCER_REGISTERS)
        with self.tasks.each(self.worker) as task:
            steps = Steps(self.frame, task, tile.depth)
            lines = self.rows.prepare(task), self.columns.prepare(task)
            with loop(0, steps.count) as number:
                step = ring.step()
                # The first time round, every stage is empty: a barrier that nobody has arrived at is past phase 1.
                self.empty.wait(ring.stage(step), sub(1, ring.round(step)))
                for staging, mine, buffer in zip((self.rows, self.columns), lines, self.buffers, strict=True):
                    start = mul(ring.stage(step), staging.tile.elements)
                    staging.fetch(mine, steps.at(number), buffer, start)
                cp_async.commit()
                with when(compare("sge", step, behind)):
                    cp_async.wait(behind)
                    self.tell(sub(step, behind))
                ring.go(add(step, 1))
        end = ring.step()
        cp_async.wait(0)
        first = sub(end, behind)
        with loop(0, behind) as number:
            step = add(first, number)
            with when(compare("sge", step, 0)):
                self.tell(step)

    def tell(self, step: Index) -> None:
        """Says that what the thread has brought of `step` is there."""
        mbarrier.fence_async()
        self.full.arrive(self.ring.stage(step))

    def consume(self) -> None:
        """Multiplies step after step, and finishes the sums of each task."""
        if self.tile.consumers == 2:
            wgmma.take_registers(CONSUMER_REGISTERS)
        with self.tasks.each(self.grid) as task:
            self.multiply(task)

    def multiply(self, task: Task) -> None:
        """The sums of the group's rows of `task`, and their end."""
        tile, ring = self.tile, self.ring
        steps = Steps(self.frame, task, tile.depth)
        begin = ring.step()

        def body(number: ir.Value, sums: list[ir.Value]) -> Sequence[ir.Value]:
            step = add(begin, number)
            stage = ring.stage(step)
            self.full.wait(stage, ring.round(step))
            wgmma.fence()
            rows, columns = self.matrices(stage)
            made = wgmma.multiply_add(rows, columns, tile.depth, tile.columns, self.element, sums[0])
            wgmma.commit()
            # The step before is multiplied; this one goes on while the next is waited for.
            wgmma.wait(1)
            with when(compare("sgt", number, 0)):
                self.release(sub(step, 1))
            return [made]

        [sums] = fold(0, steps.count, 1, [wgmma.no_sums(tile.columns)], body)
        wgmma.wait(0)
        end = add(begin, steps.count)
        with when(compare("sgt", steps.count, 0)):
            self.release(sub(end, 1))
        ring.go(end)
        for row in self.results(sums):
            finish(self.frame, task, row)

    def matrices(self, stage: Index) -> tuple[wgmma.Matrix, wgmma.Matrix]:
        """Both factors of the group at `stage`."""
        found: list[wgmma.Matrix] = []
        for staging, address in zip((self.rows, self.columns), self.addresses, strict=True):
            tile = staging.tile
            start = add(address, mul(stage, tile.elements * tile.bytes))
            # A block of 64 elements across the depth, or the next line of the group's rows.
            block = tile.lines * tile.width * tile.bytes
            found.append(wgmma.Matrix(start, staging.across, block))
        rows, columns = found
        group = mul(self.group, wgmma.ROWS * self.tile.depth * self.rows.tile.bytes)
        return replace(rows, start=add(rows.start, group)), columns

    def release(self, step: Index) -> None:
        """Says that the warp has done with `step`."""
        with when(compare("eq", self.grid.lane, 0)):
            self.empty.arrive(self.ring.stage(step))

    def results(self, sums: ir.Value) -> list[Row]:
        """The sums of the thread by row."""
        lane, warp = self.grid.lane, remainder(self.grid.warp, wgmma.THREADS // WARP)
        first = add(mul(self.group, wgmma.ROWS), add(mul(warp, 16), floor_div(lane, 4)))
        column = mul(remainder(lane, 4), 2)
        return [
            Row(
                add(first, 8 * half),
                [
                    (add(column, 8 * block), [wgmma.sum_at(sums, block, half, inside) for inside in range(2)])
                    for block in range(self.tile.columns // 8)
                ],
            )
            for half in range(2)
        ]

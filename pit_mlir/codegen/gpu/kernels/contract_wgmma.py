"""The kernel of a contraction for sm_90a: four warps, the *producer*, bring steps into shared memory, and groups of
four warps each, the *consumers*, multiply them by `wgmma`.

A factor that is gathered, the threads of the producer copy; one that is a plain part of a tensor comes as a box, by the
copy engine, which one thread asks for it. Both groups meet at two barriers for each stage: *full* when a step is there,
*empty* when it was multiplied. The producer goes on to the next tile while consumers finish the last one.
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
from pit_mlir.codegen.gpu.kernels.contract_boxes import boxes_of
from pit_mlir.codegen.gpu.kernels.contract_cores import Row
from pit_mlir.codegen.gpu.kernels.contract_finish import finish
from pit_mlir.codegen.gpu.kernels.contract_stage import Staging, Step
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
        self.boxes = [boxes_of(staging, grid.operation) for staging in (self.rows, self.columns)]
        self.is_gathering = None in self.boxes
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
        # Each thread that copies, and the one that asks for boxes.
        arrivals = self.is_gathering * wgmma.THREADS + any(self.boxes)
        with when(compare("eq", self.grid.thread, 0)):
            for stage in range(tile.stages):
                self.full.init(stage, arrivals)
                self.empty.init(stage, tile.consumers * wgmma.THREADS // WARP)
            mbarrier.fence_init()
        barrier()
        either(compare("eq", self.group, tile.consumers), self.produce, self.consume)

    def produce(self) -> None:
        """Brings step after step of all tasks into the stages, as soon as they are empty."""
        if self.tile.consumers == 2:
            wgmma.give_registers(PRODUCER_REGISTERS)
        # One warp is enough to ask for boxes.
        is_busy = nullcontext() if self.is_gathering else when(compare("slt", self.worker.thread, WARP))
        with is_busy:
            with self.tasks.each(self.worker) as task:
                self.bring(task)
            if self.is_gathering:
                self.tell_rest()

    @property
    def behind(self) -> int:
        """How many steps later than it was asked for a gathered step is waited for.

        Consumers empty a stage once the next step is there, so that must be told before the stage is waited for.
        """
        return self.tile.stages - 2

    def bring(self, task: Task) -> None:
        """Brings the steps of `task`."""
        ring, both = self.ring, list(zip((self.rows, self.columns), self.boxes, strict=True))
        steps = Steps(self.frame, task, self.tile.depth)
        lines = {staging: staging.prepare(task) for staging, boxes in both if boxes is None}
        with loop(0, steps.count) as number:
            step = ring.step()
            # The first time round, every stage is empty: a barrier that nobody has arrived at is past phase 1.
            self.empty.wait(ring.stage(step), sub(1, ring.round(step)))
            here = steps.at(number)
            if any(self.boxes):
                with when(compare("eq", self.worker.thread, 0)):
                    self.ask(task, here, ring.stage(step))
            for (staging, _), buffer in zip(both, self.buffers, strict=True):
                if staging in lines:
                    start = mul(ring.stage(step), staging.tile.elements)
                    staging.fetch(lines[staging], here, buffer, start)
            if self.is_gathering:
                cp_async.commit()
                with when(compare("sge", step, self.behind)):
                    cp_async.wait(self.behind)
                    self.tell(sub(step, self.behind))
            ring.go(add(step, 1))

    def ask(self, task: Task, step: Step, stage: Index) -> None:
        """Asks for the boxes of `step`."""
        asked = [(boxes, start) for boxes, start in zip(self.boxes, self.addresses, strict=True) if boxes]
        self.full.arrive_for(stage, sum(boxes.bytes for boxes, _ in asked))
        for boxes, start in asked:
            boxes.bring(task, step, add(start, mul(stage, boxes.bytes)), self.full, stage)

    def tell_rest(self) -> None:
        """Says that the last steps that were gathered are there."""
        end = self.ring.step()
        cp_async.wait(0)
        first = sub(end, self.behind)
        with loop(0, self.behind) as number:
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
                lane,
            )
            for half in range(2)
        ]

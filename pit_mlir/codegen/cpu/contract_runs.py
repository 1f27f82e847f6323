"""The packed form of a contraction whose list has runs: an entry stands for steps of the depth that lie together.

A mask of blocks that the model repeats along the depth is such a list, of blocks. What a live block stands for
is read in whole vectors; of a dead one nothing is read.
"""

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    delinearize,
    dot,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    product,
    sub,
    truth,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame, Task
from pit_mlir.codegen.cpu.contract_packed import Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_views import View, index_at
from pit_mlir.codegen.cpu.pack import lies_across

SHORT_RUN = 16
"""Steps of a run from which on a call of the micro-kernel for each run is cheaper than packing columns again."""


class RunsForm(PackedForm):
    """Builds the tasks of the packed form for a list of runs along the depth."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        *outside, axis = frame.depth_axes
        extent = frame.extents[axis]
        is_long = not isinstance(extent, int) or extent >= SHORT_RUN
        across = lies_across(frame.factors.columns, frame.column_axis, axis)
        # Nothing is gathered: rows and columns are packed as without a list, run by run.
        self.is_listed = False
        self.shares = across and is_long and len(outside) == 1

    def build_nested_depth(self, task: Task, buffers: Buffers, factors: Factors) -> None:
        """The runs that the list of the task has, for each coordinate of the axes outside of it."""
        frame = self.frame
        entries, listed = frame.list_of(task)
        *outside, axis = frame.depth_axes
        extents = [*(frame.extents[a] for a in outside[:-1]), listed]
        extent = frame.extents[axis]
        length = maximum(minimum(extent, self.tile.depth), 1)
        together = 1 if self.shares else floor_div(self.tile.depth, length)
        self.clear(task, buffers)
        with loop(0, product(extents), together) as run, loop(0, extent, length) as first:
            count = minimum(length, sub(extent, first))
            runs = minimum(together, sub(product(extents), run))
            with loop(0, runs) as number:
                *others, at = delinearize(add(run, number), extents)
                places = [*others, index_at(entries, at)]

                def offset(view: View) -> Index:
                    return add(
                        dot(places, [view.strides[a] for a in outside]), mul(first, view.strides[axis])
                    )

                here = factors.moved(offset)
                if self.shares:
                    self.pack_rows(task, buffers, here.rows, 0, count)
                    first_step = add(mul(places[-1], extent), first)
                    self.multiply(task, buffers, count, never(), first_step=first_step)
                else:
                    self.pack(task, buffers, here, mul(number, count), count)
            if not self.shares:
                self.multiply(task, buffers, mul(runs, count), never())

    def clear(self, task: Task, buffers: Buffers) -> None:
        """Sets the sums of `task` to 0: nothing may be listed."""
        none = zero(ir.VectorType.get([self.tile.lanes], self.plan.sum_type))
        with loop(0, task.columns, self.tile.lanes) as column, loop(0, task.rows) as row:
            vector.store(none, buffers.sums, [value(self.place_of_sums(buffers, row, column))])


def never() -> ir.Value:
    """The truth value that sums do not start from 0."""
    return truth(False)

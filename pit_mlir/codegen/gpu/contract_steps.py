"""The steps that a task of a contraction takes along the depth: all of it, or what a list says of it."""

from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    floor_div,
    minimum,
    mul,
    product,
    remainder,
    sub,
)
from pit_mlir.codegen.gpu.contract_frame import Frame, Task
from pit_mlir.codegen.gpu.kernels.contract_stage import Step


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
        self.first: Index = 0
        if task.part is not None:
            part = next(
                n for n, p in zip(frame.plan.block, frame.plan.group, strict=False) if p in self.parts()
            )
            extents, self.first = [minimum(part, sub(extents[0], mul(task.part, part)))], mul(task.part, part)
        self.outer, self.extent = extents[:-1], extents[-1]
        self.pieces = ceil_div(self.extent, size)
        self.count = product([*self.outer, self.pieces])

    def parts(self) -> tuple[int, ...]:
        """The iterators of the one axis of depth whose parts have a list of rows each."""
        [axis] = self.frame.depth_axes
        return self.frame.plan.axes[axis].iterators

    def listed(self, number: Index) -> Index:
        """The place of number `number` on the listed axis."""
        frame, index = self.frame, self.frame.index
        assert index is not None and frame.listed_depth is not None
        iterators, listed = frame.plan.axes[frame.listed_depth].iterators, frame.plan.group[-1]
        if iterators[0] == listed:
            entry, inside = floor_div(number, self.shared), remainder(number, self.shared)
            return add(mul(load_index(index.entries, add(self.begin, entry)), self.shared), inside)
        assert iterators[-1] == listed, "a listed iterator runs first or last on its axis"
        outside, entry = floor_div(number, self.entries), remainder(number, self.entries)
        place = load_index(index.entries, add(self.begin, entry))
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
        return Step(
            outer, add(self.first, first), count, self.listed if axes[-1] == self.frame.listed_depth else None
        )

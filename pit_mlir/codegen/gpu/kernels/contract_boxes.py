"""The factors of a contraction on their way into shared memory as boxes, by the copy engine (TMA): those that are plain
parts of a tensor, and are not gathered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen.build import Index, add
from pit_mlir.codegen.gpu.contract_frame import Task, View
from pit_mlir.codegen.gpu.instr import tensor_copy
from pit_mlir.codegen.gpu.instr.mbarrier import Barriers
from pit_mlir.codegen.gpu.kernels.contract_stage import Staging, Step
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES, SharedTile
from pit_mlir.codegen.gpu.tensor_maps import MOST_DIMENSIONS, Dimension, TensorMap

Coordinate = Callable[[Task, Step], Index]
"""Where along a dimension the box of a step of a task begins."""


@dataclass(frozen=True)
class Boxes:
    """The tile of a factor at each step: a box of `tensor_map`, or one for each of the tile's blocks."""

    tensor_map: ir.Value
    coordinates: tuple[Coordinate, ...]
    tile: SharedTile

    @property
    def bytes(self) -> int:
        """What arrives at each step, 0 for what is outside of the tensor included."""
        return self.tile.elements * self.tile.bytes

    def bring(self, task: Task, step: Step, to: Index, barriers: Barriers, number: Index) -> None:
        """Starts to bring the tile of `step` to the address `to`; its bytes arrive at barrier `number`."""
        inner, *outer = (coordinate(task, step) for coordinate in self.coordinates)
        for block in range(self.tile.blocks):
            at = [add(inner, block * self.tile.width), *outer]
            start = add(to, block * self.tile.lines * self.tile.width * self.tile.bytes)
            tensor_copy.load_box(start, self.tensor_map, at, barriers, number)


@dataclass(frozen=True)
class Axis:
    """An axis that an operand has: its size, how far neighbours lie apart (None: a table says), where boxes begin."""

    size: Index
    stride: Index | None
    begin: Coordinate

    def is_aligned(self, element_bytes: int) -> bool:
        """Whether neighbours lie a multiple of 16 bytes apart."""
        stride = self.stride
        return isinstance(stride, int) and stride > 0 and stride * element_bytes % CHUNK_BYTES == 0


def boxes_of(staging: Staging, launch: ir.Operation) -> Boxes | None:
    """How the copy engine brings the factor of `staging` to the kernel `launch`; None where it is gathered."""
    view, tile = staging.plain(), staging.tile
    if view is None or staging.is_listed or staging.piece * tile.bytes != CHUNK_BYTES:
        return None
    side = side_of(staging, view)
    if side is None:
        return None
    depth = Axis(
        staging.frame.extents[staging.last],
        staging.frame.stride_along(view, staging.last),
        lambda _, step: step.first,
    )
    first, second = (side, depth) if staging.across else (depth, side)
    axes = (first, second, *outer_axes(staging, view))
    is_plain = first.stride == 1 and all(axis.is_aligned(tile.bytes) for axis in axes[1:])
    if not is_plain or len(axes) > MOST_DIMENSIONS:
        return None
    dimensions = [Dimension(axis.size, axis.stride) for axis in axes if axis.stride is not None]
    with ir.InsertionPoint(launch):
        tensor_map = TensorMap(view.buffer, view.base, dimensions, (tile.width, tile.lines)).make(launch)
    return Boxes(tensor_map, tuple(axis.begin for axis in axes), tile)


def side_of(staging: Staging, view: View) -> Axis | None:
    """The axis of the rows, or of the columns; None where they do not lie one after another."""
    frame, plan = staging.frame, staging.frame.plan
    if staging.side == "column":
        return Axis(frame.columns, frame.stride_along(view, frame.column_axis), lambda task, _: task.column)
    if plan.listed == "rows":
        if not view.access.compact:
            return None
        assert frame.index is not None
        return Axis(frame.index.total, view.strides[plan.group[0]], lambda task, _: task.row)
    if plan.listed in ("strips", "parts") or len(frame.row_axes) != 1:
        return None
    return Axis(frame.rows, frame.stride_along(view, frame.row_axes[0]), lambda task, _: task.row)


def outer_axes(staging: Staging, view: View) -> Iterator[Axis]:
    """All other axes that the operand has and that have more than one place."""
    frame = staging.frame
    depth, outer = frame.depth_axes[:-1], frame.outer
    begins: list[Coordinate] = [lambda _, step, n=n: step.outer[n] for n in range(len(depth))]
    begins += [lambda task, _, n=n: task.outer[n] for n in range(len(outer))]
    for axis, begin in zip((*depth, *outer), begins, strict=True):
        size, stride = frame.extents[axis], frame.stride_along(view, axis)
        if stride != 0 and size != 1:
            yield Axis(size, stride, begin)

"""Columns of a contraction packed once for all of its tasks."""

from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    dot,
    floor_div,
    loop,
    minimum,
    mul,
    parallel,
    product,
    sub,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, scratch
from pit_mlir.codegen.cpu.contract_pairs import in_parts
from pit_mlir.codegen.cpu.contract_views import View
from pit_mlir.codegen.cpu.pack import Factor, Panels, lies_across

PANELS_AT_ONCE = 8
"""Panels that are packed together from columns that lie next to each other, so that long stretches are read."""


@dataclass(frozen=True)
class Shared:
    """Columns from `first` on, packed for all tasks: panels of the whole depth, for each of the outer `axes`.

    The first of them is element `base` of `buffer`.
    """

    frame: Frame
    buffer: ir.Value
    axes: tuple[int, ...]
    first: Index
    panel_pitch: Index
    panels: Index
    base: Index = 0

    def panel_of(self, task: Task) -> Index:
        """The first panel of `task`."""
        linear: Index = 0
        for axis in self.axes:
            coordinate = task.outer[self.frame.outer.index(axis)]
            linear = add(mul(linear, self.frame.extents[axis]), coordinate)
        column = floor_div(sub(task.column, self.first), self.frame.tile.width)
        return add(mul(linear, self.panels), column)

    def place_of(self, task: Task) -> Index:
        """Where the first panel of `task` begins."""
        return add(self.base, mul(self.panel_of(task), self.panel_pitch))


def carried_axes(frame: Frame) -> tuple[int, ...]:
    """The outer axes along which the columns move."""
    views = frame.factors.columns.views.values()
    return tuple(a for a in frame.outer if any(not is_zero(view.strides[a]) for view in views))


def pack_columns(frame: Frame, packed_type: ir.Type, first: Index, columns: Index) -> Shared:
    """Packs `columns` columns from `first` on, in parallel."""
    tile = frame.tile
    *outside, depth = frame.depth_axes
    axes = carried_axes(frame)
    outer = [frame.extents[a] for a in axes]
    extents, extent = [frame.extents[a] for a in outside], frame.steps
    steps = add(product([*extents, extent]), tile.lanes)
    panels, pitch = ceil_div(columns, tile.width), mul(steps, tile.width)
    buffer = scratch(packed_type, mul(product([*outer, panels]), pitch))
    across = lies_across(frame.factors.columns, frame.column_axis, depth)
    # What lies along the depth is read in long runs of it, what lies along the columns in long runs of these.
    at_once, length = (1, extent) if across else (PANELS_AT_ONCE, tile.depth)
    pieces = 1 if across else ceil_div(extent, length)
    counts = [*outer, ceil_div(panels, at_once), pieces]
    with parallel(product(counts)) as number:
        *coordinates, group, piece = delinearize(number, counts)
        inside, begin = mul(group, at_once * tile.width), mul(piece, length)
        count = minimum(at_once * tile.width, sub(columns, inside))
        some = minimum(length, sub(extent, begin)) if pieces != 1 else extent
        linear = dot(coordinates, strides_of(outer))

        def offset(view: View) -> Index:
            place = frame.column_offset(view, add(first, inside))
            return add(dot(coordinates, [view.strides[a] for a in axes]), place)

        with loop(0, product(extents)) as run:
            places = delinearize(run, extents)
            factor = frame.factors.columns.moved(
                lambda view: add(
                    add(offset(view), mul(begin, view.strides[depth])),
                    dot(places, [view.strides[a] for a in outside]),
                )
            )
            panel = add(mul(linear, panels), mul(group, at_once))
            start = add(mul(panel, steps), add(mul(run, extent), begin))

            def pack(part: Factor, inside: Index, steps: Index) -> None:
                target = Panels(buffer, tile.width, pitch, add(start, inside), tile.lanes)
                target.pack_along(part, frame.column_axis, count, depth, steps)

            in_parts(frame, factor, begin, some, pack)
    return Shared(frame, buffer, axes, first, pitch, panels)


def strides_of(extents: list[Index]) -> list[Index]:
    """The distance of neighbours along each of `extents`, the last one running fastest."""
    return [product(extents[number + 1 :]) for number in range(len(extents))]


def is_zero(stride: Index) -> bool:
    """Whether `stride` is known to be 0."""
    return isinstance(stride, int) and stride == 0

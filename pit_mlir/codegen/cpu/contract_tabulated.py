"""The packed form of a contraction some of whose axes lie by tables: the windows of a convolution.

Such an axis is made of several iterators: the places of a window, or channels and the inside of windows. It runs as
one, so that blocks and vectors are full whatever the sizes of its parts; where its elements lie is looked up while
they are packed. Nothing is unfolded in memory.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import ClassVar

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    choose,
    compare,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    splat,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame, Task, index_at, scratch
from pit_mlir.codegen.cpu.contract_packed import COLUMNS_OF_STEP, Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_views import View, every_lane, first_lanes
from pit_mlir.codegen.cpu.pack import Factor, Panels, Rows, scaled_entries, vectors

Offset = Callable[[View], Index]


class TabulatedForm(PackedForm):
    """Builds the tasks of the packed form where factors lie by tables along the columns or the depth."""

    places_of_step: ClassVar[int] = 1
    """Places along the depth that a step multiplies."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.shares = False

    def build_depth(self, task: Task, buffers: Buffers, factors: Factors) -> None:
        """The steps along the depth, or those of them that are listed."""
        axis, tile = self.frame.depth_axes[0], self.tile
        entries, extent = self.steps_of(task)
        with loop(0, maximum(extent, 1), tile.depth) as first:
            count = minimum(tile.depth, sub(extent, first))
            here = None if entries is None else entries.moved(first)
            self.pack_steps(task, buffers, factors.rows, here, first, count)
            panels = Panels(buffers.columns, tile.width, buffers.panel_pitch, 0, tile.lanes)

            def step_offset(view: View, step: Index, first: Index = first, here: View | None = here) -> Index:
                begin = mul(first, self.places_of_step)
                place = add(begin, step) if here is None else index_at(here, step)
                return place_along(view, axis, place)

            with loop(0, task.columns, COLUMNS_OF_STEP) as column:
                wide = minimum(COLUMNS_OF_STEP, sub(task.columns, column))
                part = replace(task, column=add(task.column, column), columns=wide)
                self.pack_columns(part, panels, factors.columns, first, count, step_offset)
                panel = floor_div(column, tile.width)
                self.multiply(part, buffers, count, compare("eq", first, 0), first_panel=panel)

    def build_listed_depth(self, task: Task, buffers: Buffers, factors: Factors) -> None:
        """As without a list, which is written out for the task."""
        self.build_depth(task, buffers, factors)

    def live_rows(self, task: Task, buffers: Buffers, factor: Factor, high: Index) -> Buffers:
        """All rows: what lies by tables is not searched."""
        return buffers

    def steps_of(self, task: Task) -> tuple[View | None, Index]:
        """The places along the depth that are listed for `task`, in order, and how many; None where all are.

        An entry stands for all places that share it: those of a channel inside of a window.
        """
        frame, plan = self.frame, self.plan
        [axis] = frame.depth_axes
        extent, iterators = frame.extents[axis], plan.axes[axis].iterators
        if plan.listed != "depth":
            return None, extent
        entries, listed = frame.list_of(task)
        if len(iterators) == 1:
            return entries, listed
        i32, whole = ir.IntegerType.get_signless(32), frame.group_extents[-1]
        parts = floor_div(extent, maximum(whole, 1))
        count = mul(listed, parts)
        places = scratch(i32, count)
        is_outside = iterators[0] == plan.group[-1]
        with loop(0, listed) as number, loop(0, parts) as part:
            entry = index_at(entries, number)
            place = add(mul(entry, parts), part) if is_outside else add(mul(part, whole), entry)
            at = add(mul(number, parts), part) if is_outside else add(mul(part, listed), number)
            memref.store(arith.index_cast(i32, value(place)), places, [value(at)])
        return View(Access(places, (0,), False), places, 0, (), ()), count

    def pack_steps(
        self, task: Task, buffers: Buffers, factor: Factor, entries: View | None, first: Index, count: Index
    ) -> None:
        """Packs `count` steps of the rows: those at `entries`, or those from step `first` of the depth on."""
        frame, tile = self.frame, self.tile
        axis = frame.depth_axes[0]
        rows = Rows(buffers.rows, tile.pitch, 0, tile.lanes)
        if not any(axis in view.tables for view in factor.views.values()):
            here = factor if entries else factor.moved(lambda view: mul(first, view.strides[axis]))
            if self.rows_lie_across(here):
                [row_axis] = frame.row_axes
                across = here.moved(lambda view: mul(task.row, view.strides[row_axis]))
                if entries is None:
                    rows.pack_transposed(across, task.rows, row_axis, axis, count)
                else:
                    rows.pack_listed_transposed(across, task.rows, row_axis, axis, entries, count)
            elif entries is None:
                rows.pack(here, task.rows, frame.row_offset_in(task), axis, count)
            else:
                rows.pack_listed(here, task.rows, frame.row_offset_in(task), axis, entries, count)
            return
        offset = frame.row_offset_in(task)
        with loop(0, task.rows) as row:
            at = factor.moved(lambda view: offset(view, row))

            def load(view: View, step: Index, mask: ir.Value | None) -> ir.Value:
                if entries is None:
                    return along(view, axis, add(first, step), tile.lanes, mask)
                return along_listed(view, axis, entries.load(step, 1, tile.lanes, mask), mask)

            def body(step: ir.Value, mask: ir.Value | None) -> None:
                packed = at.compute(lambda view: load(view, step, mask), tile.lanes)
                vector.store(packed, buffers.rows, [value(add(mul(row, tile.pitch), step))])

            vectors(count, tile.lanes, body)

    def pack_columns(
        self,
        task: Task,
        panels: Panels,
        factor: Factor,
        first: Index,
        steps: Index,
        step_offset: Callable[[View, Index], Index],
    ) -> None:
        """Packs `steps` steps from `first` on of the columns of `task`, a vector after another.

        `step_offset` says where a place behind the first one lies.
        """
        axis, lanes = self.frame.column_axis, self.tile.lanes
        with loop(0, task.columns, lanes) as column:
            mask = first_lanes(sub(task.columns, column), lanes)
            lines = {
                view: Line(view, axis, add(task.column, column), lanes, mask)
                for view in factor.views.values()
            }
            tabulated = [line for line in lines.values() if line.offsets is not None]

            def pack(*, in_pieces: bool) -> list[ir.Value]:
                with loop(0, steps) as step:

                    def compute(step: Index) -> ir.Value:
                        return factor.compute(
                            lambda view: lines[view].load(step_offset(view, step), in_pieces=in_pieces), lanes
                        )

                    packed = self.packed(compute, first, step)
                    vector.store(packed, panels.buffer, [panels.place(step, column)])
                return []

            if not tabulated:
                pack(in_pieces=False)
            else:
                pieces = [line.lies_in_pieces() for line in tabulated]
                choose(
                    reduce(arith.andi, pieces),
                    [],
                    lambda: pack(in_pieces=True),
                    lambda: pack(in_pieces=False),
                )

    def packed(self, compute: Callable[[Index], ir.Value], first: Index, step: Index) -> ir.Value:
        """What step `step` of the columns behind step `first` is packed as; `compute` gives what a place holds."""
        return compute(step)


class Line:
    """A vector of elements of `view` from place `first` of `axis` on, of which `mask` is there.

    Where the axis lies by a table, the vector mostly is one run in memory, or the end of one and the start of the
    next: that takes two loads, others are gathered.
    """

    def __init__(self, view: View, axis: int, first: Index, lanes: int, mask: ir.Value) -> None:
        self.view, self.axis, self.first, self.lanes, self.mask = view, axis, first, lanes, mask
        self.offsets: ir.Value | None = None
        if axis not in view.tables:
            return
        self.offsets = offsets_from(view.tables[axis], first, lanes)
        i32 = ir.IntegerType.get_signless(32)
        type_ = ir.VectorType.get([lanes], i32)
        counted = ir.DenseElementsAttr.get([ir.IntegerAttr.get(i32, lane) for lane in range(lanes)], type_)
        steps = arith.constant(type_, counted)
        self.head = vector.extract(self.offsets, [], [0])
        self.tail = arith.subi(
            vector.extract(self.offsets, [], [lanes - 1]), constant_like(self.head, lanes - 1)
        )
        self.in_head, self.in_tail = (
            arith.cmpi(arith.CmpIPredicate.eq, self.offsets, arith.addi(splat(start, lanes), steps))
            for start in (self.head, self.tail)
        )

    def lies_in_pieces(self) -> ir.Value:
        """Whether the vector is one run, or two."""
        either = arith.ori(self.in_head, self.in_tail)
        return vector.reduction(ir.IntegerType.get_signless(1), vector.CombiningKind.AND, either)

    def load(self, offset: Index, *, in_pieces: bool) -> ir.Value:
        """The elements, `offset` further on."""
        view, lanes = self.view, self.lanes
        if self.offsets is None:
            stride = view.strides[self.axis]
            return view.load(add(offset, mul(self.first, stride)), stride, lanes, self.mask)
        at = add(view.base, offset)
        if not in_pieces:
            return view.gather(at, self.offsets, self.mask)
        type_ = view.vector_type(lanes)
        index = ir.IndexType.get()
        head, tail = (value(add(at, arith.index_cast(index, start))) for start in (self.head, self.tail))
        first = vector.maskedload(type_, view.buffer, [head], self.in_head, zero(type_))
        return view.seen(vector.maskedload(type_, view.buffer, [tail], self.in_tail, first))


def offsets_from(buffer: ir.Value, first: Index, lanes: int) -> ir.Value:
    """`lanes` entries of a table from `first` on."""
    return vector.load(ir.VectorType.get([lanes], ir.IntegerType.get_signless(32)), buffer, [value(first)])


def along(view: View, axis: int, first: Index, lanes: int, mask: ir.Value | None) -> ir.Value:
    """`lanes` elements of `view` from place `first` of `axis` on."""
    if axis in view.tables:
        return view.gather(view.base, offsets_from(view.tables[axis], first, lanes), mask)
    stride = view.strides[axis]
    return view.load(mul(first, stride), stride, lanes, mask)


def along_listed(view: View, axis: int, places: ir.Value, mask: ir.Value | None) -> ir.Value:
    """The elements of `view` at `places`, a vector, of `axis`."""
    lanes, stride = ir.VectorType(places.type).shape[0], view.strides[axis]
    if axis in view.tables:
        table, present = view.tables[axis], every_lane(lanes) if mask is None else mask
        offsets = vector.gather(places.type, table, [value(0)], places, present, zero(places.type))
        return view.gather(view.base, offsets, mask)
    if isinstance(stride, int) and stride == 0:
        return view.load(0, 0, lanes, mask)
    return view.gather(view.base, scaled_entries(places, stride), mask)


def place_along(view: View, axis: int, place: Index) -> Index:
    """Where `place` of `axis` lies in `view`."""
    if axis not in view.tables:
        return mul(place, view.strides[axis])
    return index_at(View(view.access, view.tables[axis], 0, (), ()), place)


def constant_like(scalar: ir.Value, number: int) -> ir.Value:
    """`number` in the type of the integer `scalar`."""
    return arith.constant(scalar.type, number)

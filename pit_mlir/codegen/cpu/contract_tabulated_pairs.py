"""Convolutions of bf16 in pairs: two places of the depth are packed together, wherever tables say that they lie."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import ClassVar

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    floor_div,
    is_less,
    loop,
    minimum,
    mul,
    sub,
    value,
    zero,
)
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame, Task
from pit_mlir.codegen.cpu.contract_packed import Buffers
from pit_mlir.codegen.cpu.contract_pairs import as_pairs, bf16_of, multiplies_pairs
from pit_mlir.codegen.cpu.contract_tabulated import TabulatedForm, along
from pit_mlir.codegen.cpu.contract_views import View
from pit_mlir.codegen.cpu.pack import Factor, vectors


class PairedTabulatedForm(TabulatedForm):
    """As the form it extends, with steps of two places of bf16."""

    places_of_step: ClassVar[int] = 2

    def steps_of(self, task: Task) -> tuple[View | None, Index]:
        """All pairs of places; of an odd number, the last pair is half full."""
        return None, ceil_div(self.extent, 2)

    @property
    def extent(self) -> Index:
        """The places along the depth."""
        return self.frame.extents[self.frame.depth_axes[0]]

    def pack_steps(
        self, task: Task, buffers: Buffers, factor: Factor, entries: View | None, first: Index, count: Index
    ) -> None:
        """Packs `count` pairs of the rows, which lie along the depth, from pair `first` on."""
        frame, tile = self.frame, self.tile
        axis, lanes = frame.depth_axes[0], 2 * tile.lanes
        offset = frame.row_offset_in(task)
        begin = mul(first, 2)
        places = minimum(mul(count, 2), sub(self.extent, begin))
        with loop(0, task.rows) as row:
            at = factor.moved(lambda view: offset(view, row))

            def body(place: ir.Value, mask: ir.Value | None) -> None:
                found = at.compute(lambda view: along(view, axis, add(begin, place), lanes, mask), lanes)
                if mask is not None:
                    found = arith.select(mask, found, zero(found.type))
                target = add(mul(row, tile.pitch), floor_div(place, 2))
                vector.store(as_pairs(found), buffers.rows, [value(target)])

            vectors(places, lanes, body)

    def packed(self, compute: Callable[[Index], ir.Value], first: Index, step: Index) -> ir.Value:
        """See `TabulatedForm`: two places, of which the second may not be there."""
        place, rest = mul(step, 2), sub(self.extent, mul(first, 2))
        other = compute(minimum(add(place, 1), sub(rest, 1)))
        is_there = is_less(add(place, 1), rest)
        return as_pairs(vector.interleave(compute(place), arith.select(is_there, other, zero(other.type))))


def tabulated_in_pairs(frame: Frame) -> Frame | None:
    """`frame`, some of whose axes lie by tables, with factors of bf16; None where these are no pairs."""
    rows, columns = (bf16_of(factor.result) for factor in (frame.factors.rows, frame.factors.columns))
    if rows is None or columns is None or not multiplies_pairs(frame.host) or frame.plan.listed != "nothing":
        return None
    depth = frame.depth_axes[0]
    if not all(view.is_contiguous(depth) for view in frame.factors.rows.views.values()):
        return None
    paired = copy(frame)
    paired.factors = Factors(
        replace(frame.factors.rows, result=rows), replace(frame.factors.columns, result=columns)
    )
    paired.is_paired = True
    return paired

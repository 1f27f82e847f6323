"""bf16 as the processor multiplies it: two neighbouring steps of the depth at once, summed in f32.

A pair is one 32-bit element: packing, transposing and addressing it is as for any other element, along a depth that
is half as long.
"""

from copy import copy
from dataclasses import dataclass, replace

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.cpu.build import Index, add, floor_div, mul
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame
from pit_mlir.codegen.cpu.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_views import View
from pit_mlir.codegen.cpu.pack import Factor
from pit_mlir.dialect.structured import owner


@dataclass(frozen=True)
class PairView(View):
    """A view of bf16 whose elements are pairs along axis `depth`; the second lies `partner` behind the first."""

    depth: int
    partner: Index

    def is_contiguous(self, axis: int) -> bool:
        """Along the depth, pairs are neighbours if their halves are."""
        if axis == self.depth:
            return isinstance(self.partner, int) and self.partner == 1
        return super().is_contiguous(axis)

    def load(self, offset: Index, stride: Index, lanes: int, mask: ir.Value | None) -> ir.Value:
        """`lanes` pairs as i32."""
        if self.is_contiguous(self.depth):
            halves = super().load(
                offset, 1, 2 * lanes, None if mask is None else vector.interleave(mask, mask)
            )
        else:
            first = super().load(offset, stride, lanes, mask)
            halves = vector.interleave(first, super().load(add(offset, self.partner), stride, lanes, mask))
        return vector.bitcast(ir.VectorType.get([lanes], ir.IntegerType.get_signless(32)), halves)


def in_pairs(frame: Frame) -> Frame | None:
    """`frame` with factors that are pairs of bf16 along the depth; None where they are not plain bf16, or not pairs."""
    depth = frame.depth_axes[-1]
    if not (frame.host.has_bf16_dot and frame.host.vector_bits == 512 and has_even_extent(frame.plan, depth)):
        return None
    rows, columns = plain_bf16(frame.factors.rows), plain_bf16(frame.factors.columns)
    if rows is None or columns is None or frame.plan.listed == "depth":
        return None
    fits = columns[1].is_contiguous(depth) or columns[1].is_contiguous(frame.column_axis)
    if not (rows[1].is_contiguous(depth) and fits):
        return None
    paired = copy(frame)
    paired.factors = Factors(
        *(Factor(scalar, {scalar: pair_view(view, depth)}, {}) for scalar, view in (rows, columns))
    )
    paired.extents = list(frame.extents)
    paired.extents[depth] = floor_div(frame.extents[depth], 2)
    paired.is_paired = True
    return paired


def has_even_extent(plan: ContractPlan, number: int) -> bool:
    """Whether types say that axis `number` is even."""
    axis = plan.axes[number]
    for access in plan.read_accesses:
        shape = ir.ShapedType(access.source.type).shape
        sizes = dict(zip(access.positions, shape, strict=True))
        if any(sizes.get(position, -1) >= 0 and sizes[position] % 2 == 0 for position in axis.iterators):
            return True
    return False


def plain_bf16(factor: Factor) -> tuple[ir.Value, View] | None:
    """The one element that `factor` is, cast from bf16 to f32."""
    maker = owner(factor.result)
    if maker is None or maker.name != "arith.extf" or not isinstance(factor.result.type, ir.F32Type):
        return None
    scalar = maker.operands[0]
    view = factor.views.get(scalar)
    return (scalar, view) if view is not None and isinstance(scalar.type, ir.BF16Type) else None


def pair_view(view: View, depth: int) -> PairView:
    """`view` as one of pairs."""
    strides = list(view.strides)
    partner = strides[depth]
    strides[depth] = mul(partner, 2)
    plain = replace(view, strides=tuple(strides))
    return PairView(plain.access, plain.buffer, plain.base, plain.strides, plain.coordinates, depth, partner)

"""bf16 as the processor multiplies it: two neighbouring steps of the depth at once, summed in f32.

A pair is one 32-bit element: packing, transposing and addressing it is as for any other element, along a depth that
is half as long. A factor may be computed from several elements, as long as its last step is a cast from bf16.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.codegen.build import (
    Index,
    floor_div,
    loop,
    minimum,
    mul,
    remainder,
    splat,
    sub,
    zero,
)
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_frame import Factors, Frame
from pit_mlir.codegen.cpu.contract_views import View, every_lane
from pit_mlir.codegen.cpu.pack import Factor, Load, computed, lies_across
from pit_mlir.dialect.structured import owner
from pit_mlir.target import Host


@dataclass(frozen=True)
class PairView(View):
    """A view whose elements are pairs along axis `depth`; the second lies `partner` behind the first.

    Read `along` the depth, a vector of pairs is twice as many neighbours; read along another axis, it is one of first
    elements, and one of second ones in the view moved by `partner`. Of a `half`, there are no second ones.
    """

    depth: int
    partner: Index
    along: bool
    half: bool = False

    def is_contiguous(self, axis: int) -> bool:
        """Along the depth, pairs are neighbours if their halves are."""
        if axis == self.depth:
            return isinstance(self.partner, int) and self.partner == 1
        return super().is_contiguous(axis)

    def load(self, offset: Index, stride: Index, lanes: int, mask: ir.Value | None) -> ir.Value:
        """The elements of `lanes` pairs in turn, or one element of each."""
        if not self.along:
            return super().load(offset, stride, lanes, mask)
        if self.half:
            first = every_lane(lanes) if mask is None else mask
            mask = vector.interleave(first, zero(first.type))
        elif mask is not None:
            mask = vector.interleave(mask, mask)
        return super().load(offset, self.partner, 2 * lanes, mask)


@dataclass(frozen=True)
class PairFactor(Factor):
    """A factor of bf16 whose views are `PairView`s: vectors of it are i32, a pair each."""

    along: bool
    half: bool = False

    def compute(self, load: Load, lanes: int) -> ir.Value:
        """The pairs on vectors of `lanes`."""
        known = {scalar: load(view) for scalar, view in self.views.items()}
        if self.along:
            halves = self.vector_of(known, 2 * lanes)
            if self.half:
                every = every_lane(lanes)
                halves = arith.select(vector.interleave(every, zero(every.type)), halves, zero(halves.type))
        else:
            first = self.vector_of(known, lanes)
            second = zero(first.type) if self.half else self.seconds(load, lanes)
            halves = vector.interleave(first, second)
        return as_pairs(halves)

    def seconds(self, load: Load, lanes: int) -> ir.Value:
        """The second elements of pairs that are not read along the depth."""
        views = {s: v.moved(v.partner) for s, v in self.views.items() if isinstance(v, PairView)}
        return self.vector_of({scalar: load(view) for scalar, view in views.items()}, lanes)

    def vector_of(self, known: dict[ir.Value, ir.Value], lanes: int) -> ir.Value:
        """The factor, computed from `known` elements."""
        found = computed(self.result, {**known, **self.scalars}, lanes)
        return found if isinstance(found.type, ir.VectorType) else splat(found, lanes)


def in_pairs(frame: Frame) -> Frame | None:
    """`frame` with factors that are pairs of bf16 along the depth; None where they are not bf16."""
    depth, plan = frame.depth_axes[-1], frame.plan
    narrow = narrow_factors(plan, frame.host)
    if narrow is None:
        return None
    rows_across = (
        plan.listed != "rows"
        and len(frame.row_axes) == 1
        and lies_across(frame.factors.rows, depth, frame.row_axes[0])
    )
    columns_across = not lies_across(frame.factors.columns, frame.column_axis, depth)
    paired = copy(frame)
    paired.factors = Factors(
        pair_factor(frame.factors.rows, narrow[0], depth, along=not rows_across),
        pair_factor(frame.factors.columns, narrow[1], depth, along=not columns_across),
    )
    paired.extents = list(frame.extents)
    paired.extents[depth] = floor_div(frame.extents[depth], 2)
    paired.is_paired = True
    paired.last_half = None if has_even_extent(plan, depth) else remainder(frame.extents[depth], 2)
    others = [in_pairs(sibling) for sibling in frame.siblings]
    paired.siblings = tuple(other for other in others if other is not None)
    assert len(paired.siblings) == len(others), "siblings are of one type"
    return paired


def narrow_factors(plan: ContractPlan, host: Host) -> tuple[ir.Value, ir.Value] | None:
    """The factors of `plan` in bf16, if it is multiplied in pairs of them on `host`."""
    if not multiplies_pairs(host) or plan.listed == "depth" or plan.has_tables:
        return None
    depth = plan.of_role("depth")
    # Runs of several axes lie one after another in whole pairs.
    if len(depth) > 1 and not has_even_extent(plan, depth[-1]):
        return None
    rows, columns = map(bf16_of, plan.factors)
    return None if rows is None or columns is None else (rows, columns)


def multiplies_pairs(host: Host) -> bool:
    """Whether the processor has an instruction for vectors of pairs."""
    return host.has_bf16_dot and host.vector_bits == 512


def as_pairs(halves: ir.Value) -> ir.Value:
    """A vector of bf16 as one of half as many pairs."""
    lanes = ir.VectorType(halves.type).shape[0] // 2
    return vector.bitcast(ir.VectorType.get([lanes], ir.IntegerType.get_signless(32)), halves)


def has_even_extent(plan: ContractPlan, number: int) -> bool:
    """Whether types say that axis `number` is even."""
    axis = plan.axes[number]
    for access in plan.read_accesses:
        sizes = access.extents
        if any(position in sizes and sizes[position] % 2 == 0 for position in axis.iterators):
            return True
    return False


def bf16_of(factor: ir.Value) -> ir.Value | None:
    """What `factor` is, before it is cast from bf16 to f32 as its last step; None if it is anything else."""
    maker = owner(factor)
    if maker is None or maker.name != "arith.extf" or not isinstance(factor.type, ir.F32Type):
        return None
    scalar = maker.operands[0]
    return scalar if isinstance(scalar.type, ir.BF16Type) else None


def pair_factor(factor: Factor, result: ir.Value, depth: int, *, along: bool) -> PairFactor:
    """`factor`, whose bf16 is `result`, as pairs."""
    views = {scalar: pair_view(view, depth, along=along) for scalar, view in factor.views.items()}
    return PairFactor(result, views, factor.scalars, along)


def pair_view(view: View, depth: int, *, along: bool) -> PairView:
    """`view` as one of pairs."""
    strides = list(view.strides)
    partner = strides[depth]
    strides[depth] = mul(partner, 2)
    plain = replace(view, strides=tuple(strides))
    return PairView(
        plain.access, plain.buffer, plain.base, plain.strides, plain.coordinates, depth, partner, along
    )


def halved(factor: Factor) -> Factor:
    """`factor`, which is one of pairs, with a zero as the second of each."""
    assert isinstance(factor, PairFactor), "only pairs have halves"
    views = {s: replace(v, half=True) for s, v in factor.views.items() if isinstance(v, PairView)}
    return replace(factor, views=views, half=True)


def in_parts(
    frame: Frame, factor: Factor, first: Index, count: Index, pack: Callable[[Factor, Index, Index], None]
) -> None:
    """`pack(factor, start, count)` for `count` steps of `factor` from step `first` of the depth on, where it begins.

    Of an odd number of bf16 the last one is half of a pair, and a part of its own.
    """
    if frame.last_half is None:
        pack(factor, 0, count)
        return
    depth = frame.depth_axes[-1]
    whole = minimum(count, sub(frame.extents[depth], first))
    pack(factor, 0, whole)
    with loop(whole, count) as last:
        pack(halved(factor).moved(lambda view: mul(last, view.strides[depth])), last, 1)

"""What of a contraction's rows is alive: rows that are zero throughout are left out of a task."""

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.codegen.build import Index, floor_div, fold, mul, sub, zero
from pit_mlir.codegen.cpu.contract_views import View, first_lanes
from pit_mlir.codegen.cpu.pack import Factor


def any_live(factor: Factor, axis: int, extent: Index, lanes: int) -> ir.Value:
    """Whether `factor` is not zero anywhere along `axis`; NaN is not zero."""
    none = zero(ir.VectorType.get([lanes], ir.IntegerType.get_signless(1)))

    def is_live(first: Index, mask: ir.Value | None) -> ir.Value:
        def load(view: View) -> ir.Value:
            return view.load(mul(first, view.strides[axis]), view.strides[axis], lanes, mask)

        found = factor.compute(load, lanes)
        if isinstance(ir.VectorType(found.type).element_type, ir.FloatType):
            live = arith.cmpf(arith.CmpFPredicate.UNE, found, zero(found.type))
        else:
            live = arith.cmpi(arith.CmpIPredicate.ne, found, zero(found.type))
        return live if mask is None else arith.andi(live, mask)

    whole = mul(floor_div(extent, lanes), lanes)
    [lane_live] = fold(0, whole, lanes, [none], lambda k, c: [arith.ori(c[0], is_live(k, None))])
    rest = sub(extent, whole)
    tail = is_live(whole, first_lanes(rest, lanes))
    return vector.reduction(
        ir.IntegerType.get_signless(1), vector.CombiningKind.OR, arith.ori(lane_live, tail)
    )

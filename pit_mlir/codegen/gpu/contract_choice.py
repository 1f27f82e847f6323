"""Whether a contraction follows its list or is dense: each kernel finds out for itself, so that nobody waits for the
host. Both are launched; the blocks of the one that is dearer exit at once."""

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import Index, add, compare, fold, minimum, mul, product, select, sub, value
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.gpu.contract_frame import Frame
from pit_mlir.codegen.gpu.contract_tiles import narrow_factor
from pit_mlir.codegen.gpu.launch import WARP, Grid, across_warp
from pit_mlir.dialect.element import ElementOp
from pit_mlir.dialect.structured import owner

PERCENT = 100
"""Costs are compared in whole hundredths of that of a step of the dense kernel."""


def may_choose(plan: ContractPlan) -> bool:
    """Whether the contraction may do without its list: what is not listed along a depth is 0 and adds nothing.

    That is for sure where the listed factor is plain values; what a mask leaves out is read by nobody.
    """
    maker = owner(narrow_factor(plan.factors[0]) or plan.factors[0])
    if plan.listed != "depth" or plan.has_tables or plan.lists_part:
        return False
    return maker is not None and isinstance(maker.opview, ElementOp)


def follows_list(frame: Frame, grid: Grid, cost: int) -> ir.Value:
    """Whether the listed steps of all segments cost less than all steps; `cost` is that of a listed one in hundredths.

    Each warp counts for itself: its lanes take segments in turn.
    """
    index, segments = frame.index, frame.segments
    assert index is not None, "only a list is followed"
    i64 = ir.IntegerType.get_signless(64)

    def count(first: ir.Value, total: list[ir.Value]) -> list[ir.Value]:
        segment = add(first, grid.lane)
        known = load_index(index.count, minimum(segment, sub(segments, 1)))
        return [value(add(total[0], select(compare("slt", segment, segments), known, 0)))]

    [mine] = fold(0, segments, WARP, [value(0)], count)
    listed = across_warp(arith.index_cast(i64, mine), arith.addi)
    steps: Index = mul(segments, product(index.extents[len(frame.plan.block) :]))
    listed_cost = mul(arith.index_cast(ir.IndexType.get(), listed), cost)
    return compare("slt", listed_cost, mul(steps, PERCENT))


def negated(condition: ir.Value) -> ir.Value:
    """Not `condition`."""
    return arith.xori(condition, arith.constant(condition.type, 1))

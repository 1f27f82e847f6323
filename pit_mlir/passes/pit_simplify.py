"""`pit-simplify`: reads move up, meet writes and vanish: what is between them becomes compact."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.analysis.extents import dim_of, extent
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import owner
from pit_mlir.passes.base import Pass
from pit_mlir.passes.rules.compact import Compaction
from pit_mlir.passes.rules.demand import Demands, demands_of
from pit_mlir.passes.rules.functions import functions_of, merge_equal


@dataclass(frozen=True)
class Simplify(Pass):
    """Hoists reads (R1, with R2 through attention), cancels them against writes (R4), merges equal indices.

    A value becomes compact where all its users read it through the same rows; the report says of every other
    one that could have been who reads it as a whole, or which fact is missing.
    """

    name: ClassVar[str] = "pit-simplify"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {
        "num-compact": "Operations that became compact (R1)",
        "num-cancelled": "Reads that a compact value took the place of (R1, R4)",
        "num-dense": "Operations that could have become compact and stay dense",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites every function; dead operations and duplicates are gone afterwards."""
        with op.context:
            merge_equal(op)
            for function in functions_of(op):
                resolve_sizes(function)
                hoist_indices(function)
            merge_equal(op)
            for function in functions_of(op):
                demands = demands_of(function)
                explain(demands, report)
                cancelled = Compaction(function, demands).run()
                report.count("num-compact", len(demands.plans))
                report.count("num-cancelled", cancelled)
                report.count("num-dense", len(demands.kept))
            merge_equal(op)


def resolve_sizes(function: ir.Operation) -> None:
    """Sizes are asked of arguments, not of values that may become compact."""
    for op in list(function.regions[0].blocks[0].operations):
        if op.operation.name != "tensor.dim":
            continue
        asked = dim_of(op.operation.results[0])
        if asked is not None and owner(asked[0]) is not None:
            with ir.InsertionPoint(op), op.location:
                size = extent(*asked)
                if isinstance(size, int):
                    size = index_constant(size)
            op.operation.results[0].replace_all_uses_with(size)
            op.operation.erase()


def index_constant(number: int) -> ir.Value:
    """The `index` constant."""
    index = ir.IndexType.get()
    attributes: dict[str, ir.Attribute] = {"value": ir.IntegerAttr.get(index, number)}
    return ir.Operation.create("arith.constant", results=[index], attributes=attributes).results[0]


def hoist_indices(function: ir.Operation) -> None:
    """Every index is made as early as its mask is known, so that equal ones merge and all readers stand behind it."""
    block = function.regions[0].blocks[0]
    for op in list(block.operations):
        if op.operation.name not in ("pit.detect", "pit.segment"):
            continue
        maker = owner(op.operation.operands[0])
        if maker is not None:
            op.move_after(maker)
        else:
            op.move_before(block.operations[0])


def explain(demands: Demands, report: Report) -> None:
    """Remarks on every decision, in program order; small change over integers (positions, tables) is left out."""
    for op, (plan, _) in reversed(demands.plans.items()):
        runs = op.name in ("linalg.generic", "pit.attend")
        how = "is read back as it was written" if op.name == "pit.swrite" else "runs on live rows alone"
        report.remark(location_text(op.location), f"compact: {how}", topic="compact" if runs else "rewritten")
        for note in plan.notes:
            report.remark(location_text(op.location), note)
    for op, reason in reversed(demands.kept.items()):
        if any(isinstance(ir.ShapedType(result.type).element_type, ir.FloatType) for result in op.results):
            report.remark(location_text(op.location), f"kept dense: {reason}", topic="dense")

"""Which values become compact: one backward analysis that decides, before anything is rewritten.

A value is compact if all its users read it through the same rows. A user does if it is a `pit.sread`, or an
operation that is compact itself and reads the value by its plan. Seen from the end of the program backwards,
every user has been decided when its operands are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pit_mlir.analysis.axes import RESHAPES, is_fresh
from pit_mlir.bindings import ir
from pit_mlir.dialect.location import location_text
from pit_mlir.passes.rules.cancel import plan_swrite
from pit_mlir.passes.rules.hoist import plan_generic
from pit_mlir.passes.rules.hoist_mark import plan_mark
from pit_mlir.passes.rules.hoist_shape import plan_cast, plan_pad, plan_shape
from pit_mlir.passes.rules.hoist_sort import plan_sort
from pit_mlir.passes.rules.reduce import plan_attend
from pit_mlir.passes.rules.rows import Demanded, Plan, Refusal, Rows

Planner = Callable[[ir.Operation, Demanded], Plan | Refusal]

PLANNERS: dict[str, Planner] = {
    **dict.fromkeys(RESHAPES, plan_shape),
    "tensor.pad": plan_pad,
    "tensor.cast": plan_cast,
    "linalg.generic": plan_generic,
    "pit.attend": plan_attend,
    "pit.mark": plan_mark,
    "pit.swrite": plan_swrite,
    "tm_tensor.sort": plan_sort,
}
"""What moves an index from the results of an operation to its operands."""


@dataclass(frozen=True)
class Use:
    """`user` reads a value at `rows`, or as a whole if that is None."""

    user: ir.Operation
    rows: Rows | None


@dataclass
class Demands:
    """What the analysis decided: `plans` of the operations that become compact; `kept` says what stays dense
    and why.

    `kept` has, per operation that could have been compact, the reason.
    """

    uses: dict[ir.Value, list[Use]] = field(default_factory=dict[ir.Value, list[Use]])
    plans: dict[ir.Operation, tuple[Plan, Demanded]] = field(
        default_factory=dict[ir.Operation, tuple[Plan, Demanded]]
    )
    kept: dict[ir.Operation, str] = field(default_factory=dict[ir.Operation, str])

    def add(self, value: ir.Value, user: ir.Operation, rows: Rows | None) -> None:
        """Notes that `user` reads `value` at `rows`."""
        self.uses.setdefault(value, []).append(Use(user, rows))


def demands_of(function: ir.Operation) -> Demands:
    """The demands on every value of a function of one block."""
    demands = Demands()
    for operation in reversed(list(function.regions[0].blocks[0].operations)):
        op = operation.operation
        if op.results and all(is_fresh(result) for result in op.results):
            demand_whole(op, demands, [operand for operand in op.operands if not is_fresh(operand)])
            continue
        if op.name == "pit.sread":
            rows = Rows.of_op(op, op.operands[1])
            demands.add(op.operands[0], op, rows if rows.is_whole else None)
            continue
        plan = decide(op, demands)
        reads = plan.reads if plan is not None else (None,) * len(op.operands)
        for operand, rows in zip(op.operands, reads, strict=True):
            demands.add(operand, op, rows if rows is not None and rows.is_whole else None)
        demand_whole(op, demands, captured(op))
    return demands


def demand_whole(op: ir.Operation, demands: Demands, values: Sequence[ir.Value]) -> None:
    """Notes that `op` reads `values` as they are."""
    for value in values:
        demands.add(value, op, None)


def decide(op: ir.Operation, demands: Demands) -> Plan | None:
    """The plan of `op` if all its results are read through the same rows and a rule carries these to its operands."""
    demanded: Demanded = {}
    for number, result in enumerate(op.results):
        uses = demands.uses.get(result, [])
        rows = {use.rows for use in uses}
        whole = next((use.user for use in uses if use.rows is None), None)
        if rows - {None} and len(rows) > 1:
            demands.kept[op] = conflict(whole)
            return None
        if not uses:
            continue
        if whole is not None:
            return None
        demanded[number] = next(row for row in rows if row is not None)
    if not demanded:
        return None
    if len({rows.index for rows in demanded.values()}) > 1:
        demands.kept[op] = conflict(None)
        return None
    planner = PLANNERS.get(op.name)
    plan = (
        Refusal(f"no rule moves an index through '{op.name}'") if planner is None else planner(op, demanded)
    )
    if isinstance(plan, Refusal):
        demands.kept[op] = plan.reason
        return None
    demands.plans[op] = plan, demanded
    return plan


def conflict(whole: ir.Operation | None) -> str:
    """Why a value whose users disagree stays dense."""
    if whole is None:
        return "its users read it through different indices"
    return f"'{whole.name}' at {location_text(whole.location)} reads it as a whole"


def captured(op: ir.Operation) -> list[ir.Value]:
    """Values from outside that the regions of `op` use."""
    found: list[ir.Value] = []
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                found += [value for value in inner.operation.operands if is_outside(value, op)]
                found += captured(inner.operation)
    return found


def is_outside(value: ir.Value, op: ir.Operation) -> bool:
    """Whether `value` is made in the block that holds `op`."""
    maker = value.owner
    block = maker if isinstance(maker, ir.Block) else maker.operation.block
    return block == op.block

"""`pit-check-determinism`: nothing in a program depends on which thread comes first."""

from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError
from pit_mlir.passes.base import Pass

ATOMIC = frozenset({"memref.atomic_rmw", "memref.generic_atomic_rmw", "llvm.atomicrmw", "llvm.cmpxchg"})
"""Operations by which threads combine in the order in which they come."""


@dataclass(frozen=True)
class CheckDeterminism(Pass):
    """Raises an error where threads combine values in an order that is not fixed: equal calls give equal bits.

    It runs on loops: each iteration of a parallel loop writes what no other one reads or writes, which is how all loops
    are built, unless it reduces over the iterations or updates memory atomically. That is what is looked for.
    """

    name: ClassVar[str] = "pit-check-determinism"

    def run(self, op: ir.Operation, report: Report) -> None:
        """Looks at every operation in `op`; changes nothing."""

        def visit(inner: ir.Operation) -> ir.WalkResult:
            reduces = inner.name == "scf.reduce" and len(inner.operands) > 0
            if inner.name in ATOMIC or reduces:
                raise UnsupportedError(
                    f"threads combine by '{inner.name}' in the order in which they come, which options.deterministic "
                    "forbids",
                    location=location_text(inner.location),
                )
            return ir.WalkResult.ADVANCE

        with op.context:
            op.walk(visit, ir.WalkOrder.PRE_ORDER)

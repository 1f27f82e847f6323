"""`pit-lower-loops`: linear algebra on buffers becomes loops."""

from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.loops import lower_structured
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.structured import Structured
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class LowerLoops(Pass):
    """Turns each `linalg.generic` on buffers into parallel chunks of loops that LLVM vectorises."""

    name: ClassVar[str] = "pit-lower-loops"

    def run(self, op: ir.Operation, report: Report) -> None:
        """Operations on tensors are left alone."""
        with op.context:
            for generic in operations(op, "linalg.generic"):
                view = Structured.of(generic)
                assert view is not None
                if not generic.results:
                    lower_structured(view)

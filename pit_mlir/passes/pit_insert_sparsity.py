"""`pit-insert-sparsity`: indices appear where values are known to be zero or unused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.base import Pass
from pit_mlir.passes.rules.functions import functions_of
from pit_mlir.passes.rules.spread import spread_masks

Rule = Callable[[ir.Operation, Report], None]

RULES: tuple[Rule, ...] = (
    # R3 over rows: what a mask over (batch, token), or over rows, makes 0.
    spread_masks,
)
"""The rules that introduce `pit.detect`, in the order in which they are applied to a function."""


@dataclass(frozen=True)
class InsertSparsity(Pass):
    """Introduces `pit.detect`, `pit.sread` and `pit.swrite` where a mask makes values zero (R2, R3).

    Nothing is moved here: `pit-simplify` carries the reads up through the program.
    """

    name: ClassVar[str] = "pit-insert-sparsity"

    def run(self, op: ir.Operation, report: Report) -> None:
        """Applies `RULES` to every function."""
        with op.context:
            for function in functions_of(op):
                for rule in RULES:
                    rule(function, report)

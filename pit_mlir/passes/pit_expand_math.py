"""`pit-expand-math`: math functions of f32 become polynomials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.math import EXPANSIONS, expand, narrow_twice
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class ExpandMath(Pass):
    """Expands exp, log, tanh, erf and their kin on f32, f16 and bf16, scalars and vectors, into arithmetic.

    f64 reaches f16 and bf16 by way of f32.
    """

    name: ClassVar[str] = "pit-expand-math"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-expanded": "Functions expanded",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """f64 is left to the C library."""
        with op.context:
            for function in operations(op, *EXPANSIONS):
                expand(function)
                report.count("num-expanded")
            for cast in operations(op, "arith.truncf"):
                narrow_twice(cast)

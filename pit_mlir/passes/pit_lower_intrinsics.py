"""`pit-lower-intrinsics`: functions that a GPU has instructions for become intrinsics of LLVM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

INTRINSICS: Mapping[str, str] = {
    "math.absf": "llvm.intr.fabs",
    "math.ceil": "llvm.intr.ceil",
    "math.copysign": "llvm.intr.copysign",
    "math.floor": "llvm.intr.floor",
    "math.fma": "llvm.intr.fma",
    "math.roundeven": "llvm.intr.rint",
    "math.sqrt": "llvm.intr.sqrt",
    "math.trunc": "llvm.intr.trunc",
}
"""Functions with one instruction each; the mode of rounding is to the nearest even number throughout."""


@dataclass(frozen=True)
class LowerIntrinsics(Pass):
    """Turns functions on scalars of f32 and f64 in kernels into intrinsics; upstream calls libdevice for all."""

    name: ClassVar[str] = "pit-lower-intrinsics"
    statistics: ClassVar[Mapping[str, str]] = {"num-lowered": "Functions that became intrinsics"}

    def run(self, op: ir.Operation, report: Report) -> None:
        """Others are left to libdevice."""
        with op.context:
            for kernel in operations(op, "gpu.func"):
                for function in operations(kernel, *INTRINSICS):
                    result = function.results[0]
                    if not isinstance(result.type, ir.F32Type | ir.F64Type):
                        continue
                    with ir.InsertionPoint(function), function.location:
                        intrinsic = ir.Operation.create(
                            INTRINSICS[function.name], results=[result.type], operands=list(function.operands)
                        )
                    result.replace_all_uses_with(intrinsic.results[0])
                    function.erase()
                    report.count("num-lowered")

"""`pit-hide-functions`: of a program in the LLVM dialect only the C interface is seen from outside."""

from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.base import Pass

C_INTERFACE = "_mlir_ciface_"
"""What upstream puts before the name of a function that has a C interface."""


@dataclass(frozen=True)
class HideFunctions(Pass):
    """Gives internal linkage to all functions that are defined, but for those of the C interface.

    Whoever sees a function from outside could call it: LLVM would keep it as it is, and the engine would add a
    wrapper for it. A function with a C interface is inlined there: as a call it passes each buffer as seven and
    more values, thousands for a deep model, which LLVM is slow at. The others are not inlined: they are there to
    be compiled once.
    """

    name: ClassVar[str] = "pit-hide-functions"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, op: ir.Operation, report: Report) -> None:
        """Functions that are only declared stay as they are."""
        with op.context:
            functions = {
                ir.StringAttr(function.operation.attributes["sym_name"]).value: function.operation
                for function in op.regions[0].blocks[0].operations
                if function.operation.name == "llvm.func" and function.operation.regions[0].blocks
            }
            internal = ir.Attribute.parse("#llvm.linkage<internal>")
            for name, function in functions.items():
                if name.startswith(C_INTERFACE):
                    continue
                function.attributes["linkage"] = internal
                inlined = C_INTERFACE + name in functions
                function.attributes["always_inline" if inlined else "no_inline"] = ir.UnitAttr.get()

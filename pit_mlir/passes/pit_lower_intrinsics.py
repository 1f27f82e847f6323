"""`pit-lower-intrinsics`: functions that a GPU has instructions for become intrinsics of LLVM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

INTRINSICS: Mapping[str, str] = {
    "ceil": "llvm.intr.ceil",
    "copysign": "llvm.intr.copysign",
    "fabs": "llvm.intr.fabs",
    "floor": "llvm.intr.floor",
    "fma": "llvm.intr.fma",
    "rint": "llvm.intr.rint",
    "sqrt": "llvm.intr.sqrt",
    "trunc": "llvm.intr.trunc",
}
"""Functions of libdevice, without the `__nv_` before and the `f` of f32 behind, that are one instruction each."""


@dataclass(frozen=True)
class LowerIntrinsics(Pass):
    """Turns calls of libdevice into intrinsics where LLVM knows the function; upstream calls libdevice for all."""

    name: ClassVar[str] = "pit-lower-intrinsics"
    statistics: ClassVar[Mapping[str, str]] = {"num-lowered": "Calls that became intrinsics"}

    def run(self, op: ir.Operation, report: Report) -> None:
        """Declarations that nobody needs any more go."""
        with op.context:
            for module in operations(op, "gpu.module"):
                called: set[str] = set()
                for call in operations(module, "llvm.call"):
                    name = callee(call)
                    intrinsic = intrinsic_of(name)
                    if intrinsic is None:
                        called.add(name)
                        continue
                    replace(call, intrinsic)
                    report.count("num-lowered")
                for function in operations(module, "llvm.func"):
                    name = ir.StringAttr(function.attributes["sym_name"]).value
                    if intrinsic_of(name) is not None and name not in called:
                        function.erase()


def callee(call: ir.Operation) -> str:
    """The function that is called; empty for a pointer to one."""
    attributes = call.attributes
    return ir.FlatSymbolRefAttr(attributes["callee"]).value if "callee" in attributes else ""


def intrinsic_of(name: str) -> str | None:
    """The intrinsic for a function of libdevice."""
    if not name.startswith("__nv_"):
        return None
    plain = name.removeprefix("__nv_")
    return INTRINSICS.get(plain) or INTRINSICS.get(plain.removesuffix("f"))


def replace(call: ir.Operation, intrinsic: str) -> None:
    """Puts `intrinsic` in the place of `call`."""
    result = call.results[0]
    with ir.InsertionPoint(call), call.location:
        made = ir.Operation.create(intrinsic, results=[result.type], operands=list(call.operands))
    result.replace_all_uses_with(made.results[0])
    call.erase()

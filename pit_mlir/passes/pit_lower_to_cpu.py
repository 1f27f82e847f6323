"""`pit-lower-to-cpu`: indices and what is done through them become code on buffers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.cpu.rules import RULES
from pit_mlir.diagnostics import Kernel, Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass
from pit_mlir.passes.lowering import STATISTICS, lower_function
from pit_mlir.target import host

KERNELS = ("pit_contract_", "pit_attend_")
"""How the names of kernels begin, which operations of one form share."""


@dataclass(frozen=True)
class LowerToCpu(Pass):
    """Lowers every `pit` operation to loops, vectors and calls on buffers, between brackets to and from tensors.

    `!pit.index` becomes buffers of i32. A `pit` operation without a rule is an `UnsupportedError`.
    """

    name: ClassVar[str] = "pit-lower-to-cpu"
    statistics: ClassVar[Mapping[str, str]] = STATISTICS

    def run(self, op: ir.Operation, report: Report) -> None:
        """One function after another, in order: an index is made before it is used."""
        with op.context:
            for function in operations(op, "func.func"):
                lower_function(function, RULES, CpuLowering(host()), "CPU", report)
                for call in operations(function, "func.call"):
                    name = ir.FlatSymbolRefAttr(call.attributes["callee"]).value
                    if name.startswith(KERNELS):
                        report.kernels.append(Kernel(location_text(call.location), name))

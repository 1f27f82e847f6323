"""`pit-lower-to-gpu`: indices and what is done through them become kernels on buffers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.gpu.rules import RULES
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass
from pit_mlir.passes.lowering import STATISTICS, lower_function


@dataclass(frozen=True)
class LowerToGpu(Pass):
    """Lowers every `pit` operation to kernels, each a `gpu.launch` on buffers, between brackets to and from tensors.

    `!pit.index` becomes buffers in the memory of the device. Sizes that only the device knows are
    `minui(load, bound)`; `pit-sink-sizes` takes them into kernels. With `deterministic` no result depends on the
    order of threads. With `tf32` contractions round factors of f32 and multiply them by tensor cores. A `pit`
    operation without a rule is an `UnsupportedError`.
    """

    name: ClassVar[str] = "pit-lower-to-gpu"
    statistics: ClassVar[Mapping[str, str]] = STATISTICS

    chip: str = "sm_80"
    deterministic: bool = False
    tf32: bool = False

    def run(self, op: ir.Operation, report: Report) -> None:
        """One function after another, in order: an index is made before it is used."""
        with op.context:
            for function in operations(op, "func.func"):
                lowering = GpuLowering(self.chip, self.deterministic, self.tf32)
                lower_function(function, RULES, lowering, "GPU", report)

"""`pit-lower-to-gpu`: indices and what is done through them become kernels on buffers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.gpu.rules import RULES
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.walk import operations
from pit_mlir.errors import UnsupportedError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pit_lower_to_cpu import COUNTED, erase_dead, lowered_operations


@dataclass(frozen=True)
class LowerToGpu(Pass):
    """Lowers every `pit` operation to kernels, each a `gpu.launch` on buffers, between brackets to and from tensors.

    `!pit.index` becomes buffers in the memory of the device. Sizes that only the device knows are
    `minui(load, bound)`; `pit-sink-sizes` takes them into kernels. With `deterministic` no result depends on the
    order of threads. With `tf32` contractions round factors of f32 and multiply them by tensor cores. A `pit`
    operation without a rule is an `UnsupportedError`.
    """

    name: ClassVar[str] = "pit-lower-to-gpu"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-kernels": "Operations that do dense work on what is live",
        "num-moves": "Reads and writes that stand alone",
        "num-indices": "Indices made",
    }

    chip: str = "sm_80"
    deterministic: bool = False
    tf32: bool = False

    def run(self, op: ir.Operation, report: Report) -> None:
        """One function after another, in order: an index is made before it is used."""
        with op.context:
            for function in operations(op, "func.func"):
                lower_function(function, GpuLowering(self.chip, self.deterministic, self.tf32), report)


def lower_function(function: ir.Operation, lowering: GpuLowering, report: Report) -> None:
    """Replaces the `pit` operations of `function`."""
    erase_dead(function)
    done: list[ir.Operation] = []
    for op in lowered_operations(function):
        name = op.name
        if name not in RULES:
            raise UnsupportedError(f"no GPU code for '{name}'", location=location_text(op.location))
        with ir.InsertionPoint(op), op.location:
            RULES[name](op, lowering)
        if name in COUNTED:
            report.count(COUNTED[name])
        done.append(op)
    for op in reversed(done):
        op.erase()
    # Tensors that only gave their sizes, such as the zeros that sums start from.
    erase_dead(function)

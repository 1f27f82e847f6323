"""`pit.window`: contractions read windows where their source lies, all others a copy."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.windows import copy_windows


def lower_window(op: ir.Operation, lowering: GpuLowering) -> None:
    """A copy of the windows for whoever needs one."""
    copy_windows(op)

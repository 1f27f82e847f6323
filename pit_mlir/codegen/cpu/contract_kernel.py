"""Chooses the forms of a contraction's kernel."""

from pit_mlir.codegen.cpu.contract_frame import Frame
from pit_mlir.codegen.cpu.contract_packed import PackedForm


def build_kernel(frame: Frame) -> None:
    """Emits the kernel of `frame`."""
    PackedForm(frame).build()

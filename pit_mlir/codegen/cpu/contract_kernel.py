"""Chooses the forms of a contraction's kernel: by its layout here, by its number of rows at run time."""

from collections.abc import Callable

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.build import choose, compare
from pit_mlir.codegen.cpu.contract_frame import Frame
from pit_mlir.codegen.cpu.contract_packed import PackedForm
from pit_mlir.codegen.cpu.contract_pairs import in_pairs
from pit_mlir.codegen.cpu.contract_skinny import MOST_ROWS, SkinnyForm, is_axpy, is_dot


def build_kernel(frame: Frame) -> None:
    """Emits the kernel of `frame`: the form for few rows and the packed one, or the one that its type asks for."""
    skinny, packed = SkinnyForm(frame), PackedForm(in_pairs(frame) or frame)
    few: Callable[[], None] | None = None
    if is_dot(frame):
        few = skinny.build_dot
    elif is_axpy(frame):
        few = skinny.build_axpy
    most = frame.plan.most_rows
    if few is None or (most is not None and most > MOST_ROWS):
        packed.build()
        return
    if most is not None:
        few()
        return

    def then() -> list[ir.Value]:
        few()
        return []

    def otherwise() -> list[ir.Value]:
        packed.build()
        return []

    choose(compare("sle", frame.rows, MOST_ROWS), [], then, otherwise)

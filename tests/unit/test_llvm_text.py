"""Constants of floats, written for an older LLVM: every kind of number comes through with its bits."""

import re
import struct

import numpy
import pytest
from llvmlite import binding

from pit_mlir.bindings import ir, translate_to_llvm_ir
from pit_mlir.codegen.gpu.llvm_text import older, older_line
from pit_mlir.dialect import make_context

INTEGERS = {"f16": "half", "bf16": "bfloat", "f32": "float", "f64": "double"}
WIDTHS = {"f16": 16, "bf16": 16, "f32": 32, "f64": 64}


def stored(kind: str, bits: list[int]) -> list[int]:
    """The bits of constants that were written by LLVM 24 and read by LLVM 22."""
    digits = WIDTHS[kind] // 4
    lines = [
        f"%{n} = llvm.mlir.constant(0x{b:0{digits}X} : {kind}) : {kind}\nllvm.store %{n}, %p : {kind}, !llvm.ptr"
        for n, b in enumerate(bits)
    ]
    text = "llvm.func @f(%p: !llvm.ptr) {\n" + "\n".join(lines) + "\nllvm.return\n}"
    with make_context():
        written = translate_to_llvm_ir(ir.Module.parse(text).operation)
    module = binding.parse_assembly(older(written))
    found = re.findall(rf"store {INTEGERS[kind]} (\S+),", str(module))
    return [read_back(kind, constant) for constant in found]


def read_back(kind: str, constant: str) -> int:
    """The bits of a constant as LLVM 22 writes it."""
    if constant.startswith(("0xH", "0xR")):
        return int(constant[3:], 16)
    double = (
        int(constant, 16) if constant.startswith("0x") else int(struct.pack(">d", float(constant)).hex(), 16)
    )
    if kind == "f64":
        return double
    if double >> 52 & 0x7FF == 0x7FF:
        return double >> 63 << 31 | 0xFF << 23 | (double >> 29 & 0x7FFFFF)
    (number,) = struct.unpack(">d", double.to_bytes(8, "big"))
    return int(struct.pack(">f", number).hex(), 16)


@pytest.mark.parametrize("kind", INTEGERS)
def test_bits_come_through(kind: str) -> None:
    width = WIDTHS[kind]
    fraction = {"f16": 10, "bf16": 7, "f32": 23, "f64": 52}[kind]
    top = ((1 << (width - 1)) - 1) >> fraction << fraction
    special = [
        0,
        1,
        1 << (width - 1),
        top,
        top | 1 << (width - 1),
        top | 1 << (fraction - 1),
        top | 1,
        top - 1,
    ]
    random = numpy.random.default_rng(0).integers(0, 2**63, 200, numpy.uint64) >> numpy.uint64(64 - width)
    bits = [*special, *(int(b) for b in random)]
    assert stored(kind, bits) == bits


def test_what_is_no_constant_stays() -> None:
    line = 'call void @f1.5(float %x.1, ptr "a 1.0") ; float'
    assert older_line(line).startswith("call void @f1.5(float %x.1, ptr")
    assert older_line('!0 = !{i32 2, !"v 1.0e+0"}') == '!0 = !{i32 2, !"v 1.0e+0"}'
    assert older_line("store <2 x float> splat (float -inf), ptr %18") == (
        "store <2 x float> splat (float 0xFFF0000000000000), ptr %18"
    )

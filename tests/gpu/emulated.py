"""Kernels as texts in the LLVM and NVVM dialects, for the emulator's own tests."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.runtime.emulator import EmulatedKernels
from pit_mlir.runtime.emulator_engine import build

HEAD = """
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %block = nvvm.read.ptx.sreg.ctaid.x : i32
  %lane = nvvm.read.ptx.sreg.laneid : i32
  %all = llvm.mlir.constant(-1 : i32) : i32
  %zero = llvm.mlir.constant(0 : i32) : i32
  %one = llvm.mlir.constant(1 : i32) : i32
  %four = llvm.mlir.constant(4 : i32) : i32
  %sixteen = llvm.mlir.constant(16 : i32) : i32
  %thirtyone = llvm.mlir.constant(31 : i32) : i32
  %thirtytwo = llvm.mlir.constant(32 : i32) : i32
  %sixtyfour = llvm.mlir.constant(64 : i32) : i32
  %false = llvm.mlir.constant(0 : i1) : i1
"""
"""Names that each kernel has."""


def kernels(text: str) -> EmulatedKernels:
    """The kernels of a `gpu.module` with the contents `text`."""
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(f"module {{ gpu.module @kernels {{\n{text}\n}} }}", context)
        return build(module.body.operations[0].operation)


def kernel(body: str, arguments: str = "%in: !llvm.ptr, %out: !llvm.ptr", shared: int = 0) -> EmulatedKernels:
    """One kernel @f with `shared` bytes of shared memory, @shared."""
    memory = f"llvm.mlir.global internal @shared() {{addr_space = 3 : i32, alignment = 128 : i64}} : !llvm.array<{shared} x i8>"
    taken = "%shared = llvm.mlir.addressof @shared : !llvm.ptr<3>" if shared else ""
    return kernels(
        f"{memory if shared else ''}\n"
        f"llvm.func @f({arguments}) attributes {{gpu.kernel, nvvm.kernel}} {{\n{HEAD}\n{taken}\n{body}\nllvm.return\n}}"
    )


def words(count: int, source: str = "%in", type_: str = "i32", name: str = "w") -> str:
    """Loads `count` values of the thread from `source`: %w0, %w1, .., thread by thread."""
    lines = [
        f"%{name}n = llvm.mlir.constant({count} : i32) : i32",
        f"%{name}at = llvm.mul %tid, %{name}n : i32",
    ]
    lines.append(
        f"%{name}p = llvm.getelementptr {source}[%{name}at] : (!llvm.ptr, i32) -> !llvm.ptr, {type_}"
    )
    for i in range(count):
        lines.append(f"%{name}q{i} = llvm.getelementptr %{name}p[{i}] : (!llvm.ptr) -> !llvm.ptr, {type_}")
        lines.append(f"%{name}{i} = llvm.load %{name}q{i} : !llvm.ptr -> {type_}")
    return "\n".join(lines)


def results(values: Sequence[str], type_: str = "i32", target: str = "%out") -> str:
    """Stores `values` of the thread to `target`, thread by thread."""
    lines = [f"%rn = llvm.mlir.constant({len(values)} : i32) : i32", "%rat = llvm.mul %tid, %rn : i32"]
    lines.append(f"%rp = llvm.getelementptr {target}[%rat] : (!llvm.ptr, i32) -> !llvm.ptr, {type_}")
    for i, value in enumerate(values):
        lines.append(f"%rq{i} = llvm.getelementptr %rp[{i}] : (!llvm.ptr) -> !llvm.ptr, {type_}")
        lines.append(f"llvm.store {value}, %rq{i} : {type_}, !llvm.ptr")
    return "\n".join(lines)


def members(struct: str, count: int, type_: str, name: str = "m") -> str:
    """Takes a struct of `count` values apart: %m0, %m1, .."""
    whole = f"!llvm.struct<({', '.join([type_] * count)})>"
    return "\n".join(f"%{name}{i} = llvm.extractvalue {struct}[{i}] : {whole}" for i in range(count))

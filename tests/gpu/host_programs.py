"""Host code of programs for a device, and kernels in Python that stand for those of the device."""

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np

from pit_mlir.bindings import PassManager, ir
from pit_mlir.dialect import make_context
from pit_mlir.runtime.device import Image, Kernels
from pit_mlir.runtime.engine import code_of, signature_of
from pit_mlir.runtime.program import Code

LOWERING = (
    "builtin.module(convert-arith-to-llvm,convert-index-to-llvm,finalize-memref-to-llvm{use-generic-functions=1},convert-func-to-llvm,"
    "convert-cf-to-llvm,reconcile-unrealized-casts)"
)

ADD = """
module attributes {{pit.checks = ["no negative numbers", "no large numbers"]}} {{
  llvm.func @pit_gpu_launch(i32, i64, i64, i64, i64, i64, i64, i32, !llvm.ptr)
  llvm.func @pit_gpu_constant(!llvm.ptr, i64) -> !llvm.ptr
  func.func private @pit_gpu_check_word() -> memref<1xi32> attributes {{llvm.emit_c_interface}}
  llvm.mlir.global constant @one(1.0 : f32) : f32
  func.func @main(%x: memref<?xf32>) -> memref<?xf32> attributes {{llvm.emit_c_interface}} {{
    %c0 = arith.constant 0 : index
    %n = memref.dim %x, %c0 : memref<?xf32>
    %word = call @pit_gpu_check_word() : () -> memref<1xi32>
    %t = memref.alloc(%n) : memref<?xf32>
    %y = memref.alloc(%n) : memref<?xf32>
    %host = llvm.mlir.addressof @one : !llvm.ptr
    %bytes = llvm.mlir.constant(4 : i64) : i64
    %one = llvm.call @pit_gpu_constant(%host, %bytes) : (!llvm.ptr, i64) -> !llvm.ptr
    %constant = llvm.ptrtoint %one : !llvm.ptr to i64
    %ip = memref.extract_aligned_pointer_as_index %x : memref<?xf32> -> index
    %it = memref.extract_aligned_pointer_as_index %t : memref<?xf32> -> index
    %iy = memref.extract_aligned_pointer_as_index %y : memref<?xf32> -> index
    %iw = memref.extract_aligned_pointer_as_index %word : memref<1xi32> -> index
    %px = arith.index_cast %ip : index to i64
    %pt = arith.index_cast %it : index to i64
    %py = arith.index_cast %iy : index to i64
    %pw = arith.index_cast %iw : index to i64
    %size = arith.index_cast %n : index to i64
    func.call @step(%px, %pt, %constant, %size, %pw) : (i64, i64, i64, i64, i64) -> ()
    func.call @step(%pt, %py, %constant, %size, %pw) : (i64, i64, i64, i64, i64) -> ()
    memref.dealloc %t : memref<?xf32>
    return %y : memref<?xf32>
  }}
  func.func private @step(%from: i64, %to: i64, %c: i64, %size: i64, %word: i64) {{
    %one = llvm.mlir.constant(1 : i64) : i64
    %five = llvm.mlir.constant(5 : i64) : i64
    %ten = llvm.mlir.constant(10 : i64) : i64
    %kernel = llvm.mlir.constant(0 : i32) : i32
    %shared = llvm.mlir.constant({shared} : i32) : i32
    %threads = llvm.mlir.constant(128 : i64) : i64
    %values = llvm.alloca %five x i64 : (i64) -> !llvm.ptr
    %places = llvm.alloca %five x !llvm.ptr : (i64) -> !llvm.ptr
    {stores}
    llvm.call @pit_gpu_launch(%kernel, %size, %one, %one, %threads, %one, %one, %shared, %places)
        : (i32, i64, i64, i64, i64, i64, i64, i32, !llvm.ptr) -> ()
    return
  }}
}}"""
"""x + 1 + 1, by two launches of one kernel: a block for each element."""


def add_code(*images: Image, shared: int = 0, names: tuple[str, ...] = ("add",)) -> Code:
    """A program that launches "add" twice, whose parameters are (from, to, constant, size, check word)."""
    stores = "\n".join(
        f"""%v{i} = llvm.getelementptr %values[{i}] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store {value}, %v{i} : i64, !llvm.ptr
    %p{i} = llvm.getelementptr %places[{i}] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    llvm.store %v{i}, %p{i} : !llvm.ptr, !llvm.ptr"""
        for i, value in enumerate(("%from", "%to", "%c", "%size", "%word"))
    )
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(ADD.format(shared=shared, stores=stores))
        signature = signature_of(ir.Type.parse("(tensor<?xf32>) -> tensor<?xf32>"))
        PassManager.parse(LOWERING).run(module.operation)
        code = code_of(module, signature)
    given = images or (Image("cubin", "sm_90", b"some cubin\0"),)
    return replace(code, kernels=Kernels(names, given))


def floats(address: int, size: int) -> Any:
    """The floats at `address`."""
    return np.ctypeslib.as_array((ctypes.c_float * size).from_address(address))


def add_kernel(name: str, parameters: list[int]) -> None:
    """What "add" does: the second check is that no element is above 100, the first that none is below 0."""
    source, target, constant, size, word = parameters
    x = floats(source, size)
    floats(target, size)[:] = x + floats(constant, 1)[0]
    failed = ctypes.c_uint32.from_address(word)
    if (x > 100).any():
        failed.value = min(failed.value, 1)
    if (x < 0).any():
        failed.value = min(failed.value, 0)

"""Products of f32 as tf32 on the emulated GPU: factors rounded as `cvt.rna.tf32` does, sums in f32."""

from typing import Any

import numpy as np
import pytest
from emulated import kernel
from programs import program
from test_contract_gpu import contraction

from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.ptx import build_image, ptxas
from pit_mlir.dialect import make_context
from pit_mlir.passes.pipelines import gpu_pipeline
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.emulator import Pointer

Array = np.ndarray[Any, Any]
ROWS = {"index": "segments = array<i64>, axis = array<i64: 0>, block = array<i64>", "group": ": 0"}
STEPS = {
    "index": "segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 16>",
    "group": ": 0, 2",
    "block": ": 16",
}


def rounded(x: Array) -> Array:
    """The nearest tf32 of f32, in f64; ties away from 0: half of what is cut off is added to the magnitude."""
    bits = x.astype(np.float32).view(np.uint32) + np.uint32(0x1000)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)


def test_conversion_is_that_of_the_manual() -> None:
    """Ties go away from 0, infinities stay, what is too large becomes one, a NaN is the canonical one."""
    code = kernel(
        """%from = llvm.getelementptr %in[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, f32
        %to = llvm.getelementptr %out[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        %x = llvm.load %from : !llvm.ptr -> f32
        %y = nvvm.convert.float.to.tf32 %x {rnd = #nvvm.fp_rnd_mode<rna>}
        llvm.store %y, %to : i32, !llvm.ptr"""
    )
    cases = {
        0x3F800000: 0x3F800000,
        0x3F800FFF: 0x3F800000,
        0x3F801000: 0x3F802000,
        0xBF801000: 0xBF802000,
        0x3F802FFF: 0x3F802000,
        0x3FFFF000: 0x40000000,
        0x80000000: 0x80000000,
        0x00000FFF: 0x00000000,
        0x00001000: 0x00002000,
        0x7F7FFFFF: 0x7F800000,
        0xFF800000: 0xFF800000,
        0x7F800001: 0x7FFFFFFF,
        0xFFC00000: 0x7FFFFFFF,
    }
    given = np.resize(np.array(list(cases), np.uint32), 32)
    out = np.zeros(32, np.uint32)
    code.launch("f", [1], [32], 0, [Pointer(given), Pointer(out)])
    np.testing.assert_array_equal(out, [cases[int(one)] for one in given])


@pytest.mark.parametrize(
    ("equation", "sizes", "listed"),
    [
        ("mk,nk->mn", {"m": 33, "n": 127, "k": 127}, {}),
        ("km,kn->mn", {"m": 136, "n": 72, "k": 36}, {}),
        ("mk,kn->mn", {"m": 7, "n": 33, "k": 1000}, {}),
        ("km,nk->mn", {"m": 1, "n": 7, "k": 1}, {}),
        ("mk,nk->mn", {"m": 33, "n": 40, "k": 0}, {}),
        ("mk,kn->mn", {"m": 33, "n": 40, "k": 31}, ROWS),
        ("mk,kn->mn", {"m": 33, "n": 40, "k": 130}, STEPS),
    ],
)
def test_factors_are_rounded_and_sums_are_not(
    equation: str, sizes: dict[str, int], listed: dict[str, str]
) -> None:
    """As the product of rounded factors, to the precision of f32."""
    rng = np.random.default_rng(3)
    inputs, out = equation.split("->")
    a, b, c = (
        rng.standard_normal([sizes[i] for i in term]).astype(np.float32) for term in (*inputs.split(","), out)
    )
    mask = np.ones(sizes["m"], np.float32)
    if listed is ROWS:
        mask[::3] = 0
    if listed is STEPS:
        mask = (rng.random((sizes["m"], sizes["k"])) < 0.1).astype(np.float32)
        a = a * mask
    text = contraction(equation, sizes, "f32", **listed)
    [actual] = program(text, tf32=True).run_numpy(a, b, c, mask)
    expected = np.einsum(equation, rounded(a), rounded(b))
    if listed is ROWS:
        expected = np.where(mask[:, None] != 0, expected, c)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6 * max(1, sizes["k"]) ** 0.5)


@pytest.mark.skipif(ptxas() is None, reason="no ptxas")
@pytest.mark.parametrize("equation", ["mk,nk->mn", "km,kn->mn"])
@pytest.mark.parametrize("rows", [8, 512])
def test_no_register_is_spilled(equation: str, rows: int) -> None:
    """And PTX has the instructions: products of tf32, and the rounding of each factor."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(contraction(equation, {"m": rows, "n": 512, "k": 512}, "f32"))
        run_pipeline(module, (*gpu_pipeline("sm_80", tf32=True), "gpu.module(convert-nvvm-to-llvm)"))
        [kernels] = [op.operation for op in module.body.operations if op.operation.name == "gpu.module"]
        image = build_image(kernels, "sm_80")
    assert "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32" in image.ptx
    assert "cvt.rna.tf32.f32" in image.ptx
    assert ("ldmatrix" in image.ptx) == (equation == "mk,nk->mn")
    assert [(one.spill_stores, one.spill_loads) for one in image.use.values()] == [(0, 0)]

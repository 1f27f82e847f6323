"""Polynomials of f32 against numpy in double precision, over all of f32."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from jit import elementwise, program

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.math import exp_bounded
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.pipelines import cpu_pipeline
from pit_mlir.passes.pit_expand_math import ExpandMath
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program

erf = np.vectorize(math.erf, otypes=[np.float64])
REFERENCES: dict[str, Callable[[Any], Any]] = {
    "erf": erf,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "tanh": np.tanh,
}
SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1,
    -1,
    88.7,
    89,
    -87.3,
    -103,
    -104,
    127,
    128,
    -126,
    -150,
    1e-45,
    3e38,
]


def inputs() -> np.ndarray[Any, Any]:
    """Random bit patterns, numbers of ordinary size, and the special ones."""
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2**32, 20000, dtype=np.uint32).view(np.float32)
    ordinary = (generator.standard_normal(20000) * 5).astype(np.float32)
    return np.concatenate([bits, ordinary, np.array(SPECIAL, np.float32)])


@pytest.mark.parametrize("name", REFERENCES)
def test_f32_is_accurate_everywhere(name: str) -> None:
    """Relative error below 1e-6, denormal results included; infinities and NaN exactly where they belong."""
    x = inputs()
    (y,) = program(elementwise(f"%q = math.{name} %a : f32", "f32")).run_numpy(x)
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.astype(np.float64))
        rounded = exact.astype(np.float32)
        equal = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
        error = np.abs(y - exact) / np.maximum(np.abs(exact), np.finfo(np.float32).tiny)
    bad = ~equal & ~(error < 1e-6)
    assert not bad.any(), f"{name}({x[bad][0]}) = {y[bad][0]}, expected {exact[bad][0]}"


@pytest.mark.parametrize("name", ["exp", "tanh", "erf"])
@pytest.mark.parametrize(("element", "tolerance"), [("f16", 1e-3), ("bf16", 8e-3), ("f64", 1e-12)])
def test_other_floats(name: str, element: str, tolerance: float) -> None:
    """Short floats go through f32, doubles to the C library."""
    compiled = program(elementwise(f"%q = math.{name} %a : {element}", element))
    dtype = compiled.signature.arguments[0].element.numpy
    x = np.linspace(-4, 4, 1001).astype(dtype)
    (y,) = compiled.run_numpy(x)
    exact = REFERENCES[name](x.astype(np.float64))
    np.testing.assert_allclose(y.astype(np.float64), exact, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("lanes", [4, 16])
def test_vectors_expand_as_scalars_do(lanes: int) -> None:
    """The same code on a vector type, as kernels have it in their epilogues."""
    compiled = program(f"""
func.func @main(%x: tensor<{lanes}xf32>) -> tensor<{lanes}xf32> {{
  %c0 = arith.constant 0 : index
  %z = arith.constant 0.0 : f32
  %v = vector.transfer_read %x[%c0], %z {{in_bounds = [true]}} : tensor<{lanes}xf32>, vector<{lanes}xf32>
  %w = math.exp %v : vector<{lanes}xf32>
  %e = tensor.empty() : tensor<{lanes}xf32>
  %y = vector.transfer_write %w, %e[%c0] {{in_bounds = [true]}} : vector<{lanes}xf32>, tensor<{lanes}xf32>
  return %y : tensor<{lanes}xf32>
}}""")
    x = np.linspace(-3, 3, lanes).astype(np.float32)
    np.testing.assert_allclose(compiled.run_numpy(x)[0], np.exp(x), rtol=1e-6)


def test_exp_of_what_is_bounded() -> None:
    """As exp up to 87; 0 where weights vanish; NaN stays NaN, whatever its bits."""
    x = np.concatenate(
        [np.linspace(-100, 87, 4099), np.linspace(-1e-3, 1e-3, 33), [-np.inf, -3.4e38, np.nan]]
    )
    x = np.append(x.astype(np.float32), np.array([0x7FC00155], np.uint32).view(np.float32))
    (y,) = exponentials().run_numpy(x)
    exact = np.where(x < -87, 0, np.exp(x.astype(float)))
    np.testing.assert_allclose(y, exact, rtol=5e-6, atol=0)
    near = np.abs(x) < 1
    np.testing.assert_allclose(y[near], exact[near], rtol=3e-7)


def exponentials() -> Program:
    """`exp_bounded` of a tensor of any length."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(elementwise("%q = math.exp %a : f32", "f32"))
        [exp] = operations(module.operation, "math.exp")
        with ir.InsertionPoint(exp):
            exp.results[0].replace_all_uses_with(exp_bounded(exp.operands[0]))
        exp.erase()
        return build_program(module)


def test_multiply_adds_stay_fused() -> None:
    """An upstream pass that expands other functions must leave these: polynomials would take twice as long."""
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(
            "func.func @main(%x: f32) -> f32 { %y = math.exp %x : f32\n return %y : f32 }", context
        )
        run_pipeline(module.operation, cpu_pipeline())
        assert "llvm.intr.fma" in str(module)
        assert "math.fma" not in str(module)


@pytest.mark.parametrize("element", ["f32", "bf16"])
def test_quotient_by_a_root(element: str) -> None:
    """erf(x / sqrt 2) divides once, in erf, whether the root is that of a constant or of a shorter one, widened."""
    widened = element != "f32"
    two = f"%c = arith.constant 2.0 : {element}\n" + (
        "%two = arith.extf %c : bf16 to f32\n" if widened else ""
    )
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(
            f"""func.func @main(%x: f32) -> f32 {{
              {two}%root = math.sqrt {"%two" if widened else "%c"} : f32
              %q = arith.divf %x, %root : f32
              %y = math.erf %q : f32
              return %y : f32
            }}""",
            context,
        )
        [quotient] = operations(module.operation, "arith.divf")
        ExpandMath().run(module.operation, Report())
        assert not list(quotient.results[0].uses)
        assert len(list(operations(module.operation, "arith.divf"))) == 2

"""`pit.attend` through code generation: against softmax in float64, dense and with an index."""

import numpy
import pytest

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.runtime.engine import build_program

DENSE = """
func.func @main(%q: tensor<?x?x3x{d}x{t}>, %k: tensor<?x?x3x{d}x{t}>, %v: tensor<?x?x3x{e}x{t}>,
                %mask: tensor<?x?xi1>, %bias: tensor<3x?x?xf32>) -> tensor<?x?x3x{e}x{t}> {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %scale = arith.constant 0.25 : {s}
  %none = arith.constant {none} : {s}
  %batch = tensor.dim %q, %c0 : tensor<?x?x3x{d}x{t}>
  %rows = tensor.dim %q, %c1 : tensor<?x?x3x{d}x{t}>
  %init = tensor.empty(%batch, %rows) : tensor<?x?x3x{e}x{t}>
  %o = "pit.attend"(%q, %k, %v, %init) ({{
  ^bb0(%score: {s}):
    %m = "pit.element"(%mask) {{map = affine_map<(b, h, q, k, d, e) -> (b, k)>, compact = false}} : (tensor<?x?xi1>) -> i1
    %b = "pit.element"(%bias) {{map = affine_map<(b, h, q, k, d, e) -> (h, q, k)>, compact = false}} : (tensor<3x?x?xf32>) -> f32
    {cast}
    %scaled = arith.mulf %score, %scale : {s}
    %biased = arith.addf %scaled, %bb : {s}
    %y = arith.select %m, %biased, %none : {s}
    "pit.yield"(%y) : ({s}) -> ()
  }}) {{batch = 2 : i64, segments = array<i64>, compact = array<i64>, {guarded}
      indexing_maps = [affine_map<(b, h, q, k, d, e) -> (b, q, h, d)>, affine_map<(b, h, q, k, d, e) -> (b, k, h, d)>,
                       affine_map<(b, h, q, k, d, e) -> (b, k, h, e)>, affine_map<(b, h, q, k, d, e) -> (b, q, h, e)>]}}
      : (tensor<?x?x3x{d}x{t}>, tensor<?x?x3x{d}x{t}>, tensor<?x?x3x{e}x{t}>, tensor<?x?x3x{e}x{t}>)
      -> tensor<?x?x3x{e}x{t}>
  return %o : tensor<?x?x3x{e}x{t}>
}}
"""


def program(**words: str):
    words = {"t": "f32", "s": "f32", "d": "8", "e": "8", "none": "0xFF800000", "guarded": "", **words}
    words["cast"] = (
        "%bb = arith.extf %b : f32 to f64" if words["s"] == "f64" else "%bb = arith.addf %b, %zero : f32"
    )
    text = DENSE.format(**words)
    if words["s"] == "f32":
        text = text.replace("%scale =", "%zero = arith.constant 0.0 : f32\n  %scale =")
    context = make_context()
    with context:
        return build_program(ir.Module.parse(text))


def reference(q, k, v, mask, bias, none):
    scores = numpy.einsum("bqhd,bkhd->bhqk", q.astype(float), k.astype(float)) * 0.25 + bias[None]
    scores = numpy.where(mask[:, None, None, :], scores, none)
    with numpy.errstate(invalid="ignore"):
        weights = numpy.exp(scores - scores.max(-1, keepdims=True, initial=-numpy.inf))
        weights = weights / weights.sum(-1, keepdims=True)
    return numpy.einsum("bhqk,bkhe->bqhe", weights, v.astype(float))


def data(batch: int, rows: int, depth: int, width: int, dtype: type, seed: int):
    random = numpy.random.default_rng(seed)
    q, k = (random.standard_normal((batch, rows, 3, depth)).astype(dtype) for _ in range(2))
    v = random.standard_normal((batch, rows, 3, width)).astype(dtype)
    mask = random.random((batch, rows)) < 0.6
    bias = random.standard_normal((3, rows, rows)).astype(numpy.float32)
    return q, k, v, mask, bias


@pytest.mark.parametrize("rows", [0, 1, 7, 33, 64, 65, 130])
def test_dense_attention(rows: int) -> None:
    run = program(none="-3.4e38")
    arguments = data(2, rows, 8, 8, numpy.float32, rows)
    if rows:
        arguments[3][:, 0] = True
    numpy.testing.assert_allclose(
        run.run_numpy(*arguments)[0], reference(*arguments, -3.4e38), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("depth, width", [("1", "1"), ("7", "33"), ("64", "17")])
def test_odd_widths(depth: str, width: str) -> None:
    run = program(d=depth, e=width, none="-3.4e38")
    arguments = data(3, 19, int(depth), int(width), numpy.float32, 1)
    numpy.testing.assert_allclose(
        run.run_numpy(*arguments)[0], reference(*arguments, -3.4e38), rtol=1e-4, atol=1e-5
    )


def test_double() -> None:
    run = program(t="f64", s="f64", none="-3.4e38")
    arguments = data(2, 21, 8, 8, numpy.float64, 2)
    numpy.testing.assert_allclose(run.run_numpy(*arguments)[0], reference(*arguments, -3.4e38), rtol=1e-10)


def test_row_without_keys_is_nan_or_guarded_zero() -> None:
    arguments = data(2, 9, 8, 8, numpy.float32, 3)
    arguments[3][0] = False
    arguments[3][1] = True
    given = program().run_numpy(*arguments)[0]
    assert numpy.isnan(given[0]).all()
    numpy.testing.assert_allclose(given[1], reference(*arguments, -numpy.inf)[1], rtol=1e-4, atol=1e-5)
    guarded = program(guarded="guarded,").run_numpy(*arguments)[0]
    assert (guarded[0] == 0).all()


def test_nan_reaches_its_row_and_infinity_the_result() -> None:
    arguments = data(1, 9, 8, 8, numpy.float32, 4)
    arguments[3][:] = True
    arguments[0][0, 2] = numpy.nan
    given = program().run_numpy(*arguments)[0]
    assert numpy.isnan(given[0, 2]).all() and not numpy.isnan(given[0, 3]).any()

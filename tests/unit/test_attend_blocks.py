"""`pit.attend` with a list of blocks of keys, as the rule makes it, against softmax in float64 over all keys."""

from functools import cache

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_insert_sparsity import InsertSparsity
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program

TEXT = """
func.func @main(%q: tensor<2x?x3x8xf32>, %k: tensor<2x?x3x8xf32>, %v: tensor<2x?x3x8xf32>, %mask: tensor<{shape}xi1>,
                %added: tensor<{shape}xf32>) -> tensor<2x?x3x8xf32> {{
  %c1 = arith.constant 1 : index
  %rows = tensor.dim %q, %c1 : tensor<2x?x3x8xf32>
  %init = tensor.empty(%rows) : tensor<2x?x3x8xf32>
  %none = arith.constant {none} : f32
  %zero = arith.constant 0.0 : f32
  %scale = arith.constant 0.25 : f32
  %o = "pit.attend"(%q, %k, %v, %init) ({{
  ^bb0(%score: f32):
    %m = "pit.element"(%mask) {{map = affine_map<(b, h, q, k, d, e) -> ({dims})>, compact = false}} : (tensor<{shape}xi1>) -> i1
    %a = "pit.element"(%added) {{map = affine_map<(b, h, q, k, d, e) -> ({dims})>, compact = false}} : (tensor<{shape}xf32>) -> f32
    {body}
    "pit.yield"(%y) : (f32) -> ()
  }}) {{batch = 2 : i64, segments = array<i64>, compact = array<i64>, {guarded}
      indexing_maps = [affine_map<(b, h, q, k, d, e) -> (b, q, h, d)>, affine_map<(b, h, q, k, d, e) -> (b, k, h, d)>,
                       affine_map<(b, h, q, k, d, e) -> (b, k, h, e)>, affine_map<(b, h, q, k, d, e) -> (b, q, h, e)>]}}
      : (tensor<2x?x3x8xf32>, tensor<2x?x3x8xf32>, tensor<2x?x3x8xf32>, tensor<2x?x3x8xf32>) -> tensor<2x?x3x8xf32>
  return %o : tensor<2x?x3x8xf32>
}}
"""
SHAPES = {"?x?": "q, k", "3x?x?": "h, q, k"}
INFINITE, LOWEST = "0xFF800000", "-3.0e+38"
BODIES = {
    "chosen": "%y = arith.select %m, %score, %none : f32",
    "added": "%y = arith.addf %score, %a : f32",
    "scaled": """%t = arith.select %m, %zero, %none : f32
                 %s = arith.addf %score, %t : f32
                 %y = arith.mulf %s, %scale : f32""",
    "both": """%s = arith.addf %a, %score : f32
               %y = arith.select %m, %s, %none : f32""",
    "smaller": """%t = arith.select %m, %a, %none : f32
                  %y = arith.minimumf %score, %t : f32""",
}


@cache
def program(body: str, none: str, shape: str, guarded: bool) -> Program:
    """The attention with its list, compiled once."""
    words = {"body": BODIES[body], "none": none, "shape": shape, "dims": SHAPES[shape]}
    context = make_context()
    with context, ir.Location.unknown():
        module = ir.Module.parse(TEXT.format(**words, guarded="guarded," if guarded else ""))
        InsertSparsity(only="lists").run(module.operation, Report())
        assert "pit.block_mask" in str(module)
        return build_program(module)


def scores_of(
    body: str, none: float, scores: numpy.ndarray, m: numpy.ndarray, a: numpy.ndarray
) -> numpy.ndarray:
    """What the body makes of the scores, in the f32 that it computes in."""
    scores = scores.astype(numpy.float32)
    lowest = numpy.float32(none)
    results = {
        "chosen": lambda: numpy.where(m, scores, lowest),
        "added": lambda: scores + a,
        "scaled": lambda: (scores + numpy.where(m, numpy.float32(0), lowest)) * numpy.float32(0.25),
        "both": lambda: numpy.where(m, scores + a, lowest),
        "smaller": lambda: numpy.minimum(scores, numpy.where(m, a, lowest)),
    }
    return results[body]()


@pytest.mark.parametrize(("none", "guarded"), [(INFINITE, False), (INFINITE, True), (LOWEST, False)])
@pytest.mark.parametrize("body", BODIES)
@settings(max_examples=6, deadline=None)
@given(st.data())
def test_any_mask(body: str, none: str, guarded: bool, data: st.DataObject) -> None:
    """Random pairs and blocks; rows without a key, NaN without a guard, and the mean where scores are lowest."""
    shape = data.draw(st.sampled_from(list(SHAPES)))
    queries, keys = data.draw(st.integers(0, 150)), data.draw(st.integers(1, 150))
    random = numpy.random.default_rng(data.draw(st.integers(0, 2**31)))
    q, k, v = (random.standard_normal((2, n, 3, 8)).astype(numpy.float32) for n in (queries, keys, keys))
    number = float("-inf") if none == INFINITE else float(none)
    sizes = [3] if "h" in SHAPES[shape] else []
    density = random.choice([0.0, 0.01, 0.5, 1.0])
    m = random.random((*sizes, queries, keys)) < density
    m[..., : random.integers(0, keys + 1)] = False
    a = numpy.where(random.random(m.shape) < density, 1.0, number).astype(numpy.float32)
    with numpy.errstate(all="ignore"):
        plain = numpy.einsum("bqhd,bkhd->bhqk", q, k)
        scores = scores_of(body, number, plain, m, a).astype(float)
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        if guarded:
            weights = numpy.where(scores.max(-1, keepdims=True) == -numpy.inf, 0, weights)
        expected = numpy.einsum("bhqk,bkhe->bqhe", weights, v.astype(float))
    given = program(body, none, shape, guarded).run_numpy(q, k, v, m, a)[0]
    numpy.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)

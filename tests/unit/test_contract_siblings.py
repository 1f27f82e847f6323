"""Contractions of the same rows in one kernel, such as gate and up of experts, against numpy in higher precision."""

import ml_dtypes
import numpy
import pytest
from contraction_text import TOLERANCE, cached

PAIR = """
func.func @main(%gate: tensor<?x?xf32>, %x: tensor<?x?x{t}>, %w: tensor<?x?x?x{t}>, %v: tensor<?x?x?x{t}>,
    %init: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %zero = arith.constant 0.0 : f32
  %c1 = arith.constant 1 : index
  %I = "pit.detect"(%gate) {{segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: 1>,
      micro_tile = 1 : i64}} : (tensor<?x?xf32>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %hidden = tensor.dim %init, %c1 : tensor<?x?xf32>
  %empty = tensor.empty(%n, %hidden) : tensor<?x?xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
{products}
  %y = linalg.generic {{indexing_maps = [affine_map<(r, h) -> (r, h)>, affine_map<(r, h) -> (r, h)>,
      affine_map<(r, h) -> (r, h)>], iterator_types = ["parallel", "parallel"]}}
      ins(%h0, %h1 : tensor<?x?xf32>, tensor<?x?xf32>) outs(%empty : tensor<?x?xf32>) {{
  ^bb0(%g: f32, %u: f32, %o: f32):
    %live = arith.maximumf %g, %zero : f32
    %p = arith.mulf %live, %u : f32
    linalg.yield %p : f32
  }} -> tensor<?x?xf32>
  %r = "pit.swrite"(%y, %init, %I) {{axis = array<i64: 0>, group = array<i64: 1>, combine = "add"}}
      : (tensor<?x?xf32>, tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}}"""
PRODUCT = """
  %h{number} = "pit.generic"(%zeros, %I) ({{
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {{map = affine_map<(e, t, h, d) -> (t, d)>, compact = false}} : (tensor<?x?x{t}>) -> {t}
    %b = "pit.element"(%{weight}) {{map = affine_map<(e, t, h, d) -> (e, {order})>, compact = false}} : (tensor<?x?x?x{t}>) -> {t}
    {cast}
    %p = arith.mulf %wa, %wb : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(e, t, h, d) -> (e, h)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 1>, compact = true}} : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>"""
CAST = {
    "f32": "%one = arith.constant 1.0 : f32\n%wa = arith.mulf %a, %one : f32\n%wb = arith.mulf %b, %one : f32",
    "bf16": "%wa = arith.extf %a : bf16 to f32\n%wb = arith.extf %b : bf16 to f32",
}


def pair(order: str, type_: str) -> str:
    """relu(x w) * (x v) of each token's experts, added up; weights are laid out (expert, `order`)."""
    products = "".join(
        PRODUCT.format(number=number, weight=weight, order=order, t=type_, cast=CAST[type_])
        for number, weight in enumerate("wv")
    )
    return PAIR.format(t=type_, products=products)


@pytest.mark.parametrize("type_", ["f32", "bf16"])
@pytest.mark.parametrize("order", ["h, d", "d, h"])
@pytest.mark.parametrize(("dim", "hidden"), [(37, 70), (1, 1), (300, 33), (128, 127)])
def test_siblings(order: str, type_: str, dim: int, hidden: int) -> None:
    """Segments of no row, of few that read the columns in place, of many that pack them; odd sizes; no tokens at all."""
    counts = (0, 1, 2, 3, 5, 6, 7, 15, 33, 130, 449)
    rng = numpy.random.default_rng(dim)
    kind = numpy.float32 if type_ == "f32" else ml_dtypes.bfloat16

    def values(*shape: int) -> numpy.ndarray:
        return rng.standard_normal(shape).astype(kind)

    experts = len(counts)
    w, v = (values(experts, *((hidden, dim) if order == "h, d" else (dim, hidden))) for _ in range(2))
    program = cached(pair(order, type_))
    term = f"td,e{order.replace(', ', '')}->eth"
    for chosen in (numpy.repeat(numpy.arange(experts), counts), numpy.zeros(0, int)):
        tokens = len(chosen)
        gate = numpy.zeros((tokens, experts), numpy.float32)
        gate[numpy.arange(tokens), chosen] = 1
        # Some tokens have a second expert.
        gate[:30, 6] = 1
        x, init = values(tokens, dim), rng.standard_normal((tokens, hidden)).astype(numpy.float32)
        [actual] = program.run_numpy(gate, x, w, v, init)
        first, second = (numpy.einsum(term, x.astype(float), weight.astype(float)) for weight in (w, v))
        expected = numpy.einsum("te,eth->th", gate, numpy.maximum(first, 0) * second) + init
        bound = TOLERANCE["f32"] * max(1.0, float(numpy.abs(expected).max(initial=0)))
        assert actual.shape == expected.shape
        assert numpy.abs(actual - expected).max(initial=0) <= bound

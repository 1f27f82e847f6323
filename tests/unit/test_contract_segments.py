"""Contractions over rows whose weights are those of their segment, against numpy: experts, each with its tokens."""

import numpy
import pytest
from contraction_text import assert_close, cached
from hypothesis import given, settings
from hypothesis import strategies as st

EXPERTS = """
func.func @main(%gate: tensor<?x?xf32>, %x: tensor<?x?xf32>, %w: tensor<?x?x?xf32>, %v: tensor<?x?x?xf32>,
    %init: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %zero = arith.constant 0.0 : f32
  %c1 = arith.constant 1 : index
  %I = "pit.detect"(%gate) {{segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: 1>,
      micro_tile = 1 : i64}} : (tensor<?x?xf32>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %hidden = tensor.dim %w, %c1 : tensor<?x?x?xf32>
  %empty = tensor.empty(%n, %hidden) : tensor<?x?xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
  %h = "pit.generic"(%zeros, %I) ({{
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {{map = affine_map<(e, t, h, d) -> (t, d)>, compact = false}} : (tensor<?x?xf32>) -> f32
    %b = "pit.element"(%w) {{map = affine_map<(e, t, h, d) -> (e, {up})>, compact = false}} : (tensor<?x?x?xf32>) -> f32
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(e, t, h, d) -> (e, h)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 1>, compact = true}} : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  %out = tensor.dim %v, {last} : tensor<?x?x?xf32>
  %empty2 = tensor.empty(%n, %out) : tensor<?x?xf32>
  %zeros2 = linalg.fill ins(%zero : f32) outs(%empty2 : tensor<?x?xf32>) -> tensor<?x?xf32>
  %y = "pit.generic"(%zeros2, %I) ({{
  ^bb0(%acc: f32):
    %a = "pit.element"(%h) {{map = affine_map<(e, t, d, h) -> (e, h)>, compact = true}} : (tensor<?x?xf32>) -> f32
    %b = "pit.element"(%v) {{map = affine_map<(e, t, d, h) -> (e, {down})>, compact = false}} : (tensor<?x?x?xf32>) -> f32
    %g = "pit.element"(%gate) {{map = affine_map<(e, t, d, h) -> (t, e)>, compact = false}} : (tensor<?x?xf32>) -> f32
    %ag = arith.mulf %a, %g : f32
    %p = arith.mulf %ag, %b : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(e, t, d, h) -> (e, d)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 1>, compact = true}} : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  %r = "pit.swrite"(%y, %init, %I) {{axis = array<i64: 0>, group = array<i64: 1>, combine = "add"}}
      : (tensor<?x?xf32>, tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}}"""
LAST = {"h, d": "%c2", "d, h": "%c1"}


def experts(up: str, down: str) -> str:
    """Two products with the weights of each token's experts, combined by the gates; `up` and `down` are layouts."""
    text = EXPERTS.format(up=up, down=down, last="%c2" if down == "h, d" else "%c1")
    return text.replace(
        "%c1 = arith.constant 1 : index", "%c1 = arith.constant 1 : index\n  %c2 = arith.constant 2 : index"
    )


@pytest.mark.parametrize("up", ["h, d"])
@pytest.mark.parametrize("down", ["d, h", "h, d"])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_experts(up: str, down: str, data: st.DataObject) -> None:
    """Any routing: each token to none, one or several experts, experts without tokens."""
    sizes = {i: data.draw(st.sampled_from((1, 7, 33)), label=i) for i in "hd"}
    sizes["t"] = data.draw(st.sampled_from((0, 1, 7, 70)), label="t")
    sizes["e"] = data.draw(st.sampled_from((1, 3, 8)), label="e")
    rng = numpy.random.default_rng(data.draw(st.integers(0, 9), label="seed"))
    share = data.draw(st.sampled_from((0.0, 0.2, 1.0)), label="share")

    def values(term: str) -> numpy.ndarray:
        return rng.standard_normal([sizes[i] for i in term]).astype(numpy.float32)

    gate = numpy.where(rng.random((sizes["t"], sizes["e"])) < share, values("te"), numpy.float32(0))
    x, init = values("td"), values("td")
    w, v = values("ehd"), values("e" + down.replace(", ", ""))
    compiled = cached(experts(up, down))
    [actual] = compiled.run_numpy(gate, x, w, v, init)
    hidden = numpy.einsum("td,ehd->eth", x.astype(float), w)
    expected = (
        numpy.einsum(f"te,eth,e{down.replace(', ', '')}->td", gate.astype(float), hidden, v.astype(float))
        + init
    )
    assert_close(actual, expected, "f32", sizes["h"] * sizes["d"])


@pytest.mark.parametrize("down", ["d, h", "h, d"])
def test_few_and_many_rows(down: str) -> None:
    """Segments of no row, one, a few that are read in place, many that are packed, and more than a block in one call."""
    counts = (0, 1, 2, 3, 5, 7, 13, 16, 33, 48, 49, 449)
    rng = numpy.random.default_rng(3)
    tokens, dim, hidden = sum(counts), 37, 70
    gate = numpy.zeros((tokens, len(counts)), numpy.float32)
    gate[numpy.arange(tokens), numpy.repeat(numpy.arange(len(counts)), counts)] = rng.random(tokens) + 0.5
    # A few tokens have a second expert.
    gate[:30, 6] += 1
    x, init = (rng.standard_normal((tokens, dim)).astype(numpy.float32) for _ in range(2))
    w = rng.standard_normal((len(counts), hidden, dim)).astype(numpy.float32)
    v = rng.standard_normal((len(counts), *((dim, hidden) if down == "d, h" else (hidden, dim))))
    [actual] = cached(experts("h, d", down)).run_numpy(gate, x, w, v.astype(numpy.float32), init)
    wide = numpy.einsum("td,ehd->eth", x.astype(float), w)
    expected = numpy.einsum(f"te,eth,e{down.replace(', ', '')}->td", gate.astype(float), wide, v) + init
    assert_close(actual, expected, "f32", hidden * dim)

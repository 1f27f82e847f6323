"""The padding rules: what they rewrite computes what it did before, for any program, size and mask."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pit_mlir import dialect
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.runner import run_pipeline

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import interpreter
from random_programs import Program

RULES = "pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify"

few = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(st.data())
def test_rewritten_programs_compute_the_same(data: st.DataObject) -> None:
    """The declaration keeps live rows and clears the others; the rules keep every element of every result."""
    dynamic = data.draw(st.booleans(), "dynamic")
    least = 0 if dynamic else 1  # a slice of a static size of 0 is no valid IR
    sizes = data.draw(st.tuples(st.integers(least, 3), st.integers(least, 5)), "sizes")
    with dialect.make_context(), ir.Location.unknown():
        program = Program(lambda n: data.draw(st.integers(0, n - 1)), (None, None) if dynamic else sizes)
        module = program.build(data.draw(st.integers(1, 8), "steps"))
        module.operation.verify()
        arguments = random_arguments(np.random.default_rng(data.draw(st.integers(0, 9), "seed")), sizes)
        dense = interpreter.run(module, *arguments)
        run_pipeline(module, "pit-declare-padding{argument=1}")
        declared = interpreter.run(module, *arguments)
        run_pipeline(module, RULES)
        for result, want, have in zip(
            program.results, declared, interpreter.run(module, *arguments), strict=True
        ):
            np.testing.assert_allclose(have, want, rtol=1e-12, atol=0, equal_nan=False, err_msg=result.axes)
        for result, want, have in zip(program.results, dense, declared, strict=True):
            np.testing.assert_array_equal(have, cleared(want, result.axes, arguments[1]))


def cleared(value: np.ndarray, axes: str, mask: np.ndarray) -> np.ndarray:
    """`value` over `axes`, 0 where the mask over (batch, token) is."""
    live = np.moveaxis(mask, 0, 1) if axes.index("t") < axes.index("b") else mask
    return np.where(np.expand_dims(live, tuple(d for d, axis in enumerate(axes) if axis == "d")), value, 0.0)


def random_arguments(rng: np.random.Generator, sizes: tuple[int, int]) -> list[np.ndarray]:
    """Arguments of a random program: x, mask, table over t, table over b, bias, weight."""
    batch, tokens = sizes
    width = Program.WIDTH
    mask = rng.random((batch, tokens)) < rng.choice([0.0, 0.5, 1.0])
    shapes = [(tokens, width), (batch, width), (width,), (width, width)]
    return [rng.random((batch, tokens, width)), mask, *(rng.random(shape) for shape in shapes)]


ATTENTION = """
#m = affine_map<(b, h, q, k, d, e) -> (b, k)>
#i = affine_map<(b, h, q, k, d, e) -> (q)>
#j = affine_map<(b, h, q, k, d, e) -> (k)>
func.func @main(%q: tensor<{qt}xf32>, %k: tensor<{kt}xf32>, %v: tensor<{kt}xf32>, %mask: tensor<?x?xi64>,
                %pos: tensor<?xindex>, %x: tensor<{qt}xf32>) -> tensor<{qt}xf32> {{
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant {low} : f32
  %c0 = arith.constant 0 : i64
  %z = linalg.fill ins(%zero : f32) outs(%x : tensor<{qt}xf32>) -> tensor<{qt}xf32>
  %a = "pit.attend"(%q, %k, %v, %x) ({{
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {{map = #m, compact = false}} : (tensor<?x?xi64>) -> i64
    %i = "pit.element"(%pos) {{map = #i, compact = false}} : (tensor<?xindex>) -> index
    %j = "pit.element"(%pos) {{map = #j, compact = false}} : (tensor<?xindex>) -> index
    %live = arith.cmpi ne, %m, %c0 : i64
    %le = arith.cmpi sle, %j, %i : index
    %both = arith.andi %live, %{keep} : i1
    %bias = arith.select %both, %zero, %lowest : f32
    %y = arith.addf %s, %bias : f32
    "pit.yield"(%y) : (f32) -> ()
  }}) {{batch = 2 : i64, segments = array<i64>, compact = array<i64>,
      indexing_maps = [{q}, {k}, {v}, {o}]}}
      : (tensor<{qt}xf32>, tensor<{kt}xf32>, tensor<{kt}xf32>, tensor<{qt}xf32>) -> tensor<{qt}xf32>
  %n = "pit.detect"(%mask) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>,
                            micro_tile = 1 : i64}} : (tensor<?x?xi64>) -> !pit.index
  %r = "pit.sread"(%a, %n) {{axis = array<i64: {axis}>, group = array<i64: 0, 1>}}
      : (tensor<{qt}xf32>, !pit.index) -> tensor<{rt}xf32>
  %w = "pit.swrite"(%r, %z, %n) {{axis = array<i64: {axis}>, group = array<i64: 0, 1>, combine = "store"}}
      : (tensor<{rt}xf32>, tensor<{qt}xf32>, !pit.index) -> tensor<{qt}xf32>
  return %w : tensor<{qt}xf32>
}}
"""


def attention_text(order: str, heads: str, low: str, causal: bool) -> str:
    """Attention over tensors in the order `order` of b, h, t, w(idth); keys may lack the batch (`heads`)."""
    signature = "affine_map<(b, h, q, k, d, e) -> ({})>"

    def map_of(axes: str, token: str, width: str) -> str:
        return signature.format(", ".join({"t": token, "w": width}.get(axis, axis) for axis in axes))

    sizes = {"b": "?", "t": "?", "h": "2", "w": "3"}
    keys = order if heads == "own" else order.replace("b", "")
    rows = [axis for axis in order if axis not in "bt"]
    rows.insert(min(order.index("b"), order.index("t")), "t")
    return ATTENTION.format(
        qt="x".join(sizes[axis] for axis in order),
        kt="x".join(sizes[axis] for axis in keys),
        rt="x".join(sizes[axis] for axis in rows),
        q=map_of(order, "q", "d"),
        k=map_of(keys, "k", "d"),
        v=map_of(keys, "k", "e"),
        o=map_of(order, "q", "e"),
        axis=f"{order.index('b')}, {order.index('t')}",
        low=low,
        keep="le" if causal else "live",
    )


@few
@given(
    order=st.sampled_from(["bthw", "bhtw", "tbhw", "hbwt", "htwb"]),
    heads=st.sampled_from(["own", "shared"]),
    low=st.sampled_from(["0xFF800000", "-3.40282347E+38"]),
    causal=st.booleans(),
    sizes=st.tuples(st.integers(0, 3), st.integers(0, 5)),
    seed=st.integers(0, 9),
)
def test_ragged_attention_computes_the_same(
    order: str, heads: str, low: str, causal: bool, sizes: tuple[int, int], seed: int
) -> None:
    """Attention over the live tokens of each batch entry equals masked attention at the live rows."""
    rng = np.random.default_rng(seed)
    batch, tokens = sizes
    extents = {"b": batch, "t": tokens, "h": 2, "w": 3}
    keys = order if heads == "own" else order.replace("b", "")
    shapes = [tuple(extents[axis] for axis in axes) for axes in (order, keys, keys)]
    q, k, v = (rng.standard_normal(shape) for shape in shapes)
    mask = (rng.random((batch, tokens)) < rng.choice([0.0, 0.5, 1.0])).astype(np.int64) * 2
    arguments = [q, k, v, mask, np.arange(tokens), np.full_like(q, np.nan)]
    with dialect.make_context(), ir.Location.unknown():
        module = ir.Module.parse(attention_text(order, heads, low, causal))
        with np.errstate(all="ignore"):
            dense = interpreter.run(module, *arguments)
        run_pipeline(module, "pit-prove-permutation, pit-simplify")
        assert "compact = array<i64: 0," in str(module)
        for want, have in zip(dense, interpreter.run(module, *arguments), strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-12, atol=0, equal_nan=False)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("pit-simplify", "nothing is proved about its iterators"),
        ("pit-prove-permutation, pit-simplify", "iterator 1 is proved 'none'"),
    ],
)
def test_without_a_proof_nothing_moves(missing: str, reason: str) -> None:
    """A prefix sum over tokens is no PIT axis, and without the prover's attributes no operation is."""
    text = """
    func.func @main(%x: tensor<2x4xf32>, %mask: tensor<2x4xi1>, %init: tensor<2x4xf32>) -> tensor<?xf32> {
      %y = linalg.generic {indexing_maps = [affine_map<(b, t) -> (b, t)>, affine_map<(b, t) -> (b, t)>],
                           iterator_types = ["parallel", "parallel"]}
          ins(%x : tensor<2x4xf32>) outs(%init : tensor<2x4xf32>) {
      ^bb0(%a: f32, %o: f32):
        %t = linalg.index 1 : index
        %i = arith.index_cast %t : index to i64
        %f = arith.sitofp %i : i64 to f32
        %s = arith.addf %a, %f : f32
        linalg.yield %s : f32
      } -> tensor<2x4xf32>
      %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>,
                                micro_tile = 1 : i64} : (tensor<2x4xi1>) -> !pit.index
      %r = "pit.sread"(%y, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
          : (tensor<2x4xf32>, !pit.index) -> tensor<?xf32>
      return %r : tensor<?xf32>
    }
    """
    report = Report()
    with dialect.make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        run_pipeline(module, missing, report)
        assert "-> tensor<2x4xf32>" in str(module)
    assert any(reason in diagnostic.message for diagnostic in report)

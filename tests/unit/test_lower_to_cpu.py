"""`pit-lower-to-cpu`: indices, gathers, scatters and ragged operations against numpy."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jit import program

from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.runtime.program import Program

quick = settings(max_examples=15, deadline=None)
extents = st.integers(0, 9)
ratios = st.sampled_from([0.0, 0.2, 0.9, 1.0])
seeds = st.integers(0, 2**16)


@cache
def rows_program(element: str, mask: str) -> Program:
    """Reads rows (b, t) of x and a table over t, scatters both back, sums rows per t."""
    x, rows = f"tensor<?x?x5x{element}>", f"tensor<?x5x{element}>"
    zero = "0.0" if "f" in element else "0"
    return program(f"""
func.func @main(%x: {x}, %mask: tensor<?x?x{mask}>, %table: tensor<?x5x{element}>)
    -> ({rows}, {rows}, {x}, tensor<?x5x{element}>, tensor<1xi64>) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant {zero} : {element}
  %I = "pit.detect"(%mask) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>,
      micro_tile = 0 : i64}} : (tensor<?x?x{mask}>) -> !pit.index
  %r = "pit.sread"(%x, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>}} : ({x}, !pit.index) -> {rows}
  %p = "pit.sread"(%table, %I) {{axis = array<i64: 0>, group = array<i64: 1>}}
      : (tensor<?x5x{element}>, !pit.index) -> {rows}
  %b = tensor.dim %mask, %c0 : tensor<?x?x{mask}>
  %t = tensor.dim %mask, %c1 : tensor<?x?x{mask}>
  %e = tensor.empty(%b, %t) : {x}
  %f = linalg.fill ins(%z : {element}) outs(%e : {x}) -> {x}
  %y = "pit.swrite"(%r, %f, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}}
      : ({rows}, {x}, !pit.index) -> {x}
  %s = "pit.swrite"(%r, %table, %I) {{axis = array<i64: 0>, group = array<i64: 1>, combine = "add"}}
      : ({rows}, tensor<?x5x{element}>, !pit.index) -> tensor<?x5x{element}>
  %n = "pit.size"(%I) : (!pit.index) -> index
  %n64 = arith.index_cast %n : index to i64
  %size = tensor.from_elements %n64 : tensor<1xi64>
  return %r, %p, %y, %s, %size : {rows}, {rows}, {x}, tensor<?x5x{element}>, tensor<1xi64>
}}""")


def make_mask(rng: np.random.Generator, shape: tuple[int, ...], ratio: float) -> np.ndarray[Any, Any]:
    """True at about `ratio` of the places."""
    return rng.random(shape) < ratio


@quick
@given(extents, extents, ratios, seeds)
def test_rows_of_a_batch(b: int, t: int, ratio: float, seed: int) -> None:
    """Gather, projected gather, scatter, accumulation, size."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((b, t, 5)).astype(np.float32)
    table = rng.standard_normal((t, 5)).astype(np.float32)
    mask = make_mask(rng, (b, t), ratio)
    rows, projected, back, sums, size = rows_program("f32", "i1").run_numpy(x, mask, table)
    np.testing.assert_array_equal(rows, x[mask])
    np.testing.assert_array_equal(projected, table[np.nonzero(mask)[1]])
    np.testing.assert_array_equal(back, x * mask[..., None])
    np.testing.assert_allclose(sums, table + (x * mask[..., None]).sum(0), rtol=1e-5, atol=1e-5)
    assert size[0] == mask.sum()


@pytest.mark.parametrize("element", ["f64", "bf16", "f16", "i8", "i32", "i64"])
@pytest.mark.parametrize("mask_type", ["i64", "f32"])
def test_element_types(element: str, mask_type: str) -> None:
    """Values and masks of other types; what is not zero is live, NaN too, -0.0 not."""
    compiled = rows_program(element, mask_type)
    rng = np.random.default_rng(0)
    dtype = compiled.signature.arguments[0].element.numpy
    x, table = rng.integers(0, 9, (4, 7, 5)).astype(dtype), rng.integers(0, 9, (7, 5)).astype(dtype)
    live = make_mask(rng, (4, 7), 0.5)
    mask = np.where(live, 3, 0).astype(compiled.signature.arguments[1].element.numpy)
    if mask_type == "f32":
        mask[live] = np.resize(np.array([np.nan, np.inf, 1e-45, -1.0], np.float32), live.sum())
        mask[~live] = -0.0
    rows, _, back, *_ = compiled.run_numpy(x, mask, table)
    np.testing.assert_array_equal(rows, x[live])
    np.testing.assert_array_equal(back, np.where(live[..., None], x, 0).astype(dtype))


def test_index_of_another_size_is_an_error() -> None:
    """Rows are not read out of bounds."""
    with pytest.raises(InputError, match="an index is used for a tensor of another size"):
        rows_program("f32", "i1").run_numpy(
            np.zeros((3, 4, 5), np.float32), np.ones((3, 6), bool), np.zeros((6, 5), np.float32)
        )


@cache
def product_program(block: int) -> Program:
    """A times B over the live columns of A, listed for each block of rows."""
    return program(f"""
func.func @main(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>, %init: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %I = "pit.detect"(%a) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: {block}>,
      micro_tile = {block} : i64}} : (tensor<?x?xf32>) -> !pit.index
  %c = "pit.generic"(%init, %I) ({{
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {{map = affine_map<(m, n, k) -> (m, k)>, compact = false}} : (tensor<?x?xf32>) -> f32
    %w = "pit.element"(%b) {{map = affine_map<(m, n, k) -> (k, n)>, compact = false}} : (tensor<?x?xf32>) -> f32
    %p = arith.mulf %x, %w : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, compact = false}} : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %c : tensor<?x?xf32>
}}""")


@quick
@given(st.sampled_from([1, 4, 32]), extents, extents, extents, ratios, seeds)
def test_lists_per_block_of_rows(block: int, m: int, n: int, k: int, ratio: float, seed: int) -> None:
    """What no list names is not read: it is poisoned."""
    rng = np.random.default_rng(seed)
    a = np.where(make_mask(rng, (m, k), ratio), rng.standard_normal((m, k)), 0).astype(np.float32)
    b = rng.standard_normal((k, n)).astype(np.float32)
    init = rng.standard_normal((m, n)).astype(np.float32)
    expected = init + a @ b
    b[~(a != 0).any(0)] = np.nan
    (c,) = product_program(block).run_numpy(a, b, init)
    np.testing.assert_allclose(c, expected, rtol=1e-4, atol=1e-4)


@cache
def keys_program(element: str) -> Program:
    """The places of each of 4 values in tensor<?x3>, and the lines that hold it anywhere, as rows of their numbers."""
    keys, rows = f"tensor<?x3x{element}>", "tensor<?xi64>"
    return program(f"""
func.func @main(%keys: {keys}, %numbers: tensor<4x?x3xi64>, %lines: tensor<4x?xi64>) -> ({rows}, {rows}) {{
  %I = "pit.detect"(%keys) {{values = 4 : i64, segments = array<i64>, axis = array<i64: 0, 1>, block = array<i64: 1>,
      micro_tile = 1 : i64}} : ({keys}) -> !pit.index
  %J = "pit.detect"(%keys) {{values = 4 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>,
      micro_tile = 1 : i64}} : ({keys}) -> !pit.index
  %places = "pit.sread"(%numbers, %I) {{axis = array<i64: 0, 1, 2>, group = array<i64: 0, 1, 2>}}
      : (tensor<4x?x3xi64>, !pit.index) -> {rows}
  %held = "pit.sread"(%lines, %J) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>}}
      : (tensor<4x?xi64>, !pit.index) -> {rows}
  return %places, %held : {rows}, {rows}
}}""")


@quick
@given(st.sampled_from(["i64", "i32", "i8"]), extents, st.sampled_from([1, 2, 6]), seeds)
def test_places_of_each_key(element: str, lines: int, spread: int, seed: int) -> None:
    """All segments ascending, keys out of range nowhere, a line with a key twice once."""
    keys = np.random.default_rng(seed).integers(-1, spread, (lines, 3)).astype(f"int{element[1:]}")
    if lines:
        keys[0, 0] = np.iinfo(keys.dtype).min
    numbers = np.arange(4 * lines * 3).reshape(4, lines, 3)
    places, held = keys_program(element).run_numpy(keys, numbers, numbers[:, :, 0].copy())
    live = keys == np.arange(4)[:, None, None]
    np.testing.assert_array_equal(places, numbers[live])
    np.testing.assert_array_equal(held, numbers[:, :, 0][live.any(2)])


def test_entries_live_by_any_element() -> None:
    """Dimensions that are neither segments nor axis: one live element makes the entry live."""
    compiled = program("""
func.func @main(%x: tensor<6x3x4xf32>) -> tensor<?x3x4xf32> {
  %I = "pit.detect"(%x) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 0 : i64}
      : (tensor<6x3x4xf32>) -> !pit.index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 0>}
      : (tensor<6x3x4xf32>, !pit.index) -> tensor<?x3x4xf32>
  return %r : tensor<?x3x4xf32>
}""")
    x = np.zeros((6, 3, 4), np.float32)
    x[1, 2, 3] = x[4, 0, 0] = 1
    np.testing.assert_array_equal(compiled.run_numpy(x)[0], x[[1, 4]])


def test_coordinates_beyond_32_bits_are_refused() -> None:
    """At compile time where the shape says it, with the numbers."""
    with pytest.raises(UnsupportedError, match=r"an index over 4294967296 coordinates does not fit 32 bits"):
        program("""
func.func @main(%x: tensor<65536x65536xi1>) -> tensor<?xi1> {
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 0 : i64}
      : (tensor<65536x65536xi1>) -> !pit.index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<65536x65536xi1>, !pit.index) -> tensor<?xi1>
  return %r : tensor<?xi1>
}""")


@cache
def sort_program(dimension: int, kept: int | None) -> Program:
    """Sorts values downwards with their positions along a dimension of (?, 6, ?); the first `kept` if given."""
    slices, returned = "", ("%s#0", "%s#1")
    kinds = ["tensor<?x6x?xf32>", "tensor<?x6x?xi64>"]
    if kept is not None:
        lengths = ", ".join(
            str(kept) if d == dimension else length for d, length in enumerate(("%b", "6", "%n"))
        )
        shape = "x".join(str(kept) if d == dimension else length for d, length in enumerate("?6?"))
        full, kinds = kinds, [f"tensor<{shape}xf32>", f"tensor<{shape}xi64>"]
        slices = "\n".join(
            f"  %k{i} = tensor.extract_slice %s#{i}[0, 0, 0] [{lengths}] [1, 1, 1] : {full[i]} to {kinds[i]}"
            for i in range(2)
        )
        returned = ("%k0", "%k1")
    return program(f"""
func.func @main(%x: tensor<?x6x?xf32>, %i: tensor<?x6x?xi64>) -> ({kinds[0]}, {kinds[1]}) {{
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %x, %c0 : tensor<?x6x?xf32>
  %n = tensor.dim %x, %c2 : tensor<?x6x?xf32>
  %s:2 = tm_tensor.sort dimension({dimension}) outs(%x, %i : tensor<?x6x?xf32>, tensor<?x6x?xi64>) {{
  ^bb0(%a: f32, %c: f32, %j: i64, %k: i64):
    %t = arith.cmpf oge, %a, %c : f32
    tm_tensor.yield %t : i1
  }} -> tensor<?x6x?xf32>, tensor<?x6x?xi64>
{slices}
  return {returned[0]}, {returned[1]} : {kinds[0]}, {kinds[1]}
}}""")


@pytest.mark.parametrize(("dimension", "kept"), [(1, None), (2, None), (1, 2), (2, 1), (2, 3)])
def test_sorts_are_stable(dimension: int, kept: int | None) -> None:
    """By merging and by insertion, whole rows and the first few of each; equal values keep their order."""
    rng = np.random.default_rng(5)
    for b, n in ((1, 3), (3, 100), (2, 1000), (0, 5)):
        x = rng.integers(0, 20, (b, 6, n)).astype(np.float32)
        positions = np.broadcast_to(
            np.arange(x.shape[dimension]).reshape((-1, 1) if dimension == 1 else -1), x.shape
        )
        values, places = sort_program(dimension, kept).run_numpy(x, np.ascontiguousarray(positions))
        order = np.argsort(-x, axis=dimension, kind="stable").take(
            range(kept or x.shape[dimension]), dimension
        )
        np.testing.assert_array_equal(places, order)
        np.testing.assert_array_equal(values, np.take_along_axis(x, order, dimension))

"""Updates that meet at one place, and the first k of rows, in kernels of the emulated GPU against numpy."""

import numpy as np
import pytest
from programs import function, program

from pit_mlir.errors import InputError

PUTS = """
  %rows = tm_tensor.scatter {{dimension_map = array<i64: 0>}} unique_indices(true) ins(%u, %at : {u}, {at})
      outs(%x : {x}) {{
  ^bb0(%new: f32, %old: f32):
    tm_tensor.yield %new : f32
  }} -> {x}
  %pairs = tm_tensor.scatter {{dimension_map = array<i64: 0>}} unique_indices(false) ins(%w, %at : {w}, {at})
      outs(%v : {v}) {{
  ^bb0(%new: f32, %old: f32):
    tm_tensor.yield %new : f32
  }} -> {v}
  %largest = tm_tensor.scatter {{dimension_map = array<i64: 0>}} unique_indices(false) ins(%w, %at : {w}, {at})
      outs(%v : {v}) {{
  ^bb0(%new: f32, %old: f32):
    %m = arith.maximumf %new, %old : f32
    tm_tensor.yield %m : f32
  }} -> {v}"""


@pytest.mark.parametrize("is_static", [True, False])
def test_updates_that_meet(is_static: bool) -> None:
    """The last one stays, whatever is said of the indices; windows may overlap where they begin at different places."""
    n, size, width = 300, 9, 7
    types = {"u": (n, width), "at": (n, 1), "x": (size, width), "w": (n, 2), "v": (size,)}
    elements = {name: "i64" if name == "at" else "f32" for name in types}
    shapes = {
        name: "x".join([*(("?",) * len(shape) if not is_static else map(str, shape)), elements[name]])
        for name, shape in types.items()
    }
    if not is_static:
        shapes["at"] = "?x1xi64"
    tensors = {name: f"tensor<{shape}>" for name, shape in shapes.items()}
    arguments = ", ".join(f"%{name}: {tensor}" for name, tensor in tensors.items())
    results = [("%rows", tensors["x"]), ("%pairs", tensors["v"]), ("%largest", tensors["v"])]
    compiled = program(function(arguments, PUTS.format(**tensors), results))
    rng = np.random.default_rng(0)
    given = {
        name: rng.integers(0, size - 2, shape) if name == "at" else rng.standard_normal(shape, np.float32)
        for name, shape in types.items()
    }
    rows, pairs, largest = compiled.run_numpy(*given.values())
    x, v, m = given["x"].copy(), given["v"].copy(), given["v"].copy()
    for place, row, pair in zip(given["at"][:, 0], given["u"], given["w"], strict=True):
        x[place] = row
        v[place : place + 2] = pair
        m[place : place + 2] = np.maximum(m[place : place + 2], pair)
    np.testing.assert_array_equal(rows, x)
    np.testing.assert_array_equal(pairs, v)
    np.testing.assert_array_equal(largest, m)
    given["at"][7] = size
    with pytest.raises(InputError, match="an index of a scatter is out of range"):
        compiled.run_numpy(*given.values())


FIRST = """
  %along:2 = tm_tensor.topk dimension(1) ins(%x, %n : {x}, {n}) outs(%v, %i : {v}, {i}) {{
  ^bb0(%a: f32, %b: f32):
    %c = arith.cmpf ogt, %a, %b : f32
    tm_tensor.yield %c : i1
  }} -> {v}, {i}
  %across:2 = tm_tensor.topk dimension(0) ins(%x : {x}) outs(%w, %j : {w}, {j}) {{
  ^bb0(%a: f32, %b: f32):
    %c = arith.cmpf olt, %a, %b : f32
    tm_tensor.yield %c : i1
  }} -> {w}, {j}"""


@pytest.mark.parametrize("is_static", [True, False])
def test_topk(is_static: bool) -> None:
    """Of equal elements the one that came first is taken; what the inits hold counts too."""
    shapes = {"x": (5, 33), "n": (5, 33), "v": (5, 4), "i": (5, 4), "w": (3, 33), "j": (3, 33)}
    elements = {name: "i32" if name in "nij" else "f32" for name in shapes}
    tensors = {
        name: f"tensor<{'x'.join(map(str, shape if is_static else ('?',) * 2))}x{elements[name]}>"
        for name, shape in shapes.items()
    }
    arguments = ", ".join(f"%{name}: {tensor}" for name, tensor in tensors.items())
    results = [("%along#0", "v"), ("%along#1", "i"), ("%across#0", "w"), ("%across#1", "j")]
    compiled = program(
        function(arguments, FIRST.format(**tensors), [(result, tensors[name]) for result, name in results])
    )
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, shapes["x"]).astype(np.float32)
    numbers = 100 + np.tile(np.arange(33, dtype=np.int32), (5, 1))
    kept = np.full(shapes["v"], -np.inf, np.float32), np.zeros(shapes["i"], np.int32)
    least = np.full(shapes["w"], 4.5, np.float32), np.full(shapes["j"], -1, np.int32)
    given = compiled.run_numpy(x, numbers, *kept, *least)
    order = np.argsort(-x, 1, kind="stable")[:, :4]
    np.testing.assert_array_equal(given[0], np.take_along_axis(x, order, 1))
    np.testing.assert_array_equal(given[1], order + 100)
    both = np.concatenate([least[0], x])
    order = np.argsort(both, 0, kind="stable")[:3]
    np.testing.assert_array_equal(given[2], np.take_along_axis(both, order, 0))
    np.testing.assert_array_equal(given[3], np.maximum(order - 3, -1))

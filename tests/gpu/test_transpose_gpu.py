"""Transposes and what is read across, by squares in shared memory, of odd sizes."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from programs import function, program

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(
    ("element", "dtype"),
    [("f32", np.float32), ("bf16", ml_dtypes.bfloat16), ("i1", np.bool_), ("f64", np.float64)],
)
def test_transposes(element: str, dtype: Any) -> None:
    """Of static and of dynamic sizes; ends of squares are ragged, and there may be none."""
    text = f"""
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x?x{element}>
  %m = tensor.dim %x, %c1 : tensor<?x?x?x{element}>
  %n = tensor.dim %x, %c2 : tensor<?x?x?x{element}>
  %e = tensor.empty(%b, %n, %m) : tensor<?x?x?x{element}>
  %y = linalg.transpose ins(%x : tensor<?x?x?x{element}>) outs(%e : tensor<?x?x?x{element}>) permutation = [0, 2, 1]
  %f = tensor.empty() : tensor<65x33x{element}>
  %z = linalg.transpose ins(%s : tensor<33x65x{element}>) outs(%f : tensor<65x33x{element}>) permutation = [1, 0]"""
    arguments = f"%x: tensor<?x?x?x{element}>, %s: tensor<33x65x{element}>"
    results = [("%y", f"tensor<?x?x?x{element}>"), ("%z", f"tensor<65x33x{element}>")]
    compiled = program(function(arguments, text, results))
    rng = np.random.default_rng(0)
    s = (rng.integers(0, 2, (33, 65)) if element == "i1" else rng.standard_normal((33, 65))).astype(dtype)
    for shape in ((2, 33, 127), (3, 1, 7), (1, 64, 32), (0, 5, 5), (2, 0, 40)):
        x = rng.integers(0, 2, shape).astype(dtype)
        y, z = compiled.run_numpy(x, s)
        np.testing.assert_array_equal(y, x.transpose(0, 2, 1))
        np.testing.assert_array_equal(z, s.T)


def test_operands_beside() -> None:
    """Two that are turned, one that is not, one of an axis alone, and the coordinates themselves."""
    maps = ", ".join(f"affine_map<(m, n) -> ({dims})>" for dims in ("n, m", "n, m", "m, n", "m", "m, n"))
    body = f"""
  %e = tensor.empty() : tensor<40x70xf32>
  %y = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel", "parallel"]}}
      ins(%a, %b, %c, %d : tensor<70x40xf32>, tensor<70x40xf32>, tensor<40x70xf32>, tensor<40xf32>)
      outs(%e : tensor<40x70xf32>) {{
  ^bb0(%p: f32, %q: f32, %r: f32, %s: f32, %o: f32):
    %i = linalg.index 1 : index
    %j = arith.index_cast %i : index to i32
    %k = arith.sitofp %j : i32 to f32
    %t = arith.mulf %p, %q : f32
    %u = arith.addf %t, %r : f32
    %v = arith.mulf %u, %s : f32
    %w = arith.addf %v, %k : f32
    linalg.yield %w : f32
  }} -> tensor<40x70xf32>"""
    arguments = "%a: tensor<70x40xf32>, %b: tensor<70x40xf32>, %c: tensor<40x70xf32>, %d: tensor<40xf32>"
    rng = np.random.default_rng(1)
    a, b, c, d = (
        rng.integers(-4, 5, shape).astype(np.float32) for shape in ((70, 40), (70, 40), (40, 70), (40,))
    )
    [y] = program(function(arguments, body, [("%y", "tensor<40x70xf32>")])).run_numpy(a, b, c, d)
    np.testing.assert_array_equal(y, (a.T * b.T + c) * d[:, None] + np.arange(70))

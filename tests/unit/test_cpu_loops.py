"""Structured operations as loops: every order of iterators, kind of body and element type, against numpy."""

from typing import Any

import numpy as np
import pytest
from jit import elementwise, program

SIZES = [(1, 1), (7, 33), (33, 127), (0, 5), (5, 0), (300, 200)]


def reduction(dims: str, element: str, init: str, body: str) -> str:
    """Reduces a matrix over rows (`dims` = "j") or columns ("i") or both ("")."""
    shape = "x".join("?" for _ in dims)
    tensor = f"tensor<{shape}{'x' if shape else ''}{element}>"
    sizes = ", ".join({"i": "%m", "j": "%n"}[d] for d in dims)
    kinds = ", ".join(f'"{"parallel" if d in dims else "reduction"}"' for d in "ij")
    return f"""
func.func @main(%x: tensor<?x?x{element}>) -> {tensor} {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = tensor.dim %x, %c0 : tensor<?x?x{element}>
  %n = tensor.dim %x, %c1 : tensor<?x?x{element}>
  %z = arith.constant {init} : {element}
  %e = tensor.empty({sizes}) : {tensor}
  %f = linalg.fill ins(%z : {element}) outs(%e : {tensor}) -> {tensor}
  %y = linalg.generic {{indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ({", ".join(dims)})>],
      iterator_types = [{kinds}]}} ins(%x: tensor<?x?x{element}>) outs(%f: {tensor}) {{
  ^bb0(%a: {element}, %o: {element}):
    {body}
    linalg.yield %q : {element}
  }} -> {tensor}
  return %y : {tensor}
}}"""


@pytest.mark.parametrize("dims", ["i", "j", ""])
def test_sums_and_maxima(dims: str) -> None:
    """Along rows, along columns, and of everything; of nothing it is the init."""
    add = program(reduction(dims, "f32", "0.0", "%q = arith.addf %o, %a : f32"))
    largest = program(reduction(dims, "f32", "0xFF800000", "%q = arith.maximumf %o, %a : f32"))
    axis = {"i": 1, "j": 0, "": None}[dims]
    generator = np.random.default_rng(1)
    for size in SIZES:
        x = generator.standard_normal(size).astype(np.float32)
        exact = x.astype(np.float64).sum(axis=axis)
        np.testing.assert_allclose(add.run_numpy(x)[0], exact, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(largest.run_numpy(x)[0], x.max(axis=axis, initial=-np.inf))
    x[3, 5] = np.nan
    assert np.isnan(add.run_numpy(x)[0]).sum() == 1
    assert np.isnan(largest.run_numpy(x)[0]).sum() == 1


@pytest.mark.parametrize("element", ["f32", "f64", "bf16", "f16", "i8", "i32", "i64", "i1"])
def test_element_types(element: str) -> None:
    """Each of them comes in, is computed with and goes out."""
    is_float = "f" in element
    op = "arith.xori" if element == "i1" else "arith.addf" if is_float else "arith.addi"
    compiled = program(elementwise(f"%q = {op} %a, %a : {element}", element))
    dtype = compiled.signature.arguments[0].element.numpy
    for n in (0, 1, 7, 127, 1000):
        x = (np.arange(n) % 2).astype(dtype)
        (y,) = compiled.run_numpy(x)
        assert y.dtype == dtype
        expected = np.zeros(n, bool) if element == "i1" else x.astype(np.float64) * 2
        np.testing.assert_array_equal(y.astype(np.float64), expected)


def test_comparison_makes_bytes() -> None:
    """Truth values are one byte each, 0 or 1, in long vectorised loops too."""
    text = elementwise("%z = arith.constant 0.0 : f32\n    %q = arith.cmpf ogt, %a, %z : f32", "f32", "i1")
    x = np.random.default_rng(2).standard_normal(100001).astype(np.float32)
    (y,) = program(text).run_numpy(x)
    np.testing.assert_array_equal(y.view(np.uint8), x > 0)


def test_linalg_index_survives_reordering() -> None:
    """A position in the body is that of the original iterator."""
    compiled = program("""
func.func @main(%x: tensor<3x4x5xf32>) -> tensor<5x3x4xi64> {
  %e = tensor.empty() : tensor<5x3x4xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(a, b, c) -> (a, b, c)>, affine_map<(a, b, c) -> (c, a, b)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<3x4x5xf32>) outs(%e : tensor<5x3x4xi64>) {
  ^bb0(%v: f32, %o: i64):
    %i = linalg.index 1 : index
    %q = arith.index_cast %i : index to i64
    linalg.yield %q : i64
  } -> tensor<5x3x4xi64>
  return %y : tensor<5x3x4xi64>
}""")
    (y,) = compiled.run_numpy(np.zeros((3, 4, 5), np.float32))
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(4), (5, 3, 4)))


def test_convolution_with_a_window() -> None:
    """Iterators that occur in a sum; a window that does not fit fails a check."""
    compiled = program("""
func.func @main(%x: tensor<?x?x?x?xf32>, %w: tensor<4x3x3x2xf32>, %y: tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32> {
  %z = linalg.conv_2d_nchw_fchw {dilations = dense<1> : tensor<2xi64>, strides = dense<[2, 1]> : tensor<2xi64>}
      ins(%x, %w : tensor<?x?x?x?xf32>, tensor<4x3x3x2xf32>) outs(%y : tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  return %z : tensor<?x4x?x?xf32>
}""")
    generator = np.random.default_rng(3)
    x = generator.standard_normal((2, 3, 9, 8)).astype(np.float32)
    w = generator.standard_normal((4, 3, 3, 2)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (2, 3))[:, :, ::2]
    expected = np.einsum("ncxyij,fcij->nfxy", windows, w)
    (y,) = compiled.run_numpy(x, w, np.zeros(expected.shape, np.float32))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    from pit_mlir.errors import InputError

    with pytest.raises(InputError, match="sizes of the operands"):
        compiled.run_numpy(x, w, np.zeros((2, 4, 5, 8), np.float32))


ROWWISE = """
#id = affine_map<(b, t, d) -> (b, t, d)>
#row = affine_map<(b, t, d) -> (b, t)>
#two = affine_map<(b, t) -> (b, t)>
func.func @main(%x: tensor<?x?x?xf32>) -> tensor<?x?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x?xf32>
  %t = tensor.dim %x, %c1 : tensor<?x?x?xf32>
  %d = tensor.dim %x, %c2 : tensor<?x?x?xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %rows = tensor.empty(%b, %t) : tensor<?x?xf32>
  %all = tensor.empty(%b, %t, %d) : tensor<?x?x?xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%rows : tensor<?x?xf32>) -> tensor<?x?xf32>
  %m = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x : tensor<?x?x?xf32>) outs(%m0 : tensor<?x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.maximumf %o, %a : f32
    linalg.yield %q : f32
  } -> tensor<?x?xf32>
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %m : tensor<?x?x?xf32>, tensor<?x?xf32>) outs(%all : tensor<?x?x?xf32>) {
  ^bb0(%a: f32, %r: f32, %o: f32):
    %s = arith.subf %a, %r : f32
    %q = math.exp %s : f32
    linalg.yield %q : f32
  } -> tensor<?x?x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%rows : tensor<?x?xf32>) -> tensor<?x?xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%p : tensor<?x?x?xf32>) outs(%s0 : tensor<?x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %o, %a : f32
    linalg.yield %q : f32
  } -> tensor<?x?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%p, %s : tensor<?x?x?xf32>, tensor<?x?xf32>) outs(%all : tensor<?x?x?xf32>) {
  ^bb0(%a: f32, %r: f32, %o: f32):
    %q = arith.divf %a, %r : f32
    linalg.yield %q : f32
  } -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}"""


def windows(shape: str, element: str, kernel: int, stride: int) -> str:
    """A depthwise convolution of images (n, c, y, x) of `shape`, summed in f32 or f64."""
    total = "f64" if element == "f64" else "f32"
    wide = (
        ""
        if element == total
        else f"""%u = arith.extf %a : {element} to {total}
    %v = arith.extf %b : {element} to {total}"""
    )
    factors = "%a, %b" if element == total else "%u, %v"
    n, c, *_ = shape.split("x")
    out = f"tensor<{shape}x{total}>"
    at_y, at_x = (f"{stride} * {p} + {w}" for p, w in (("y", "i"), ("x", "j")))
    source = f"tensor<{n}x{c}x?x?x{element}>"
    return f"""
func.func @main(%s: {source}, %w: tensor<{c}x{kernel}x{kernel}x{element}>, %o: {out}) -> {out} {{
  %r = linalg.generic {{indexing_maps = [affine_map<(n, c, y, x, i, j) -> (n, c, {at_y}, {at_x})>,
      affine_map<(n, c, y, x, i, j) -> (c, i, j)>, affine_map<(n, c, y, x, i, j) -> (n, c, y, x)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}}
      ins(%s, %w: {source}, tensor<{c}x{kernel}x{kernel}x{element}>) outs(%o: {out}) {{
  ^bb0(%a: {element}, %b: {element}, %acc: {total}):
    {wide}
    %p = arith.mulf {factors} : {total}
    %q = arith.addf %acc, %p : {total}
    linalg.yield %q : {total}
  }} -> {out}
  return %r : {out}
}}"""


@pytest.mark.parametrize(
    ("shape", "element", "kernel", "stride"),
    [
        ("?x?x?x?", "f32", 3, 1),
        ("?x?x?x?", "bf16", 3, 2),
        ("2x3x7x33", "f32", 7, 2),
        ("2x3x8x16", "bf16", 7, 1),
        ("2x3x1x1", "f64", 3, 2),
        ("2x3x5x7", "f64", 2, 1),
    ],
)
def test_windows_with_few_terms(shape: str, element: str, kernel: int, stride: int) -> None:
    """All terms of some rows at once, whole vectors and parts of one; what lies behind the last window is not read."""
    compiled = program(windows(shape, element, kernel, stride))
    sizes = [(2, 3, 7, 33), (1, 2, 1, 1), (1, 1, 4, 16), (1, 1, 9, 127), (0, 1, 3, 3)]
    generator = np.random.default_rng(1)
    dtypes = [argument.element.numpy for argument in compiled.signature.arguments]
    for n, c, y, x in sizes if "?" in shape else [tuple(map(int, shape.split("x")))]:
        need = [(size - 1) * stride + kernel for size in (y, x)]
        source = generator.standard_normal((n, c, *need)).astype(dtypes[0])
        weight = generator.standard_normal((c, kernel, kernel)).astype(dtypes[1])
        start = generator.standard_normal((n, c, y, x)).astype(dtypes[2])
        views = np.lib.stride_tricks.sliding_window_view(source.astype(np.float64), (kernel, kernel), (2, 3))
        exact = np.einsum("ncyxij,cij->ncyx", views[:, :, ::stride, ::stride], weight.astype(np.float64))
        np.testing.assert_allclose(
            compiled.run_numpy(source, weight, start)[0], exact + start, rtol=1e-4, atol=1e-4
        )


def softmax(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In double precision."""
    powers = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 127), (2, 40, 768), (0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_softmax_row_by_row(size: tuple[int, ...]) -> None:
    """Six operations in one loop over rows."""
    x = np.random.default_rng(4).standard_normal(size).astype(np.float32)
    np.testing.assert_allclose(program(ROWWISE).run_numpy(x)[0], softmax(x), rtol=1e-5, atol=1e-7)

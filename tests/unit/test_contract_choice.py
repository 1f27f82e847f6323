"""Contractions with several lists: each gives what none gives, and bits tell the same as values."""

import ml_dtypes
import numpy
import pytest
from contraction_text import assert_close, cached, poisoned
from test_contract_sparse import into_zeros, k_list, of_types, sparse

CHOICES = ("", "8x1", "16x1", "32x1", "1x64", "dense")


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("equation", ["mk,kn->mn", "mk,nk->mn"])
def test_every_choice_is_right(choice: str, equation: str) -> None:
    """Odd sizes, full and empty patterns, zeros anywhere, in blocks and in whole rows."""
    rng = numpy.random.default_rng(0)
    program = cached(into_zeros(k_list(equation, "a", 0)), choice=choice)
    for m, n, k, zeros, kind in (
        (127, 33, 200, 0.5, "any"),
        (64, 16, 513, 0.9, "blocks"),
        (33, 7, 64, 0.9, "rows"),
        (127, 33, 65, 1.0, "any"),
        (70, 1, 127, 0.0, "any"),
        (7, 33, 33, 0.5, "any"),
        (1, 7, 1, 0.5, "any"),
        (0, 7, 33, 0.5, "any"),
        (33, 7, 0, 0.5, "any"),
        (300, 150, 200, 0.9, "parts"),
        (1100, 33, 130, 0.5, "parts"),
    ):
        a = in_parts(rng, (m, k), zeros) if kind == "parts" else sparse(rng, (m, k), zeros, kind)
        b = rng.standard_normal((k, n) if equation == "mk,kn->mn" else (n, k)).astype(numpy.float32)
        out = poisoned(numpy.zeros((m, n), numpy.float32))
        program.run_numpy(poisoned(a), poisoned(b), out)
        [actual] = program.run_numpy(a, b, out)
        assert_close(actual, numpy.einsum(equation, a.astype(float), b.astype(float)), "f32", k)


def in_parts(rng: numpy.random.Generator, shape: tuple[int, int], zeros: float) -> numpy.ndarray:
    """Random values with zeros in blocks of 64 along a row."""
    live = numpy.repeat(rng.random((shape[0], -(-shape[1] // 64))) >= zeros, 64, axis=1)[:, : shape[1]]
    return numpy.where(live, rng.standard_normal(shape), 0).astype(numpy.float32)


BATCHED = """
func.func @main(%a: tensor<?x?x?xf32>, %b: tensor<?x?xf32>, %c: tensor<?x?x?xf32>) -> tensor<?x?x?xf32> {
  %I = "pit.detect"(%a) {segments = array<i64: 0, 1>, axis = array<i64: 2>, block = array<i64: 0, 0>, micro_tile = 0 : i64}
      : (tensor<?x?x?xf32>) -> !pit.index
  %r = "pit.generic"(%c, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(o, m, n, k) -> (o, m, k)>, compact = false} : (tensor<?x?x?xf32>) -> f32
    %y = "pit.element"(%b) {map = affine_map<(o, m, n, k) -> (k, n)>, compact = false} : (tensor<?x?xf32>) -> f32
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(o, m, n, k) -> (o, m, n)>], iterator_types = [#linalg.iterator_type<parallel>,
      #linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 1, 3>, compact = false} : (tensor<?x?x?xf32>, !pit.index) -> tensor<?x?x?xf32>
  return %r : tensor<?x?x?xf32>
}"""


@pytest.mark.parametrize("choice", ["", "1x64"])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_rows_of_several_matrices_in_parts(choice: str, threads: int) -> None:
    """Lists of rows of each matrix, for each part of its depth; what is there is added to."""
    rng = numpy.random.default_rng(2)
    program = cached(BATCHED, choice=choice)
    for outer, m, k, zeros in (
        (3, 33, 200, 0.5),
        (1, 127, 64, 0.9),
        (2, 7, 1030, 1.0),
        (2, 40, 65, 0.0),
        (0, 7, 65, 0.5),
    ):
        a = in_parts(rng, (outer * m, k), zeros).reshape(outer, m, k)
        b, c = (rng.standard_normal(shape).astype(numpy.float32) for shape in ((k, 33), (outer, m, 33)))
        program.run_numpy(poisoned(a), b, c, threads=threads)
        [actual] = program.run_numpy(a, b, c, threads=threads)
        assert_close(actual, c + a.astype(float) @ b, "f32", k)
        [alone] = program.run_numpy(a, b, c, threads=1)
        numpy.testing.assert_array_equal(actual, alone)


@pytest.mark.parametrize("choice", ["", "1x64", "dense"])
def test_pairs_in_parts(choice: str) -> None:
    """bf16, in pairs where the depth holds whole ones."""
    rng = numpy.random.default_rng(3)
    for steps in (256, 201):
        text = of_types(into_zeros(k_list("mk,kn->mn", "a", 0)), "bf16", 33)
        program = cached(text.replace("1000", str(steps)), choice=choice)
        for zeros in (0.0, 0.5, 0.9, 1.0):
            a = in_parts(rng, (300, steps), zeros).astype(ml_dtypes.bfloat16)
            b = rng.standard_normal((steps, 33)).astype(ml_dtypes.bfloat16)
            [actual] = program.run_numpy(a, b, poisoned(numpy.zeros((300, 33), numpy.float32)))
            assert_close(actual, a.astype(float) @ b.astype(float), "f32", steps)


LISTED = """
func.func @main(%s: tensor<?x?x{type}>, %b: tensor<?x?xf32>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%c : tensor<?x?xf32>) -> tensor<?x?xf32>
  %I = "pit.detect"(%s) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}}
      : (tensor<?x?x{type}>) -> !pit.index
  %r = "pit.generic"(%z, %I) ({{
  ^bb0(%acc: f32):
    %x = "pit.element"(%s) {{map = affine_map<(m, n, k) -> (m, k)>, compact = false}} : (tensor<?x?x{type}>) -> {type}
    %y = "pit.element"(%b) {{map = affine_map<(m, n, k) -> (k, n)>, compact = false}} : (tensor<?x?xf32>) -> f32
    %live = arith.cmp{compare} %x, {zero} : {type}
    %one_or_zero = arith.uitofp %live : i1 to f32
    %two = arith.addf %one_or_zero, %one : f32
    %p = arith.mulf %two, %y : f32
    %sum = arith.addf %acc, %p : f32
    "pit.yield"(%sum) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>,
      #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false}}
      : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}}"""
"""Sums up 2 for each live element that is listed, and 1 for each other one: it shows what the list holds."""

TYPES = {
    "f32": numpy.float32,
    "f64": numpy.float64,
    "f16": numpy.float16,
    "bf16": ml_dtypes.bfloat16,
    "i8": numpy.int8,
    "i64": numpy.int64,
    "i1": numpy.bool_,
}


@pytest.mark.parametrize("choice", ["8x1", "1x64"])
@pytest.mark.parametrize("type_", TYPES)
def test_bits_of_every_type(type_: str, choice: str) -> None:
    """What is live is what is not 0: NaN, infinities and denormals are, -0.0 is not."""
    is_float = type_ in ("f32", "f64", "f16", "bf16")
    zero = f"%none_{type_}"
    constant = f"{zero} = arith.constant {'0.0' if is_float else '0'} : {type_}".replace("0 : i1", "false")
    text = LISTED.format(type=type_, compare="f une," if is_float else "i ne,", zero=zero)
    text = text.replace("%zero = ", f"{constant}\n  %zero = ", 1)
    rng = numpy.random.default_rng(1)
    values = numpy.where(rng.random((45, 150)) < 0.02, rng.integers(1, 3, (45, 150)), 0).astype(TYPES[type_])
    if is_float:
        tiny = numpy.nextafter(TYPES[type_](0), TYPES[type_](1)) if type_ != "bf16" else TYPES[type_](1e-40)
        values[0, 3], values[9, 64], values[44, 149], values[30, 70] = numpy.nan, -numpy.inf, tiny, -0.0
    b = numpy.eye(150, dtype=numpy.float32)
    program = cached(text, choice=choice)
    [actual] = program.run_numpy(values, b, numpy.zeros((45, 150), numpy.float32))
    live = numpy.isnan(values.astype(float)) | (values.astype(float) != 0)
    if choice == "8x1":
        listed = numpy.repeat([live[n : n + 8].any(axis=0) for n in range(0, 45, 8)], 8, axis=0)[:45]
    else:
        listed = numpy.repeat([live[:, n : n + 64].any(axis=1) for n in range(0, 150, 64)], 64, axis=0)[
            :150
        ].T
    numpy.testing.assert_array_equal(actual, numpy.where(listed, 1.0 + live, 0.0))

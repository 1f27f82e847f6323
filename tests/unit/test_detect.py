"""`pit.detect` on the CPU against numpy: every form, type, odd sizes, threads; entries ascend in each segment."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jit import program

from pit_mlir.passes import pit_lower_to_cpu
from pit_mlir.runtime.program import Program
from pit_mlir.target import host, with_vectors

Array = np.ndarray[Any, Any]

FORMS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    # name: rank, segments, axis, block
    "tokens of sentences": (2, (0,), (1,), (1,)),
    "columns per block of rows": (2, (0,), (1,), (5,)),
    "rows per column": (2, (1,), (0,), (1,)),
    "rows per block of columns": (2, (1,), (0,), (32,)),
    "rows per odd block of columns": (2, (1,), (0,), (3,)),
    "all places": (2, (), (0, 1), ()),
    "rows": (2, (), (0,), ()),
    "columns": (2, (), (1,), ()),
    "rows backwards": (2, (), (1, 0), ()),
    "columns of matrices": (3, (0, 1), (2,), (1, 4)),
    "tokens per head": (3, (0, 2), (1,), (1, 2)),
    "axis around a segment": (3, (1,), (0, 2), (1,)),
    "axis before two segments": (3, (1, 2), (0,), (1, 1)),
    "segments backwards": (3, (2, 0), (1,), (1, 3)),
    "tiles": (4, (0,), (2,), (1,)),
    "tiles across": (4, (2,), (0,), (1,)),
}


@cache
def detect_program(form: str, element: str, shape: Sequence[int] | None, asks_rows: bool) -> Program:
    """The lists of an index over a tensor of any shape or of `shape`, and its rows or how many there are."""
    rank, segments, axis, block = FORMS[form]
    sizes = "x".join("?" if shape is None else str(size) for size in shape or (0,) * rank)
    given = f"tensor<{sizes}x{element}>"
    arrays = [
        f"array<i64{': ' if numbers else ''}{', '.join(map(str, numbers))}>"
        for numbers in (segments, axis, block)
    ]
    rows = '"pit.size"(%I) : (!pit.index) -> index' if asks_rows else "arith.constant 0 : index"
    return program(f"""
func.func @main(%x: {given}) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>, tensor<1xi64>) {{
  %I = "pit.detect"(%x) {{segments = {arrays[0]}, axis = {arrays[1]}, block = {arrays[2]}, micro_tile = 1 : i64}}
      : ({given}) -> !pit.index
  %b, %c, %e, %s = "pit.lists"(%I)
      : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  %n = {rows}
  %n64 = arith.index_cast %n : index to i64
  %size = tensor.from_elements %n64 : tensor<1xi64>
  return %b, %c, %e, %s, %size
      : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>, tensor<1xi64>
}}""")


def expected_lists(live: Array, form: str) -> list[Array]:
    """The entries of each segment."""
    rank, segments, axis, block = FORMS[form]
    counts = [-(-live.shape[dim] // size) for dim, size in zip(segments, block, strict=True)]
    found: list[Array] = []
    for numbers in product(*map(range, counts)):
        part = live
        for dim, number, size in zip(segments, numbers, block, strict=True):
            part = part.take(range(number * size, min((number + 1) * size, live.shape[dim])), dim)
        others = tuple(dim for dim in range(rank) if dim not in axis)
        kept = part.any(others) if others else part
        order = [sorted(axis).index(dim) for dim in axis]
        found.append(np.flatnonzero(np.transpose(kept, order)))
    return found


def check(compiled: Program, form: str, x: Array, live: Array, asks_rows: bool, threads: int = 2) -> None:
    """The lists are those of numpy; with rows they follow one another."""
    begin, count, entries, _, size = compiled.run_numpy(x, threads=threads)
    expected = expected_lists(live, form)
    assert count.tolist() == [len(listed) for listed in expected]
    for first, length, listed in zip(begin, count, expected, strict=True):
        np.testing.assert_array_equal(entries[first : first + length], listed)
    if asks_rows:
        assert size[0] == count.sum()
        np.testing.assert_array_equal(begin, np.cumsum(count) - count)


def values(rng: np.random.Generator, live: Array, compiled: Program) -> Array:
    """Values where `live`, of the type that `compiled` takes; zeros, of both signs where there are two, elsewhere."""
    dtype: Any = compiled.signature.arguments[0].element.numpy
    if np.issubdtype(dtype, np.integer):
        return np.where(live, rng.choice([1, np.iinfo(dtype).min], live.shape), 0).astype(dtype)
    if np.issubdtype(dtype, np.bool_):
        return live
    least = {"float64": 5e-324, "float16": 6e-8, "float32": 1e-45}.get(str(dtype), 1e-40)
    kinds = np.array([np.nan, np.inf, -1.0, least, -least])
    zeros = np.where(rng.random(live.shape) < 0.5, 0.0, -0.0)
    return np.where(live, rng.choice(kinds, live.shape), zeros).astype(dtype)


@pytest.mark.parametrize("asks_rows", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form(form: str, asks_rows: bool) -> None:
    """Any sizes, none and full ones among them; segments apart and close."""
    rank = FORMS[form][0]
    compiled = detect_program(form, "f32", None, asks_rows)
    small = {2: [0, 1, 7, 33, 127, 200], 3: [0, 1, 7, 33, 70], 4: [1, 3, 8, 16]}[rank]

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(
        st.tuples(*[st.sampled_from(small)] * rank),
        st.sampled_from([0.0, 0.01, 0.3, 1.0]),
        st.integers(0, 2**16),
        st.sampled_from([1, 2, 4]),
    )
    def holds(shape: tuple[int, ...], ratio: float, seed: int, threads: int) -> None:
        rng = np.random.default_rng(seed)
        live = rng.random(shape) < ratio
        check(compiled, form, values(rng, live, compiled), live, asks_rows, threads)

    holds()


@pytest.mark.parametrize("element", ["i1", "i8", "i16", "i32", "i64", "bf16", "f16", "f64"])
@pytest.mark.parametrize("form", ["columns per block of rows", "rows per odd block of columns", "rows"])
def test_every_type(form: str, element: str) -> None:
    """What is not zero is live: NaN, infinities and the smallest numbers too, -0.0 not."""
    compiled = detect_program(form, element, None, False)
    rng = np.random.default_rng(0)
    for shape in ((7, 127), (33, 130), (70, 9)):
        live = rng.random(shape) < 0.2
        check(compiled, form, values(rng, live, compiled), live, False)


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("columns per block of rows", (300, 5000)),
        ("rows per block of columns", (5000, 300)),
        ("rows per column", (128, 2100)),
        ("all places", (1, 70000)),
        ("rows", (3000, 100)),
        ("columns", (100, 3000)),
        ("tiles", (8, 16, 40, 16)),
        ("tiles", (8, 3, 40, 100)),
        ("tiles across", (70, 3, 40, 16)),
        ("tokens per head", (1, 200, 64)),
        ("axis before two segments", (1, 1, 1)),
        ("all places", (0, 3)),
    ],
)
def test_known_sizes(form: str, shape: tuple[int, ...]) -> None:
    """Several pieces, strips and tiles, shared by threads; extents of 1 vanish."""
    rng = np.random.default_rng(1)
    compiled = detect_program(form, "f32", shape, True)
    for ratio in (0.0, 0.001, 0.5, 1.0):
        live = rng.random(shape) < ratio
        x = values(rng, live, compiled)
        for threads in (1, 2, 3):
            check(compiled, form, x, live, True, threads)


@cache
def keys_program(values: int) -> Program:
    """The lists of the coordinates at which keys (coordinate, choice) hold each of `values`."""
    return program(f"""
func.func @main(%x: tensor<?x2xi64>) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>) {{
  %I = "pit.detect"(%x) {{values = {values} : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>,
      micro_tile = 1 : i64}} : (tensor<?x2xi64>) -> !pit.index
  %b, %c, %e, %s = "pit.lists"(%I)
      : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return %b, %c, %e, %s : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>
}}""")


@pytest.mark.parametrize("values", [1, 7, 300])
@pytest.mark.parametrize("lines", [0, 1, 5000, 40000, 100001])
def test_keys_in_parts(values: int, lines: int) -> None:
    """Ascending places of each key however many threads there are; keys out of range, and twice in a line."""
    keys = np.random.default_rng(lines).integers(-1, values + 1, (lines, 2))
    inside = (keys >= 0) & (keys < values)
    numbered = np.unique((keys * max(lines, 1) + np.arange(lines)[:, None])[inside])
    bounds = np.searchsorted(numbered, np.arange(1, values) * max(lines, 1))
    expected = np.split(numbered % max(lines, 1), bounds)
    for threads in (1, 3):
        begin, count, entries, _ = keys_program(values).run_numpy(keys, threads=threads)
        assert count.tolist() == [len(listed) for listed in expected]
        np.testing.assert_array_equal(begin, np.cumsum(count) - count)
        np.testing.assert_array_equal(entries[: count.sum()], np.concatenate(expected))


@pytest.mark.parametrize("shape", [(3, 5000), (40, 70), (1, 1)])
def test_rows_are_numbers_in_the_whole_group(shape: tuple[int, int]) -> None:
    """What a gather reads: segment and entry."""
    compiled = program("""
func.func @main(%mask: tensor<?x?xi1>, %numbers: tensor<?x?xi64>) -> tensor<?xi64> {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<?x?xi1>) -> !pit.index
  %r = "pit.sread"(%numbers, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<?x?xi64>, !pit.index) -> tensor<?xi64>
  return %r : tensor<?xi64>
}""")
    numbers = np.arange(shape[0] * shape[1]).reshape(shape)
    for ratio in (0.02, 0.7, 1.0):
        mask = np.random.default_rng(0).random(shape) < ratio
        np.testing.assert_array_equal(compiled.run_numpy(mask, numbers)[0], numbers[mask])


@pytest.mark.parametrize("machine", ["AVX-512 without VBMI2", "AVX2", "SSE"])
def test_other_machines(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    """Entries are packed by what the processor has."""
    if host().vector_bits < 512:
        pytest.skip("the processor has no vectors of this width")
    bits = {"AVX2": 256, "SSE": 128}.get(machine, 512)
    narrow = with_vectors(host(), bits)
    narrow = replace(narrow, features=narrow.features - {"avx512_vbmi2"})
    monkeypatch.setattr(pit_lower_to_cpu, "host", lambda: narrow)
    rng = np.random.default_rng(0)
    for form in ("tokens of sentences", "rows per block of columns"):
        compiled = detect_program.__wrapped__(form, "f32", None, False)
        for shape, ratio in product(((70, 300), (3, 5000)), (0.01, 1.0)):
            live = rng.random(shape) < ratio
            check(compiled, form, values(rng, live, compiled), live, False)

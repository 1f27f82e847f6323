"""Indices, and what goes through them, in kernels of the emulated GPU against numpy."""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from programs import function, program

from pit_mlir.errors import InputError
from pit_mlir.runtime.program import Program

Array = np.ndarray[Any, Any]

LISTED = [
    ("tensor<?xi32>", "begin"),
    ("tensor<?xi32>", "count"),
    ("tensor<?xi32>", "entries"),
    ("tensor<?xi64>", "sizes"),
]


def detect(
    name: str, source: str, type_: str, segments: Sequence[int], axis: Sequence[int], block: Sequence[int]
) -> str:
    """A `pit.detect` and the lists of its index."""
    given = {"segments": segments, "axis": axis, "block": block}
    arrays = ", ".join(
        f"{key} = array<i64{': ' if numbers else ''}{', '.join(map(str, numbers))}>"
        for key, numbers in given.items()
    )
    types = ", ".join(type_ for type_, _ in LISTED)
    return f"""
  %I{name} = "pit.detect"(%{source}) {{{arrays}, micro_tile = 1 : i64}} : ({type_}) -> !pit.index
  %L{name}:4 = "pit.lists"(%I{name}) : (!pit.index) -> ({types})"""


def lists(results: Sequence[Array], number: int) -> list[list[int]]:
    """The lists of the `number`-th index of a program that returns the lists of several."""
    begin, count, entries, _ = results[4 * number : 4 * number + 4]
    return [entries[first : first + length].tolist() for first, length in zip(begin, count, strict=True)]


def expected_lists(
    live: Array, segments: Sequence[int], axis: Sequence[int], block: Sequence[int]
) -> list[list[int]]:
    """For each segment what of the axis is live anywhere else, ascending."""
    counts = [-(-live.shape[dim] // size) for dim, size in zip(segments, block, strict=True)]
    rest = tuple(dim for dim in range(live.ndim) if dim not in (*segments, *axis))
    found: list[list[int]] = []
    for place in product(*map(range, counts)):
        part = live
        for dim, size, number in zip(segments, block, place, strict=True):
            part = part.take(range(number * size, min((number + 1) * size, live.shape[dim])), dim)
        flags = part.any(axis=(*segments, *rest), keepdims=True)
        order = [*axis, *(dim for dim in range(live.ndim) if dim not in axis)]
        found.append(np.flatnonzero(flags.transpose(order)).tolist())
    return found


def test_values_and_masks_of_all_types() -> None:
    """What is not zero is live: NaN, infinities and the smallest numbers are, -0.0 is not."""
    elements: dict[str, Any] = {
        "i1": np.bool_,
        "i8": np.int8,
        "i32": np.int32,
        "i64": np.int64,
        "f16": np.float16,
        "bf16": ml_dtypes.bfloat16,
        "f32": np.float32,
        "f64": np.float64,
    }
    arguments = ", ".join(f"%x{element}: tensor<3x40x{element}>" for element in elements)
    body = "".join(
        detect(element, f"x{element}", f"tensor<3x40x{element}>", [0], [1], [1]) for element in elements
    )
    results = [(f"%L{element}#{at}", LISTED[at][0]) for element in elements for at in range(4)]
    rng = np.random.default_rng(0)
    live = rng.random((3, 40)) < np.array([[0.5], [0.0], [1.0]])
    arrays: list[Array] = []
    for element, dtype in elements.items():
        array = np.where(live, 3, 0).astype(dtype)
        if "f" in element:
            tiny = np.finfo(np.float32).smallest_subnormal if element == "f32" else 1.0
            array[live] = np.resize(np.array([np.nan, np.inf, tiny, -1.0]), live.sum()).astype(dtype)
            array[~live] = -0.0
        arrays.append(array)
    given = program(function(arguments, body, results)).run_numpy(*arrays)
    for number, element in enumerate(elements):
        assert lists(given, number) == expected_lists(live, [0], [1], [1]), element


LAYOUTS = [
    # Neighbours in memory are entries: read in vectors, then lines whose ends are ragged.
    ("x", [0], [2], [1]),
    ("x", [0, 1], [2], [2, 4]),
    ("x", [], [0, 2], []),
    ("x", [1], [0, 2], [3]),
    ("y", [0], [1], [4]),
    # They belong to neighbouring segments, one each or in blocks.
    ("x", [2], [0], [1]),
    ("x", [2], [1], [16]),
    ("y", [1], [0], [5]),
    # They are what is alive together.
    ("x", [0], [1], [1]),
    ("x", [], [1], []),
]


@pytest.mark.parametrize("ratio", [0.0, 0.02, 1.0])
def test_layouts(ratio: float) -> None:
    """Any order of segments, axis and the rest, in memory; lists are ascending."""
    rng = np.random.default_rng(1)
    arrays = {name: (rng.random(shape) < ratio).astype(np.float32) for name, shape in SHAPES.items()}
    given = layouts_program().run_numpy(*arrays.values())
    for number, (source, segments, axis, block) in enumerate(LAYOUTS):
        found, wanted = lists(given, number), expected_lists(arrays[source] != 0, segments, axis, block)
        assert found == wanted, (source, segments, axis, block)


SHAPES = {"x": (5, 7, 32), "y": (9, 33)}


@cache
def layouts_program() -> Program:
    """All of `LAYOUTS` of dynamic and of static sizes."""
    types = {"x": "tensor<5x7x32xf32>", "y": "tensor<?x?xf32>"}
    body = "".join(
        detect(str(number), source, types[source], segments, axis, block)
        for number, (source, segments, axis, block) in enumerate(LAYOUTS)
    )
    results = [(f"%L{number}#{at}", LISTED[at][0]) for number in range(len(LAYOUTS)) for at in range(4)]
    return program(function(", ".join(f"%{name}: {type_}" for name, type_ in types.items()), body, results))


def test_lists_longer_than_a_block_goes_through() -> None:
    """Parts of a long list are counted before they are written; so are lists that follow one another."""
    body = detect("0", "x", "tensor<?x?xi8>", [], [0, 1], []) + detect(
        "1", "x", "tensor<?x?xi8>", [0], [1], [1]
    )
    results = [(f"%L{number}#{at}", LISTED[at][0]) for number in range(2) for at in range(4)]
    x = (np.random.default_rng(2).random((3, 20001)) < 0.3).astype(np.int8)
    given = program(function("%x: tensor<?x?xi8>", body, results)).run_numpy(x)
    assert lists(given, 0) == expected_lists(x != 0, [], [0, 1], [])
    assert lists(given, 1) == expected_lists(x != 0, [0], [1], [1])


def test_places_of_each_key() -> None:
    """A counting sort: keys out of range are nowhere, equal keys of a place count once; one segment as an index."""
    attributes = "values = 5 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64"
    types = ", ".join(type_ for type_, _ in LISTED)
    body = f"""
  %I = "pit.detect"(%k) {{{attributes}}} : (tensor<?x2xi64>) -> !pit.index
  %S = "pit.segment"(%I) {{number = 3 : i64}} : (!pit.index) -> !pit.index
  %L:4 = "pit.lists"(%I) : (!pit.index) -> ({types})
  %T:4 = "pit.lists"(%S) : (!pit.index) -> ({types})"""
    results = [(f"%{name}#{at}", LISTED[at][0]) for name in "LT" for at in range(4)]
    compiled = program(function("%k: tensor<?x2xi64>", body, results))
    for count in (0, 1, 77):
        keys = np.random.default_rng(count).integers(-2, 8, (count, 2))
        given = compiled.run_numpy(keys)
        expected = [np.flatnonzero((keys == value).any(1)).tolist() for value in range(5)]
        assert lists(given, 0) == expected
        assert lists(given, 1) == expected[3:4]


ROWS = """
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : {t}
  %I = "pit.detect"(%mask) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}}
      : (tensor<?x?xi64>) -> !pit.index
  %r = "pit.sread"(%x, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>}}
      : (tensor<?x?x8x{t}>, !pit.index) -> tensor<?x8x{t}>
  %p = "pit.sread"(%table, %I) {{axis = array<i64: 0>, group = array<i64: 1>}}
      : (tensor<?x8x{t}>, !pit.index) -> tensor<?x8x{t}>
  %b = tensor.dim %mask, %c0 : tensor<?x?xi64>
  %n = tensor.dim %mask, %c1 : tensor<?x?xi64>
  %e = tensor.empty(%b, %n) : tensor<?x?x8x{t}>
  %f = linalg.fill ins(%z : {t}) outs(%e : tensor<?x?x8x{t}>) -> tensor<?x?x8x{t}>
  %y = "pit.swrite"(%p, %f, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}}
      : (tensor<?x8x{t}>, tensor<?x?x8x{t}>, !pit.index) -> tensor<?x?x8x{t}>
  %s = "pit.swrite"(%r, %table, %I) {{axis = array<i64: 0>, group = array<i64: 1>, combine = "add"}}
      : (tensor<?x8x{t}>, tensor<?x8x{t}>, !pit.index) -> tensor<?x8x{t}>
  %m = "pit.swrite"(%r, %table, %I) {{axis = array<i64: 0>, group = array<i64: 1>, combine = "max"}}
      : (tensor<?x8x{t}>, tensor<?x8x{t}>, !pit.index) -> tensor<?x8x{t}>"""


@pytest.mark.parametrize(("element", "dtype"), [("f32", np.float32), ("bf16", ml_dtypes.bfloat16)])
def test_rows_of_a_batch(element: str, dtype: Any) -> None:
    """Gathers, through a projection too, and scatters that store, add and compare; rows that nobody lists are NaN."""
    types = [f"tensor<?x?x8x{element}>", f"tensor<?x8x{element}>"]
    results = [("%y", types[0]), ("%s", types[1]), ("%m", types[1])]
    arguments = f"%x: {types[0]}, %mask: tensor<?x?xi64>, %table: {types[1]}"
    compiled = program(function(arguments, ROWS.format(t=element), results), deterministic=element == "f32")
    for batch, rows, ratio in (
        (3, 7, 0.5),
        (1, 1, 1.0),
        (2, 33, 0.0),
        (2, 127, 0.9),
        (0, 5, 0.5),
        (5, 0, 0.5),
    ):
        rng = np.random.default_rng(rows)
        live = rng.random((batch, rows)) < ratio
        x = rng.integers(-4, 5, (batch, rows, 8)).astype(dtype)
        x[~live] = np.nan
        table = rng.integers(-4, 5, (rows, 8)).astype(dtype)
        back, sums, maxima = compiled.run_numpy(x, live.astype(np.int64), table)
        np.testing.assert_array_equal(back, np.where(live[..., None], table[None], 0).astype(dtype))
        known = np.where(live[..., None], x, 0).astype(np.float64)
        np.testing.assert_array_equal(sums, (table + known.sum(0)).astype(dtype))
        lowest = np.where(live[..., None], x, -np.inf).astype(np.float64)
        np.testing.assert_array_equal(maxima, np.concatenate([lowest, table[None]]).max(0).astype(dtype))


def generic(output: str, type_: str, index: str, maps: Sequence[str], group: str, kinds: str) -> str:
    """A `pit.generic` that adds up products of %a and %b, through `maps` of both and of the output."""
    iterators = ", ".join(
        f"#linalg.iterator_type<{'parallel' if kind == 'p' else 'reduction'}>" for kind in kinds
    )
    element = '"pit.element"(%{}) {{map = affine_map<(m, n, k) -> ({})>, compact = false}} : (tensor<40x40xf32>) -> f32'
    return f"""
  %{output} = "pit.generic"(%{output}0, %{index}) ({{
  ^bb0(%acc: f32):
    %x = {element.format("a", maps[0])}
    %w = {element.format("b", maps[1])}
    %p = arith.mulf %x, %w : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, k) -> ({maps[2]})>], iterator_types = [{iterators}],
      group = array<i64: {group}>, compact = false}} : ({type_}, !pit.index) -> {type_}"""


def test_any_body_over_lists() -> None:
    """Sums along the list of each block of rows, rows that are shared out, and sums over all lists; all of one tensor."""
    square, row = "tensor<40x40xf32>", "tensor<40xf32>"
    body = """
  %I = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 16>, micro_tile = 16 : i64}
      : (tensor<40x40xf32>) -> !pit.index"""
    body += generic("c", square, "I", ["m, k", "k, n", "m, n"], "0, 2", "ppr")
    body += generic("d", square, "I", ["m, k", "k, n", "m, k"], "0, 2", "prp")
    body += generic("e", row, "I", ["m, k", "k, n", "n"], "0, 2", "rpr")
    arguments = f"%a: {square}, %b: {square}, %c0: {square}, %d0: {square}, %e0: {row}"
    compiled = program(function(arguments, body, [("%c", square), ("%d", square), ("%e", row)]))
    for ratio in (0.0, 0.05, 1.0):
        rng = np.random.default_rng(3)
        a = rng.integers(1, 4, (40, 40)).astype(np.float32)
        a[:, rng.random(40) >= ratio] = 0
        a[:16] = 0
        b = rng.integers(-4, 5, (40, 40)).astype(np.float32)
        b[~a.any(0)] = np.nan
        c, d, e = compiled.run_numpy(
            a, b, np.ones((40, 40), np.float32), np.zeros((40, 40), np.float32), np.ones(40, np.float32)
        )
        clean = np.nan_to_num(b)
        np.testing.assert_array_equal(c, 1 + a @ clean)
        np.testing.assert_array_equal(d, a * clean.sum(1))
        np.testing.assert_array_equal(e, 1 + (a @ clean).sum(0))


ATTENTION = """
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %low = arith.constant -3.4e38 : f32
  %I = "pit.detect"(%mask) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}}
      : (tensor<?x?xi1>) -> !pit.index
  %n = tensor.dim %mask, %c0 : tensor<?x?xi1>
  %m = tensor.dim %mask, %c1 : tensor<?x?xi1>
  %init = tensor.empty(%n, %m) : {o}
  %K = "pit.block_mask"(%m, %m) ({{
    %i = "pit.element"(%at) {{map = affine_map<(q, k) -> (q)>, compact = false}} : (tensor<?xi64>) -> i64
    %j = "pit.element"(%at) {{map = affine_map<(q, k) -> (k)>, compact = false}} : (tensor<?xi64>) -> i64
    %live = arith.cmpi sle, %j, %i : i64
    "pit.yield"(%live) : (i1) -> ()
  }}) {{block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>}}
      : (index, index) -> !pit.index
  %rows = "pit.attend"(%q, %k, %v, %init, %I) ({{
  ^bb0(%s: f32):
    %b = "pit.element"(%bias) {{map = affine_map<(b, h, q, k, d, e) -> (h, q, k)>, compact = false}}
        : (tensor<2x?x?xf32>) -> f32
    %y = arith.addf %s, %b : f32
    "pit.yield"(%y) : (f32) -> ()
  }}) {{batch = 2 : i64, segments = array<i64: 0>, compact = array<i64>, indexing_maps = [{maps}]}}
      : ({q}, {q}, {o}, {o}, !pit.index) -> {o}
  %causal = "pit.attend"(%q, %k, %v, %init, %K) ({{
  ^bb0(%s: f32):
    %i = "pit.element"(%at) {{map = affine_map<(b, h, q, k, d, e) -> (q)>, compact = false}} : (tensor<?xi64>) -> i64
    %j = "pit.element"(%at) {{map = affine_map<(b, h, q, k, d, e) -> (k)>, compact = false}} : (tensor<?xi64>) -> i64
    %here = "pit.element"(%mask) {{map = affine_map<(b, h, q, k, d, e) -> (b, k)>, compact = false}}
        : (tensor<?x?xi1>) -> i1
    %before = arith.cmpi sle, %j, %i : i64
    %live = arith.andi %before, %here : i1
    %y = arith.select %live, %s, %low : f32
    "pit.yield"(%y) : (f32) -> ()
  }}) {{batch = 2 : i64, segments = array<i64>, compact = array<i64>, keys = array<i64>, lowest, indexing_maps = [{maps}]}}
      : ({q}, {q}, {o}, {o}, !pit.index) -> {o}"""


def attention(q: Array, k: Array, v: Array, score: Any) -> Array:
    """The mean of the values of each query, weighted by the softmax of what `score` makes of the products."""
    scores = score(np.einsum("bqhd,bkhd->bhqk", q.astype(float), k.astype(float)))
    weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-np.inf))
    return np.einsum("bhqk,bkhe->bqhe", weights / weights.sum(-1, keepdims=True), v.astype(float))


@pytest.mark.parametrize(
    ("element", "dtype", "depth", "width"),
    [("bf16", ml_dtypes.bfloat16, 16, 24), ("f16", np.float16, 33, 7), ("f32", np.float32, 12, 33)],
)
def test_attention(element: str, dtype: Any, depth: int, width: int) -> None:
    """Of the listed rows of each sequence, and of listed blocks of keys; queries without a key look at all of them."""
    q, o = f"tensor<?x?x2x{depth}x{element}>", f"tensor<?x?x2x{width}x{element}>"
    maps = ", ".join(
        f"affine_map<(b, h, q, k, d, e) -> (b, {rows}, h, {width})>"
        for rows, width in (("q", "d"), ("k", "d"), ("k", "e"), ("q", "e"))
    )
    arguments = (
        f"%q: {q}, %k: {q}, %v: {o}, %mask: tensor<?x?xi1>, %bias: tensor<2x?x?xf32>, %at: tensor<?xi64>"
    )
    compiled = program(
        function(arguments, ATTENTION.format(q=q, o=o, maps=maps), [("%rows", o), ("%causal", o)])
    )
    for rows in (1, 70):
        rng = np.random.default_rng(rows)
        given = [rng.standard_normal((2, rows, 2, size)).astype(dtype) for size in (depth, depth, width)]
        mask = np.ones((2, rows), bool)
        mask[0, : rows // 2] = False
        bias = rng.standard_normal((2, rows, rows)).astype(np.float32)
        listed, causal = compiled.run_numpy(*given, mask, bias, np.arange(rows))
        tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype is not np.float32 else {"rtol": 1e-5, "atol": 1e-5}
        expected = np.zeros(listed.shape)
        for number, live in enumerate(mask):
            part = [array[number : number + 1, live] for array in given]
            of_pairs = bias[:, live][:, :, live]
            expected[number, live] = attention(*part, lambda s, of_pairs=of_pairs: s + of_pairs)[0]
        np.testing.assert_allclose(listed.astype(float), expected, **tolerance)
        hidden = ~(np.tri(rows, dtype=bool)[None, None] & mask[:, None, None, :])
        wanted = attention(*given, lambda s, hidden=hidden: np.where(hidden, -3.4e38, s))
        np.testing.assert_allclose(causal.astype(float), wanted, **tolerance)


SORTS = """
  %z = arith.constant 0.0 : f32
  %sorted:2 = tm_tensor.sort dimension(1) outs(%x, %i : {x}, {i}) {{
  ^bb0(%a: f32, %b: f32, %c: i64, %d: i64):
    %larger = arith.cmpf oge, %a, %b : f32
    %nan = arith.cmpf uno, %a, %a : f32
    %first = arith.ori %larger, %nan : i1
    tm_tensor.yield %first : i1
  }} -> {x}, {i}
  %sums:2 = tm_tensor.scan dimension(1) inclusive(true) ins(%y : {x}) outs(%x, %last : {x}, {r}) {{
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    tm_tensor.yield %s : f32
  }} -> {x}, {r}
  %before:2 = tm_tensor.scan dimension(0) inclusive(false) ins(%y : {x}) outs(%x, %start : {x}, {c}) {{
  ^bb0(%a: f32, %b: f32):
    %half = arith.constant 0.5 : f32
    %h = arith.mulf %a, %half : f32
    %s = arith.addf %h, %b : f32
    tm_tensor.yield %s : f32
  }} -> {x}, {c}
  %added = tm_tensor.scatter {{dimension_map = array<i64: 0>}} unique_indices(false) ins(%y, %to : {x}, {t})
      outs(%y : {x}) {{
  ^bb0(%new: f32, %old: f32):
    %s = arith.addf %old, %new : f32
    tm_tensor.yield %s : f32
  }} -> {x}
  %put = tm_tensor.scatter {{dimension_map = array<i64: 0>}} unique_indices(false) ins(%y, %to : {x}, {t})
      outs(%y : {x}) {{
  ^bb0(%new: f32, %old: f32):
    tm_tensor.yield %new : f32
  }} -> {x}"""


@pytest.mark.parametrize("is_static", [True, False])
def test_sorts_scans_and_scatters(is_static: bool) -> None:
    """Sorts are stable, scans of a body that may not be grouped go one by one, the last of several writes wins."""
    rows, length = 5, 300
    x, i, r, c, t = (
        f"tensor<{shape}>" for shape in ("5x300xf32", "5x300xi64", "5xf32", "300xf32", "5x1xi64")
    )
    if not is_static:
        x, i, r, c, t = (f"tensor<{shape}>" for shape in ("?x?xf32", "?x?xi64", "?xf32", "?xf32", "?x1xi64"))
    body = SORTS.format(x=x, i=i, r=r, c=c, t=t)
    arguments = f"%x: {x}, %i: {i}, %y: {x}, %last: {r}, %start: {c}, %to: {t}"
    results = [
        ("%sorted#0", x),
        ("%sorted#1", i),
        ("%sums#0", x),
        ("%before#0", x),
        ("%added", x),
        ("%put", x),
    ]
    compiled = program(function(arguments, body, results), deterministic=is_static)
    rng = np.random.default_rng(4)
    values = rng.integers(0, 9, (rows, length)).astype(np.float32)
    values[0, 7] = values[0, 200] = np.nan
    numbers = np.tile(np.arange(length), (rows, 1))
    y = rng.integers(-9, 9, (rows, length)).astype(np.float32)
    first, to = rng.integers(0, 9, length).astype(np.float32), np.array([[3], [0], [3], [1], [3]])
    given = compiled.run_numpy(values, numbers, y, np.zeros(rows, np.float32), first, to)
    order = np.argsort(np.where(np.isnan(values), -np.inf, -values), 1, kind="stable")
    np.testing.assert_array_equal(given[1], order)
    np.testing.assert_array_equal(given[0], np.take_along_axis(values, order, 1))
    np.testing.assert_array_equal(given[2], np.cumsum(y, 1))
    expected = [first]
    for row in y[:-1]:
        expected.append(expected[-1] * 0.5 + row)
    np.testing.assert_allclose(given[3], np.stack(expected), rtol=1e-6)
    added, put = y.copy(), y.copy()
    np.add.at(added, to[:, 0], y)
    put[[3, 0, 1]] = y[[4, 1, 3]]
    np.testing.assert_array_equal(given[4], added)
    np.testing.assert_array_equal(given[5], put)
    with pytest.raises(InputError, match="an index of a scatter is out of range"):
        compiled.run_numpy(values, numbers, y, np.zeros(rows, np.float32), first, to + 3)

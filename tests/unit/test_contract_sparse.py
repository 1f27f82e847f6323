"""Contractions through an index against numpy: lists of k per block of rows, of rows, of columns; gather, scatter."""

import re
from collections.abc import Callable

import numpy
import pytest
from contraction_text import NUMPY, assert_close, cached, poisoned
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = st.sampled_from((0, 1, 7, 32, 33, 70))
ZEROS = st.sampled_from((0.0, 0.5, 0.95, 1.0))

PRODUCT = """  %r = "pit.generic"(%c, %I) ({{
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {{map = affine_map<(m, n, k) -> ({left})>, compact = false}} : (tensor<?x?xf32>) -> f32
    %y = "pit.element"(%b) {{map = affine_map<(m, n, k) -> ({right})>, compact = false}} : (tensor<?x?xf32>) -> f32
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: {group}>, compact = false}} : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}}"""
"""The product of %a and %b over the points that %I lists, added to %c."""

K_LIST = """
func.func @main(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %I = "pit.detect"(%{listed}) {{segments = array<i64: {segment}>, axis = array<i64: {axis}>, block = array<i64: {block}>,
      micro_tile = 0 : i64}} : (tensor<?x?xf32>) -> !pit.index
"""


def k_list(equation: str, listed: str, block: int) -> str:
    """A matmul over a list of k for blocks of rows of operand `listed`."""
    left, right = equation.split("->")[0].split(",")
    term = left if listed == "a" else right
    rows = "m" if listed == "a" else "n"
    return (K_LIST + PRODUCT).format(
        listed=listed,
        segment=term.index(rows),
        axis=term.index("k"),
        block=block,
        left=", ".join(left),
        right=", ".join(right),
        group="0, 2" if listed == "a" else "1, 2",
    )


def list_of_rows(equation: str, listed: str, block: int) -> str:
    """A matmul over a list of the rows of operand `listed` for each `block` steps of k."""
    left, right = equation.split("->")[0].split(",")
    term = left if listed == "a" else right
    rows = "m" if listed == "a" else "n"
    return (K_LIST + PRODUCT).format(
        listed=listed,
        segment=term.index("k"),
        axis=term.index(rows),
        block=block,
        left=", ".join(left),
        right=", ".join(right),
        group="2, 0" if listed == "a" else "2, 1",
    )


def sparse(rng: numpy.random.Generator, shape: tuple[int, int], zeros: float, kind: str) -> numpy.ndarray:
    """Random values with zeros in blocks of 32 rows, in whole rows, or anywhere."""
    values = rng.standard_normal(shape).astype(numpy.float32)
    if kind == "blocks":
        live = numpy.repeat(rng.random((-(-shape[0] // 32), shape[1])) >= zeros, 32, axis=0)[: shape[0]]
    elif kind == "rows":
        live = rng.random((shape[0], 1)) >= zeros
    else:
        live = rng.random(shape) >= zeros
    return numpy.where(live, values, numpy.float32(0))


@pytest.mark.parametrize("equation", ["mk,kn->mn", "mk,nk->mn", "km,kn->mn"])
@pytest.mark.parametrize("listed", ["a", "b"])
@settings(max_examples=16, deadline=None)
@given(data=st.data())
def test_lists(equation: str, listed: str, data: st.DataObject) -> None:
    """Live k for each block of rows of either operand, or its live rows for each part of k, whatever its layout."""
    sizes = {i: data.draw(SIZES, label=i) for i in "mnk"}
    rng = numpy.random.default_rng(data.draw(st.integers(0, 9), label="seed"))
    kind, zeros = data.draw(st.sampled_from(("blocks", "rows", "any"))), data.draw(ZEROS)
    left, right = equation.split("->")[0].split(",")
    operands: list[numpy.ndarray] = []
    for name, term, rows in (("a", left, "m"), ("b", right, "n")):
        values = sparse(rng, (sizes[rows], sizes["k"]), zeros if name == listed else 0, kind)
        operands.append(numpy.ascontiguousarray(values if term[0] == rows else values.T))
    init = rng.standard_normal((sizes["m"], sizes["n"])).astype(numpy.float32)
    made, blocks = data.draw(st.sampled_from(((k_list, (0, 1, 5, 32)), (list_of_rows, (1, 5, 32, 64)))))
    compiled = cached(made(equation, listed, data.draw(st.sampled_from(blocks), label="block")))
    compiled.run_numpy(*map(poisoned, operands), init)
    [actual] = compiled.run_numpy(*operands, init)
    expected = numpy.einsum(equation, *(operand.astype(float) for operand in operands)) + init
    assert_close(actual, expected, "f32", sizes["k"])


def of_types(text: str, type_: str, columns: int) -> str:
    """`text` in f32 as one of %a (300, 1000) and %b (1000, columns) of `type_`, added up in f32 if that is narrower."""
    for name, shape in (("a", "300x1000x"), ("b", f"1000x{columns}x")):
        for place in (rf"(%{name}: )", rf"(\(%{name}\)(?:(?!tensor).)*)"):
            text = re.sub(rf"{place}tensor<\?x\?xf32>", rf"\1tensor<{shape}{type_}>", text, flags=re.DOTALL)
    if type_ in ("f64", "i32"):
        text = text.replace("f32", type_)
        return text if type_ == "f64" else text.replace("mulf", "muli").replace("addf", "addi")
    if type_ == "bf16":
        text = re.sub(
            r"(%[xy])( = \"pit.element\".*?-> )f32\n", r"\1n\2bf16\n\1 = arith.extf \1n : bf16 to f32\n", text
        )
    return text


@pytest.mark.parametrize("made", [k_list, list_of_rows])
@pytest.mark.parametrize("type_", ["f32", "bf16", "f64", "i32"])
def test_lists_of_several_steps(type_: str, made: Callable[[str, str, int], str]) -> None:
    """Long lists: full ones, whose rows are read whole and columns packed, to sparse ones, where nothing is read twice."""
    rng = numpy.random.default_rng(3)
    for columns in (64, 33):
        compiled = cached(of_types(made("mk,kn->mn", "a", 8 if made is k_list else 64), type_, columns))
        for zeros, kind in ((0.0, "any"), (0.6, "any"), (0.9, "blocks"), (0.995, "any"), (1.0, "any")):
            a = (sparse(rng, (300, 1000), zeros, kind) * 4).astype(NUMPY[type_])
            b = (rng.standard_normal((1000, columns)) * 4).astype(NUMPY[type_])
            out = numpy.zeros((300, columns), NUMPY["f32" if type_ == "bf16" else type_])
            [actual] = compiled.run_numpy(a, b, out)
            assert_close(actual, a.astype(float) @ b.astype(float), "f32" if type_ == "bf16" else type_, 1000)


def test_single_rows_that_lie_across() -> None:
    """Lists of single rows of a transposed operand, which is packed in whole vectors of rows, also the last one."""
    rng = numpy.random.default_rng(4)
    for equation, listed in (("km,kn->mn", "a"), ("mk,kn->mn", "b")):
        compiled = cached(k_list(equation, listed, 1))
        sizes = {"m": 17, "n": 1500} if listed == "a" else {"m": 1500, "n": 17}
        a, b = sparse(rng, (127, sizes["m"]), 0.5, "any"), sparse(rng, (127, sizes["n"]), 0.5, "any")
        a = a if equation[0] == "k" else numpy.ascontiguousarray(a.T)
        init = rng.standard_normal((sizes["m"], sizes["n"])).astype(numpy.float32)
        [actual] = compiled.run_numpy(a, b, init)
        assert_close(actual, numpy.einsum(equation, a.astype(float), b.astype(float)) + init, "f32", 127)


def into_zeros(text: str) -> str:
    """`text` with a result that starts from 0, not from what `%c` holds."""
    zeros = """%zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%c : tensor<?x?xf32>) -> tensor<?x?xf32>"""
    return text.replace('%r = "pit.generic"(%c,', f'{zeros}\n  %r = "pit.generic"(%z,')


@pytest.mark.parametrize("equation", ["mk,kn->mn", "mk,nk->mn", "km,kn->mn", "km,nk->mn"])
@pytest.mark.parametrize("listed", ["a", "b"])
@settings(max_examples=12, deadline=None)
@given(many=SIZES, k=SIZES, few=st.sampled_from((0, 1, 3, 4, 5)), zeros=ZEROS, seed=st.integers(0, 9))
def test_lists_of_k_for_few_on_the_other_side(
    equation: str, listed: str, many: int, k: int, few: int, zeros: float, seed: int
) -> None:
    """One side has lists, the other so few rows or columns that nothing is packed."""
    sizes = {"m": many, "n": few, "k": k} if listed == "a" else {"m": few, "n": many, "k": k}
    rng = numpy.random.default_rng(seed)
    operands: list[numpy.ndarray] = []
    for name, term, rows in zip("ab", equation.split("->")[0].split(","), "mn", strict=True):
        values = sparse(rng, (sizes[rows], k), zeros if name == listed else 0, "blocks")
        operands.append(numpy.ascontiguousarray(values if term[0] == rows else values.T))
    out = poisoned(numpy.zeros((sizes["m"], sizes["n"]), numpy.float32))
    compiled = cached(into_zeros(k_list(equation, listed, 32)))
    compiled.run_numpy(*map(poisoned, operands), out)
    [actual] = compiled.run_numpy(*operands, out)
    assert_close(actual, numpy.einsum(equation, *(o.astype(float) for o in operands)), "f32", k)


def test_lists_longer_than_a_step() -> None:
    """Lists that take several steps along the depth, and more columns than a task takes."""
    rng = numpy.random.default_rng(0)
    for equation in ("mk,kn->mn", "mk,nk->mn"):
        a = sparse(rng, (70, 900), 0.3, "blocks")
        b = rng.standard_normal((900, 520)).astype(numpy.float32)
        b = b if equation == "mk,kn->mn" else numpy.ascontiguousarray(b.T)
        [actual] = cached(k_list(equation, "a", 0)).run_numpy(a, b, numpy.zeros((70, 520), numpy.float32))
        assert_close(actual, numpy.einsum(equation, a.astype(float), b.astype(float)), "f32", 900)


def test_nan_in_the_sparse_operand_is_live() -> None:
    """A NaN or an infinity in the sparse operand reaches the rows of its block that hold it."""
    a = numpy.zeros((40, 50), numpy.float32)
    a[3, 7], a[35, 49] = numpy.nan, numpy.inf
    b = numpy.ones((50, 33), numpy.float32)
    [actual] = cached(k_list("mk,kn->mn", "a", 0)).run_numpy(a, b, numpy.zeros((40, 33), numpy.float32))
    expected = numpy.zeros((40, 33))
    expected[3], expected[35] = numpy.nan, numpy.inf
    numpy.testing.assert_array_equal(actual, expected)


DEEP_LIST = """
func.func @main(%a: tensor<?x?x?xf32>, %b: tensor<?x?x?xf32>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %I = "pit.detect"(%a) {{segments = array<i64: 0>, axis = array<i64: 2>, block = array<i64: {block}>, micro_tile = 0 : i64}}
      : (tensor<?x?x?xf32>) -> !pit.index
  %r = "pit.generic"(%c, %I) ({{
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {{map = affine_map<(m, n, h, k) -> (m, h, k)>, compact = false}} : (tensor<?x?x?xf32>) -> f32
    %y = "pit.element"(%b) {{map = affine_map<(m, n, h, k) -> ({right})>, compact = false}} : (tensor<?x?x?xf32>) -> f32
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, h, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>,
                        #linalg.iterator_type<reduction>],
      group = array<i64: 0, 3>, compact = false}} : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}}"""


@pytest.mark.parametrize("right", ["hkn", "hnk"])
@pytest.mark.parametrize("block", [1, 5])
@settings(max_examples=5, deadline=None)
@given(m=SIZES, n=SIZES, k=SIZES, h=st.sampled_from((0, 1, 3)), zeros=ZEROS)
def test_lists_beside_a_sum_that_is_not_listed(
    right: str, block: int, m: int, n: int, k: int, h: int, zeros: float
) -> None:
    """The sum runs over two iterators, of which one is listed."""
    rng = numpy.random.default_rng(m + n + k)
    a = rng.standard_normal((m, h, k)).astype(numpy.float32) * (rng.random((m, 1, k)) >= zeros)
    b = rng.standard_normal((h, k, n) if right == "hkn" else (h, n, k)).astype(numpy.float32)
    a, init = a.astype(numpy.float32), rng.standard_normal((m, n)).astype(numpy.float32)
    compiled = cached(DEEP_LIST.format(block=block, right=", ".join(right)))
    [actual] = compiled.run_numpy(a, b, init)
    assert_close(actual, init + numpy.einsum(f"mhk,{right}->mn", a.astype(float), b), "f32", h * k)


PARALLEL_LIST = """
func.func @main(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>, %mask: tensor<?xi1>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %I = "pit.detect"(%mask) {{segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 0 : i64}}
      : (tensor<?xi1>) -> !pit.index
"""


@pytest.mark.parametrize("listed", ["m", "n"])
@pytest.mark.parametrize("right", ["n, k", "k, n"])
@settings(max_examples=8, deadline=None)
@given(m=SIZES, n=SIZES, k=SIZES, zeros=ZEROS)
def test_lists_of_rows_or_columns(listed: str, right: str, m: int, n: int, k: int, zeros: float) -> None:
    """What is not listed keeps the init."""
    rng = numpy.random.default_rng(m + n + k)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((n, k))
    mask = rng.random(m if listed == "m" else n) >= zeros
    init = rng.standard_normal((m, n)).astype(numpy.float32)
    text = (PARALLEL_LIST + PRODUCT).format(left="m, k", right=right, group="0" if listed == "m" else "1")
    layout = b if right == "n, k" else numpy.ascontiguousarray(b.T)
    [actual] = cached(text).run_numpy(a.astype(numpy.float32), layout.astype(numpy.float32), mask, init)
    live = mask[:, None] if listed == "m" else mask[None, :]
    assert_close(actual, numpy.where(live, a @ b.T + init, init), "f32", k)


ROWS = """
#i = affine_map<(r, n) -> (r, n)>
func.func @main(%x: tensor<?x?x24xf32>, %mask: tensor<?x?xi1>, %w: tensor<40x24xf32>, %wm: tensor<40x24xi1>,
                %bias: tensor<40xf32>, %residual: tensor<?x?x40xf32>, %o: tensor<?x?x40xf32>) -> tensor<?x?x40xf32> {{
  %z = arith.constant 0.0 : f32
  %I = "pit.detect"(%mask) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}}
      : (tensor<?x?xi1>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %r = "pit.sread"(%x, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>}}
      : (tensor<?x?x24xf32>, !pit.index) -> tensor<?x24xf32>
  %res = "pit.sread"(%residual, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>}}
      : (tensor<?x?x40xf32>, !pit.index) -> tensor<?x40xf32>
  %e0 = tensor.empty() : tensor<40x24xf32>
  %ww = linalg.generic {{indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel"]}}
      ins(%w, %wm : tensor<40x24xf32>, tensor<40x24xi1>) outs(%e0 : tensor<40x24xf32>) {{
  ^bb0(%a: f32, %m: i1, %q: f32):
    %f = arith.uitofp %m : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  }} -> tensor<40x24xf32>
  %e = tensor.empty(%n) : tensor<?x40xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  %c = linalg.generic {{indexing_maps = [affine_map<(r, n, k) -> (r, k)>, affine_map<(r, n, k) -> (n, k)>,
      affine_map<(r, n, k) -> (r, n)>], iterator_types = ["parallel", "parallel", "reduction"]}}
      ins(%r, %ww : tensor<?x24xf32>, tensor<40x24xf32>) outs(%f : tensor<?x40xf32>) {{
  ^bb0(%a: f32, %m: f32, %q: f32):
    %p = arith.mulf %a, %m : f32
    %s = arith.addf %q, %p : f32
    linalg.yield %s : f32
  }} -> tensor<?x40xf32>
  %d = linalg.generic {{indexing_maps = [#i, affine_map<(r, n) -> (n)>, #i, #i], iterator_types = ["parallel", "parallel"]}}
      ins(%c, %bias, %res : tensor<?x40xf32>, tensor<40xf32>, tensor<?x40xf32>) outs(%e : tensor<?x40xf32>) {{
  ^bb0(%a: f32, %b: f32, %g: f32, %q: f32):
    %p = arith.addf %a, %b : f32
    %h = math.tanh %p : f32
    %y = arith.addf %h, %g : f32
    linalg.yield %y : f32
  }} -> tensor<?x40xf32>
  %out = "pit.swrite"(%d, %o, %I) {{axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "{combine}"}}
      : (tensor<?x40xf32>, tensor<?x?x40xf32>, !pit.index) -> tensor<?x?x40xf32>
  return %out : tensor<?x?x40xf32>
}}"""


@pytest.mark.parametrize("combine", ["store", "add"])
@settings(max_examples=8, deadline=None)
@given(batch=st.integers(0, 3), tokens=SIZES, zeros=ZEROS)
def test_gather_epilogue_scatter(combine: str, batch: int, tokens: int, zeros: float) -> None:
    """Rows gathered while packing, a masked weight, an epilogue with gathered rows, rows scattered: one operation."""
    rng = numpy.random.default_rng(batch + tokens)
    x, residual, out = (rng.standard_normal((batch, tokens, d)).astype(numpy.float32) for d in (24, 40, 40))
    mask = rng.random((batch, tokens)) >= zeros
    w, live = rng.standard_normal((40, 24)).astype(numpy.float32), rng.random((40, 24)) < 0.5
    bias = rng.standard_normal(40).astype(numpy.float32)
    [actual] = cached(ROWS.format(combine=combine)).run_numpy(x, mask, w, live, bias, residual, out)
    rows = numpy.tanh(x.astype(float) @ (w * live).T + bias) + residual
    expected = numpy.where(mask[:, :, None], rows + (out if combine == "add" else 0), out)
    assert_close(actual, expected, "f32", 24)


EXPERTS = """
func.func @main(%x: tensor<?x24xf32>, %routed: tensor<?x?xi1>, %w: tensor<40x24xf32>, %o: tensor<?x40xf32>) -> tensor<?x40xf32> {
  %z = arith.constant 0.0 : f32
  %I = "pit.detect"(%routed) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}
      : (tensor<?x?xi1>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 1>} : (tensor<?x24xf32>, !pit.index) -> tensor<?x24xf32>
  %e = tensor.empty(%n) : tensor<?x40xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(r, n, k) -> (r, k)>, affine_map<(r, n, k) -> (n, k)>,
      affine_map<(r, n, k) -> (r, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%r, %w : tensor<?x24xf32>, tensor<40x24xf32>) outs(%f : tensor<?x40xf32>) {
  ^bb0(%a: f32, %m: f32, %q: f32):
    %p = arith.mulf %a, %m : f32
    %s = arith.addf %q, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x40xf32>
  %out = "pit.swrite"(%c, %o, %I) {axis = array<i64: 0>, group = array<i64: 1>, combine = "add"}
      : (tensor<?x40xf32>, tensor<?x40xf32>, !pit.index) -> tensor<?x40xf32>
  return %out : tensor<?x40xf32>
}"""


@pytest.mark.parametrize(("segments", "tokens"), [(3, 70), (5, 600), (1, 1), (2, 0)])
def test_places_listed_several_times_are_added_to(segments: int, tokens: int) -> None:
    """A token that several segments list gets the sum of them all."""
    rng = numpy.random.default_rng(tokens)
    x, out = (rng.standard_normal((tokens, d)).astype(numpy.float32) for d in (24, 40))
    routed, w = rng.random((segments, tokens)) < 0.5, rng.standard_normal((40, 24)).astype(numpy.float32)
    [actual] = cached(EXPERTS).run_numpy(x, routed, w, out)
    expected = out + routed.sum(0)[:, None] * (x.astype(float) @ w.T)
    assert_close(actual, expected, "f32", 24 * segments)


MASKED = """
func.func @main(%a: tensor<?x?xf32>, %m: tensor<?x?xf32>, %b: tensor<?x?xf32>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %I = "pit.detect"(%m) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: {block}>,
      micro_tile = 0 : i64}} : (tensor<?x?xf32>) -> !pit.index
"""


@pytest.mark.parametrize("block", [7, 8, 12, 32])
def test_nothing_is_read_where_a_mask_lists_nothing(block: int) -> None:
    """Values times a mask, listed by the mask: NaN in a block where it is 0 changes nothing, however much is listed.

    The list is followed whatever it costs.
    """
    text = MASKED.format(block=block) + PRODUCT.format(left="m, k", right="k, n", group="0, 2")
    times = """%w = "pit.element"(%m) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x?xf32>) -> f32
    %v = arith.mulf %x, %w : f32
    %p = arith.mulf %v, %y : f32"""
    # Without a list 0 * NaN is NaN, as in the dense model.
    compiled = cached(text.replace("%p = arith.mulf %x, %y : f32", times), choice=f"{block}x1")
    rng = numpy.random.default_rng(5)
    for zeros in (0.0, 0.5, 0.9, 0.99, 1.0):
        live = numpy.repeat(rng.random((-(-131 // block), 333)) >= zeros, block, axis=0)[:131]
        mask = (live * rng.choice([0.5, 2.0], (131, 333))).astype(numpy.float32)
        a = rng.standard_normal((131, 333)).astype(numpy.float32)
        b = rng.standard_normal((333, 64)).astype(numpy.float32)
        expected = (a.astype(float) * mask) @ b.astype(float)
        poisoned_a = numpy.where(live, a, numpy.float32(numpy.nan))
        [actual] = compiled.run_numpy(poisoned_a, mask, b, numpy.zeros((131, 64), numpy.float32))
        assert_close(actual, expected, "f32", 333)

"""Dense contractions on the CPU against numpy: maps, sizes, types."""

import numpy
import pytest
from contraction_text import Contraction, assert_close, cached, poisoned, random, wide
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError
from pit_mlir.passes.pipelines import cpu_pipeline
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.target import host

EQUATIONS = (
    "mk,nk->mn",
    "mk,kn->mn",
    "km,kn->mn",
    "km,nk->mn",
    "mk,nk->nm",
    "mk,k->m",
    "k,nk->n",
    "btk,hdk->bthd",
    "btk,hdk->bhtd",
    "bqhd,bkhd->bhqk",
    "bhqk,bkhd->bqhd",
    "bhtd,nhd->btn",
    "bthd,nhd->btn",
    "bmk,bkn->bmn",
    "mk,nkj->jmn",
)
SIZES = st.sampled_from((0, 1, 2, 7, 15, 33, 64))


def check(contraction: Contraction, sizes: dict[str, int], seed: int) -> None:
    """Runs `contraction` on random values and compares with numpy."""
    rng = numpy.random.default_rng(seed)
    left, right, result = contraction.terms
    operands = [random(rng, [sizes[i] for i in term], contraction.type) for term in (left, right)]
    init = random(rng, [sizes[i] for i in result], contraction.result)
    compiled = cached(contraction.text(sizes))
    compiled.run_numpy(*map(poisoned, operands), init)
    [actual] = compiled.run_numpy(*operands, init)
    expected = numpy.einsum(contraction.equation, *map(wide, operands)) + wide(init)
    terms = int(numpy.prod([sizes[i] for i in contraction.iterators if i not in result]))
    assert_close(actual, expected, contraction.result, terms)


@pytest.mark.parametrize("equation", EQUATIONS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_map_and_size(equation: str, data: st.DataObject) -> None:
    """Every way to lay out operands and result, sizes with 0, 1 and non-multiples of any tile."""
    contraction = Contraction(equation)
    sizes = {i: data.draw(SIZES, label=i) for i in contraction.iterators}
    check(contraction, sizes, seed=1)


@pytest.mark.parametrize(
    "sizes", [(127, 33, 700), (1, 127, 513), (500, 300, 64), (29, 65, 256), (449, 257, 1), (131, 1100, 263)]
)
@pytest.mark.parametrize("equation", ["mk,nk->mn", "mk,kn->mn", "km,nk->nm"])
def test_several_blocks(equation: str, sizes: tuple[int, int, int]) -> None:
    """More rows, columns or depth than one task takes."""
    check(Contraction(equation), dict(zip("mnk", sizes, strict=True)), seed=2)


@pytest.mark.parametrize("sizes", [(3, 40, 5, 200), (2, 7, 300, 9), (1, 70, 0, 4), (2, 3, 4, 300)])
def test_nested_depth(sizes: tuple[int, int, int, int]) -> None:
    """A reduction over two iterators that are not neighbours in one operand."""
    names = dict(zip("bthd", sizes, strict=True))
    check(Contraction("bhtd,nhd->btn"), {**names, "n": 37}, seed=3)


@pytest.mark.parametrize(
    ("type_", "result"),
    [
        ("f64", "f64"),
        ("bf16", "bf16"),
        ("bf16", "f32"),
        ("f16", "f16"),
        ("i32", "i32"),
        ("i64", "i64"),
        ("i8", "i32"),
    ],
)
@pytest.mark.parametrize("equation", ["mk,nk->mn", "km,kn->mn"])
def test_types(equation: str, type_: str, result: str) -> None:
    """Narrow floats are summed in f32, integers exactly."""
    for sizes in ((17, 35, 70), (1, 40, 300)):
        check(Contraction(equation, type_, result), dict(zip("mnk", sizes, strict=True)), seed=4)


def test_nan_and_infinity_reach_the_result() -> None:
    """A NaN makes its row NaN, an infinity its row infinite, and no other row."""
    contraction = Contraction("mk,nk->mn")
    left, right = numpy.ones((20, 40), numpy.float32), numpy.ones((33, 40), numpy.float32)
    left[3, 7], left[5, 39] = numpy.nan, numpy.inf
    compiled = cached(contraction.text({}))
    [actual] = compiled.run_numpy(left, right, numpy.zeros((20, 33), numpy.float32))
    expected = numpy.full((20, 33), 40.0)
    expected[3], expected[5] = numpy.nan, numpy.inf
    numpy.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("equation", ["mk,nk->mn", "mk,kn->mn", "km,kn->mn", "bhtk,nhk->btn"])
@pytest.mark.parametrize("depth", [1, 2, 63, 64, 1031])
@pytest.mark.parametrize("dynamic", [False, True])
def test_bf16_in_pairs(equation: str, depth: int, dynamic: bool) -> None:
    """Two steps of bf16 are multiplied at once; the last one of an odd depth alone."""
    contraction = Contraction(equation, "bf16", "f32", dynamic=dynamic)
    for rows in (5, 19, 130) if dynamic else (19,):
        sizes = {
            i: {"m": rows, "n": 45, "k": depth, "b": 2, "h": 3, "t": 9}[i] for i in contraction.iterators
        }
        check(contraction, sizes, seed=5)


@pytest.mark.parametrize("type_", ["f32", "bf16"])
@pytest.mark.parametrize(("equation", "depth"), [("mk,nk->mn", 1031), ("mk,kn->mn", 263)])
def test_few_rows(equation: str, depth: int, type_: str) -> None:
    """Columns that are read where they lie: several parts of the depth, all heights of rows, half a vector of columns."""
    contraction = Contraction(equation, type_, "f32", dynamic=True)
    for rows, columns in ((1, 77), (2, 16), (3, 601), (7, 1), (16, 45), (31, 300)):
        check(contraction, {"m": rows, "n": columns, "k": depth}, seed=6)


COMPUTED = """
func.func @main(%x: tensor<{x}xbf16>, %mask: tensor<{x}xi1>, %scale: tensor<{k}xbf16>, %w: tensor<{n}x{k}xbf16>)
    -> tensor<{m}x{n}xf32> {{
  %zero = arith.constant 0.0 : bf16
  %none = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{x}xbf16>
  %h = linalg.generic {{indexing_maps = [{over}, {over}, affine_map<(m, k) -> (k)>, {over}], iterator_types = ["parallel", "parallel"]}}
      ins(%x, %mask, %scale : tensor<{x}xbf16>, tensor<{x}xi1>, tensor<{k}xbf16>) outs(%e : tensor<{x}xbf16>) {{
  ^bb0(%a: bf16, %c: i1, %s: bf16, %o: bf16):
    %p = arith.addf %a, %s : bf16
    %r = arith.select %c, %p, %zero : bf16
    linalg.yield %r : bf16
  }} -> tensor<{x}xbf16>
  %f = tensor.empty() : tensor<{m}x{n}xf32>
  %z = linalg.fill ins(%none : f32) outs(%f : tensor<{m}x{n}xf32>) -> tensor<{m}x{n}xf32>
  %y = linalg.generic {{indexing_maps = [{read}, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
                        iterator_types = ["parallel", "parallel", "reduction"]}}
      ins(%h, %w : tensor<{x}xbf16>, tensor<{n}x{k}xbf16>) outs(%z : tensor<{m}x{n}xf32>) {{
  ^bb0(%a: bf16, %b: bf16, %acc: f32):
    %aw = arith.extf %a : bf16 to f32
    %bw = arith.extf %b : bf16 to f32
    %p = arith.mulf %aw, %bw : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }} -> tensor<{m}x{n}xf32>
  return %y : tensor<{m}x{n}xf32>
}}"""


@pytest.mark.parametrize("sizes", [(7, 33, 64), (33, 127, 7), (131, 40, 301)])
@pytest.mark.parametrize("order", ["m, k", "k, m"])
def test_bf16_that_is_computed(sizes: tuple[int, int, int], order: str) -> None:
    """What masks, adds to and casts a factor happens while pairs of it are packed: the same bits, in one kernel."""
    m, n, k = sizes
    x, over = (f"{m}x{k}", (m, k)) if order == "m, k" else (f"{k}x{m}", (k, m))
    words = {"m": m, "n": n, "k": k, "x": x, "over": f"affine_map<(m, k) -> ({order})>"}
    text = COMPUTED.format(**words, read=f"affine_map<(m, n, k) -> ({order})>")
    rng = numpy.random.default_rng(6)
    values, scale, weight = (random(rng, shape, "bf16") for shape in (over, (k,), (n, k)))
    mask = rng.random(over) < 0.5
    [actual] = cached(text).run_numpy(values, mask, scale, weight)
    along = (slice(None), None) if order == "k, m" else slice(None)
    hidden = numpy.where(mask, values + scale[along], numpy.zeros((), values.dtype))
    rows = wide(hidden).T if order == "k, m" else wide(hidden)
    assert_close(actual, rows @ wide(weight).T, "f32", k)


@pytest.mark.skipif(not host().has_bf16_dot, reason="the processor does not multiply pairs of bf16")
def test_bf16_that_is_computed_is_multiplied_in_pairs() -> None:
    """No kernel widens what it packs."""
    words = {"m": 33, "n": 40, "k": 31, "x": "33x31", "over": "affine_map<(m, k) -> (m, k)>"}
    text = COMPUTED.format(**words, read="affine_map<(m, n, k) -> (m, k)>")
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        SelectTiles().run(module.operation, Report())
        run_pipeline(module, cpu_pipeline(), None)
        lowered = str(module)
    assert "pit_micro_pairs" in lowered and "pit_micro_dense" not in lowered


def test_sizes_that_disagree_are_an_error() -> None:
    """Dynamic sizes of one iterator that differ raise, and nothing is read out of bounds."""
    compiled = cached(Contraction("mk,nk->mn").text({}))
    left, right = numpy.ones((5, 70), numpy.float32), numpy.ones((6, 9), numpy.float32)
    with pytest.raises(InputError, match="sizes of the operands of a contraction differ"):
        compiled.run_numpy(left, right, numpy.zeros((5, 6), numpy.float32))


FILLED = """
func.func @main(%x: tensor<7x3xf32>, %o: tensor<7x33xf32>) -> tensor<7x33xf32> {
  %c = arith.constant 2.0 : f32
  %e = tensor.empty() : tensor<3x33xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      outs(%e : tensor<3x33xf32>) {
  ^bb0(%b: f32):
    linalg.yield %c : f32
  } -> tensor<3x33xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %g : tensor<7x3xf32>, tensor<3x33xf32>) outs(%o : tensor<7x33xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<7x33xf32>
  return %r : tensor<7x33xf32>
}"""


def test_a_factor_that_is_a_number() -> None:
    """What fills a factor is absorbed, and nothing else is left of it."""
    rng = numpy.random.default_rng(0)
    x, init = random(rng, (7, 3), "f32"), random(rng, (7, 33), "f32")
    [actual] = cached(FILLED).run_numpy(x, init)
    assert_close(actual, wide(init) + 2 * wide(x).sum(1, keepdims=True), "f32", 3)

"""`pit.block_mask` against all pairs: a live block is listed, and no other where positions in order are compared."""

from functools import cache
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program

BLOCK = 8

TEXT = """
func.func @main(%i: tensor<?xi64>, %j: tensor<?xi64>, %f: tensor<?xi1>, %g: tensor<?xi1>, %m: tensor<?x?xi1>,
                %a: tensor<?x?xf32>, %n: tensor<?xi8>) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) {{
  %c0 = arith.constant 0 : index
  %queries = tensor.dim %i, %c0 : tensor<?xi64>
  %keys = tensor.dim %j, %c0 : tensor<?xi64>
  %K = "pit.block_mask"(%queries, %keys) ({{
    %qi = "pit.element"(%i) {{map = affine_map<(q, k) -> (q)>, compact = false}} : (tensor<?xi64>) -> i64
    %kj = "pit.element"(%j) {{map = affine_map<(q, k) -> (k)>, compact = false}} : (tensor<?xi64>) -> i64
    %qf = "pit.element"(%f) {{map = affine_map<(q, k) -> (q)>, compact = false}} : (tensor<?xi1>) -> i1
    %kg = "pit.element"(%g) {{map = affine_map<(q, k) -> (k)>, compact = false}} : (tensor<?xi1>) -> i1
    %mm = "pit.element"(%m) {{map = affine_map<(q, k) -> (q, k)>, compact = false}} : (tensor<?x?xi1>) -> i1
    %aa = "pit.element"(%a) {{map = affine_map<(q, k) -> (q, k)>, compact = false}} : (tensor<?x?xf32>) -> f32
    %nn = "pit.element"(%n) {{map = affine_map<(q, k) -> (k)>, compact = false}} : (tensor<?xi8>) -> i8
    %true = arith.constant true
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %lowest = arith.constant -3.0e+38 : f32
    %c3 = arith.constant 3 : i64
    %c0_i8 = arith.constant 0 : i8
    %low = arith.constant -1.0e+30 : f32
    {body}
    "pit.yield"(%live) : (i1) -> ()
  }}) {{block = array<i64: 8, 8>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>}} : (index, index) -> !pit.index
  %b, %c, %e, %s = "pit.lists"(%K) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return %b, %c, %e : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>
}}
"""

EXACT = {
    "causal": ("%live = arith.cmpi sge, %qi, %kj : i64", lambda i, j, f, g, m, a, n: i >= j),
    "window": (
        """%d = arith.subi %qi, %kj : i64
           %abs = math.absi %d : i64
           %live = arith.cmpi slt, %abs, %c3 : i64""",
        lambda i, j, f, g, m, a, n: abs(i - j) < 3,
    ),
    "global": ("%live = arith.ori %qf, %kg : i1", lambda i, j, f, g, m, a, n: f | g),
    "both": ("%live = arith.andi %qf, %kg : i1", lambda i, j, f, g, m, a, n: f & g),
    "mask": ("%live = arith.xori %mm, %true : i1", lambda i, j, f, g, m, a, n: ~m),
    "added": ("%live = arith.cmpf ugt, %aa, %low : f32", lambda i, j, f, g, m, a, n: ~(a <= -1e30)),
    "old": (
        """%x = arith.uitofp %kg : i1 to f32
           %y = arith.subf %one, %x : f32
           %z = arith.mulf %y, %lowest : f32
           %live = arith.cmpf ugt, %z, %low : f32""",
        lambda i, j, f, g, m, a, n: g | (i < i - 1),
    ),
    "number": ("%live = arith.cmpi ne, %nn, %c0_i8 : i8", lambda i, j, f, g, m, a, n: (n != 0) | (i < i - 1)),
}
SOUND = {
    "different": ("%live = arith.cmpi ne, %qi, %kj : i64", lambda i, j, f, g, m, a, n: i != j),
    "blocks": (
        """%x = arith.floordivsi %qi, %c3 : i64
           %y = arith.floordivsi %kj, %c3 : i64
           %live = arith.cmpi eq, %x, %y : i64""",
        lambda i, j, f, g, m, a, n: i // 3 == j // 3,
    ),
    "select": (
        """%x = arith.select %mm, %qi, %kj : i64
           %y = arith.minsi %x, %c3 : i64
           %live = arith.cmpi sgt, %y, %qi : i64""",
        lambda i, j, f, g, m, a, n: numpy.minimum(numpy.where(m, i, j), 3) > i,
    ),
    "product": (
        """%x = arith.muli %qi, %kj : i64
           %y = arith.trunci %x : i64 to i8
           %live = arith.cmpi sgt, %y, %nn : i8""",
        lambda i, j, f, g, m, a, n: (i * j).astype(numpy.int8) > n,
    ),
    "unsigned": (
        """%x = arith.addi %qi, %kj : i64
           %live = arith.cmpi ult, %x, %c3 : i64""",
        lambda i, j, f, g, m, a, n: (i + j).astype(numpy.uint64) < 3,
    ),
    "remainder": (
        """%x = arith.remsi %qi, %c3 : i64
           %live = arith.cmpi eq, %x, %kj : i64""",
        lambda i, j, f, g, m, a, n: numpy.fmod(i, 3) == j,
    ),
    "exclusive": ("%live = arith.xori %qf, %mm : i1", lambda i, j, f, g, m, a, n: f ^ m),
    "not both": (
        """%x = arith.andi %qf, %kg : i1
           %y = arith.cmpf ogt, %aa, %zero : f32
           %z = arith.ori %x, %y : i1
           %live = arith.xori %z, %true : i1""",
        lambda i, j, f, g, m, a, n: ~((f & g) | (a > 0)),
    ),
}


@cache
def program(body: str) -> Program:
    """The lists of a body, compiled once."""
    context = make_context()
    with context:
        return build_program(ir.Module.parse(TEXT.format(body=body)))


def listed(program: Program, *arrays: numpy.ndarray) -> numpy.ndarray:
    """Which blocks are listed; each once, in ascending order."""
    begin, count, entries = program.run_numpy(*arrays)
    rows, columns = (-(-len(axis) // BLOCK) for axis in arrays[:2])
    found = numpy.zeros((rows, columns), bool)
    for segment in range(rows):
        own = entries[begin[segment] : begin[segment] + count[segment]]
        assert (numpy.diff(own) > 0).all()
        found[segment, own] = True
    return found


def blocks_of(live: numpy.ndarray) -> Any:
    """Whether any pair of each block is live."""
    rows, columns = (-(-size // BLOCK) for size in live.shape)
    padded = numpy.zeros((rows * BLOCK, columns * BLOCK), bool)
    padded[: live.shape[0], : live.shape[1]] = live
    return padded.reshape(rows, BLOCK, columns, BLOCK).any((1, 3))


def arrays_of(queries: int, keys: int, seed: int, sorted_: bool) -> list[numpy.ndarray]:
    """Positions, in order or not, flags, masks, numbers that are added: random, with NaN and lowest among them."""
    random = numpy.random.default_rng(seed)
    i, j = (random.integers(-9, 40, size) for size in (queries, keys))
    if sorted_:
        i, j = numpy.arange(queries), numpy.arange(keys)
    f, g = (random.random(size) < random.choice([0.0, 0.05, 1.0]) for size in (queries, keys))
    m = random.random((queries, keys)) < random.choice([0.0, 0.02, 1.0])
    a = random.choice([-numpy.inf, -3e38, -1e30, 0.5], (queries, keys), p=[0.6, 0.3, 0.09, 0.01])
    a[random.random(a.shape) < 0.005] = numpy.nan
    n = random.integers(-128, 128, keys).astype(numpy.int8) * (random.random(keys) < 0.1)
    return [i, j, f, g, m, a.astype(numpy.float32), n.astype(numpy.int8)]


def pairs(arrays: list[numpy.ndarray]) -> list[numpy.ndarray]:
    """The elements of each pair."""
    i, j, f, g, m, a, n = arrays
    shape = m.shape
    wide = (i[:, None], j[None], f[:, None], g[None], m, a, n[None])
    return [numpy.broadcast_to(x, shape) for x in wide]


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**31), st.just(True))
def test_exact(name: str, queries: int, keys: int, seed: int, in_order: bool) -> None:
    """Comparisons of positions in order, flags and masks: the live blocks and no others."""
    body, live = EXACT[name]
    arrays = arrays_of(queries, keys, seed, in_order)
    numpy.testing.assert_array_equal(listed(program(body), *arrays), blocks_of(live(*pairs(arrays))))


@pytest.mark.parametrize("name", SOUND)
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**31), st.booleans())
def test_sound(name: str, queries: int, keys: int, seed: int, in_order: bool) -> None:
    """Any body: the live blocks, and perhaps others."""
    body, live = SOUND[name]
    arrays = arrays_of(queries, keys, seed, in_order)
    expected = blocks_of(live(*pairs(arrays)))
    assert (listed(program(body), *arrays) | ~expected).all()


def test_large_numbers_do_not_wrap() -> None:
    """A difference that leaves i64 may be anything."""
    body = EXACT["window"][0]
    i = numpy.array([2**63 - 1, 5] * 4)
    j = numpy.array([-(2**63), -(2**63) + 1] * 4)
    rest = arrays_of(8, 8, 0, True)[2:]
    assert listed(program(body), i, j, *rest).all()

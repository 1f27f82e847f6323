"""Images are what the program computes: random bodies, some inputs known, the rest anything finite."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.analysis.expressions import Leaf, body_expression
from pit_mlir.analysis.images import Abstract, Finite, Known, NonZero, Unknown, image
from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.dialect.structured import Structured
from tests.interpreter import run

FLOAT_OPS = ("addf", "subf", "mulf", "divf", "maximumf", "minimumf", "negf", "exp", "tanh", "select", "cast")
BOOL_OPS = ("andi", "ori", "xori", "cmpf", "cmpi", "not")
STEP = st.tuples(st.sampled_from(FLOAT_OPS + BOOL_OPS), *[st.integers(0, 100)] * 3)
COUNT = 24


def body_text(steps: list[tuple[str, int, int, int]]) -> str:
    """A body over %x, %y: f32, %m, %n: i1, %i: i64 whose last float is the result; numbers pick operands."""
    floats, bools, ints = (
        ["%x", "%y", "%zero", "%one", "%ninf", "%low", "%tiny"],
        ["%m", "%n", "%true"],
        ["%i", "%c0"],
    )
    lines: list[str] = []
    for number, (name, a, b, c) in enumerate(steps):
        result = f"%t{number}"
        x, y = floats[a % len(floats)], floats[b % len(floats)]
        p, q = bools[a % len(bools)], bools[b % len(bools)]
        choose = {
            "negf": f"arith.negf {x} : f32",
            "exp": f"math.exp {x} : f32",
            "tanh": f"math.tanh {x} : f32",
            "select": f"arith.select {bools[c % len(bools)]}, {x}, {y} : f32",
            "cast": f"arith.sitofp {ints[a % len(ints)]} : i64 to f32"
            if c % 2
            else f"arith.uitofp {p} : i1 to f32",
            "cmpf": f"arith.cmpf {('ogt', 'ule', 'oeq', 'une')[c % 4]}, {x}, {y} : f32",
            "cmpi": f"arith.cmpi {('eq', 'ne', 'slt', 'sge')[c % 4]}, {ints[a % 2]}, {ints[b % 2]} : i64",
            "not": f"arith.xori {p}, %true : i1",
        }
        kind = "i1" if name in BOOL_OPS else "f32"
        operands = f"{p}, {q}" if kind == "i1" else f"{x}, {y}"
        lines.append(f"{result} = {choose.get(name, f'arith.{name} {operands} : {kind}')}")
        (bools if kind == "i1" else floats).append(result)
    return "\n    ".join([*lines, f"linalg.yield {floats[-1]} : f32"])


def program(steps: list[tuple[str, int, int, int]]) -> str:
    maps = ", ".join(["affine_map<(d) -> (d)>"] * 6)
    types = "tensor<?xf32>, tensor<?xf32>, tensor<?xi1>, tensor<?xi1>, tensor<?xi64>"
    return f"""
func.func @main(%a: tensor<?xf32>, %b: tensor<?xf32>, %c: tensor<?xi1>, %d: tensor<?xi1>, %e: tensor<?xi64>)
    -> tensor<?xf32> {{
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %low = arith.constant -3.4e38 : f32
  %tiny = arith.constant 1.0e-37 : f32
  %true = arith.constant true
  %c0 = arith.constant 0 : i64
  %r = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
      ins(%a, %b, %c, %d, %e : {types}) outs(%a : tensor<?xf32>) {{
  ^bb0(%x: f32, %y: f32, %m: i1, %n: i1, %i: i64, %o: f32):
    {body_text(steps)}
  }} -> tensor<?xf32>
  return %r : tensor<?xf32>
}}"""


def known_of(position: int, choice: int) -> Abstract | None:
    """What is said of input `position`: nothing, a number, or a property."""
    if position < 2:
        return (None, Known(0), Finite(), Known(1))[choice % 4]
    return (None, Known(0), Known(1) if position < 4 else NonZero())[choice % 3]


@given(
    st.lists(STEP, min_size=1, max_size=8),
    st.lists(st.integers(0, 11), min_size=5, max_size=5),
    st.integers(0, 99),
)
@settings(max_examples=200, deadline=None)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_images_are_what_is_computed(
    steps: list[tuple[str, int, int, int]], choices: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    arrays = [
        rng.normal(size=COUNT) * 4,
        rng.normal(size=COUNT) * 4,
        rng.random(COUNT) < 0.5,
        rng.random(COUNT) < 0.5,
    ]
    arrays.append(rng.integers(1, 4, COUNT) * rng.choice([-1, 1], COUNT))
    known = {
        position: said for position, choice in enumerate(choices) if (said := known_of(position, choice))
    }
    for position, said in known.items():
        if isinstance(said, Known):
            arrays[position] = np.full(COUNT, said.value).astype(arrays[position].dtype)
    if 4 not in known:
        arrays[4][::3] = 0
    with make_context():
        module = ir.Module.parse(program(steps))
        block = module.body.operations[0].regions[0].blocks[0]
        view = next(view for op in block.operations if (view := Structured.of(op)) is not None)
        leaves = [Leaf(value, (0,)) for value in view.inputs]
        expression = body_expression(view, 0, lambda number: leaves[number])
        found = image(expression, {leaves[position]: said for position, said in known.items()}).value
        computed = run(module, *arrays)[0]
    # What is not a number relied on an assumption: a finite operand, a divisor that is not 0.
    computed = computed[~np.isnan(computed)]
    if found == Known(-math.inf):
        assert (computed < -1e14).all(), "neither -inf nor what a lowest constant makes"
    elif isinstance(found, Known):
        np.testing.assert_allclose(computed, float(found.value), rtol=1e-6, atol=1e-9)
    if isinstance(found, Finite):
        assert np.isfinite(computed).all()
    if isinstance(found, NonZero):
        assert (computed != 0).all()


LOWEST = {
    "added": ("%t = arith.addf %x, %low : f32", Known(-math.inf)),
    "scaled": ("%s = arith.addf %x, %low : f32\n %t = arith.mulf %s, %one : f32", Known(-math.inf)),
    "in an exponential": ("%s = arith.addf %x, %low : f32\n %t = math.exp %s : f32", Known(0)),
    "scaled away": ("%s = arith.addf %x, %low : f32\n %t = arith.mulf %s, %tiny : f32", Unknown()),
    "taken off again": ("%s = arith.addf %x, %low : f32\n %t = arith.subf %s, %low : f32", Unknown()),
    "no infinity": ("%s = arith.addf %x, %low : f32\n %p = arith.cmpf oeq, %s, %ninf : f32\n"
                    " %t = arith.uitofp %p : i1 to f32", Known(0)),
}  # fmt: skip


@pytest.mark.parametrize("body", LOWEST, ids=str)
def test_lowest_constants_count_as_infinite_only_where_that_does_not_show(body: str) -> None:
    text, expected = LOWEST[body]
    with make_context():
        module = ir.Module.parse(program([]).replace("linalg.yield %tiny", f"{text}\n linalg.yield %t"))
        block = module.body.operations[0].regions[0].blocks[0]
        view = next(view for op in block.operations if (view := Structured.of(op)) is not None)
        leaves = [Leaf(value, (0,)) for value in view.inputs]
        found = image(body_expression(view, 0, lambda number: leaves[number]), {leaves[0]: Finite()})
    assert found.value == expected

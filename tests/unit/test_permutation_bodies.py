"""Reduction bodies as imported models have them: order-free or not, and at which values an input is neutral."""

import math

import pytest
from structured_text import Operand, generic, with_op

from pit_mlir.analysis.facts import Assumption
from pit_mlir.analysis.permutation import prove

INF = math.inf
LEAST = -(1 << 63)

BFLOAT_SUM = """
  %e = arith.extf %a0 : bf16 to f32
  %f = arith.extf %x0 : bf16 to f32
  %g = arith.addf %e, %f : f32
  %r = arith.truncf %g : f32 to bf16
  yield %r : bf16"""
BFLOAT_PRODUCT = """
  %e = arith.extf %x0 : bf16 to f32
  %f = arith.extf %x1 : bf16 to f32
  %g = arith.mulf %e, %f : f32
  %r = arith.addf %a0, %g : f32
  yield %r : f32"""
BYTES = """
  %e = arith.extsi %x0 : i8 to i32
  %f = arith.extsi %x1 : i8 to i32
  %g = arith.muli %e, %f : i32
  %r = arith.addi %a0, %g : i32
  yield %r : i32"""
SHORT_PRODUCT = """
  %e = arith.extsi %x0 : i16 to i32
  %f = arith.extsi %a0 : i16 to i32
  %g = arith.muli %e, %f : i32
  %r = arith.trunci %g : i32 to i16
  yield %r : i16"""
SELECT_MAX = "%c = arith.cmpf {p}, %x0, %a0 : f32\n%r = arith.select %c, %x0, %a0 : f32\nyield %r : f32"
NAN_MAX = """
  %c = arith.cmpf ugt, %x0, %a0 : f32
  %s = arith.select %c, %x0, %a0 : f32
  %n = arith.cmpf uno, %a0, %a0 : f32
  %r = arith.select %n, %a0, %s : f32
  yield %r : f32"""
ARGMAX = """
  %m = arith.maximumf %x0, %a0 : f32
  %c = arith.cmpf ogt, %x0, %a0 : f32
  %s = arith.select %c, %x1, %a1 : i64
  yield %m, %s : f32, i64"""
INTEGER_ARGMAX = """
  %m = arith.maxsi %x0, %a0 : i64
  %c = arith.cmpi sgt, %x0, %a0 : i64
  %s = arith.select %c, %x1, %a1 : i64
  yield %m, %s : i64, i64"""
LOWER_ARGMAX = """
  %m = arith.maximumf %x0, %a0 : f32
  %c = arith.cmpf ogt, %x0, %a0 : f32
  %e = arith.cmpf oeq, %x0, %a0 : f32
  %l = arith.minsi %x1, %a1 : i64
  %t = arith.select %c, %x1, %a1 : i64
  %s = arith.select %e, %l, %t : i64
  yield %m, %s : f32, i64"""
ALL_INFINITE = """
  %i = arith.constant 0xFF800000 : f32
  %c = arith.cmpf oeq, %x0, %i : f32
  %r = arith.andi %a0, %c : i1
  yield %r : i1"""
POWER = """
  %two = arith.constant 2 : i32
  %b = math.absf %x0 : f32
  %p = math.fpowi %b, %two : f32, i32
  %r = arith.addf %a0, %p : f32
  yield %r : f32"""
RELU_PRODUCT = """
  %z = arith.constant 0.0 : f32
  %c = arith.cmpf ugt, %x0, %z : f32
  %h = arith.select %c, %x0, %z : f32
  %p = arith.mulf %h, %x1 : f32
  %r = arith.addf %a0, %p : f32
  yield %r : f32"""
GELU_PRODUCT = """
  %c = arith.constant 0.707 : f32
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %s = arith.mulf %x0, %c : f32
  %e = math.erf %s : f32
  %t = arith.addf %e, %one : f32
  %u = arith.mulf %t, %half : f32
  %h = arith.mulf %x0, %u : f32
  %p = arith.mulf %h, %x1 : f32
  %r = arith.addf %a0, %p : f32
  yield %r : f32"""
BIASED = """
  %z = arith.constant 0.0 : f32
  %b = arith.addf %x0, %x1 : f32
  %c = arith.cmpf ugt, %b, %z : f32
  %h = arith.select %c, %b, %z : f32
  %p = arith.mulf %h, %x2 : f32
  %r = arith.addf %a0, %p : f32
  yield %r : f32"""
ONE_HOT = """
  %c = arith.cmpi eq, %x0, %x1 : i64
  %u = arith.uitofp %c : i1 to f32
  %p = arith.mulf %u, %x2 : f32
  %q = arith.mulf %p, %x3 : f32
  %r = arith.addf %a0, %q : f32
  yield %r : f32"""
QUOTIENT = """
  %d = arith.divf %x0, %x1 : f32
  %p = arith.mulf %d, %x2 : f32
  %r = arith.addf %a0, %p : f32
  yield %r : f32"""
MOMENTS = """
  %q = arith.mulf %x0, %x0 : f32
  %s = arith.addf %a0, %x0 : f32
  %t = arith.addf %a1, %q : f32
  yield %s, %t : f32, f32"""
ONLINE_SOFTMAX = """
  %m = arith.maximumf %a0, %x0 : f32
  %d = arith.subf %a0, %m : f32
  %e = math.exp %d : f32
  %f = arith.subf %x0, %m : f32
  %g = math.exp %f : f32
  %h = arith.mulf %a1, %e : f32
  %s = arith.addf %h, %g : f32
  yield %m, %s : f32, f32"""
ONLINE_ATTENTION = ONLINE_SOFTMAX.replace(
    "yield %m, %s : f32, f32",
    """
  %k = arith.mulf %a2, %e : f32
  %l = arith.mulf %g, %x1 : f32
  %o = arith.addf %k, %l : f32
  yield %m, %s, %o : f32, f32, f32""",
)
SCALED_WRONG = ONLINE_SOFTMAX.replace("arith.mulf %a1, %e", "arith.mulf %a1, %g")
LOG_SUM_EXP = """
  %e = math.exp %a0 : f32
  %f = math.exp %x0 : f32
  %g = arith.addf %e, %f : f32
  %r = math.log %g : f32
  yield %r : f32"""
SQUARED_DIFFERENCE = """
  %d = arith.subf %x0, %x1 : f32
  %q = arith.mulf %d, %d : f32
  %r = arith.addf %a0, %q : f32
  yield %r : f32"""


def binary(name: str, type_: str = "f32") -> str:
    return f"%r = arith.{name} %a0, %x0 : {type_}\nyield %r : {type_}"


CASES: list[tuple[str, str, str, str, str | None, list[set[float]]]] = [
    # name, types of inputs and of accumulators, body, whether it is order-free, neutral values
    ("sum f32", "f32", "f32", binary("addf"), "yes", [{0}]),
    ("sum f64", "f64", "f64", binary("addf", "f64"), "yes", [{0}]),
    ("sum bf16", "bf16", "bf16", BFLOAT_SUM, "yes", [{0}]),
    ("contraction bf16", "bf16 bf16", "f32", BFLOAT_PRODUCT, "yes", [{0}, {0}]),
    ("contraction i8", "i8 i8", "i32", BYTES, "yes", [{0}, {0}]),
    ("product f32", "f32", "f32", binary("mulf"), "yes", [{1}]),
    ("product i64", "i64", "i64", binary("muli", "i64"), "yes", [{1}]),
    ("product i16 through i32", "i16", "i16", SHORT_PRODUCT, "yes", [{1}]),
    ("maximumf", "f32", "f32", binary("maximumf"), "yes", [{-INF}]),
    ("minimumf", "f32", "f32", binary("minimumf"), "yes", [{INF}]),
    ("maxnumf", "f32", "f32", binary("maxnumf"), "yes", [{-INF}]),
    ("select ogt", "f32", "f32", SELECT_MAX.format(p="ogt"), "yes", [{-INF}]),
    ("select ugt", "f32", "f32", SELECT_MAX.format(p="ugt"), "yes", [{-INF}]),
    ("select ugt, uno", "f32", "f32", NAN_MAX, "yes", [{-INF}]),
    ("argmax", "f32 i64", "f32 i64", ARGMAX, None, [{-INF}, set()]),
    ("argmax i64", "i64 i64", "i64 i64", INTEGER_ARGMAX, None, [{LEAST}, set()]),
    ("argmax, lower ties", "f32 i64", "f32 i64", LOWER_ARGMAX, "yes", [set(), set()]),
    ("sum i64", "i64", "i64", binary("addi", "i64"), "yes", [{0}]),
    ("xor", "i64", "i64", binary("xori", "i64"), "yes", [{0}]),
    ("maxsi", "i64", "i64", binary("maxsi", "i64"), "yes", [{LEAST}]),
    ("any", "i1", "i1", binary("ori", "i1"), "yes", [{0}]),
    ("all", "i1", "i1", binary("andi", "i1"), "yes", [{1}]),
    ("and", "i32", "i32", binary("andi", "i32"), "yes", [{-1}]),
    ("all -inf", "f32", "i1", ALL_INFINITE, "yes", [{-INF}]),
    ("sum of squares", "f32", "f32", POWER, "yes", [{0}]),
    ("relu contraction", "f32 f32", "f32", RELU_PRODUCT, "yes", [{0, -INF}, {0}]),
    ("gelu contraction", "f32 f32", "f32", GELU_PRODUCT, "yes", [{0}, {0}]),
    ("biased relu contraction", "f32 f32 f32", "f32", BIASED, "yes", [{-INF}, {-INF}, {0}]),
    ("one-hot contraction", "i64 i64 f32 f32", "f32", ONE_HOT, "yes", [set(), set(), {0}, {0}]),
    ("quotient", "f32 f32 f32", "f32", QUOTIENT, "yes", [{0}, {INF, -INF}, {0}]),
    ("acc - x", "f32", "f32", binary("subf"), "yes", [{0}]),
    ("two moments", "f32", "f32 f32", MOMENTS, "yes", [{0}]),
    ("acc / x", "f32", "f32", binary("divf"), "yes", [{1}]),
    ("squared differences", "f32 f32", "f32", SQUARED_DIFFERENCE, "yes", [set(), set()]),
    ("last writer", "f32", "f32", "yield %x0 : f32", None, [set()]),
    ("online softmax", "f32", "f32 f32", ONLINE_SOFTMAX, "yes", [set()]),
    ("online softmax in base 2", "f32", "f32 f32", ONLINE_SOFTMAX.replace("exp", "exp2"), "yes", [set()]),
    ("online attention", "f32 f32", "f32 f32 f32", ONLINE_ATTENTION, "yes", [set(), set()]),
    ("online softmax, scaled wrong", "f32", "f32 f32", SCALED_WRONG, None, [set()]),
    ("log of a sum of exp", "f32", "f32", LOG_SUM_EXP, None, [set()]),
]


@pytest.mark.parametrize(
    ("inputs", "outputs", "body", "order_free", "neutral"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_body(
    inputs: str, outputs: str, body: str, order_free: str | None, neutral: list[set[float]]
) -> None:
    ins: list[Operand] = [("d0, d1", type_) for type_ in inputs.split()]
    outs: list[Operand] = [("d0", type_) for type_ in outputs.split()]
    proof = with_op(generic(ins, outs, body, iterators=2), prove)
    assert proof is not None
    assert proof.axes[1].verdict == ("reduction" if order_free else "none"), proof.axes[1]
    assert [set(values) for values in proof.neutral] == neutral
    assert list(proof.annihilates) == [0 in values for values in neutral]


def test_quotient_assumes_a_denominator() -> None:
    text = generic([("d0, d1", "f32")] * 3, [("d0", "f32")], QUOTIENT, iterators=2)
    proof = with_op(text, prove)
    assert proof is not None
    assert Assumption.NONZERO_DENOMINATOR in proof.assumptions["input 0 = 0.0"]


@pytest.mark.parametrize("time_ms", [1, 30])
def test_law_of_exponentials_needs_time(time_ms: int) -> None:
    text = generic([("d0, d1", "f32")], [("d0", "f32")] * 2, ONLINE_SOFTMAX, iterators=2)
    proof = with_op(text, lambda op: prove(op, timeout_ms=time_ms))
    assert proof is not None
    assert proof.axes[1].verdict == "none"
    assert proof.axes[1].reason.startswith("not proved that the order does not matter")


def test_what_no_axiom_tells_is_not_proved() -> None:
    text = generic([("d0, d1", "f32")], [("d0", "f32")], LOG_SUM_EXP, iterators=2)
    proof = with_op(text, prove)
    assert proof is not None
    assert proof.axes[1].reason == "not proved that the order does not matter"
    assert proof.axes[1].counterexample is None

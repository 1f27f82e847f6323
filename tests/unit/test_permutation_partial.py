"""Bodies in which finite numbers become NaN or infinities, or these become numbers: what is claimed and assumed."""

import math

import pytest
from structured_text import Operand, generic, with_op

from pit_mlir.analysis.facts import Assumption, Proof
from pit_mlir.analysis.permutation import prove

TURN = "%d = arith.subf %x0, %a0 : f32\n%r = arith.select %p, %d, %a0 : f32\nyield %r : f32"
"""x - acc where %p, which depends on the order where %p is not always false."""


def reduced(inputs: str, body: str, accumulator: str = "f32") -> Proof:
    """The proof of `body` reduced along d1."""
    operands: list[Operand] = [("d0, d1", type_) for type_ in inputs.split()]
    proof = with_op(generic(operands, [("d0", accumulator)], body, iterators=2), prove)
    assert proof is not None
    return proof


@pytest.mark.parametrize(
    ("inputs", "condition"),
    [
        ("f32", "%s, %c = math.sincos %x0 : f32\n%p = arith.cmpf ogt, %s, %c : f32"),
        ("f32 i32", "%b = arith.bitcast %x1 : i32 to f32\n%p = math.isnan %b : f32"),
        (
            "f32",
            "%h = arith.constant 100.0 : f32\n%g = arith.addf %x0, %h : f32\n"
            "%s = math.sqrt %g : f32\n%p = math.isnan %s : f32",
        ),
    ],
    ids=["sine and cosine", "bits", "root"],
)
def test_order_matters_where_a_function_has_several_values_or_none(inputs: str, condition: str) -> None:
    assert reduced(inputs, f"{condition}\n{TURN}").axes[1].verdict == "none"


@pytest.mark.parametrize(
    ("type_", "factor"),
    [
        ("i32", "%f = arith.bitcast %x1 : i32 to f32"),
        ("f32", "%h = arith.constant 10.0 : f32\n%g = arith.addf %x1, %h : f32\n%f = math.log %g : f32"),
        ("f32", "%h = arith.constant 9.5 : f32\n%g = arith.addf %x1, %h : f32\n%f = math.rsqrt %g : f32"),
        ("f32", "%h = arith.constant 0.3 : f32\n%f = arith.remf %h, %x1 : f32"),
        ("f32", "%h = arith.constant -1.0 : f32\n%f = math.powf %x1, %h : f32"),
    ],
    ids=["bits", "logarithm", "root", "remainder", "power"],
)
def test_zero_times_what_may_be_infinite_is_not_zero(type_: str, factor: str) -> None:
    body = "%m = arith.mulf %x0, %f : f32\n%r = arith.addf %a0, %m : f32\nyield %r : f32"
    proof = reduced(f"f32 {type_}", f"{factor}\n{body}")
    assert proof.axes[1].verdict == "reduction"
    assert not proof.annihilates[0]
    assert proof.masks[0] == {}


def test_zero_times_what_is_finite_is_zero() -> None:
    body = "%f = math.tanh %x1 : f32\n%m = arith.mulf %x0, %f : f32\n%r = arith.addf %a0, %m : f32\nyield %r : f32"
    assert reduced("f32 f32", body).annihilates[0]


def test_the_first_finite_one_depends_on_the_order() -> None:
    body = "%p = math.isfinite %a0 : f32\n%r = arith.select %p, %a0, %x0 : f32\nyield %r : f32"
    axis = reduced("f32", body).axes[1]
    assert axis.verdict == "none"
    assert axis.counterexample is not None


def test_what_hides_an_infinity_assumes_finite_data() -> None:
    body = """
      %p = math.isfinite %x0 : f32
      %s = arith.addf %x0, %a0 : f32
      %c = arith.constant 7.0 : f32
      %r = arith.select %p, %s, %c : f32
      yield %r : f32"""
    assert reduced("f32", body).axes[1].assumptions == {Assumption.FINITE_DATA}


def test_constants_that_no_double_holds() -> None:
    body = "%c = arith.constant 1.0e400 : f128\n%r = arith.addf %a0, %c : f128\nyield %r : f128"
    assert "f128" in reduced("f128", body, "f128").axes[1].reason


@pytest.mark.parametrize(
    ("type_", "name", "neutral"),
    [
        ("f8E4M3FN", "maximumf", set[float]()),
        ("f8E5M2", "maximumf", {-math.inf}),
        ("f8E8M0FNU", "addf", set[float]()),
        ("f8E8M0FNU", "mulf", {1.0}),
    ],
)
def test_values_that_a_type_lacks_are_not_neutral(type_: str, name: str, neutral: set[float]) -> None:
    proof = reduced(type_, f"%r = arith.{name} %a0, %x0 : {type_}\nyield %r : {type_}", type_)
    assert proof.neutral[0] == neutral

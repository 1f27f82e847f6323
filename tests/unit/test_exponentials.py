"""The law of exponentials by cases: what follows is proved, what does not is not."""

import pytest

from pit_mlir.analysis import smt
from pit_mlir.analysis.exponentials import ask_by_cases
from pit_mlir.analysis.smt import Bool, Real

U, V, W = (smt.real_variable(name) for name in "uvw")


def exp(x: Real, name: str = "math.exp") -> Real:
    return smt.call(name, [smt.real(x)], "real")


def largest(x: Real, y: Real) -> Real:
    return smt.choose_real(smt.relation("gt", x, y), x, y)


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (exp(U + V) == exp(U) * exp(V), True),
        (exp(U - V) * exp(V - W) == exp(U - W), True),
        (exp(2 * U) == exp(U) * exp(U), True),
        (exp(U - U) == smt.real(smt.Fraction(1)), True),
        (exp(U, "math.exp2") * exp(-U, "math.exp2") == smt.real(smt.Fraction(1)), True),
        (exp(U - largest(U, V)) * exp(largest(U, V)) == exp(U), True),
        (exp(largest(U, V)) == largest(exp(U), exp(V)), False),  # that it grows is no part of the law
        (exp(U + V) == exp(U) + exp(V), False),
        (exp(U) == exp(U, "math.exp2"), False),
        (exp(largest(U, V)) == exp(U), False),
        (exp(exp(U) + V) == exp(exp(U)) * exp(V), True),
        (exp(exp(U)) == exp(U), False),
    ],
)
def test_claim(claim: Bool, holds: bool) -> None:
    assert ask_by_cases(claim, [], 5000).verdict == ("proved" if holds else "unknown")


def test_no_time_is_no_proof() -> None:
    assert ask_by_cases(exp(U - largest(U, V)) * exp(largest(U, V)) == exp(U), [], 0).verdict == "unknown"

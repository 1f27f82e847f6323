"""Floats as machines have them: which reductions of imported models stay order-free to the last bit."""

import pytest
from structured_text import generic, with_op
from test_permutation_bodies import CASES

from pit_mlir.analysis.facts import Axis
from pit_mlir.analysis.permutation import prove

EXACT = (
    *(
        "contraction i8",
        "product i64",
        "product i16 through i32",
        "maximumf",
        "minimumf",
        "maxnumf",
        "sum i64",
    ),
    *("xor", "maxsi", "any", "all", "and", "all -inf"),
)
"""Bodies that do not round. A maximum by `select` is not among them: it keeps the first of +0 and -0."""
ROUNDING = (
    *("sum f32", "sum f64", "sum bf16", "product f32", "sum of squares", "acc - x", "two moments", "acc / x"),
    "online softmax",
)
FORGETFUL = (
    *("select ogt", "select ugt", "select ugt, uno", "argmax", "argmax i64", "argmax, lower ties"),
    "last writer",
)


def strict_axis(name: str) -> Axis:
    inputs, outputs, body = next(case[1:4] for case in CASES if case[0] == name)
    outs = [("d0", type_) for type_ in outputs.split()]
    text = generic([("d0, d1", type_) for type_ in inputs.split()], outs, body, iterators=2)
    proof = with_op(text, lambda op: prove(op, floats="strict"))
    assert proof is not None
    return proof.axes[1]


@pytest.mark.parametrize("name", EXACT)
def test_order_free_to_the_last_bit(name: str) -> None:
    axis = strict_axis(name)
    assert (axis.verdict, axis.assumptions) == ("reduction", frozenset())


@pytest.mark.parametrize("name", (*ROUNDING, *FORGETFUL))
def test_order_matters_and_numbers_show_it(name: str) -> None:
    axis = strict_axis(name)
    assert axis.verdict == "none"
    shown = str(axis.counterexample)
    one, other = shown.split("x then y gives ")[1].split(", y then x gives ")
    assert one != other, shown


@pytest.mark.parametrize("name", ["select ogt", "select ugt", "argmax, lower ties"])
def test_what_reals_do_not_have_is_in_the_counterexample(name: str) -> None:
    # Which of the two the solver takes is its own choice.
    shown = str(strict_axis(name).counterexample)
    assert "-0" in shown or "nan" in shown

"""Lowest constants: those of masks count as -inf, those that a body shows to be finite do not."""

import pytest
from structured_text import Operand as Given
from structured_text import generic, with_op

from pit_mlir.analysis.facts import Assumption, Operand
from pit_mlir.analysis.permutation import deltas, image, masks, prove
from pit_mlir.analysis.special_values import LOWEST

CONSTANTS = (
    "%zero = arith.constant 0.0 : f32\n"
    "%low = arith.constant -1.0e30 : f32\n"
    "%high = arith.constant 1.0e30 : f32\n"
    "%tiny = arith.constant 1.0e-30 : f32\n"
    "%small = arith.constant 1.0e-10 : f32\n"
)
MAXIMUM = "%r = arith.maximumf %a0, %q : f32\nyield %r : f32"
FINITE_EFFECTS = {
    "scaled back": "%s = arith.addf %x0, %low : f32\n%q = arith.mulf %s, %tiny : f32\n",
    "scaled back in steps": (
        "%s = arith.addf %x0, %low : f32\n%t = arith.mulf %s, %small : f32\n"
        "%u = arith.mulf %t, %small : f32\n%q = arith.mulf %u, %small : f32\n"
    ),
    "divided": "%s = arith.addf %x0, %low : f32\n%q = arith.divf %s, %high : f32\n",
    "added back": "%s = arith.addf %x0, %low : f32\n%q = arith.addf %s, %high : f32\n",
    "taken away": "%s = arith.addf %x0, %low : f32\n%q = arith.subf %s, %low : f32\n",
    "its reciprocal": (
        "%s = arith.addf %x0, %low : f32\n%i = arith.divf %low, %s : f32\n%q = arith.negf %i : f32\n"
    ),
    "compared": (
        "%s = arith.addf %zero, %low : f32\n%c = arith.cmpf oeq, %s, %low : f32\n"
        "%q = arith.select %c, %x0, %low : f32\n"
    ),
}
MASKED = {
    "select": "%m = arith.select %x1, %zero, %low : f32\n%q = arith.addf %x0, %m : f32\n",
    "subtracted": "%m = arith.select %x1, %zero, %high : f32\n%q = arith.subf %x0, %m : f32\n",
}


def reduction(body: str, *types: str) -> str:
    inputs: list[Given] = [("d0, d1", type_) for type_ in types]
    return generic(inputs, [("d0", "f32")], CONSTANTS + body + MAXIMUM, iterators=2)


@pytest.mark.parametrize("body", FINITE_EFFECTS.values(), ids=FINITE_EFFECTS)
def test_a_lowest_constant_that_shows_is_a_number(body: str) -> None:
    proof = with_op(reduction(body, "f32"), prove)
    assert proof is not None
    assert 0 not in proof.neutral[0]
    assert all(Assumption.LOWEST_IS_INF not in under for under in proof.assumptions.values())


@pytest.mark.parametrize("body", MASKED.values(), ids=MASKED)
def test_a_lowest_constant_of_a_mask_counts_as_infinite(body: str) -> None:
    proof = with_op(reduction(body, "f32", "i1"), prove)
    assert proof is not None
    assert 0 in proof.neutral[1]
    assert Assumption.LOWEST_IS_INF in proof.assumptions["input 1 = 0"]
    assert proof.masks[1][0] == {0}


def test_other_facts_of_a_lowest_constant_that_shows() -> None:
    body = CONSTANTS + FINITE_EFFECTS["taken away"] + "yield %q : f32"
    text = generic([("d0", "f32"), ("d0", "f32")], [("d0", "f32")], body, iterators=1)
    assert with_op(text, lambda op: image(op, {1: 0})).results == (Operand(0),)
    assert set(with_op(text, lambda op: masks(op, 1, 0))) == set()
    masked = "%m = arith.select %x1, %zero, %low : f32\n%q = arith.addf %x0, %m : f32\nyield %q : f32"
    text = generic([("d0", "f32"), ("d0", "i1")], [("d0", "f32")], CONSTANTS + masked, iterators=1)
    assert with_op(text, lambda op: image(op, {1: 0})).results == (LOWEST,)


def test_a_position_whose_lowest_constant_shows() -> None:
    shown = (
        CONSTANTS + "%c = arith.cmpi eq, %x0, %x1 : i64\n%s = arith.addf %x2, %low : f32\n"
        "%t = arith.mulf %s, %tiny : f32\n%e = math.exp %t : f32\n"
        "%r = arith.select %c, %x2, %e : f32\nyield %r : f32"
    )
    inputs: list[Given] = [("d0", "i64"), ("d1", "i64"), ("d0", "f32")]
    assert with_op(generic(inputs, [("d0, d1", "f32")], shown, iterators=2), deltas)[1] is None
    counted = generic(inputs, [("d0, d1", "f32")], shown.replace("math.exp %t", "math.exp %s"), iterators=2)
    found = with_op(counted, deltas)[1]
    assert found is not None
    assert Assumption.LOWEST_IS_INF in found.assumptions

"""What special values do to results (images), what they leave unread (masks), and what may be skipped or filled."""

import math

import pytest
from structured_text import Operand, generic, with_op

from pit_mlir.analysis.facts import (
    Accumulator,
    Assumption,
    Expression,
    Outcome,
    Proof,
)
from pit_mlir.analysis.facts import (
    Operand as Unchanged,
)
from pit_mlir.analysis.permutation import background, image, masks, prove
from pit_mlir.analysis.special_values import LOWEST, Special

INF = math.inf
ZERO = "%z = arith.constant 0.0 : f32\n"
LOW = "%low = arith.constant -3.40282347E+38 : f32\n"
RELU = ZERO + "%c = arith.cmpf ugt, %x0, %z : f32\n%r = arith.select %c, %x0, %z : f32\nyield %r : f32"
SELECT = ZERO + "%r = arith.select %x0, %x1, %z : f32\nyield %r : f32"
MASK = ZERO + LOW + "%r = arith.select %x0, %z, %low : f32\nyield %r : f32"
ADDED_MASK = (
    ZERO + LOW + "%m = arith.select %x0, %z, %low : f32\n%r = arith.addf %m, %x1 : f32\nyield %r : f32"
)
OLD_MASK = (
    LOW
    + """
  %one = arith.constant 1.0 : f32
  %f = arith.sitofp %x0 : i64 to f32
  %s = arith.subf %one, %f : f32
  %r = arith.mulf %s, %low : f32
  yield %r : f32"""
)
SILU = """
  %one = arith.constant 1.0 : f32
  %n = arith.negf %x0 : f32
  %e = math.exp %n : f32
  %d = arith.addf %e, %one : f32
  %s = arith.divf %one, %d : f32
  %r = arith.mulf %s, %x0 : f32
  yield %r : f32"""
BIASED_RELU = (
    ZERO
    + """
  %t = arith.addf %x0, %x1 : f32
  %c = arith.cmpf ugt, %t, %z : f32
  %r = arith.select %c, %t, %z : f32
  yield %r : f32"""
)
TABLE = """
  %i = arith.index_cast %x0 : i64 to index
  %e = tensor.extract %t[%i] : tensor<8xf32>
  %r = arith.mulf %e, %x1 : f32
  yield %r : f32"""


def binary(name: str) -> str:
    return f"%r = arith.{name} %x0, %x1 : f32\nyield %r : f32"


def unary(name: str) -> str:
    return f"%r = math.{name} %x0 : f32\nyield %r : f32"


def elementwise(body: str, *types: str, captures: str = "") -> str:
    inputs: list[Operand] = [("d0", type_) for type_ in types]
    return generic(inputs, [("d0", "f32")], body, iterators=1, captures=captures)


FINITE = {Assumption.FINITE_DATA}
LOWEST_COUNTS = {Assumption.LOWEST_IS_INF}


@pytest.mark.parametrize(
    ("body", "types", "values", "outcome", "assumptions"),
    [
        (RELU, "f32", {0: 0}, 0, set()),
        (RELU, "f32", {0: -INF}, 0, set()),
        (RELU, "f32", {0: 3}, 3, set()),
        (binary("mulf"), "f32 f32", {0: 0}, 0, FINITE),
        (binary("mulf"), "f32 f32", {0: 1}, Unchanged(1), set()),
        (binary("mulf"), "f32 f32", {0: -INF}, None, set()),
        (binary("addf"), "f32 f32", {1: 0}, Unchanged(0), set()),
        (binary("addf"), "f32 f32", {0: -INF}, -INF, FINITE),
        (binary("addf"), "f32 f32", {0: LOWEST}, LOWEST, FINITE | LOWEST_COUNTS),
        (binary("subf"), "f32 f32", {0: -INF}, -INF, FINITE),
        (binary("subf"), "f32 f32", {1: INF}, -INF, FINITE),
        (binary("subf"), "f32 f32", {0: 0}, None, set()),
        (binary("divf"), "f32 f32", {0: 0}, 0, FINITE | {Assumption.NONZERO_DENOMINATOR}),
        (binary("divf"), "f32 f32", {1: 1}, Unchanged(0), set()),
        (binary("maximumf"), "f32 f32", {0: -INF}, Unchanged(1), set()),
        (unary("exp"), "f32", {0: -INF}, 0, set()),
        (unary("exp"), "f32", {0: 0}, 1, set()),
        (unary("exp"), "f32", {0: LOWEST}, 0, LOWEST_COUNTS),
        (unary("tanh"), "f32", {0: INF}, 1, set()),
        (unary("sqrt"), "f32", {0: 0}, 0, set()),
        (unary("cos"), "f32", {0: INF}, None, set()),
        (SILU, "f32", {0: 0}, 0, set()),
        (SELECT, "i1 f32", {0: False}, 0, set()),
        (SELECT, "i1 f32", {0: True}, Unchanged(1), set()),
        (MASK, "i1", {0: True}, 0, set()),
        (MASK, "i1", {0: False}, -3.4028234663852886e38, set()),
        (ADDED_MASK, "i1 f32", {0: False}, LOWEST, FINITE | LOWEST_COUNTS),
        (ADDED_MASK, "i1 f32", {0: True}, Unchanged(1), set()),
        (OLD_MASK, "i64", {0: 1}, 0, set()),
        (OLD_MASK, "i64", {0: 0}, -3.4028234663852886e38, set()),
        (BIASED_RELU, "f32 f32", {0: 0}, None, set()),
        (BIASED_RELU, "f32 f32", {0: 0, 1: 0}, 0, set()),
        ("%r = arith.addf %a0, %x0 : f32\nyield %r : f32", "f32", {0: 0}, Accumulator(), set()),
    ],
)
def test_image(
    body: str, types: str, values: dict[int, Special], outcome: Outcome, assumptions: set[Assumption]
) -> None:
    found = with_op(elementwise(body, *types.split()), lambda op: image(op, values))
    assert found[0] == outcome
    assert found.assumptions == assumptions


def test_image_of_a_guarded_division_is_not_the_quotient() -> None:
    body = (
        ZERO
        + """
      %one = arith.constant 1.0 : f32
      %c = arith.cmpf oeq, %x1, %z : f32
      %q = arith.divf %x0, %x1 : f32
      %r = arith.select %c, %one, %q : f32
      yield %r : f32"""
    )
    assert with_op(elementwise(body, "f32", "f32"), lambda op: image(op, {0: 0}))[0] is None


def test_image_of_integers_and_comparisons() -> None:
    body = "%z = arith.constant 0 : i64\n%r = arith.cmpi ne, %x0, %z : i64\nyield %r : i1"
    text = generic([("d0", "i64")], [("d0", "i1")], body, iterators=1)
    assert with_op(text, lambda op: [image(op, {0: value})[0] for value in (0, 1, -1)]) == [0, 1, 1]


def test_image_of_a_reduction_is_its_init() -> None:
    body = "%p = arith.mulf %x0, %x1 : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32"
    text = generic([("d0, d1", "f32")] * 2, [("d0", "f32")], body, iterators=2)
    assert with_op(text, lambda op: image(op, {1: 0}))[0] == Accumulator()


@pytest.mark.parametrize(
    ("body", "types", "operand", "value", "unread"),
    [
        (binary("mulf"), "f32 f32", 0, 0, {1}),
        (binary("mulf"), "f32 f32", 0, 1, set()),
        (binary("addf"), "f32 f32", 0, -INF, {1}),
        (SELECT, "i1 f32", 0, False, {1}),
        (SELECT, "i1 f32", 0, True, set()),
        (ADDED_MASK, "i1 f32", 0, False, {1}),
        (BIASED_RELU, "f32 f32", 0, 0, set()),
        (RELU, "f32 f32", 0, 7, {1}),
    ],
)
def test_masks(body: str, types: str, operand: int, value: Special, unread: set[int]) -> None:
    found = with_op(elementwise(body, *types.split()), lambda op: masks(op, operand, value))
    assert set(found) == unread


def test_select_masks_without_assumption_and_a_product_with() -> None:
    selected = with_op(elementwise(SELECT, "i1", "f32"), lambda op: masks(op, 0, False))
    assert selected.assumptions == frozenset()
    product = with_op(elementwise(binary("mulf"), "f32", "f32"), lambda op: masks(op, 0, 0))
    assert product.assumptions == FINITE


def test_elements_of_captured_tensors_may_be_infinite() -> None:
    text = elementwise(TABLE, "i64", "f32", captures="%t: tensor<8xf32>")
    assert with_op(text, lambda op: masks(op, 1, 0)).assumptions == FINITE


def test_window_of_nine_operands() -> None:
    lines = "\n".join(f"%p{i} = arith.mulf %x{2 * i}, %x{2 * i + 1} : f32" for i in range(4))
    body = (
        lines
        + """
      %s0 = arith.addf %p0, %p1 : f32
      %s1 = arith.addf %p2, %p3 : f32
      %s2 = arith.addf %s0, %s1 : f32
      %r = arith.addf %s2, %x8 : f32
      yield %r : f32"""
    )
    found = with_op(elementwise(body, *["f32"] * 9), lambda op: [set(masks(op, i, 0)) for i in (0, 5, 8)])
    assert found == [{1}, {4}, set()]


def proof_of(text: str) -> Proof:
    proof = with_op(text, prove)
    assert proof is not None
    return proof


def test_background_of_a_bias_does_not_carry_the_rows() -> None:
    text = generic([("d0, d1", "f32"), ("d1", "f32")], [("d0, d1", "f32")], BIASED_RELU, iterators=2)
    proof = proof_of(text)
    found = proof.background_along(0, 0)
    assert found is not None
    assert found.results == (Expression(frozenset({1}), frozenset()),)
    assert proof.background_along(0, 1) is None


def test_background_under_a_reduction_is_the_init() -> None:
    body = "%r = arith.maximumf %a0, %x0 : f32\nyield %r : f32"
    found = proof_of(generic([("d0, d1", "f32")], [("d0", "f32")], body, iterators=2)).background[0]
    assert found is not None
    assert (found.value, found.results) == (-INF, (Accumulator(),))


def test_background_at_any_value() -> None:
    found = with_op(elementwise(unary("exp"), "f32"), lambda op: background(op, 0, -INF))
    assert found is not None
    assert found.results == (0,)


@pytest.mark.parametrize(
    ("body", "fill"),
    [
        ("%p = arith.mulf %x0, %x1 : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32", (0, 0)),
        ("%p = arith.addf %x0, %x1 : f32\n%r = arith.maximumf %a0, %p : f32\nyield %r : f32", (-INF, -INF)),
        ("%p = arith.mulf %x0, %x1 : f32\n%r = arith.mulf %a0, %p : f32\nyield %r : f32", (1, 1)),
        (
            "%p = math.exp %x0 : f32\n%s = arith.mulf %p, %x1 : f32\n%r = arith.addf %a0, %s : f32\nyield %r : f32",
            (0, 0),
        ),
    ],
)
def test_fill(body: str, fill: tuple[float, ...]) -> None:
    proof = proof_of(generic([("d0, d1", "f32")] * 2, [("d0", "f32")], body, iterators=2))
    assert proof.fill == (None, fill)


def test_operand_without_the_iterator_needs_no_fill() -> None:
    body = "%p = arith.mulf %x0, %x1 : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32"
    proof = proof_of(generic([("d0, d1", "f32"), ("d0", "f32")], [("d0", "f32")], body, iterators=2))
    assert proof.fill == (None, (0, None))

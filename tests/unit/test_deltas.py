"""Delta facts: at which one position along an iterator a body is not zero, and how that position is called."""

import pytest
from structured_text import Operand as Given
from structured_text import generic, with_op

from pit_mlir.analysis.facts import Assumption, Delta, Index, Operand
from pit_mlir.analysis.permutation import deltas, prove

FINITE = frozenset({Assumption.FINITE_DATA})
AS_FLOAT = "%r = arith.uitofp %c : i1 to f32\nyield %r : f32"
EQUAL = "%c = arith.cmpi eq, %x0, %x1 : i64\n"
OUTLINED: list[Given] = [("d0", "i64"), ("d1", "i64")]
ROWS: list[Given] = [("d0, d1", "f32")]
POSITION = "%i = linalg.index 1 : index\n%j = arith.index_cast %i : index to {type}\n"


def along(iterator: int, inputs: list[Given], outputs: list[Given], body: str) -> Delta | None:
    text = generic(inputs, outputs, body, iterators=2)
    return with_op(text, deltas)[iterator]


@pytest.mark.parametrize("predicate", ["eq", "ne", "sle", "ult"])
def test_of_all_comparisons_one_holds_at_one_position(predicate: str) -> None:
    found = along(1, OUTLINED, ROWS, EQUAL.replace("eq", predicate) + AS_FLOAT)
    assert found == (Delta(Operand(1), Operand(0)) if predicate == "eq" else None)


@pytest.mark.parametrize("type_", ["i64", "i32", "i16"])
def test_position_in_the_body(type_: str) -> None:
    body = POSITION.format(type=type_) + f"%c = arith.cmpi eq, %j, %x0 : {type_}\n" + AS_FLOAT
    found = along(1, [("d0", type_)], ROWS, body)
    # Positions beyond 2^15 look alike in 16 bits, those beyond 2^31 do not occur.
    assert found == (None if type_ == "i16" else Delta(Index(1), Operand(0)))


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ("%k = arith.addi %x0, %one : i64", None),
        ("%k = arith.muli %x0, %one : i64", Operand(0)),
        ("%k = arith.subi %two, %one : i64", 1),
    ],
)
def test_name_of_the_position(inner: str, value: Operand | int | None) -> None:
    constants = "%one = arith.constant 1 : i64\n%two = arith.constant 2 : i64\n"
    body = (
        constants
        + inner
        + "\n"
        + POSITION.format(type="i64")
        + "%c = arith.cmpi eq, %j, %k : i64\n"
        + AS_FLOAT
    )
    assert along(1, [("d0", "i64")], ROWS, body) == Delta(Index(1), value)


def test_another_iterator_names_it() -> None:
    body = "%k = linalg.index 0 : index\n" + POSITION.format(type="i64")
    body += "%c = arith.cmpi eq, %i, %k : index\n" + AS_FLOAT
    text = generic([], ROWS, body, iterators=2)
    assert with_op(text, deltas) == (Delta(Index(0), Index(1)), Delta(Index(1), Index(0)))


def test_a_product_with_one_hot_needs_finite_data_and_a_selection_does_not() -> None:
    inputs: list[Given] = [*OUTLINED, ("d0, d1", "f32")]
    product = EQUAL + "%u = arith.uitofp %c : i1 to f32\n%r = arith.mulf %u, %x2 : f32\nyield %r : f32"
    assert along(1, inputs, ROWS, product) == Delta(Operand(1), Operand(0), FINITE)
    selection = EQUAL + "%z = arith.constant 0.0 : f32\n%r = arith.select %c, %x2, %z : f32\nyield %r : f32"
    assert along(1, inputs, ROWS, selection) == Delta(Operand(1), Operand(0))


@pytest.mark.parametrize(
    ("yielded", "is_delta"),
    [
        ("%r = arith.addf %a0, %u : f32", True),
        ("%r = arith.subf %a0, %u : f32", True),
        ("%o = arith.constant 1.0 : f32\n%v = arith.addf %u, %o : f32\n%r = arith.mulf %a0, %v : f32", True),
        ("%r = arith.mulf %a0, %u : f32", False),
        ("%r = arith.maximumf %a0, %u : f32", False),
    ],
)
def test_under_a_reduction_the_accumulator_stays(yielded: str, is_delta: bool) -> None:
    body = EQUAL + f"%u = arith.uitofp %c : i1 to f32\n{yielded}\nyield %r : f32"
    assert (along(1, OUTLINED, [("d0", "f32")], body) is not None) == is_delta


def test_all_live_results_count() -> None:
    body = EQUAL + "%u = arith.uitofp %c : i1 to f32\n%v = arith.negf %u : f32\nyield %u, {second} : f32, f32"
    outputs = ROWS * 2
    for second, live, is_delta in (("%v", [0, 1], True), ("%a1", [0, 1], False), ("%a1", [0], True)):
        text = generic(OUTLINED, outputs, body.format(second=second), iterators=2, live=live)
        assert (with_op(text, deltas)[1] is not None) == is_delta


def test_capacity_dispatch_has_one_expert_and_one_slot() -> None:
    inputs: list[Given] = [("d0", "i64"), ("d1", "i64"), ("d0, d1", "i64"), ("d0", "f32"), ("d2", "i64")]
    body = """
      %e = arith.cmpi eq, %x0, %x1 : i64
      %c = arith.cmpi eq, %x2, %x4 : i64
      %b = arith.andi %e, %c : i1
      %u = arith.uitofp %b : i1 to f32
      %r = arith.mulf %u, %x3 : f32
      yield %r : f32"""
    proof = with_op(generic(inputs, [("d0, d1, d2", "f32")], body, iterators=3), prove)
    assert proof is not None
    assert proof.deltas[1:] == (Delta(Operand(1), Operand(0), FINITE), Delta(Operand(4), Operand(2), FINITE))
    assert proof.verdicts == ("parallel", "parallel", "parallel")


def test_a_mask_or_a_value_alone_tells_nothing() -> None:
    relu = "%z = arith.constant 0.0 : f32\n%r = arith.maximumf %x0, %z : f32\nyield %r : f32"
    assert along(1, [("d0, d1", "f32")], ROWS, relu) is None
    mask = "%z = arith.constant 0 : i64\n%c = arith.cmpi ne, %x0, %z : i64\n" + AS_FLOAT
    assert along(1, [("d0, d1", "i64")], ROWS, mask) is None

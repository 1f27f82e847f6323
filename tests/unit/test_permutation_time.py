"""Time: every question has a limit on all that it asks, and what a limit cut off is not kept as an answer."""

import pytest
from structured_text import Operand as Given
from structured_text import generic, with_op

from pit_mlir.analysis import permutation
from pit_mlir.analysis.facts import Accumulator
from pit_mlir.analysis.facts import Operand as Unchanged
from pit_mlir.analysis.permutation import background, deltas, image, masks, prove

# Bodies that no other test has: their answers are in no cache.
PRODUCT = (
    "%k = arith.constant 7.7 : f32\n%p = arith.mulf %x0, %x1 : f32\n%q = arith.mulf %p, %k : f32\n"
    "%r = arith.addf %a0, %q : f32\nyield %r : f32"
)
SCALED = "%k = arith.constant 8.8 : f32\n%p = arith.mulf %x0, %x1 : f32\n%r = arith.mulf %p, %k : f32\nyield %r : f32"
CHOSEN = (
    "%k = arith.constant 9.9 : f32\n%z = arith.constant 0.0 : f32\n%c = arith.cmpf ogt, %x0, %k : f32\n"
    "%r = arith.select %c, %x1, %z : f32\nyield %r : f32"
)
ONE_HOT = (
    "%k = arith.constant 6 : i64\n%s = arith.addi %x0, %k : i64\n%c = arith.cmpi eq, %s, %x1 : i64\n"
    "%r = arith.uitofp %c : i1 to f32\nyield %r : f32"
)


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No time for any question, until it is undone."""
    monkeypatch.setattr(permutation, "LEAST_MS", 0)
    monkeypatch.setattr(permutation, "ALL_QUESTIONS", 0)
    return monkeypatch


def reduction(factor: str) -> str:
    return generic(
        [("d0, d1", "f32"), ("d1", "f32")], [("d0", "f32")], PRODUCT.replace("7.7", factor), iterators=2
    )


def elementwise(body: str) -> str:
    inputs: list[Given] = [("d0", "f32"), ("d0", "f32")]
    return generic(inputs, [("d0", "f32")], body, iterators=1)


def test_a_proof_without_time_is_not_kept(no_time: pytest.MonkeyPatch) -> None:
    cut = with_op(reduction("7.7"), prove)
    assert cut is not None
    assert (cut.verdicts[1], cut.annihilates) == ("none", (False, False))
    no_time.undo()
    whole = with_op(reduction("7.7"), prove)
    assert whole is not None
    assert (whole.verdicts[1], whole.annihilates) == ("reduction", (True, True))


def test_an_image_without_time_is_not_kept(no_time: pytest.MonkeyPatch) -> None:
    text = elementwise(SCALED)
    assert with_op(text, lambda op: image(op, {0: 0})).results == (None,)
    no_time.undo()
    assert with_op(text, lambda op: image(op, {0: 0})).results == (0,)


def test_masks_and_backgrounds_without_time_are_not_kept(no_time: pytest.MonkeyPatch) -> None:
    text = elementwise(CHOSEN)
    assert set(with_op(text, lambda op: masks(op, 0, 0))) == set()
    assert with_op(text, lambda op: background(op, 0, 0)) is None
    assert with_op(reduction("7.75"), lambda op: background(op, 1, 0)) is None
    no_time.undo()
    assert set(with_op(text, lambda op: masks(op, 0, 0))) == {1}
    found = with_op(text, lambda op: background(op, 0, 0))
    assert found is not None
    assert found.results == (0,)
    reduced = with_op(reduction("7.75"), lambda op: background(op, 1, 0))
    assert reduced is not None
    assert reduced.results == (Accumulator(),)


def test_positions_without_time_are_not_kept(no_time: pytest.MonkeyPatch) -> None:
    inputs: list[Given] = [("d0", "i64"), ("d1", "i64")]
    text = generic(inputs, [("d0, d1", "f32")], ONE_HOT, iterators=2)
    assert with_op(text, deltas) == (None, None)
    no_time.undo()
    found = with_op(text, deltas)[1]
    assert found is not None
    assert found.position == Unchanged(1)

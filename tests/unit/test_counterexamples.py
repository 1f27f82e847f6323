"""Counterexamples: what is refused is shown by numbers that were computed, and none is invented."""

import itertools
import random
from collections.abc import Mapping

import pytest
from random_operations import random_operation
from structured_text import Operand, generic, with_op
from test_permutation_property import Run, Tensor, place

from pit_mlir.analysis.body import Map, Scheme, scheme_of
from pit_mlir.analysis.claims import Mode
from pit_mlir.analysis.counterexample import Coordinates, Move, Swap
from pit_mlir.analysis.equations import Equation
from pit_mlir.analysis.evaluate import Scalar, same
from pit_mlir.analysis.execution import search_move
from pit_mlir.analysis.facts import Axis, Proof
from pit_mlir.analysis.permutation import prove

COPY = "yield %x0 : f32"
ADD = "%r = arith.addf %a0, %x0 : f32\nyield %r : f32"
PRODUCT = "%p = arith.mulf %x0, %x1 : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32"
POSITION = "%i = linalg.index 0 : index\nyield %i : index"
WEIGHTED = """
  %i = linalg.index 0 : index
  %j = arith.index_cast %i : index to i32
  %w = arith.sitofp %j : i32 to f32
  %p = arith.mulf %w, %x0 : f32
  %r = arith.addf %a0, %p : f32
  yield %r : f32"""
COUNT = """
  %i = linalg.index 0 : index
  %j = arith.index_cast %i : index to i32
  %r = arith.addi %a0, %j : i32
  yield %r : i32"""
UNTOUCHED = "(yet no order that was tried changes a result)"


def axes(inputs: list[Operand], output: Operand, body: str, iterators: int) -> tuple[Axis, ...]:
    proof = with_op(generic(inputs, [output], body, iterators=iterators), prove)
    assert isinstance(proof, Proof)
    return proof.axes


REFUSED = {
    "window, along the result": (
        ([("d0 + d1", "f32"), ("d1", "f32")], ("d0", "f32"), PRODUCT, 2),
        0,
        "input 0 = [1, 2], input 1 = 3: result 0 is [3, 6]; "
        "with the slices along d0 in the order 1, 0 it is [3, 6], not [6, 3]",
    ),
    # 1 * 3 + 2 * 4 = 11, 1 * 4 + 2 * 3 = 10
    "window, along the filter": (
        ([("d0 + d1", "f32"), ("d1", "f32")], ("d0", "f32"), PRODUCT, 2),
        1,
        "input 0 = [1, 2], input 1 = [3, 4]: result 0 is 11; "
        "with the slices along d1 in the order 1, 0 it is 10, not 11",
    ),
    "stride": (
        ([("d0 * 2", "f32")], ("d0", "f32"), COPY, 1),
        0,
        "input 0 = {[0]: 1, [2]: 2}: result 0 is [1, 2]; "
        "with the slices along d0 in the order 1, 0 it is [1, 2], not [2, 1]",
    ),
    # Two slices do not show it: both are read at 0.
    "floordiv": (
        ([("d0 floordiv 4", "f32")], ("d0", "f32"), COPY, 1),
        0,
        "input 0 = [1, 2]: result 0 is [1, 1, 1, 1, 2]; with the slices along d0 in the order "
        "4, 1, 2, 3, 0 it is [1, 1, 1, 1, 2], not [2, 1, 1, 1, 1]",
    ),
    "mod": (
        ([("d0 mod 2", "f32")], ("d0", "f32"), COPY, 1),
        0,
        "input 0 = [1, 2]: result 0 is [1, 2]; "
        "with the slices along d0 in the order 1, 0 it is [1, 2], not [2, 1]",
    ),
    "reversed": (
        ([("-d0 + 1", "f32")], ("d0", "f32"), COPY, 1),
        0,
        "input 0 = [1, 2]: result 0 is [2, 1]; "
        "with the slices along d0 in the order 1, 0 it is [2, 1], not [1, 2]",
    ),
    # In another order x[1, 0] is read, in the first order it is not.
    "window beside the iterator itself": (
        ([("d0, d0 + d1", "f32"), ("d1", "f32")], ("d0", "f32"), ADD, 2),
        0,
        "input 0 = [[1, 2], [3, 4]]: result 0 is [1, 4]; "
        "with the slices along d0 in the order 1, 0 it is [3, 2], not [4, 1]",
    ),
    "window of the result": (
        ([("d0, d1", "f32")], ("d0 + d1", "f32"), ADD, 2),
        0,
        "input 0 = [1, 2]: result 0 is [1, 2]; "
        "with the slices along d0 in the order 1, 0 it is [2, 1], not [1, 2]",
    ),
    "position": (
        ([], ("d0", "index"), POSITION, 1),
        0,
        "result 0 is [0, 1]; with the slices along d0 in the order 1, 0 it is [0, 1], not [1, 0]",
    ),
    # 0 * 1 + 1 * 2 = 2, 0 * 2 + 1 * 1 = 1
    "position as a weight": (
        ([("d0", "f32")], ("", "f32"), WEIGHTED, 1),
        0,
        "input 0 = [1, 2]: result 0 is 2; with the slices along d0 in the order 1, 0 it is 1, not 2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_numbers(name: str) -> None:
    operation, iterator, text = REFUSED[name]
    axis = axes(*operation)[iterator]
    assert axis.verdict == "none"
    assert isinstance(axis.counterexample, Move)
    assert str(axis.counterexample) == text
    assert UNTOUCHED not in axis.reason


@pytest.mark.parametrize(
    ("operation", "iterator"),
    [
        (([("d0 + d1", "f32"), ("d1", "f32")], ("d0", "f32"), ADD, 2), 1),  # a window of a pooled sum
        (([("d0, d0", "f32")], ("d0", "f32"), COPY, 1), 0),
        (([("d0", "f32")], ("", "i32"), COUNT, 1), 0),
    ],
)
def test_refused_although_nothing_differs(
    operation: tuple[list[Operand], Operand, str, int], iterator: int
) -> None:
    axis = axes(*operation)[iterator]
    assert axis.verdict == "none"
    assert axis.counterexample is None
    assert axis.reason.endswith(UNTOUCHED)


def test_accumulator_of_another_map() -> None:
    body = "%s = arith.addf %a0, %x0 : f32\n%t = arith.addf %a1, %a0 : f32\nyield %s, %t : f32, f32"
    text = generic([("d0, d1", "f32")], [("", "f32"), ("d0", "f32")], body, iterators=2)
    proof = with_op(text, prove)
    assert proof is not None
    shown = proof.axes[0].counterexample
    assert isinstance(shown, Move)
    # Result 1 sums what result 0 was before: 0 and 1, or 0 and 2.
    assert (shown.result, shown.before, shown.due, shown.after) == (
        1,
        {(0,): 0, (1,): 1},
        {(0,): 1, (1,): 0},
        {(0,): 0, (1,): 2},
    )


def test_names_of_a_program() -> None:
    operation, iterator, _ = REFUSED["window, along the filter"]
    shown = axes(*operation)[iterator].counterexample
    assert isinstance(shown, Move)
    assert shown.text(Equation((), ("w", "s"), ("I", "K"), ("O",))) == (
        "I = [1, 2], K = [3, 4]: O is 11; with the slices along s in the order 1, 0 it is 10, not 11"
    )


def test_combiner_is_shown_by_two_points() -> None:
    last = axes([("d0", "f32")], ("", "f32"), COPY, 1)[0].counterexample
    assert isinstance(last, Swap)
    assert (last.x_then_y, last.y_then_x) == (last.y, last.x)


def test_positions_of_the_two_points_are_shown() -> None:
    body = """
      %i = linalg.index 1 : index
      %j = arith.index_cast %i : index to i32
      %d = arith.addi %a0, %a0 : i32
      %r = arith.addi %d, %j : i32
      yield %r : i32"""
    axis = axes([("d0, d1, d2", "i32")], ("d0", "i32"), body, 3)[2]
    shown = axis.counterexample
    assert isinstance(shown, Swap)
    assert shown.positions == (1,)
    (acc,), (one,), (other,) = shown.accumulators, shown.x_then_y, shown.y_then_x
    # i32 wraps: 2 * (2 * acc + x) + y, and with x and y swapped.
    assert one - other == shown.x_at[0] - shown.y_at[0]
    assert (one - 4 * acc - 2 * shown.x_at[0] - shown.y_at[0]) % 2**32 == 0
    assert f"at d1 = {shown.x_at[0]}" in str(shown)
    assert f"at j = {shown.y_at[0]}: y = {one}, in the other" in shown.text(
        Equation((), ("i", "j", "k"), ("x",), ("y",))
    )


def test_positions_that_the_body_names_are_reached() -> None:
    body = """
      %i = linalg.index 0 : index
      %k = arith.constant 3 : index
      %z = arith.constant 0.0 : f32
      %c = arith.cmpi eq, %i, %k : index
      %r = arith.select %c, %x0, %z : f32
      yield %r : f32"""
    shown = axes([("d0", "f32")], ("d0", "f32"), body, 1)[0].counterexample
    assert isinstance(shown, Move)
    assert shown.extents == (4,)


def test_what_cannot_be_run_is_not_shown() -> None:
    body = "%r = complex.mul %x0, %x0 : complex<f32>\nyield %r : complex<f32>"
    axis = axes([("d0 * 2", "complex<f32>")], ("d0", "complex<f32>"), body, 1)[0]
    assert axis.counterexample is None
    assert axis.reason == "d0 is not isolated: input 0 is read at d0 * 2"


@pytest.mark.filterwarnings("ignore:Using `assume` outside")
def test_counterexamples_of_random_operations_are_true() -> None:
    """Another executor finds the same numbers, and that they differ."""
    shown = 0
    for seed in range(80):
        scheme = with_op(random_operation(random.Random(seed)), scheme_of)
        assert scheme is not None and scheme.obstacle is None
        for iterator in range(scheme.iterators):
            move = search_move(scheme, iterator, Mode("real", timeout_ms=1))
            if move is not None:
                assert_true(move, scheme)
                shown += 1
    assert shown > 10


def moved(tensor: Tensor, map_: Map, iterator: int, order: tuple[int, ...]) -> Tensor:
    """`tensor` with its slices along each dimension that is `iterator` in another order, which is its own inverse."""
    return {
        tuple(order[j] if item == iterator else j for j, item in zip(at, map_, strict=True)): value
        for at, value in tensor.items()
    }


def assert_true(move: Move, scheme: Scheme) -> None:
    if scheme.body.accumulators([move.result]) - {move.result}:
        return  # what the other results were to begin with is not shown
    maps, count = scheme.maps, scheme.body.inputs
    points = list(itertools.product(*map(range, move.extents)))

    def tensor(shown: Mapping[Coordinates, Scalar] | None, number: int) -> Tensor:
        return dict(shown) if shown else {place(maps[number], point): 0 for point in points}

    inputs = [tensor(move.inputs.get(number), number) for number in range(count)]
    inits = [
        tensor(move.init if result == move.result else None, count + result)
        for result in range(scheme.body.outputs)
    ]
    captures = tuple(move.captures[number] for number in sorted(move.captures))
    before = Run(scheme, move.extents, inputs, inits, captures, False).execute()[move.result]
    tensors = [moved(t, m, move.iterator, move.order) for t, m in zip((*inputs, *inits), maps, strict=True)]
    after = Run(scheme, move.extents, tensors[:count], tensors[count:], captures, False).execute()[
        move.result
    ]
    assert (before, after) == (move.before, move.after)
    assert moved(before, maps[count + move.result], move.iterator, move.order) == move.due
    assert any(not same(move.due[at], after[at]) for at in after)

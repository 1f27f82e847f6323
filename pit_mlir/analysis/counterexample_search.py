"""Looks for counterexamples to an order-free combiner: at random points, or where the solver says there is one."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from pit_mlir.analysis import smt
from pit_mlir.analysis.body import Body, Node, is_float, width
from pit_mlir.analysis.claims import Mode, random_point
from pit_mlir.analysis.counterexample import Swap, captured_scalars, digits
from pit_mlir.analysis.evaluate import ROUNDED, Point, Scalar, Unevaluable, evaluate, float_of, rounded, same
from pit_mlir.analysis.terms import Term

ORDER_SAMPLES = 64
SHOWN_SAMPLES = 8


def search_swap(body: Body, group: Sequence[int], varies: Callable[[Node], bool], mode: Mode) -> Swap | None:
    """Two random points whose order matters to the results `group`, None if none was found.

    `varies` says which leaves may differ between two points that meet in one element. Of the first few that are
    found, the one with the shortest text.
    """
    tried = islice(_swaps(body, group, varies, mode), ORDER_SAMPLES)
    found = islice((swap for swap in tried if swap is not None), SHOWN_SAMPLES)
    return min(found, key=lambda swap: len(str(swap)), default=None)


def _swaps(
    body: Body, group: Sequence[int], varies: Callable[[Node], bool], mode: Mode
) -> Iterator[Swap | None]:
    rng = random.Random(0)
    while True:
        x, y = random_point(body, rng, mode), random_point(body, rng, mode)
        yield _swap(body, group, x, _shared(body, x, y, varies), mode)


def _shared(body: Body, x: Point, y: Point, varies: Callable[[Node], bool]) -> Point:
    """`y` with the leaves of `x` that are the same at both points."""
    inputs = tuple(
        y.inputs[number] if varies(body.nodes[number]) else x.inputs[number] for number in range(body.inputs)
    )
    indices = list(x.indices)
    for node in body.nodes:
        if node.op == "index" and varies(node):
            indices[node.number] = y.indices[node.number]
    return Point(inputs, x.accumulators, x.captures, tuple(indices), x.rounding)


def _swap(body: Body, group: Sequence[int], x: Point, y: Point, mode: Mode) -> Swap | None:
    """The two orders of `x` and `y`, if they differ."""
    try:
        one, other = _fold(body, x, y), _fold(body, y, x)
    except Unevaluable:
        return None
    if all(same(one[result], other[result], exact=mode.strict) for result in group):
        return None
    read = sorted(body.indices(group))
    return Swap(
        tuple(group),
        tuple(x.accumulators[result] for result in group),
        tuple(x.inputs),
        tuple(y.inputs),
        tuple(one[result] for result in group),
        tuple(other[result] for result in group),
        tuple(read),
        tuple(x.indices[iterator] for iterator in read),
        tuple(y.indices[iterator] for iterator in read),
        captured_scalars(body, x.captures),
        digits(mode.strict, body),
    )


def _fold(body: Body, first: Point, second: Point) -> Sequence[Scalar]:
    """The accumulators after `first` and then `second`."""
    state = first.after(evaluate(body, first))
    then = Point(second.inputs, state, second.captures, second.indices, second.rounding)
    return then.after(evaluate(body, then))


def surviving_swap(
    body: Body,
    group: Sequence[int],
    answer: smt.Answer,
    points: Mapping[str, Callable[[Node], Term]],
    mode: Mode,
) -> Swap | None:
    """The solver's counterexample at the points `x` and `y`, if it survives evaluation with the real functions."""
    leaves = {
        name: Point(
            tuple(_value(answer, leaf(node), node, mode) for node in body.nodes[: body.inputs]),
            tuple(
                _value(answer, leaf(node), node, mode)
                for node in body.nodes[body.inputs : body.inputs + body.outputs]
            ),
            tuple(
                _value(answer, leaf(node), node, mode)
                for node in body.nodes
                if node.op == "capture" and isinstance(node.detail, int)
            ),
            _indices(body, answer, leaf, mode),
            mode.strict,
        )
        for name, leaf in points.items()
    }
    return _swap(body, group, leaves["x"], leaves["y"], mode)


def _indices(body: Body, answer: smt.Answer, leaf: Callable[[Node], Term], mode: Mode) -> tuple[int, ...]:
    positions = {
        node.number: int(_value(answer, leaf(node), node, mode)) for node in body.nodes if node.op == "index"
    }
    return tuple(positions.get(iterator, 0) for iterator in range(1 + max(positions, default=-1)))


def _value(answer: smt.Answer, term: Term, node: Node, mode: Mode) -> Scalar:
    """What the model gives to a leaf, as a number of its type; anything for one that has none (a captured tensor)."""
    if is_float(node.type):
        for flag, value in ((term.nan, math.nan), (term.ninf, -math.inf), (term.pinf, math.inf)):
            if flag is not False and answer.value(flag):
                return value
        value = answer.value(term.value)
        if not mode.strict:
            return value
        is_minus_zero = value == 0 and term.minus is not False and answer.value(term.minus)
        number = -0.0 if is_minus_zero else float_of(value)
        return rounded(number, node.type) if node.type in ROUNDED else number
    return answer.value(term) if width(node.type) is not None else 0

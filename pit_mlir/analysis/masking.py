"""What a special value in one operand does to the results, and which other operands it leaves unread."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from pit_mlir.analysis.body import Body, Node
from pit_mlir.analysis.claims import (
    Fixed,
    Level,
    Mode,
    Sample,
    agree,
    applicable,
    consistent,
    counts_as_lowest,
    leaf_terms,
    lowest_counts,
    random_point,
    readings,
    samples,
    settle,
    special_term,
)
from pit_mlir.analysis.evaluate import Point, Scalar, Unevaluable, evaluate, same
from pit_mlir.analysis.facts import (
    Accumulator,
    Assumption,
    Assumptions,
    Background,
    Expression,
    Image,
    Masked,
    Operand,
    Outcome,
)
from pit_mlir.analysis.smt import Bool, both
from pit_mlir.analysis.special_values import LOWEST, Special
from pit_mlir.analysis.terms import Term, Terms


@lru_cache(maxsize=8192)
def body_image(body: Body, values: Fixed, mode: Mode) -> Image:
    """What each live result becomes where the inputs hold `values`, whatever all other leaves are."""
    given = dict(values)
    if not all(applicable(value, body.nodes[number].type) for number, value in values):
        return Image((None,) * body.outputs)
    outcomes: list[Outcome] = []
    assumptions: Assumptions = frozenset()
    tried = list(samples(body, mode, given))
    for result in range(body.outputs):
        outcome, under = _outcome(body, given, mode, result, tried)
        outcomes.append(outcome)
        assumptions |= under
    return Image(tuple(outcomes), assumptions)


def _outcome(
    body: Body, given: Mapping[int, Special], mode: Mode, result: int, tried: Sequence[Sample]
) -> tuple[Outcome, Assumptions]:
    """The outcome of one result: candidates that no sample contradicts, the first that is proved."""
    node = body.yields[result]
    if node is None:
        return None, frozenset()
    type_ = body.nodes[node].type
    for candidate in _candidates(body, given, mode, result, tried):

        def claim(terms: Terms, level: Level, candidate: Outcome = candidate) -> Bool:
            leaf = leaf_terms(body, mode, values=given, inputs=level.inputs, accumulators=level.accumulators)
            expected = _expected(body, candidate, result, leaf)
            return agree(terms.run(body, leaf)[result], expected, type_, level, mode)

        under = settle(body, mode, claim, given)
        if under is not None:
            counts = Assumption.LOWEST_IS_INF in under
            return LOWEST if counts and candidate == -math.inf else candidate, under
    return None, frozenset()


def _expected(body: Body, candidate: Outcome, result: int, leaf: Callable[[Node], Term]) -> Term:
    """The term that `candidate` says the result is."""
    if isinstance(candidate, Operand):
        return leaf(body.nodes[candidate.number])
    if isinstance(candidate, Accumulator):
        return leaf(body.nodes[body.inputs + result])
    assert candidate is not None
    node = body.yields[result]
    assert node is not None
    return special_term(candidate, body.nodes[node].type)


def _candidates(
    body: Body, given: Mapping[int, Special], mode: Mode, result: int, tried: Sequence[Sample]
) -> list[Outcome]:
    """What the result may be: one number at all samples, the accumulator, or an input; numbers first."""
    node = body.yields[result]
    assert node is not None
    type_ = body.nodes[node].type
    values = [yields[result] for _, yields in tried]
    numbers = [value for value in values if not (isinstance(value, float) and math.isnan(value))]
    candidates: list[Outcome] = []
    if numbers and all(value == numbers[0] for value in numbers):
        candidates.append(special(numbers[0]))
    if lowest_counts(body, mode) and all(map(counts_as_lowest, numbers)):
        candidates.append(-math.inf)
    if consistent(body, mode, given, lambda point, result: point.accumulators[result], [result]):
        candidates.append(Accumulator())
    for number in sorted(body.read - set(given)):
        if body.nodes[number].type == type_ and consistent(
            body, mode, given, lambda point, _, number=number: point.inputs[number], [result]
        ):
            candidates.append(Operand(number))
    return candidates


def special(value: Scalar | None) -> Special:
    """A number of an evaluation as a special value."""
    assert value is not None
    return float(value) if isinstance(value, Fraction) else value


@lru_cache(maxsize=8192)
def body_masks(body: Body, values: Fixed, mode: Mode) -> Masked:
    """The inputs that no live result reads where the inputs hold `values`."""
    given = dict(values)
    others = [number for number in range(body.inputs) if number not in given]
    if not all(applicable(value, body.nodes[number].type) for number, value in values):
        return Masked(frozenset(set(others) - body.read))
    unread: set[int] = set()
    assumptions: Assumptions = frozenset()
    for number in others:
        under = frozenset() if number not in body.read else _unread(body, given, mode, number)
        if under is not None:
            unread.add(number)
            assumptions |= under
    return Masked(frozenset(unread), assumptions)


def _unread(body: Body, given: Mapping[int, Special], mode: Mode, number: int) -> Assumptions | None:
    """The assumptions under which the results do not depend on input `number`, None if they do."""
    if _differs(body, given, mode, number):
        return None

    def claim(terms: Terms, level: Level) -> Bool:
        sides: list[list[Term | None]] = []
        for mark in ("", ".other"):

            def tag(node: Node, mark: str = mark) -> str:
                return mark if node.op == "input" and node.number == number else ""

            leaf = leaf_terms(
                body, mode, values=given, inputs=level.inputs, accumulators=level.accumulators, tag=tag
            )
            sides.append(terms.run(body, leaf))
        types = {result: body.nodes[node].type for result, node in enumerate(body.yields) if node is not None}
        one, other = sides
        return both(*(agree(one[result], other[result], types[result], level, mode) for result in body.live))

    rng = random.Random(3)

    def check(point: Point, yields: list[Scalar | None]) -> bool:
        other = _changed(point, number, random_point(body, rng, mode, finite=False))
        try:
            changed = evaluate(body, other)
        except Unevaluable:
            return True
        return all(same(yields[result], changed[result], exact=mode.strict) for result in body.live)

    return settle(body, mode, claim, given, check)


def _changed(point: Point, number: int, other: Point) -> Point:
    """`point` with input `number` alone as in `other`."""
    inputs = (*point.inputs[:number], other.inputs[number], *point.inputs[number + 1 :])
    return replace(point, inputs=inputs)


def _differs(body: Body, given: Mapping[int, Special], mode: Mode, number: int) -> bool:
    """Whether some sample changes a result when input `number` alone changes; NaN is left to the solver."""

    def differ(one: Sequence[Scalar | None], other: Sequence[Scalar | None]) -> bool:
        for result in body.live:
            pair = (one[result], other[result])
            if any(isinstance(value, float) and math.isnan(value) for value in pair):
                continue
            if not same(*pair, exact=mode.strict):
                return True
        return False

    rng = random.Random(2)
    for point, _ in samples(body, mode, given):
        other = _changed(point, number, random_point(body, rng, mode))
        try:
            pairs = zip(readings(body, mode, point), readings(body, mode, other), strict=False)
        except Unevaluable:
            continue
        if all(differ(*pair) for pair in pairs):
            return True
    return False


@lru_cache(maxsize=8192)
def body_background(body: Body, values: Fixed, mode: Mode) -> Background | None:
    """What the results hold where one input holds a value, for an operation without reductions.

    None where a result is computed from an init: that differs from place to place.
    """
    ((number, value),) = values
    if not applicable(value, body.nodes[number].type):
        return None
    image = body_image(body, values, mode)
    masked = body_masks(body, values, mode)
    reads = body.read - masked.operands - {number}
    rest = Expression(frozenset(reads), body.indices(body.live))
    computed = [result for result in body.live if image[result] is None]
    if body.accumulators(computed):
        return None
    results = tuple(rest if result in computed else outcome for result, outcome in enumerate(image.results))
    return Background(value, results, image.assumptions | masked.assumptions)

"""Claims about bodies: tried on sample points first, which costs microseconds, then handed to the solver.

A claim is tried under no assumption, then for finite data, then up to the NaN of a zero denominator, then with
lowest constants as -inf; what it is proved under is part of the answer.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pit_mlir.analysis import smt
from pit_mlir.analysis.body import Body, Node, is_float, signed, width
from pit_mlir.analysis.evaluate import (
    LEAST_INFINITE,
    LOWEST_BOUND,
    ROUNDED,
    NotInfinite,
    Point,
    Scalar,
    Unevaluable,
    evaluate,
    evaluate_lowest,
    rounded,
    same,
)
from pit_mlir.analysis.evaluate import number as typed
from pit_mlir.analysis.facts import Assumption, Assumptions, Floats
from pit_mlir.analysis.smt import Bool, both, either
from pit_mlir.analysis.special_values import Lowest, Special, has_float
from pit_mlir.analysis.terms import (
    Domain,
    Term,
    Terms,
    Unproved,
    constant_term,
    free,
    identical,
    literal,
)

Values = Mapping[int, Special]
"""Special values by input operand."""

SAMPLES = 24
MOST_POSITIONS = 6
FLOATS = (0, 1, -1, 2, -3, "1/2", "-5/4", 3, "7/2", -2)
ROUGH_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.1, 3.3, 1e8, -1e8, 0.7, 1e-3)
"""Floats whose sums depend on the order."""
NOT_FINITE = (math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Mode:
    """How floats are taken, and how long the solver may work on one claim."""

    floats: Floats
    timeout_ms: int

    @property
    def strict(self) -> bool:
        """Whether floats round."""
        return self.floats == "strict"


def applicable(value: Special, type_: str) -> bool:
    """Whether `value` is a value of `type_`."""
    if is_float(type_):
        return isinstance(value, Lowest) or has_float(type_, value)
    bits = width(type_)
    if bits is None or isinstance(value, Lowest):
        return False
    whole = math.isfinite(value) and value == int(value)
    return whole and (value in (0, 1) if bits == 1 else -(1 << (bits - 1)) <= value < 1 << bits)


def special_term(value: Special, type_: str) -> Term:
    """`value` as a term of `type_`; a lowest constant counts as -inf."""
    if is_float(type_):
        return literal(-math.inf if isinstance(value, Lowest) else float(value))
    assert not isinstance(value, Lowest)
    return constant_term(signed(int(value), width(type_) or 64), type_)


def special_scalar(value: Special, type_: str, strict: bool) -> Scalar:
    """`value` as a number for evaluation."""
    if not is_float(type_):
        assert not isinstance(value, Lowest)
        return signed(int(value), width(type_) or 64)
    number = -math.inf if isinstance(value, Lowest) else float(value)
    return number if strict or not math.isfinite(number) else Fraction(number)


def leaf_terms(
    body: Body,
    mode: Mode,
    *,
    values: Values | None = None,
    inputs: Domain = Domain.FINITE,
    accumulators: Domain = Domain.FINITE,
    tag: Callable[[Node], str] = lambda node: "",
    state: Mapping[int, Term] | None = None,
) -> Callable[[Node], Term]:
    """The free leaves of one evaluation: `values` fixes inputs, `state` accumulators, `tag` tells points apart."""
    fixed, states = values or {}, state or {}

    def leaf(node: Node) -> Term:
        if node.op == "input" and node.number in fixed:
            return special_term(fixed[node.number], node.type)
        if node.op == "accumulator" and node.number in states:
            return states[node.number]
        domain = accumulators if node.op == "accumulator" else inputs
        return free(f"{node.op}{node.detail}{tag(node)}", node.type, domain, mode.strict)

    return leaf


def random_scalar(rng: random.Random, type_: str, strict: bool, *, finite: bool = True) -> Scalar:
    """A number of `type_`, often one of a few, so that ties happen; a float may be NaN or infinite if not `finite`."""
    if is_float(type_):
        if not finite and rng.random() < 0.4:
            return rng.choice(NOT_FINITE)
        if not strict:
            return Fraction(rng.choice(FLOATS))
        rough = rng.choice(ROUGH_FLOATS)
        return rounded(rough, type_) if type_ in ROUNDED else rough
    bits = width(type_) or 64
    extremes = (signed(1 << (bits - 1), bits), (1 << max(bits - 1, 1)) - 1) if rng.random() < 0.2 else ()
    return signed(rng.choice((0, 1, 2, 3, -1, 5, 17, -40, *extremes)), bits)


def is_number(type_: str, strict: bool) -> bool:
    """Whether scalars of `type_` are numbers that can be calculated with."""
    return (type_ in ROUNDED or not strict) if is_float(type_) else width(type_) is not None


def random_point(
    body: Body, rng: random.Random, mode: Mode, values: Values | None = None, *, finite: bool = True
) -> Point:
    """A point with random leaves, the inputs in `values` fixed; at every other one or so many leaves are equal."""
    fixed = values or {}
    leaves = body.nodes[: body.inputs + body.outputs]
    captures = [node for node in body.nodes if node.op == "capture" and isinstance(node.detail, int)]
    indices = [node.number for node in body.nodes if node.op == "index"]
    given = {
        number: special_scalar(value, leaves[number].type, mode.strict) for number, value in fixed.items()
    }
    seen = [value for value in given.values() if math.isfinite(value)]
    has_ties = rng.random() < 0.5

    def draw(node: Node) -> Scalar:
        value = random_scalar(rng, node.type, mode.strict, finite=finite)
        alike = [other for other in seen if isinstance(other, int) == isinstance(value, int)]
        if has_ties and alike and rng.random() < 0.5:
            other = rng.choice(alike)
            value = typed(other, node.type, mode.strict) if is_number(node.type, mode.strict) else other
        seen.append(value)
        return value

    inputs = tuple(
        given[place] if place in given else draw(node) for place, node in enumerate(leaves[: body.inputs])
    )
    accumulators = tuple(map(draw, leaves[body.inputs :]))
    positions = [value for value in seen if isinstance(value, int) and 0 <= value < MOST_POSITIONS]
    return Point(
        inputs,
        accumulators,
        # A captured tensor has no value of its own: its elements are made up where they are read.
        tuple(draw(node) if is_float(node.type) or width(node.type) else 0 for node in captures),
        tuple(
            rng.choice(positions) if has_ties and positions else rng.randrange(MOST_POSITIONS)
            for _ in range(1 + max(indices, default=-1))
        ),
        mode.strict,
    )


Sample = tuple[Point, list[Scalar | None]]
"""A point, and what the body yields there."""


def samples(body: Body, mode: Mode, values: Values | None = None, *, finite: bool = True) -> Iterator[Sample]:
    """Random points with what `body` yields there; none where it cannot be evaluated."""
    rng = random.Random(1)
    for _ in range(SAMPLES):
        point = random_point(body, rng, mode, values, finite=finite)
        try:
            yield point, evaluate(body, point)
        except Unevaluable:
            continue


def divides(body: Body) -> bool:
    """Whether a denominator occurs in the body."""
    return any(node.op == "arith.divf" for node in body.nodes)


@lru_cache(maxsize=8192)
def lowest_counts(body: Body, mode: Mode) -> bool:
    """Whether a finite constant of the body counts as -inf: one is in a sum, and no sample shows that it is finite.

    `(x + lowest) * 1e-30` and `(x + lowest) - lowest` do show it, `exp(x + lowest)` does not.
    """
    sums = any(node.op in ("arith.addf", "arith.subf") for node in body.nodes)
    lowest = (isinstance(c, float) and -math.inf < -abs(c) <= LOWEST_BOUND for c in body.constants())
    if mode.strict or not sums or not any(lowest):
        return False
    has_sample = False
    for point, _ in samples(body, mode):
        try:
            evaluate_lowest(body, point)
        except Unevaluable:
            continue
        except NotInfinite:
            return False
        has_sample = True
    return has_sample


def readings(body: Body, mode: Mode, point: Point) -> list[list[Scalar | None]]:
    """What `body` yields at a point: with its constants as they are and, where they may count as -inf, as that.

    A claim may be about either, so what contradicts it contradicts it in both. Raises `Unevaluable`.
    """
    found = [evaluate(body, point)]
    if lowest_counts(body, mode):
        with suppress(NotInfinite, Unevaluable):
            found.append(evaluate_lowest(body, point))
    return found


@lru_cache(maxsize=4096)
def has_floats(body: Body) -> bool:
    """Whether a float takes part."""
    return any(node.is_float for node in body.nodes)


@dataclass(frozen=True)
class Level:
    """One way to try a claim, and what it assumes."""

    inputs: Domain
    accumulators: Domain
    assumptions: Assumptions = frozenset()

    @property
    def modulo_nan(self) -> bool:
        """Whether results that are NaN need not agree: the NaN of a zero denominator."""
        return Assumption.NONZERO_DENOMINATOR in self.assumptions

    @property
    def lowest(self) -> bool:
        """Whether lowest constants count as -inf."""
        return Assumption.LOWEST_IS_INF in self.assumptions


def levels(body: Body, mode: Mode) -> list[Level]:
    """The levels that can differ for `body`, the fewest assumptions first."""
    anything = Level(Domain.ANY, Domain.ANY)
    if not has_floats(body):
        return [anything]
    finite = frozenset({Assumption.FINITE_DATA})
    found = [anything, Level(Domain.FINITE, Domain.EXTENDED, finite)]
    if divides(body):
        found.append(Level(Domain.FINITE, Domain.EXTENDED, finite | {Assumption.NONZERO_DENOMINATOR}))
    if lowest_counts(body, mode):
        found += [
            Level(level.inputs, level.accumulators, level.assumptions | {Assumption.LOWEST_IS_INF})
            for level in found[1:]
        ]
    return found


Claim = Callable[[Terms, Level], Bool]
"""What is claimed of a body whose operations `Terms` translates, at a level."""


Check = Callable[[Point, list[Scalar | None]], bool]
"""Whether a claim holds at a point with what the body yields there."""


def settle(
    body: Body, mode: Mode, claim: Claim, values: Values | None = None, check: Check | None = None
) -> Assumptions | None:
    """The assumptions under which `claim` is proved, None if it is not under any; raises `OutOfTime`.

    What holds for finite data alone is by far the most frequent. `check` finds that with NaN and infinities in
    microseconds, the solver takes a tenth of a second for a body with four factors.
    """
    smt.current_deadline().check()
    tried = levels(body, mode)
    if check is not None and len(tried) > 1:
        wild = samples(body, mode, values, finite=False)
        if not all(check(point, yields) for point, yields in wild):
            tried = tried[1:]
    for level in tried:
        terms = Terms(strict=mode.strict, lowest=level.lowest, tables=level.inputs)
        try:
            holds = claim(terms, level)
        except Unproved:
            return None
        verdict = smt.ask(holds, terms.hypotheses, mode.timeout_ms).verdict
        if verdict == "unknown":
            return None  # more assumptions make no easier question
        if verdict == "proved":
            stated = any(isinstance(value, Lowest) for value in (values or {}).values())
            return level.assumptions | ({Assumption.LOWEST_IS_INF} if stated else frozenset())
    return None


def agree(a: Term, b: Term, type_: str, level: Level, mode: Mode) -> Bool:
    """Whether two terms are the same at `level`."""
    same = identical(a, b, type_, mode.strict)
    return either(same, a.nan, b.nan) if level.modulo_nan and is_float(type_) else same


Fixed = tuple[tuple[int, Special], ...]
"""Special values by operand, in order: what a cache can hold."""


def fixed(values: Values) -> Fixed:
    """`values` as a key; truth values become 0 and 1."""
    return tuple(
        (i, value if isinstance(value, Lowest) else value + 0) for i, value in sorted(values.items())
    )


def unchanged(body: Body, mode: Mode, values: Values) -> Assumptions | None:
    """The assumptions under which every accumulator stays as it is where the inputs hold `values`, None if never."""
    return _unchanged(body, mode, fixed(values))


@lru_cache(maxsize=8192)
def _unchanged(body: Body, mode: Mode, key: Fixed) -> Assumptions | None:
    values = dict(key)
    if not all(applicable(value, body.nodes[number].type) for number, value in values.items()):
        return None
    if not consistent(body, mode, values, lambda point, result: point.accumulators[result]):
        return None

    def claim(terms: Terms, level: Level) -> Bool:
        leaf = leaf_terms(body, mode, values=values, inputs=level.inputs, accumulators=level.accumulators)
        yields = terms.run(body, leaf)
        nodes = [(result, body.nodes[body.inputs + result]) for result in body.live]
        return both(*(agree(yields[result], leaf(node), node.type, level, mode) for result, node in nodes))

    def check(point: Point, yields: list[Scalar | None]) -> bool:
        return all(
            same(yields[result], point.accumulators[result], exact=mode.strict) for result in body.live
        )

    return settle(body, mode, claim, values, check)


def consistent(
    body: Body,
    mode: Mode,
    values: Values,
    expected: Callable[[Point, int], Scalar],
    results: Sequence[int] | None = None,
) -> bool:
    """Whether no sample contradicts that the results are as `expected`; NaN may come from a zero denominator."""
    is_quotient = divides(body)

    def agrees(point: Point, yields: list[Scalar | None]) -> bool:
        for result in body.live if results is None else results:
            value = yields[result]
            if isinstance(value, float) and math.isnan(value) and is_quotient:
                continue
            if not same(value, expected(point, result), exact=mode.strict):
                return False
        return True

    return all(
        agrees(point, yields) or any(agrees(point, other) for other in readings(body, mode, point)[1:])
        for point, yields in samples(body, mode, values)
    )


def counts_as_lowest(value: Scalar | None) -> bool:
    """Whether a number is -inf, or what comes of a lowest constant that counts as that."""
    return value is not None and value <= -LEAST_INFINITE

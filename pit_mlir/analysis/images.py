"""Images: what an expression is once some of its leaves are known, whatever the others are.

`select(m, x, 0)` is 0 at m = false; `x + m` is -inf at m = -inf; a sum keeps its accumulator where a factor
is 0. What an answer relies on beyond that is named with it.

The prover asks the same of the body of one operation (`masking`), for numbers alone. Images follow what is known
through many operations, be it a number or not, and at once: they go by rules, which tests hold against the prover.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from pit_mlir.analysis.body import Node, attributes_of
from pit_mlir.analysis.evaluate import LEAST_INFINITE, LOWEST_BOUND, RULES, Scalar, Unevaluable, number
from pit_mlir.analysis.expressions import Accumulator, Apply, Constant, Expression, Leaf
from pit_mlir.analysis.facts import Assumption, Assumptions

LOWEST_LIMIT = LOWEST_BOUND
INTEGER_CASTS = ("extui", "extsi", "index_cast", "index_castui", "uitofp", "sitofp")


@dataclass(frozen=True)
class Known:
    """This number."""

    value: Scalar


@dataclass(frozen=True)
class NonZero:
    """Some number that is not 0."""


@dataclass(frozen=True)
class Finite:
    """Some float that is neither infinite nor NaN."""


@dataclass(frozen=True)
class Lowest:
    """A finite number that a lowest constant (T11) has made: `most` itself if `exact`, else not more than about that.

    It counts as -inf where data is added to it, and in the end; an operation on it alone has it as it is.
    """

    most: Fraction
    exact: bool = True


@dataclass(frozen=True)
class Kept:
    """The accumulator of a reduction, unchanged."""


@dataclass(frozen=True)
class Unknown:
    """Anything."""


Abstract = Known | NonZero | Finite | Lowest | Kept | Unknown

ZERO = Known(0)


@dataclass(frozen=True)
class Image:
    """What an expression is, and the names of the assumptions under which it is that."""

    value: Abstract
    assumptions: Assumptions


def image(expression: Expression, leaves: Mapping[Leaf, Abstract]) -> Image:
    """What `expression` is where each of `leaves` is as given; leaves not named may be anything."""
    evaluator = _Evaluator(leaves)
    found = evaluator.value(expression)
    if isinstance(found, Lowest):
        return Image(Known(-math.inf), frozenset({*evaluator.assumptions, Assumption.LOWEST_IS_INF}))
    return Image(found, frozenset(evaluator.assumptions))


class _Evaluator:
    def __init__(self, leaves: Mapping[Leaf, Abstract]) -> None:
        self.leaves = leaves
        self.assumptions: set[Assumption] = set()
        self.known: dict[Expression, Abstract] = {}

    def value(self, expression: Expression) -> Abstract:
        if expression not in self.known:
            self.known[expression] = self.compute(expression)
        return self.known[expression]

    def compute(self, expression: Expression) -> Abstract:
        match expression:
            case Leaf():
                return self.leaves.get(expression, Unknown())
            case Constant(value, type_):
                return self.constant(value, type_)
            case Accumulator():
                return Kept()
            case Apply():
                return self.apply(expression)

    def constant(self, value: float | int, type_: str) -> Abstract:
        if type_ != "float":
            return Known(int(value) & 1 if type_ == "i1" else int(value))
        if not math.isfinite(value):
            return Known(float(value))
        return exactly(Fraction(value))

    def apply(self, part: Apply) -> Abstract:
        if part.name == "arith.select":
            return self.select(part)
        if part.name in ("arith.cmpi", "arith.cmpf"):
            return self.compare(part)
        args = [self.value(arg) for arg in part.args]
        rule = PARTIAL.get(part.name)
        found = rule(self, part, args) if rule is not None else None
        if found is not None:
            return found
        return folded(part, args)

    def select(self, part: Apply) -> Abstract:
        condition = self.value(part.args[0])
        if isinstance(condition, Known):
            return self.value(part.args[1 if condition.value else 2])
        if isinstance(condition, NonZero):
            return self.value(part.args[1])
        yes, no = self.value(part.args[1]), self.value(part.args[2])
        if yes == no:
            return yes
        return Finite() if is_finite(yes) and is_finite(no) else Unknown()

    def compare(self, part: Apply) -> Abstract:
        a, b = (as_known(self.value(arg)) for arg in part.args)
        predicate = str(attributes_of(part.op))
        relation = predicate if predicate in ("eq", "ne") else predicate[1:]
        if isinstance(a, Known) and isinstance(b, Known):
            return folded(part, [a, b])
        if part.args[0] == part.args[1] and part.name == "arith.cmpi":
            return Known(int(relation in ("eq", "le", "ge")))
        if NonZero() in (a, b) and ZERO in (a, b) and relation in ("eq", "ne"):
            return Known(int(relation == "ne"))
        infinite = [side.value for side in (a, b) if isinstance(side, Known) and abs(side.value) == math.inf]
        if (
            infinite
            and any(isinstance(side, Finite | Lowest) for side in (a, b))
            and relation in ("eq", "ne")
        ):
            return Known(int(relation == "ne"))
        return Unknown()


def exactly(value: Fraction) -> Abstract:
    """This number, which may be a lowest one."""
    return Lowest(value) if value <= LOWEST_LIMIT else Known(value)


def at_most(value: Fraction) -> Abstract:
    """A number of about `value` or less, as long as that is large beside all data."""
    return Lowest(value, exact=False) if value <= -LEAST_INFINITE else Unknown()


def as_known(value: Abstract) -> Abstract:
    """`value` as the number that it is, if it is one."""
    return Known(value.most) if isinstance(value, Lowest) and value.exact else value


def is_finite(value: Abstract) -> bool:
    """Whether `value` is a finite number for sure."""
    return isinstance(value, Finite | Lowest) or (isinstance(value, Known) and abs(value.value) != math.inf)


def is_infinite(value: Abstract) -> bool:
    """Whether `value` is an infinity for sure."""
    return isinstance(value, Known) and abs(value.value) == math.inf


SIGNED_ZERO = {"arith.divf": 1, "math.rsqrt": 0, "math.copysign": 1, "math.atan2": 0, "math.powf": 0}
"""Operations, and the operand, that tell 0 from -0: a product by 0 has either sign, which is not kept track of."""


def folded(part: Apply, args: list[Abstract]) -> Abstract:
    """The operation on known numbers, as a machine has it."""
    rule = RULES.get(part.name)
    numbers = [arg.value for arg in map(as_known, args) if isinstance(arg, Known)]
    if rule is None or len(numbers) != len(args):
        return Unknown()
    if part.name in SIGNED_ZERO and args[SIGNED_ZERO[part.name]] == ZERO:
        return Unknown()
    node = Node(part.name, (), str(part.op.results[0].type), attributes_of(part.op))
    types = [str(operand.type) for operand in part.op.operands]
    try:
        value = rule(node, types, numbers)
    except Unevaluable:
        return Unknown()
    value = number(value, node.type, rounding=False)
    if isinstance(value, float) and math.isnan(value):
        return Unknown()
    if isinstance(value, Fraction):
        return exactly(value)
    return Known(int(value) & 1 if part.type == "i1" else value)


Partial = Callable[[_Evaluator, Apply, list[Abstract]], Abstract | None]


def _add(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    for one, other in (args, args[::-1]):
        if is_infinite(one) and not is_infinite(other):
            if not is_finite(other):
                evaluator.assumptions.add(Assumption.FINITE_DATA)
            return one
        if one == ZERO and not isinstance(other, Known):
            return other
    for one, other in (args, args[::-1]):
        if isinstance(one, Lowest) and not isinstance(as_known(other), Known):
            evaluator.assumptions.add(Assumption.LOWEST_IS_INF)
            if not is_finite(other):
                evaluator.assumptions.add(Assumption.FINITE_DATA)
            return at_most(one.most)
    if any(isinstance(arg, Lowest) and not arg.exact for arg in args):
        return at_most(sum((bound(arg) for arg in args), Fraction(0)))
    return Finite() if all(map(is_finite, args)) and Finite() in args else None


def bound(value: Abstract) -> Fraction:
    """What a finite number, or a lowest one, is not more than."""
    assert isinstance(value, Known | Lowest)
    return value.most if isinstance(value, Lowest) else Fraction(value.value)


def _subtract(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    a, b = args
    if part.type != "float" and part.args[0] == part.args[1]:
        return ZERO
    if isinstance(b, Lowest):
        return None
    negated = Known(-b.value) if isinstance(b, Known) else b
    if isinstance(b, Kept) or ((is_infinite(a) or isinstance(a, Lowest)) and not is_finite(b)):
        # A row maximum is subtracted from -inf: of a row that is masked as a whole it is -inf as well.
        return None
    return _add(evaluator, part, [a, negated])


def _multiply(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    for one, other in (args, args[::-1]):
        if one == ZERO and not is_infinite(other):
            if not is_finite(other) and part.type == "float":
                evaluator.assumptions.add(Assumption.FINITE_DATA)
            return ZERO
        if one == Known(1) and not isinstance(other, Known):
            return other
        if isinstance(one, Lowest) and not one.exact and isinstance(other, Known) and is_finite(other):
            return at_most(one.most * Fraction(other.value)) if other.value > 0 else None
    return Finite() if all(map(is_finite, args)) and Finite() in args else None


def _divide(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    a, b = args
    if isinstance(a, Lowest) and not a.exact and isinstance(b, Known) and is_finite(b) and b.value > 0:
        return at_most(a.most / Fraction(b.value))
    if isinstance(b, Known):
        return Finite() if isinstance(a, Finite) and b != ZERO else None
    if a == ZERO:
        evaluator.assumptions.add(Assumption.NONZERO_DENOMINATOR)
        if not is_finite(b):
            evaluator.assumptions.add(Assumption.FINITE_DATA)
        return ZERO
    return None


IGNORES_NAN = ("arith.maxnumf", "arith.minnumf")


def _extremum(absorbing: float) -> Partial:
    def rule(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
        for one, other in (args, args[::-1]):
            if one == Known(-absorbing):
                return other
            if one == Known(absorbing):
                if not is_finite(other) and part.name not in IGNORES_NAN:
                    evaluator.assumptions.add(Assumption.FINITE_DATA)
                return one
            if isinstance(one, Lowest) and not isinstance(as_known(other), Known):
                evaluator.assumptions.add(Assumption.LOWEST_IS_INF)
                return other if absorbing > 0 else at_most(one.most)
        return Finite() if all(map(is_finite, args)) and Finite() in args else None

    return rule


def _exponential(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    return ZERO if isinstance(args[0], Lowest) else None


def _bits(absorbing: int, neutral: int) -> Partial:
    """`andi`, `ori`: one operand decides, or leaves the other as it is."""

    def rule(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
        for one, other in (args, args[::-1]):
            if one == Known(absorbing) and (part.type == "i1" or absorbing == 0):
                return one
            if one == Known(neutral) and (part.type == "i1" or neutral == 0):
                return other
        return None

    return rule


def _cast(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    return args[0] if isinstance(args[0], NonZero) else None


def _same_kind(evaluator: _Evaluator, part: Apply, args: list[Abstract]) -> Abstract | None:
    return Finite() if isinstance(args[0], Finite) else None


PARTIAL: dict[str, Partial] = {
    "arith.addf": _add,
    "arith.addi": _add,
    "arith.subf": _subtract,
    "arith.subi": _subtract,
    "arith.mulf": _multiply,
    "arith.muli": _multiply,
    "arith.divf": _divide,
    "arith.maximumf": _extremum(math.inf),
    "arith.maxnumf": _extremum(math.inf),
    "arith.minimumf": _extremum(-math.inf),
    "arith.minnumf": _extremum(-math.inf),
    "arith.andi": _bits(0, 1),
    "arith.ori": _bits(1, 0),
    "math.exp": _exponential,
    "math.exp2": _exponential,
    **{f"arith.{name}": _cast for name in INTEGER_CASTS},
    **dict.fromkeys(("arith.negf", "math.tanh", "math.absf"), _same_kind),
}
"""What can be said of an operation when not all of its operands are known."""

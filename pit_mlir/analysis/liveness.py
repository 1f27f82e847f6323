"""Where a score can be more than -inf: a condition on what masks it, read off the body of an attention.

`select(m, s, -inf)` is live where m is true, `s + b` where b is no lowest number, a sum where both of its terms are.
What is not understood counts as live. Each rule is an implication: where the condition is false the score is -inf, or
lowest (T11), whatever finite number the product of query and key is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pit_mlir.analysis.evaluate import LEAST_INFINITE
from pit_mlir.analysis.expressions import (
    Apply,
    Constant,
    Expression,
    Leaf,
    constant_of,
    element,
    leaves,
    parts,
    replaced,
)
from pit_mlir.analysis.images import LOWEST_LIMIT, Abstract, Known, image
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner


@dataclass(frozen=True)
class Always:
    """True or false everywhere."""

    value: bool


@dataclass(frozen=True)
class Holds:
    """The truth value `what` is `value`."""

    what: Expression
    value: bool


@dataclass(frozen=True)
class Above:
    """The float `what`, which masks what it is added to, is above `limit`, or is NaN."""

    what: Expression
    limit: float


@dataclass(frozen=True)
class Both:
    """Both conditions hold."""

    first: "Condition"
    second: "Condition"


@dataclass(frozen=True)
class Either:
    """One of two conditions holds."""

    first: "Condition"
    second: "Condition"


Condition = Always | Holds | Above | Both | Either
TRUE, FALSE = Always(True), Always(False)


@dataclass(frozen=True)
class Liveness:
    """`condition` holds wherever the score is not -inf; `lowest`: where it does not, the score may be finite."""

    condition: Condition
    lowest: bool


def liveness(score: Expression, product: Leaf, facts: Mapping[Leaf, Abstract]) -> Liveness:
    """Where `score`, which reads the product of query and key as `product`, is live; `facts` hold everywhere."""
    finder = _Finder(product, facts)
    condition = finder.live(score, LOWEST_LIMIT)
    return Liveness(condition, finder.lowest)


def reads(condition: Condition) -> list[Leaf]:
    """The elements that `condition` depends on, each once."""
    match condition:
        case Always():
            return []
        case Holds(what) | Above(what):
            return list(leaves(what))
        case Both(first, second) | Either(first, second):
            return list(dict.fromkeys([*reads(first), *reads(second)]))


class _Finder:
    """Reads conditions off expressions; `lowest` tells whether a finite number was taken for -inf."""

    def __init__(self, product: Leaf, facts: Mapping[Leaf, Abstract]) -> None:
        self.product = product
        self.facts = facts
        self.lowest = False

    def live(self, part: Expression, limit: float) -> Condition:
        """Where the float `part` may be above `limit`."""
        match part:
            case Constant(value):
                return self.constant(float(value), limit)
            case Apply("arith.select", args=(condition, yes, no)):
                first, second = self.live(yes, limit), self.live(no, limit)
                if first == second:
                    return first
                given = self.holds(condition, True), self.holds(condition, False)
                return either(both(given[0], first), both(given[1], second))
            case Apply("arith.addf", args=(value, Constant(shift)) | (Constant(shift), value)):
                # Exact: what a lowest constant has sunk, a large one may lift again.
                return self.live(value, limit - shift)
            case Apply("arith.addf", args=(first, second)):
                if may_lift(first) or may_lift(second):
                    return TRUE
                return both(self.live(first, limit), self.live(second, limit))
            case Apply("arith.minimumf", args=(first, second)):
                return both(self.live(first, limit), self.live(second, limit))
            case Apply("arith.maximumf", args=(first, second)):
                return either(self.live(first, limit), self.live(second, limit))
            case Apply("arith.mulf" | "arith.divf" as name, args=(value, Constant(factor))) if factor > 0:
                scaled = limit / factor if name == "arith.mulf" else limit * factor
                if self.depends(value):
                    # What is not low by itself is no mask: other scores are scaled as well.
                    return self.live(value, scaled) if scaled <= -LEAST_INFINITE else TRUE
            case _:
                pass
        if self.depends(part) or not may_mask(part):
            return TRUE
        self.lowest = True
        return Above(part, limit)

    def constant(self, value: float, limit: float) -> Condition:
        if value > limit or math.isnan(value):
            return TRUE
        self.lowest |= value != -math.inf
        return FALSE

    def depends(self, part: Expression) -> bool:
        return self.product in leaves(part)

    def holds(self, part: Expression, value: bool) -> Condition:
        """Where the truth value `part` may be `value`."""
        if self.depends(part):
            return TRUE
        known = image(expanded(part), self.facts).value
        if isinstance(known, Known):
            return Always(bool(known.value) == value)
        match part:
            case Apply("arith.andi" | "arith.ori" as name, args=(first, second)):
                join = both if (name == "arith.andi") == value else either
                return join(self.holds(first, value), self.holds(second, value))
            case Apply("arith.xori", args=(first, Constant(number))) if number != 0:
                return self.holds(first, not value)
            case _:
                return Holds(part, value)


def both(first: Condition, second: Condition) -> Condition:
    """`first and second`."""
    if FALSE in (first, second):
        return FALSE
    if first in (TRUE, second):
        return second
    return first if second == TRUE else Both(first, second)


def either(first: Condition, second: Condition) -> Condition:
    """`first or second`."""
    if TRUE in (first, second):
        return TRUE
    if first in (FALSE, second):
        return second
    return first if second == FALSE else Either(first, second)


def expanded(expression: Expression) -> Expression:
    """`expression` with its elements written out, as far as element-wise operations make them."""
    for leaf in leaves(expression):
        if isinstance(leaf.value.type, ir.RankedTensorType):
            written = element(leaf.value, leaf.dims)
            expression = expression if written == leaf else replaced(expression, leaf, written)
    return expression


# ---- whether floats that are added to scores may be masks

MOVES = (
    "tensor.cast",
    "tensor.collapse_shape",
    "tensor.concat",
    "tensor.expand_shape",
    "tensor.extract_slice",
    "tensor.insert_slice",
    "tensor.pad",
)
FARTHEST = 64
"""Operations behind a tensor that are searched for a lowest number, at most."""


def may_mask(expression: Expression) -> bool:
    """Whether lowest numbers may be in the float `expression`: it has one, or reads a tensor that is given to the
    program or made with one. A bias that is looked up in a table, or computed, has none."""
    return any(
        is_lowest(part)
        if isinstance(part, Constant)
        else isinstance(part, Leaf) and may_hold_lowest(part.value)
        for part in parts(expression)
    )


def may_lift(expression: Expression) -> bool:
    """Whether a number that is large beside all data may be in the float `expression`, other than to lower it."""
    match expression:
        case Constant(value, "float"):
            return value >= LEAST_INFINITE
        case Apply("arith.subf" | "arith.negf", args=args):
            *kept, taken = args
            return any(map(may_lift, kept)) or may_lower(taken)
        case Apply("arith.select", args=(_, yes, no)):
            return may_lift(yes) or may_lift(no)
        case Apply(args=args):
            return any(map(may_lift, args))
        case _:
            return False


def may_lower(expression: Expression) -> bool:
    """Whether `expression` has a constant of at most minus what is large beside all data."""
    return any(isinstance(part, Constant) and part.value <= -LEAST_INFINITE for part in parts(expression))


def is_lowest(constant: Constant | None) -> bool:
    """Whether `constant` counts as -inf where it is added."""
    return constant is not None and constant.type == "float" and constant.value <= LOWEST_LIMIT


def may_hold_lowest(value: ir.Value) -> bool:
    """Whether `value` is a tensor of floats that is given, perhaps moved, or that lowest numbers go into."""
    seen: set[ir.Value] = set()
    work = [(value, True)]
    while work and len(seen) < FARTHEST:
        value, as_given = work.pop()
        if value in seen:
            continue
        seen.add(value)
        maker = owner(value)
        if maker is None:
            if as_given and is_float_tensor(value.type):
                return True
            continue
        if is_lowest(constant_of(value)):
            return True
        view = Structured.on_tensors(maker)
        if view is not None and any(
            is_lowest(constant_of(op.results[0])) for op in view.body.operations if op.results
        ):
            return True
        if view is not None or maker.name in MOVES:
            work.extend((operand, as_given and view is None) for operand in maker.operands)
    return False


def is_float_tensor(type_: ir.Type) -> bool:
    """Whether `type_` is a tensor of floats."""
    return isinstance(type_, ir.RankedTensorType) and isinstance(type_.element_type, ir.FloatType)

"""Decisions: comparisons and bounds of a body that make its result 0, whatever else it reads.

A ReLU is one in each of its forms, and so are shrinking, thresholds, a product by `x > 0`, and the gates of a chosen
expert. That they make zeros is their purpose; where the zeros are, only the values tell.
"""

from collections.abc import Iterator

from pit_mlir.analysis.body import attributes_of
from pit_mlir.analysis.expressions import Apply, Constant, Expression, leaves, parts, replaced
from pit_mlir.analysis.images import ZERO, image

ORDERED = tuple(f"{order}{relation}" for order in "ou" for relation in ("lt", "le", "gt", "ge"))
"""Comparisons that divide floats into small and large ones; equality guards a single value."""
BOUNDS = ("arith.maximumf", "arith.maxnumf", "arith.minimumf", "arith.minnumf")


def choice_of(expression: Expression) -> Apply | None:
    """The comparison of integers in `expression` without which it is 0: one-hot rows, the gates of a chosen expert.

    A comparison with 0 makes no choice: it asks a mask.
    """
    for part in parts(expression):
        if not isinstance(part, Apply) or part.name != "arith.cmpi":
            continue
        asks_mask = any(isinstance(arg, Constant) and arg.value == 0 for arg in part.args)
        if not asks_mask and is_zero_with(expression, part, 0):
            return part
    return None


def rectifier(expression: Expression) -> str | None:
    """What makes zeros of floats that fall short of a bound: "relu", "threshold"; None if nothing does."""
    for part, outcomes, name in rectifying_parts(expression):
        if any(is_zero_with(expression, part, outcome) for outcome in outcomes):
            return name
    return None


def is_indicator(expression: Expression) -> bool:
    """Whether comparisons of floats are all that `expression` reads: it says of other values which are large."""
    compared = [part for part in parts(expression) if is_comparison(part)]
    rest = expression
    for part in compared:
        rest = replaced(rest, part, Constant(1, "i1"))
    return bool(compared) and not list(leaves(rest))


def rectifying_parts(expression: Expression) -> Iterator[tuple[Apply, tuple[int, ...], str]]:
    """The parts of `expression` that may decide, with the outcomes to try and what they are called."""
    for part in parts(expression):
        if not isinstance(part, Apply):
            continue
        if part.type == "i1":
            compared = [inner for inner in parts(part) if is_comparison(inner)]
            with_zero = any(has_zero(inner) for inner in compared)
            if compared:
                yield part, (0, 1), "relu" if with_zero else "threshold"
        elif part.name in BOUNDS and has_zero(part):
            yield part, (0,), "relu"


def is_comparison(part: Expression) -> bool:
    """Whether `part` compares floats by their order."""
    return isinstance(part, Apply) and part.name == "arith.cmpf" and attributes_of(part.op) in ORDERED


def has_zero(part: Expression) -> bool:
    """Whether one of the operands of `part` is 0."""
    return isinstance(part, Apply) and any(isinstance(arg, Constant) and arg.value == 0 for arg in part.args)


def is_zero_with(expression: Expression, part: Apply, outcome: int) -> bool:
    """Whether `expression` is 0 once `part` is `outcome`, whatever its leaves are."""
    return image(replaced(expression, part, Constant(outcome, part.type)), {}).value == ZERO

"""The values whose effect on a body is asked for, by type, and how attributes write them.

Besides 0 and 1 these are the ends of a type: -inf and +inf of floats; of integers the least and the greatest number
with a sign, and all-ones, the greatest without one (the least is 0). They are what extrema start from.
"""

import math
from enum import Enum

from pit_mlir.analysis.body import is_float, signed, width


class Lowest(Enum):
    """A finite constant of at most -1e30 that masks a score: added to a value it counts as -inf."""

    LOWEST = "lowest"

    def __repr__(self) -> str:
        return "lowest"


LOWEST = Lowest.LOWEST

Special = float | int | Lowest
"""A value whose effect is asked for: any number (`False` and `True` are 0 and 1), or `LOWEST`."""

FLOAT_NAMES = {"-inf": -math.inf, "+inf": math.inf}
FLOATS: tuple[float, ...] = (0.0, 1.0, *FLOAT_NAMES.values())


def integer_names(type_: str) -> dict[str, int]:
    """The values of an integer type that have names, `all-ones` first; none of one bit or of an unknown type."""
    bits = width(type_) or 1
    if bits == 1:
        return {}
    half = 1 << (bits - 1)
    return {"all-ones": -1, "signed-min": -half, "signed-max": half - 1}


def has_float(type_: str, value: float) -> bool:
    """Whether a float type has `value`: those of LLVM with `FN` in their names are finite, f8E8M0FNU has no zero."""
    if math.isinf(value):
        return "FN" not in type_
    return value > 0 or type_ != "f8E8M0FNU"


def candidates(type_: str) -> tuple[float | int, ...]:
    """The values tried as neutral for a type: 0, 1 and its ends; none of a type that has no numbers."""
    if is_float(type_):
        return tuple(value for value in FLOATS if has_float(type_, value))
    if width(type_) is None:
        return ()
    return tuple(dict.fromkeys((0, 1, *integer_names(type_).values())))


def special_text(value: Special, type_: str | None = None) -> str:
    """A value of `type_` as attributes have it: a number, -inf, +inf, all-ones, signed-min, signed-max, lowest."""
    if isinstance(value, Lowest):
        return "lowest"
    if isinstance(value, float):
        return next(
            (name for name, known in FLOAT_NAMES.items() if known == value), repr(value).removesuffix(".0")
        )
    names = integer_names(type_) if type_ is not None else {"all-ones": -1}
    return next(
        (name for name, known in names.items() if known == value and value not in (0, 1)), str(int(value))
    )


def special_value(text: str, type_: str) -> Special:
    """The value of `type_` that `special_text` wrote as `text`; raises `ValueError` for anything else."""
    if text == "lowest":
        return LOWEST
    if is_float(type_):
        return FLOAT_NAMES[text] if text in FLOAT_NAMES else float(text)
    bits = width(type_)
    if bits is None:
        raise ValueError(f"{type_} has no values with names")
    names = integer_names(type_)
    return names[text] if text in names else signed(int(text), bits)

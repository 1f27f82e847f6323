"""Evaluates a body on concrete numbers: finds counterexamples, and checks those that the solver finds.

Floats are exact rationals as far as arithmetic goes (infinities, NaN and the results of functions are Python
floats); with `rounding` they are floats rounded to their type after each operation, as a machine has them.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from pit_mlir.analysis.affine import affine_values
from pit_mlir.analysis.body import Body, Node, is_float, signed, width

Scalar = int | float | Fraction


MOST_BITS = 4096
"""The largest exact numbers: a body that squares again and again doubles their digits each time."""

ROUNDED = ("f64", "f32", "f16", "bf16")
"""The float types whose rounding is known here."""


LOWEST_BOUND = -1e30
"""A constant at most this that is added to a score counts as -inf (T11)."""
LEAST_INFINITE = 1e15
"""What comes of such a constant counts as infinite as well, as long as it is at least this large."""


class Unevaluable(Exception):
    """The body has an operation or a type that has no concrete meaning here."""


class NotInfinite(Exception):
    """The body does something to a lowest constant that shows it is finite."""


@dataclass(frozen=True)
class Point:
    """The leaves of a body at one point: inputs, accumulators, captured scalars and iterator positions."""

    inputs: Sequence[Scalar]
    accumulators: Sequence[Scalar]
    captures: Sequence[Scalar] = ()
    indices: Sequence[int] = ()
    rounding: bool = field(default=False)

    def after(self, results: Sequence[Scalar | None]) -> tuple[Scalar, ...]:
        """The accumulators once the body has yielded `results`; a dead one keeps its value."""
        pairs = zip(results, self.accumulators, strict=True)
        return tuple(old if new is None else new for new, old in pairs)


def evaluate(body: Body, point: Point) -> list[Scalar | None]:
    """What `body` yields at `point`, None for dead results; raises `Unevaluable`."""
    return body.run(partial(_leaf, point), partial(_apply, body, point))


def evaluate_lowest(body: Body, point: Point) -> list[Scalar | None]:
    """What `body` yields at `point` if a lowest number that is added counts as -inf; raises `Unevaluable`.

    Raises `NotInfinite` where an operation tells it from -inf: each is also done with the number as it is, and what
    is infinite must be large, everything else the same.
    """

    def leaf(node: Node) -> tuple[Scalar, Scalar]:
        value = _leaf(point, node)
        return value, value

    def apply(node: Node, arguments: list[tuple[Scalar, Scalar]]) -> tuple[Scalar, Scalar]:
        exact = _apply(body, point, node, [value for value, _ in arguments])
        read = [value for _, value in arguments]
        if node.op in ("arith.addf", "arith.subf"):
            read[0] = -math.inf if read[0] <= LOWEST_BOUND else read[0]
            sign = 1 if node.op == "arith.addf" else -1
            read[1] = -sign * math.inf if sign * read[1] <= LOWEST_BOUND else read[1]
        as_infinite = _apply(body, point, node, read)
        if abs(as_infinite) == math.inf:
            is_alike = exact >= LEAST_INFINITE if as_infinite > 0 else exact <= -LEAST_INFINITE
        else:
            is_alike = same(exact, as_infinite)
        if not is_alike:
            raise NotInfinite(node.op)
        return exact, as_infinite

    return [None if pair is None else pair[1] for pair in body.run(leaf, apply)]


def _leaf(point: Point, node: Node) -> Scalar:
    """What a leaf is at `point`."""
    if node.op == "constant":
        return number(node.number, node.type, point.rounding)
    if node.op == "capture" and (
        not isinstance(node.detail, int) or not (is_float(node.type) or width(node.type))
    ):
        return 0  # a tensor, read by `tensor.extract` only
    leaves = {
        "input": point.inputs,
        "accumulator": point.accumulators,
        "capture": point.captures,
        "index": point.indices,
    }[node.op]
    return leaves[node.number]


def _apply(body: Body, point: Point, node: Node, arguments: list[Scalar]) -> Scalar:
    """What an operation computes; raises `Unevaluable`."""
    if node.op == "tensor.extract":
        return table(body.nodes[node.operands[0]].detail, arguments[1:], node.type)
    rule = RULES.get(node.op)
    if rule is None:
        raise Unevaluable(node.op)
    types = [body.nodes[operand].type for operand in node.operands]
    if any(width(type_) is None and not is_float(type_) for type_ in (*types, node.type)):
        raise Unevaluable(f"{node.op} on {', '.join(types)}")
    return number(rule(node, types, arguments), node.type, point.rounding)


def number(value: Scalar, type_: str, rounding: bool) -> Scalar:
    """`value` as a value of `type_`: wrapped for integers, exact or rounded for floats."""
    bits = width(type_)
    if bits is not None:
        return signed(int(value), bits)
    if rounding:
        return rounded(float(value), type_)
    if isinstance(value, float) and not math.isfinite(value):
        return value
    exact = Fraction(value)
    if exact.numerator.bit_length() + exact.denominator.bit_length() > MOST_BITS:
        raise Unevaluable("a number of too many digits")
    return exact


def rounded(value: float, type_: str) -> float:
    """`value` rounded to the nearest number of `type_`, ties to even."""
    if not math.isfinite(value) or type_ == "f64":
        return value
    if type_ == "bf16":
        (bits,) = struct.unpack("<I", struct.pack("<f", rounded(value, "f32")))
        bits += 0x7FFF + ((bits >> 16) & 1)
        return struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0]
    code = {"f32": "<f", "f16": "<e"}.get(type_)
    if code is None:
        raise Unevaluable(type_)
    try:
        return struct.unpack(code, struct.pack(code, value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def table(which: object, indices: Sequence[Scalar], type_: str) -> Scalar:
    """An element of a captured tensor: any fixed function of the indices does."""
    mixed = 17
    for index in (hash(which) % 97, *indices):
        mixed = (mixed * 31 + int(index) * 7 + 3) % 101
    return mixed % 2 if type_ == "i1" else Fraction(mixed % 9 - 4) if is_float(type_) else mixed % 9 - 4


def same(a: Scalar | None, b: Scalar | None, *, exact: bool = False) -> bool:
    """Whether two results are one number, NaN being itself; up to the rounding of functions unless `exact`."""
    if a is None or b is None:
        return a is b
    if a == b:
        return not exact or a != 0 or math.copysign(1.0, a) == math.copysign(1.0, b)
    if isinstance(a, int) or isinstance(b, int):
        return False
    left, right = float_of(a), float_of(b)
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if exact or math.isinf(left) or math.isinf(right):
        return False
    return abs(left - right) <= 1e-9 * (abs(left) + abs(right)) + 1e-12


def float_of(value: Scalar) -> float:
    """`value` as a float, infinite where it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


Rule = Callable[[Node, Sequence[str], Sequence[Scalar]], Scalar]


def _is_nan(value: Scalar) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _exact(a: Scalar, b: Scalar) -> tuple[Scalar, Scalar]:
    """Both as rationals if both are, else both as floats."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a, b
    return float_of(a), float_of(b)


def add(a: Scalar, b: Scalar) -> Scalar:
    """a + b."""
    x, y = _exact(a, b)
    return x + y


def multiply(a: Scalar, b: Scalar) -> Scalar:
    """a * b; an infinity times zero is NaN."""
    x, y = _exact(a, b)
    return x * y


def divide(a: Scalar, b: Scalar) -> Scalar:
    """a / b as IEEE 754 has it: infinite or NaN at b = 0."""
    x, y = _exact(a, b)
    if y != 0:
        return x / y
    if x == 0 or _is_nan(x):
        return math.nan
    sign = 1.0 if isinstance(y, Fraction) else math.copysign(1.0, y)
    return math.copysign(math.inf, x) * sign


def power(a: Scalar, b: Scalar) -> Scalar:
    """a ** b; exact for small whole exponents."""
    if isinstance(a, Fraction) and isinstance(b, int | Fraction) and b.denominator == 1 and abs(b) <= 64:
        return a ** int(b) if a != 0 or b >= 0 else math.inf
    return _guarded(math.pow, a, b)


def _guarded(function: Callable[..., float], *arguments: Scalar) -> float:
    try:
        return function(*map(float_of, arguments))
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return math.nan


def extremum(a: Scalar, b: Scalar, *, largest: bool, number_wins: bool = False) -> Scalar:
    """The larger or smaller of two floats; NaN wins, or loses with `number_wins`; -0 is less than +0."""
    if _is_nan(a) or _is_nan(b):
        if number_wins:
            return b if _is_nan(a) else a
        return math.nan
    if a == b:
        minus = [math.copysign(1.0, float_of(x)) < 0 for x in (a, b)]
        return a if minus[0] != largest else b
    return a if (a > b) == largest else b


def compare(predicate: str, a: Scalar, b: Scalar) -> bool:
    """`arith.cmpf` with `predicate`."""
    unordered = _is_nan(a) or _is_nan(b)
    if predicate in ("true", "false"):
        return predicate == "true"
    if predicate in ("ord", "uno"):
        return unordered == (predicate == "uno")
    if unordered:
        return predicate[0] == "u"
    return ordered(predicate[1:], a, b)


def ordered(relation: str, a: Scalar, b: Scalar) -> bool:
    """a `relation` b."""
    return {"eq": a == b, "ne": a != b, "gt": a > b, "ge": a >= b, "lt": a < b, "le": a <= b}[relation]


def unsigned(value: Scalar, type_: str) -> int:
    """An integer of `type_` as a number without sign."""
    return int(value) & ((1 << (width(type_) or 64)) - 1)


def compare_integers(predicate: str, a: Scalar, b: Scalar, type_: str) -> bool:
    """`arith.cmpi` with `predicate`; one bit compares signed as 0 and -1."""
    if predicate in ("eq", "ne"):
        return ordered(predicate, a, b)
    if predicate[0] == "u":
        return ordered(predicate[1:], unsigned(a, type_), unsigned(b, type_))
    sign = -1 if type_ == "i1" else 1
    return ordered(predicate[1:], sign * int(a), sign * int(b))


def _divide_integers(a: int, b: int, *, mode: str) -> int:
    if b == 0:
        raise Unevaluable("integer division by zero")
    if mode == "floor":
        return a // b
    if mode == "ceil":
        return -(-a // b)
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _to_int(node: Node, types: Sequence[str], x: Sequence[Scalar]) -> Scalar:
    value = float_of(x[0])
    if not math.isfinite(value):
        raise Unevaluable("conversion of a number that is not finite")
    return math.trunc(x[0])


def _signed_one(x: Scalar, type_: str) -> int:
    """A signed integer; one bit is 0 or -1."""
    return -int(x) if type_ == "i1" else int(x)


def _shift(x: int, by: int, bits: int, *, left: bool) -> int:
    if not 0 <= by < bits:
        raise Unevaluable("shift by more than the width")
    return x << by if left else x >> by


def _functions() -> dict[str, Rule]:
    """The functions of one float, by the name of their operation."""
    unary: dict[str, Callable[[float], float]] = {
        name: getattr(math, name)
        for name in (
            "acos acosh asin asinh atan atanh cbrt cos cosh erf erfc exp exp2 expm1 log log10 log1p log2 sin sinh "
            "sqrt tan tanh"
        ).split()
    }
    unary["rsqrt"] = lambda x: 1.0 / math.sqrt(x)
    unary["floor"] = lambda x: float(math.floor(x)) if math.isfinite(x) else x
    unary["ceil"] = lambda x: float(math.ceil(x)) if math.isfinite(x) else x
    unary["trunc"] = lambda x: float(math.trunc(x)) if math.isfinite(x) else x
    unary["roundeven"] = lambda x: float(round(x)) if math.isfinite(x) else x
    unary["round"] = lambda x: math.copysign(math.floor(abs(x) + 0.5), x) if math.isfinite(x) else x
    rules: dict[str, Rule] = {}
    for name, function in unary.items():
        rules[f"math.{name}"] = lambda n, t, x, function=function: _guarded(function, x[0])
    for name in ("exp", "exp2"):
        rules[f"math.{name}"] = lambda n, t, x, name=name: _guarded(getattr(math, name), x[0])
    rules["math.log"] = lambda n, t, x: -math.inf if x[0] == 0 else _guarded(math.log, x[0])
    rules["math.rsqrt"] = lambda n, t, x: math.inf if x[0] == 0 else _guarded(unary["rsqrt"], x[0])
    return rules


FLOAT_RULES: dict[str, Rule] = {
    "arith.addf": lambda n, t, x: add(x[0], x[1]),
    "arith.subf": lambda n, t, x: add(x[0], -x[1]),
    "arith.mulf": lambda n, t, x: multiply(x[0], x[1]),
    "arith.divf": lambda n, t, x: divide(x[0], x[1]),
    "arith.remf": lambda n, t, x: _guarded(math.fmod, x[0], x[1]),
    "arith.negf": lambda n, t, x: -x[0],
    "arith.maximumf": lambda n, t, x: extremum(x[0], x[1], largest=True),
    "arith.minimumf": lambda n, t, x: extremum(x[0], x[1], largest=False),
    "arith.maxnumf": lambda n, t, x: extremum(x[0], x[1], largest=True, number_wins=True),
    "arith.minnumf": lambda n, t, x: extremum(x[0], x[1], largest=False, number_wins=True),
    "arith.cmpf": lambda n, t, x: compare(str(n.detail), x[0], x[1]),
    "arith.extf": lambda n, t, x: x[0],
    "arith.truncf": lambda n, t, x: x[0],
    "arith.sitofp": lambda n, t, x: _signed_one(x[0], t[0]),
    "arith.uitofp": lambda n, t, x: unsigned(x[0], t[0]),
    "arith.fptosi": _to_int,
    "arith.fptoui": _to_int,
    "math.absf": lambda n, t, x: abs(x[0]),
    "math.fma": lambda n, t, x: add(multiply(x[0], x[1]), x[2]),
    "math.powf": lambda n, t, x: power(x[0], x[1]),
    "math.fpowi": lambda n, t, x: power(x[0], x[1]),
    "math.atan2": lambda n, t, x: _guarded(math.atan2, x[0], x[1]),
    "math.copysign": lambda n, t, x: _guarded(math.copysign, x[0], x[1]),
    "math.clampf": lambda n, t, x: extremum(extremum(x[0], x[1], largest=True), x[2], largest=False),
    "math.isnan": lambda n, t, x: _is_nan(x[0]),
    "math.isinf": lambda n, t, x: isinstance(x[0], float) and math.isinf(x[0]),
    "math.isfinite": lambda n, t, x: not isinstance(x[0], float) or math.isfinite(x[0]),
}


def _affine(choose: Callable[[Sequence[int]], int]) -> Rule:
    """`choose` among the results of a map, which is the only attribute of the operation."""

    def rule(node: Node, _types: Sequence[str], values: Sequence[Scalar]) -> Scalar:
        assert isinstance(node.detail, tuple)
        text = str(node.detail[0]).removeprefix("map=")
        try:
            return choose(affine_values(text, [int(value) for value in values]))
        except ZeroDivisionError as error:
            raise Unevaluable("division by zero in a map") from error

    return rule


INTEGER_RULES: dict[str, Rule] = {
    "affine.apply": _affine(lambda results: results[0]),
    "affine.min": _affine(min),
    "affine.max": _affine(max),
    "arith.select": lambda n, t, x: x[1] if x[0] else x[2],
    "arith.cmpi": lambda n, t, x: compare_integers(str(n.detail), x[0], x[1], t[0]),
    "arith.addi": lambda n, t, x: x[0] + x[1],
    "arith.subi": lambda n, t, x: x[0] - x[1],
    "arith.muli": lambda n, t, x: x[0] * x[1],
    "arith.andi": lambda n, t, x: int(x[0]) & int(x[1]),
    "arith.ori": lambda n, t, x: int(x[0]) | int(x[1]),
    "arith.xori": lambda n, t, x: int(x[0]) ^ int(x[1]),
    "arith.maxsi": lambda n, t, x: x[0] if compare_integers("sge", x[0], x[1], t[0]) else x[1],
    "arith.minsi": lambda n, t, x: x[0] if compare_integers("sle", x[0], x[1], t[0]) else x[1],
    "arith.maxui": lambda n, t, x: x[0] if compare_integers("uge", x[0], x[1], t[0]) else x[1],
    "arith.minui": lambda n, t, x: x[0] if compare_integers("ule", x[0], x[1], t[0]) else x[1],
    "arith.extui": lambda n, t, x: unsigned(x[0], t[0]),
    "arith.extsi": lambda n, t, x: _signed_one(x[0], t[0]),
    "arith.trunci": lambda n, t, x: x[0],
    "arith.index_cast": lambda n, t, x: _signed_one(x[0], t[0]),
    "arith.index_castui": lambda n, t, x: unsigned(x[0], t[0]),
    "arith.divsi": lambda n, t, x: _divide_integers(int(x[0]), int(x[1]), mode="trunc"),
    "arith.divui": lambda n, t, x: _divide_integers(unsigned(x[0], t[0]), unsigned(x[1], t[0]), mode="trunc"),
    "arith.floordivsi": lambda n, t, x: _divide_integers(int(x[0]), int(x[1]), mode="floor"),
    "arith.ceildivsi": lambda n, t, x: _divide_integers(int(x[0]), int(x[1]), mode="ceil"),
    "arith.remsi": lambda n, t, x: (
        int(x[0]) - int(x[1]) * _divide_integers(int(x[0]), int(x[1]), mode="trunc")
    ),
    "arith.remui": lambda n, t, x: (
        unsigned(x[0], t[0]) % unsigned(x[1], t[0]) if x[1] else _divide_integers(0, 0, mode="")
    ),
    "arith.shli": lambda n, t, x: _shift(int(x[0]), int(x[1]), width(t[0]) or 64, left=True),
    "arith.shrsi": lambda n, t, x: _shift(int(x[0]), int(x[1]), width(t[0]) or 64, left=False),
    "arith.shrui": lambda n, t, x: _shift(unsigned(x[0], t[0]), int(x[1]), width(t[0]) or 64, left=False),
    "math.absi": lambda n, t, x: abs(x[0]),
}

RULES: dict[str, Rule] = {**_functions(), **FLOAT_RULES, **INTEGER_RULES}
"""What each operation computes, given its node, the types of its operands and their values."""

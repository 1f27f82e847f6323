"""The gate to Z3: truth values, reals and bit-vectors that fold where they are known, and one question to the solver.

A known truth value is a `bool`, a known real a `Fraction`, a known integer an `int`: what folds never reaches Z3.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NoReturn, TypeVar

import z3

Bool = Any
"""`bool` or a Z3 truth value."""
Real = Any
"""`Fraction` or a Z3 real."""
Bits = Any
"""`int` (signed) or a Z3 bit-vector."""

Verdict = Literal["proved", "refuted", "unknown"]

T = TypeVar("T")


def both(*terms: Bool) -> Bool:
    """Conjunction."""
    if any(term is False for term in terms):
        return False
    rest = [term for term in terms if term is not True]
    return True if not rest else rest[0] if len(rest) == 1 else z3.And(*rest)


def either(*terms: Bool) -> Bool:
    """Disjunction."""
    if any(term is True for term in terms):
        return True
    rest = [term for term in terms if term is not False]
    return False if not rest else rest[0] if len(rest) == 1 else z3.Or(*rest)


def negate(term: Bool) -> Bool:
    """Negation."""
    return not term if isinstance(term, bool) else z3.Not(term)


def equal_bools(a: Bool, b: Bool) -> Bool:
    """Whether two truth values are the same."""
    if isinstance(a, bool):
        return b if a else negate(b)
    if isinstance(b, bool):
        return a if b else negate(a)
    return True if a.eq(b) else a == b


def choose_bool(condition: Bool, a: Bool, b: Bool) -> Bool:
    """`a` where `condition`, else `b`."""
    return either(both(condition, a), both(negate(condition), b))


def real(value: Real) -> Any:
    """`value` as a Z3 real."""
    return z3.RealVal(str(value)) if isinstance(value, Fraction) else value


def choose_real(condition: Bool, a: Real, b: Real) -> Real:
    """`a` where `condition`, else `b`."""
    if isinstance(condition, bool):
        return a if condition else b
    return a if same_term(a, b) else z3.If(condition, real(a), real(b))


def same_term(a: Any, b: Any) -> bool:
    """Whether two terms are written the same."""
    if z3.is_expr(a) and z3.is_expr(b):
        return a.eq(b)
    return not z3.is_expr(a) and not z3.is_expr(b) and a == b


def relation(name: str, a: Real, b: Real) -> Bool:
    """`a name b` for reals, name one of eq, ne, lt, le, gt, ge."""
    if same_term(a, b):
        return name in ("eq", "le", "ge")
    if not (isinstance(a, Fraction) and isinstance(b, Fraction)):
        a, b = real(a), real(b)
    return {
        "eq": lambda: a == b,
        "ne": lambda: a != b,
        "lt": lambda: a < b,
        "le": lambda: a <= b,
        "gt": lambda: a > b,
        "ge": lambda: a >= b,
    }[name]()


def times(a: Real, b: Real) -> Real:
    """Product; a known zero gives zero."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    for known, other in ((a, b), (b, a)):
        if isinstance(known, Fraction) and known in (0, 1):
            return known if known == 0 else other
    return real(a) * real(b)


def plus(a: Real, b: Real) -> Real:
    """Sum."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a + b
    for known, other in ((a, b), (b, a)):
        if isinstance(known, Fraction) and known == 0:
            return other
    return real(a) + real(b)


def divided(a: Real, b: Real) -> Real:
    """Quotient; anything at b = 0, which callers guard."""
    if isinstance(b, Fraction) and b != 0:
        return times(a, 1 / b)
    return Fraction(0) if isinstance(a, Fraction) and a == 0 else real(a) / real(b)


def bits(value: Bits, width: int) -> Any:
    """`value` as a Z3 bit-vector."""
    return z3.BitVecVal(value, width) if isinstance(value, int) else value


def bit(value: Bool) -> Any:
    """A truth value as a bit-vector of one bit."""
    return (
        z3.If(value, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
        if z3.is_expr(value)
        else z3.BitVecVal(int(value), 1)
    )


def choose_bits(condition: Bool, a: Bits, b: Bits, width: int) -> Bits:
    """`a` where `condition`, else `b`."""
    if isinstance(condition, bool):
        return a if condition else b
    return a if same_term(a, b) else z3.If(condition, bits(a, width), bits(b, width))


def compare_bits(predicate: str, a: Any, b: Any) -> Bool:
    """`arith.cmpi` of two Z3 bit-vectors."""
    if a.eq(b):
        return predicate in ("eq", "sle", "sge", "ule", "uge")
    return {
        "eq": lambda: a == b,
        "ne": lambda: a != b,
        "slt": lambda: a < b,
        "sle": lambda: a <= b,
        "sgt": lambda: a > b,
        "sge": lambda: a >= b,
        "ult": lambda: z3.ULT(a, b),
        "ule": lambda: z3.ULE(a, b),
        "ugt": lambda: z3.UGT(a, b),
        "uge": lambda: z3.UGE(a, b),
    }[predicate]()


BINARY_BITS = {
    "arith.addi": lambda a, b: a + b,
    "arith.subi": lambda a, b: a - b,
    "arith.muli": lambda a, b: a * b,
    "arith.andi": lambda a, b: a & b,
    "arith.ori": lambda a, b: a | b,
    "arith.xori": lambda a, b: a ^ b,
    "arith.shli": lambda a, b: a << b,
    "arith.shrsi": lambda a, b: a >> b,
    "arith.shrui": z3.LShR,
    "arith.divui": z3.UDiv,
    "arith.remui": z3.URem,
    "arith.divsi": lambda a, b: a / b,
    "arith.remsi": z3.SRem,
    "arith.maxsi": lambda a, b: z3.If(a >= b, a, b),
    "arith.minsi": lambda a, b: z3.If(a <= b, a, b),
    "arith.maxui": lambda a, b: z3.If(z3.UGE(a, b), a, b),
    "arith.minui": lambda a, b: z3.If(z3.ULE(a, b), a, b),
}
"""The operations of two bit-vectors of one width."""


def resized(value: Any, width: int, *, signed: bool) -> Any:
    """A bit-vector extended or cut to `width`."""
    old = value.size()
    if width == old:
        return value
    if width < old:
        return z3.Extract(width - 1, 0, value)
    return z3.SignExt(width - old, value) if signed else z3.ZeroExt(width - old, value)


def is_one(value: Any) -> Bool:
    """Whether a bit-vector of one bit is set."""
    return value == z3.BitVecVal(1, 1)


def is_below(value: Any, bits: int) -> Bool:
    """Whether a bit-vector, as a number without sign, is less than 2^bits."""
    return z3.ULT(value, z3.BitVecVal(1 << bits, value.size()))


def absolute(value: Any) -> Any:
    """|value| of a bit-vector."""
    return z3.If(value >= 0, value, -value)


def bool_variable(name: str) -> Bool:
    """A free truth value."""
    return z3.Bool(name)


def real_variable(name: str) -> Real:
    """A free real."""
    return z3.Real(name)


def bits_variable(name: str, width: int) -> Bits:
    """A free bit-vector."""
    return z3.BitVec(name, width)


def opaque_variable(name: str, type_: str) -> Any:
    """A free value of a type that the prover knows nothing about."""
    return z3.Const(name, z3.DeclareSort(type_))


Sort = Literal["real", "bool"] | int | str
"""`real`, `bool`, the width of a bit-vector, or the name of an opaque type."""


def call(name: str, arguments: Sequence[Any], sort: Sort) -> Any:
    """An uninterpreted function of Z3 terms."""
    if sort == "real":
        result = z3.RealSort()
    elif sort == "bool":
        result = z3.BoolSort()
    else:
        result = z3.BitVecSort(sort) if isinstance(sort, int) else z3.DeclareSort(sort)
    if not arguments:
        return z3.Const(name, result)
    return z3.Function(name, *(argument.sort() for argument in arguments), result)(*arguments)


def known_bool(value: bool) -> Any:
    """A truth value as a Z3 term."""
    return z3.BoolVal(value)


@dataclass(frozen=True)
class Answer:
    """The solver's answer to a claim, with a model that refutes it."""

    verdict: Verdict
    model: Any = None

    def value(self, term: Any) -> Fraction | int | bool:
        """What the model gives to a term; a real that is not rational is approximated."""
        value = self.model.eval(term, model_completion=True)
        if z3.is_bool(value):
            return z3.is_true(value)
        if z3.is_bv_value(value):
            return value.as_signed_long() if value.size() > 1 else value.as_long()
        return (value if z3.is_rational_value(value) else value.approx(20)).as_fraction()


class OutOfTime(Exception):
    """A `deadline` left no time for an answer. As an exception it passes caches: the next question may have time."""


@dataclass
class Deadline:
    """When questions end, and whether one was cut off."""

    at: float = math.inf
    has_cut: bool = False

    def check(self) -> float:
        """How many milliseconds are left; raises `OutOfTime` if none are."""
        left = 1000 * (self.at - time.monotonic())
        if left < 1:
            self.cut()
        return left

    def cut(self) -> NoReturn:
        """Raises `OutOfTime`."""
        self.has_cut = True
        raise OutOfTime


_DEADLINE: ContextVar[Deadline] = ContextVar("deadline")


@contextmanager
def deadline(milliseconds: int) -> Iterator[None]:
    """Ends all questions inside that are not answered after so many milliseconds together."""
    token = _DEADLINE.set(Deadline(time.monotonic() + milliseconds / 1000))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def current_deadline() -> Deadline:
    """The innermost `deadline`, else one that never comes."""
    return _DEADLINE.get(Deadline())


def in_time(question: Callable[[], T], otherwise: T) -> T:
    """The answer to `question`, or `otherwise` if the `deadline` leaves no time for it."""
    try:
        return question()
    except OutOfTime:
        return otherwise


def ask(claim: Bool, hypotheses: Sequence[Bool], timeout_ms: int) -> Answer:
    """Whether `claim` follows from `hypotheses`; `unknown` after `timeout_ms`, `OutOfTime` after a `deadline`.

    Raises `KeyboardInterrupt` for Ctrl-C: Z3 catches the signal itself, and stops without an answer.
    """
    if isinstance(claim, bool):
        return Answer("proved" if claim else "refuted")
    end = current_deadline()
    left = end.check()
    solver = z3.Solver()
    solver.set("timeout", int(min(timeout_ms, left)))
    solver.add(*hypotheses, z3.Not(claim))
    outcome = solver.check()
    if outcome == z3.unsat:
        return Answer("proved")
    if outcome == z3.unknown and solver.reason_unknown() == "interrupted from keyboard":
        raise KeyboardInterrupt
    if outcome == z3.unknown and left < timeout_ms and solver.reason_unknown() in ("timeout", "canceled"):
        end.cut()
    return Answer("refuted", solver.model()) if outcome == z3.sat else Answer("unknown")


def simplified(term: Any) -> Any:
    """`term` in a simpler form, a `bool` if it is a known truth value."""
    if isinstance(term, bool):
        return term
    simple = z3.simplify(term)
    return z3.is_true(simple) if z3.is_true(simple) or z3.is_false(simple) else simple


def replaced(term: Any, pairs: Sequence[tuple[Any, Any]]) -> Any:
    """`term` with the first of each pair, wherever it occurs, replaced by the second."""
    return z3.substitute(term, *pairs) if pairs else term


def parts(term: Any) -> list[Any]:
    """Every subterm once, operands before what they are operands of."""
    found: dict[int, Any] = {}
    todo = [(term, False)]
    while todo:
        part, is_ready = todo.pop()
        if is_ready:
            found.setdefault(part.get_id(), part)
        elif part.get_id() not in found:
            todo.append((part, True))
            todo.extend((child, False) for child in part.children())
    return list(found.values())


def choices(term: Any) -> list[Any]:
    """The atoms of the conditions of choices in `term`, those that contain no choice themselves first."""
    conditions = [part.arg(0) for part in parts(term) if z3.is_app_of(part, z3.Z3_OP_ITE)]
    atoms: dict[int, Any] = {}
    for condition in conditions:
        todo = [condition]
        while todo:
            part = todo.pop()
            if any(z3.is_app_of(part, kind) for kind in (z3.Z3_OP_AND, z3.Z3_OP_OR, z3.Z3_OP_NOT)):
                todo.extend(part.children())
            else:
                atoms.setdefault(part.get_id(), part)
    return list(atoms.values())


def calls(term: Any, name: str) -> list[Any]:
    """The calls of the function `name` in `term`, inner ones first."""
    return [
        part for part in parts(term) if z3.is_app(part) and part.num_args() and part.decl().name() == name
    ]


Linear = frozenset[tuple[Any, Fraction]]
"""A linear combination: each term, None for the number 1, with the factor that it has."""


def linear(term: Any) -> Linear:
    """A real term as a linear combination of terms that are not sums or multiples."""
    factors: dict[Any, Fraction] = {}

    def add(part: Any, factor: Fraction) -> None:
        if z3.is_rational_value(part):
            factors[None] = factors.get(None, Fraction(0)) + factor * part.as_fraction()
        elif z3.is_add(part) or z3.is_sub(part):
            for place, child in enumerate(part.children()):
                add(child, -factor if place and z3.is_sub(part) else factor)
        elif z3.is_app_of(part, z3.Z3_OP_UMINUS):
            add(part.arg(0), -factor)
        elif z3.is_mul(part) and part.num_args() == 2 and z3.is_rational_value(part.arg(0)):
            add(part.arg(1), factor * part.arg(0).as_fraction())
        else:
            factors[part] = factors.get(part, Fraction(0)) + factor

    add(term, Fraction(1))
    return frozenset((part, factor) for part, factor in factors.items() if factor)

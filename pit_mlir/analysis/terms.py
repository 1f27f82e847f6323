"""Bodies as terms of the solver: what each operation means over the extended reals and over bit-vectors.

A float is a `Number`: a real, or one of NaN, -inf, +inf. Over reals (the licence T9 of
`docs/design.md`) `extf` and `truncf` are the identity, arithmetic is exact, and functions are uninterpreted with axioms
at zero and at the infinities.
In strict mode arithmetic is uninterpreted too, and zero has a sign: only comparisons, selections and extrema mean
something, so a sum is never found to be order-free.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import Any

from pit_mlir.analysis import smt
from pit_mlir.analysis.body import MOST_UNROLLED, POWERS, Body, Node, is_float, width
from pit_mlir.analysis.evaluate import LOWEST_BOUND, RULES, Scalar, Unevaluable, number
from pit_mlir.analysis.functions import AT_INFINITIES, TOTAL, ZERO_VALUES
from pit_mlir.analysis.smt import Bool, Real, both, choose_bool, choose_real, either, negate, relation


class Unproved(Exception):
    """The body contains something about which nothing is proved, such as a NaN constant."""


class Domain(Enum):
    """What a free float may be."""

    FINITE = "finite"
    EXTENDED = "finite or infinite"
    ANY = "any, NaN included"


@dataclass(frozen=True)
class Number:
    """A float: at most one of the flags holds; `value` counts where none does. `minus` is the sign of a zero."""

    value: Real
    nan: Bool = False
    ninf: Bool = False
    pinf: Bool = False
    minus: Bool = False

    @property
    def finite(self) -> Bool:
        """Whether it is a real."""
        return negate(either(self.nan, self.ninf, self.pinf))

    @property
    def infinite(self) -> Bool:
        """Whether it is -inf or +inf."""
        return either(self.ninf, self.pinf)

    @property
    def positive(self) -> Bool:
        """Whether it is greater than zero."""
        return either(self.pinf, both(self.finite, relation("gt", self.value, Fraction(0))))

    @property
    def negative(self) -> Bool:
        """Whether it is less than zero."""
        return either(self.ninf, both(self.finite, relation("lt", self.value, Fraction(0))))

    @property
    def zero(self) -> Bool:
        """Whether it is zero."""
        return both(self.finite, relation("eq", self.value, Fraction(0)))


Term = Any
"""A `Number` for a float, a truth value for i1, a bit-vector for other integers, else an opaque Z3 term."""


def literal(value: float | Fraction) -> Number:
    """A known float."""
    if isinstance(value, float) and not math.isfinite(value):
        return Number(Fraction(0), math.isnan(value), value == -math.inf, value == math.inf)
    minus = isinstance(value, float) and value == 0.0 and math.copysign(1.0, value) < 0
    return Number(Fraction(value), minus=minus)


def known(term: Term, type_: str) -> Scalar | None:
    """The value of a term that is a literal, else None."""
    if not is_float(type_):
        return term if isinstance(term, int) else None
    if term.nan is True or term.ninf is True or term.pinf is True:
        return math.nan if term.nan is True else -math.inf if term.ninf is True else math.inf
    is_literal = isinstance(term.value, Fraction) and all(
        flag is False for flag in (term.nan, term.ninf, term.pinf)
    )
    return term.value if is_literal else None


def constant_term(value: float | int, type_: str) -> Term:
    """A constant of a body; raises `Unproved` for NaN."""
    if isinstance(value, float) and math.isnan(value):
        raise Unproved("the body has a NaN constant")
    return literal(float(value)) if is_float(type_) else bool(value) if type_ == "i1" else int(value)


def free(name: str, type_: str, domain: Domain, strict: bool = False) -> Term:
    """A free scalar of `type_`."""
    if is_float(type_):
        value = smt.real_variable(name)
        minus = smt.bool_variable(f"{name}.minus") if strict else False
        if domain is Domain.FINITE:
            return Number(value, minus=minus)
        nan = smt.bool_variable(f"{name}.nan") if domain is Domain.ANY else False
        pinf = both(smt.bool_variable(f"{name}.pinf"), negate(nan))
        ninf = both(smt.bool_variable(f"{name}.ninf"), negate(nan), negate(pinf))
        return Number(value, nan, ninf, pinf, minus)
    if type_ == "i1":
        return smt.bool_variable(name)
    bits = width(type_)
    return smt.bits_variable(name, bits) if bits is not None else smt.opaque_variable(name, type_)


def identical(a: Term, b: Term, type_: str, strict: bool = False) -> Bool:
    """Whether two terms of one type are the same value; NaN is the same as NaN."""
    if type_ == "i1":
        return smt.equal_bools(a, b)
    if not is_float(type_):
        bits = width(type_)
        if bits is None or smt.same_term(a, b):
            return True if smt.same_term(a, b) else a == b
        return a == b if isinstance(a, int) and isinstance(b, int) else smt.bits(a, bits) == smt.bits(b, bits)
    signs = either(negate(a.zero), smt.equal_bools(a.minus, b.minus)) if strict else True
    return both(
        smt.equal_bools(a.nan, b.nan),
        smt.equal_bools(a.ninf, b.ninf),
        smt.equal_bools(a.pinf, b.pinf),
        either(negate(a.finite), both(relation("eq", a.value, b.value), signs)),
    )


def choose(condition: Bool, a: Term, b: Term, type_: str) -> Term:
    """`a` where `condition`, else `b`."""
    if isinstance(condition, bool):
        return a if condition else b
    if type_ == "i1":
        return choose_bool(condition, a, b)
    if is_float(type_):
        return choose_number(condition, a, b)
    bits = width(type_)
    return smt.choose_bits(condition, a, b, 64 if bits is None else bits)


def choose_number(condition: Bool, a: Number, b: Number) -> Number:
    """`a` where `condition`, else `b`."""
    if isinstance(condition, bool):
        return a if condition else b
    return Number(
        choose_real(condition, a.value, b.value),
        *(
            flag if flag is other else choose_bool(condition, flag, other)
            for flag, other in ((a.nan, b.nan), (a.ninf, b.ninf), (a.pinf, b.pinf), (a.minus, b.minus))
        ),
    )


def add(a: Number, b: Number) -> Number:
    """a + b; inf - inf is NaN."""
    nan = either(a.nan, b.nan, both(a.pinf, b.ninf), both(a.ninf, b.pinf))
    pinf, ninf = (both(negate(nan), either(x, y)) for x, y in ((a.pinf, b.pinf), (a.ninf, b.ninf)))
    return Number(smt.plus(a.value, b.value), nan, ninf, pinf)


def opposite(a: Number) -> Number:
    """-a."""
    return Number(-a.value, a.nan, a.pinf, a.ninf, negate(a.minus))


def multiply(a: Number, b: Number) -> Number:
    """a * b; inf * 0 is NaN."""
    value = smt.times(a.value, b.value)
    if a.finite is True and b.finite is True:
        return Number(value)
    nan = either(a.nan, b.nan, both(a.infinite, b.zero), both(b.infinite, a.zero))
    infinite = both(negate(nan), either(a.infinite, b.infinite))
    plus = either(both(a.positive, b.positive), both(a.negative, b.negative))
    return Number(value, nan, both(infinite, negate(plus)), both(infinite, plus))


def divide(a: Number, b: Number) -> Number:
    """a / b as IEEE 754 has it, with every zero divisor taken as +0: the sign of zero is not kept (T8)."""
    nan = either(a.nan, b.nan, both(a.zero, b.zero), both(a.infinite, b.infinite))
    infinite = both(negate(nan), either(a.infinite, b.zero))
    plus = choose_bool(b.zero, a.positive, either(both(a.positive, b.positive), both(a.negative, b.negative)))
    value = choose_real(b.infinite, Fraction(0), smt.divided(a.value, b.value))
    return Number(value, nan, both(infinite, negate(plus)), both(infinite, plus))


def greater(a: Number, b: Number) -> Bool:
    """a > b, false if one is NaN."""
    return either(
        both(a.pinf, negate(either(b.nan, b.pinf))),
        both(b.ninf, negate(either(a.nan, a.ninf))),
        both(a.finite, b.finite, relation("gt", a.value, b.value)),
    )


def equal(a: Number, b: Number) -> Bool:
    """a == b, false if one is NaN."""
    return either(
        both(a.pinf, b.pinf),
        both(a.ninf, b.ninf),
        both(a.finite, b.finite, relation("eq", a.value, b.value)),
    )


def extremum(a: Number, b: Number, *, largest: bool, number_wins: bool = False) -> Number:
    """The larger or smaller of two; NaN wins, or loses with `number_wins`; -0 is less than +0."""
    first = greater(a, b) if largest else greater(b, a)
    tie = both(equal(a, b), negate(a.minus) if largest else a.minus)
    best = choose_number(either(first, tie), a, b)
    if number_wins:
        return choose_number(a.nan, b, choose_number(b.nan, a, best))
    nan = either(a.nan, b.nan)
    return best if nan is False else choose_number(nan, literal(math.nan), best)


def compare(predicate: str, a: Number, b: Number) -> Bool:
    """`arith.cmpf` with `predicate`."""
    unordered = either(a.nan, b.nan)
    if predicate in ("true", "false"):
        return predicate == "true"
    if predicate in ("ord", "uno"):
        return unordered if predicate == "uno" else negate(unordered)
    holds: Bool = {
        "eq": lambda: equal(a, b),
        "ne": lambda: both(negate(unordered), negate(equal(a, b))),
        "gt": lambda: greater(a, b),
        "ge": lambda: either(greater(a, b), equal(a, b)),
        "lt": lambda: greater(b, a),
        "le": lambda: either(greater(b, a), equal(a, b)),
    }[predicate[1:]]()
    return either(unordered, holds) if predicate[0] == "u" else holds


MOST_DEGREE = 1024
"""The largest degree that is handed to the solver: at 2^59 it has no answer and no end, whatever its time limit."""


class Terms:
    """Translates bodies; `hypotheses` are the axioms of the functions it met.

    With `lowest`, a constant of at most -1e30 that is added counts as -inf. `tables` says what the elements of
    captured tensors may be.
    """

    def __init__(self, *, strict: bool = False, lowest: bool = False, tables: Domain = Domain.FINITE) -> None:
        self.strict, self.lowest, self.tables = strict, lowest, tables
        self.hypotheses: list[Bool] = []
        self._body: Body | None = None

    def run(self, body: Body, leaf: Callable[[Node], Term]) -> list[Term | None]:
        """What `body` yields for the given leaves (constants excepted); raises `Unproved`."""
        self._body = body
        if body.degree > MOST_DEGREE:
            raise Unproved(f"the body is a polynomial of degree {body.degree}")

        def leaf_term(node: Node) -> Term:
            return constant_term(node.number, node.type) if node.op == "constant" else leaf(node)

        return body.run(leaf_term, self._apply)

    def _apply(self, node: Node, arguments: list[Term]) -> Term:
        assert self._body is not None
        types = [self._body.nodes[operand].type for operand in node.operands]
        folded = self._fold(node, types, arguments)
        if folded is not None:
            return folded
        if node.op == "arith.select" and types[0] == "i1":
            return choose(arguments[0], arguments[1], arguments[2], node.type)
        if node.is_float or any(map(is_float, types)):
            return self._float(node, types, arguments)
        return self._integer(node, types, arguments)

    def _fold(self, node: Node, types: Sequence[str], arguments: Sequence[Term]) -> Term | None:
        """The value of an operation on known integers, else None."""
        rule = RULES.get(node.op)
        if rule is None or any(
            is_float(type_) or not isinstance(x, int) for type_, x in zip(types, arguments, strict=True)
        ):
            return None
        try:
            value = number(rule(node, types, arguments), node.type, self.strict)
        except Unevaluable:
            return None
        return constant_term(value, node.type) if not isinstance(value, Fraction) else literal(value)

    def _float(self, node: Node, types: Sequence[str], x: list[Term]) -> Term:
        rule = STRICT_RULES.get(node.op)
        if rule is None and not self.strict:
            rule = REAL_RULES.get(node.op)
        if rule is not None:
            return rule(self, node, x)
        if node.op in ("arith.sitofp", "arith.uitofp"):
            return self._from_integer(node, types[0], x[0])
        if not self.strict and node.op in POWERS:
            exponent = known(x[1], types[1])
            if exponent is not None and 0 <= exponent <= MOST_UNROLLED and exponent == int(exponent):
                result = literal(1.0)
                for _ in range(int(exponent)):
                    result = multiply(result, x[0])
                return result
        if not self.strict and node.op.startswith("math.") and len(x) == 1 and node.is_float:
            return self._function(node, types, x[0])
        return self.unknown(node, types, x)

    def _from_integer(self, node: Node, type_: str, x: Term) -> Number:
        """`sitofp` and `uitofp`: exact for i1, else an unknown function that keeps zero."""
        if type_ == "i1":
            one = literal(-1.0 if node.op == "arith.sitofp" else 1.0)
            return choose_number(x, one, literal(0.0))
        bits = width(type_)
        assert bits is not None
        name = f"{node.op}:{type_}:{node.type if self.strict else 'real'}"
        self.hypotheses.append(smt.call(name, [smt.bits(0, bits)], "real") == smt.real(Fraction(0)))
        return Number(smt.call(name, [smt.bits(x, bits)], "real"))

    def _function(self, node: Node, types: Sequence[str], x: Number) -> Number:
        """A function of one real, with its axiom at zero and its limits."""
        at_zero = ZERO_VALUES.get(node.op)
        if at_zero is not None and known(x, types[0]) == 0:
            return literal(at_zero)
        if x.finite is False:
            finite = literal(0.0)
        else:
            at = [smt.real(x.value)]
            finite = (
                Number(smt.call(node.op, at, "real"))
                if node.op in TOTAL
                else self._call(node.op, at, node.type)
            )
            if at_zero is not None:
                self.hypotheses.append(
                    smt.call(node.op, [smt.real(Fraction(0))], "real") == smt.real(at_zero)
                )
        if x.finite is True:
            return finite
        limits = AT_INFINITIES.get(node.op.removeprefix("math."))
        if limits is None:
            outside = self._call(f"{node.op}@inf", [x.ninf, x.pinf], node.type)
        else:
            outside = choose_number(x.ninf, literal(limits[0]), literal(limits[1]))
        return choose_number(x.finite, finite, choose_number(x.nan, literal(math.nan), outside))

    def _integer(self, node: Node, types: Sequence[str], x: list[Term]) -> Term:
        bits = [width(type_) for type_ in types]
        result = width(node.type)
        if node.op == "tensor.extract" or not bits or result is None or any(size is None for size in bits):
            return self.unknown(node, types, x)
        if node.op in BOOLEAN_RULES and types[0] == "i1":
            return BOOLEAN_RULES[node.op](x[0], x[1])
        if node.op == "arith.cmpi" and types[0] == "i1" and node.detail in ("eq", "ne"):
            same = smt.equal_bools(x[0], x[1])
            return same if node.detail == "eq" else negate(same)
        vectors = [
            smt.bit(term) if type_ == "i1" else smt.bits(term, size or 0)
            for term, type_, size in zip(x, types, bits, strict=True)
        ]
        if node.op == "arith.cmpi":
            return smt.compare_bits(str(node.detail), vectors[0], vectors[1])
        if node.op in smt.BINARY_BITS:
            vector = smt.BINARY_BITS[node.op](*vectors)
        elif node.op in CASTS:
            vector = smt.resized(vectors[0], result, signed=CASTS[node.op])
        elif node.op == "math.absi":
            vector = smt.absolute(vectors[0])
        else:
            return self.unknown(node, types, x)
        return smt.is_one(vector) if result == 1 else vector

    def unknown(self, node: Node, types: Sequence[str], x: Sequence[Term]) -> Term:
        """The result of an operation of which only this is known: equal operands give equal results."""
        name = f"{node.op}:{node.detail}:{','.join(types)}:{node.type}"
        flat: list[Any] = []
        is_table = node.op == "tensor.extract"
        finite: Bool = not self.strict and (self.tables is Domain.FINITE if is_table else node.op in TOTAL)
        for term, type_ in zip(x, types, strict=True):
            flat.extend(components(term, type_))
            if is_float(type_):
                finite = both(finite, term.finite)
        if not node.is_float or finite is False:
            return self._call(name, flat, node.type)
        values = [real_part(term, type_) for term, type_ in zip(x, types, strict=True)]
        inside = Number(smt.call(f"{name}@finite", values, "real"))
        return inside if finite is True else choose_number(finite, inside, self._call(name, flat, node.type))

    def _call(self, name: str, arguments: Sequence[Any], type_: str) -> Term:
        """An uninterpreted function of any terms."""
        flat = [smt.known_bool(item) if isinstance(item, bool) else item for item in arguments]
        if type_ == "i1":
            return smt.call(name, flat, "bool")
        if not is_float(type_):
            return smt.call(name, flat, width(type_) or type_)
        nan, pinf, ninf, minus = (
            smt.call(f"{name}.{flag}", flat, "bool") for flag in ("nan", "pinf", "ninf", "minus")
        )
        pinf = both(pinf, negate(nan))
        value = smt.call(name, flat, "real")
        return Number(
            value, nan, both(ninf, negate(nan), negate(pinf)), pinf, minus if self.strict else False
        )

    def added(self, x: Number) -> Number:
        """A term of a sum: a constant that counts as -inf becomes -inf."""
        value = known(x, "f64") if self.lowest else None
        if value is None or not -math.inf < value <= LOWEST_BOUND:
            return x
        return literal(-math.inf)


def components(term: Term, type_: str) -> list[Any]:
    """A term as the Z3 terms it consists of."""
    if is_float(type_):
        flags = (term.nan, term.ninf, term.pinf, term.minus)
        return [
            smt.real(term.value),
            *(smt.known_bool(flag) if isinstance(flag, bool) else flag for flag in flags),
        ]
    if type_ == "i1":
        return [smt.known_bool(term) if isinstance(term, bool) else term]
    bits = width(type_)
    return [smt.bits(term, bits) if bits is not None else term]


def real_part(term: Term, type_: str) -> Any:
    """A finite term as one Z3 term."""
    return smt.real(term.value) if is_float(type_) else components(term, type_)[0]


def absolute(x: Number) -> Number:
    """|x|."""
    flipped = replace(opposite(x), minus=False)
    return choose_number(x.negative, flipped, replace(x, minus=False))


STRICT_RULES: dict[str, Callable[[Terms, Node, list[Term]], Term]] = {
    "arith.maximumf": lambda t, n, x: extremum(x[0], x[1], largest=True),
    "arith.minimumf": lambda t, n, x: extremum(x[0], x[1], largest=False),
    "arith.maxnumf": lambda t, n, x: extremum(x[0], x[1], largest=True, number_wins=True),
    "arith.minnumf": lambda t, n, x: extremum(x[0], x[1], largest=False, number_wins=True),
    "arith.cmpf": lambda t, n, x: compare(str(n.detail), x[0], x[1]),
    "arith.extf": lambda t, n, x: x[0],
    "arith.negf": lambda t, n, x: opposite(x[0]),
    "math.absf": lambda t, n, x: absolute(x[0]),
    "math.clampf": lambda t, n, x: extremum(extremum(x[0], x[1], largest=True), x[2], largest=False),
    "math.isnan": lambda t, n, x: x[0].nan,
    "math.isinf": lambda t, n, x: x[0].infinite,
    "math.isfinite": lambda t, n, x: x[0].finite,
}
"""The float operations that do not round: they mean the same over reals and in strict mode."""

REAL_RULES: dict[str, Callable[[Terms, Node, list[Term]], Term]] = {
    "arith.addf": lambda t, n, x: add(t.added(x[0]), t.added(x[1])),
    "arith.subf": lambda t, n, x: add(t.added(x[0]), t.added(opposite(x[1]))),
    "arith.mulf": lambda t, n, x: multiply(x[0], x[1]),
    "arith.divf": lambda t, n, x: divide(x[0], x[1]),
    "arith.truncf": lambda t, n, x: x[0],
    "math.fma": lambda t, n, x: add(multiply(x[0], x[1]), x[2]),
}
"""The float operations that are exact over reals."""

BOOLEAN_RULES: dict[str, Callable[[Bool, Bool], Bool]] = {
    "arith.andi": both,
    "arith.muli": both,
    "arith.ori": either,
    "arith.xori": lambda a, b: negate(smt.equal_bools(a, b)),
    "arith.addi": lambda a, b: negate(smt.equal_bools(a, b)),
    "arith.subi": lambda a, b: negate(smt.equal_bools(a, b)),
}
"""Operations of two bits."""

CASTS = {
    "arith.extui": False,
    "arith.extsi": True,
    "arith.trunci": False,
    "arith.index_cast": True,
    "arith.index_castui": False,
}
"""Casts between integers, and whether they extend the sign."""

"""A scalar body, evaluated on intervals: what it may yield when all that is known of its elements is their range.

An interval is sound, never exact: it holds every value that the body yields for elements within their ranges, and may
hold more. A truth value is known to be true (`lo`), or may be true (`hi`). Integers of any width and `index` are
computed in i64 and checked against their own type; a float that may be anything has NaN at both ends, since a
comparison that counts unordered numbers as true then holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.build import is_truth, truth

WIDE = 64
"""Bits in which integers are computed."""


@dataclass(frozen=True)
class Range:
    """All numbers from `lo` to `hi`: both i1, i64 or of one float type."""

    lo: ir.Value
    hi: ir.Value


Rule = Callable[[ir.Operation, Sequence[Range]], Range]


def evaluate(block: ir.Block, known: Mapping[ir.Value, Range]) -> list[Range]:
    """Emits the body `block` on intervals and returns those of what it yields.

    `known` has the range of each `pit.element`; what the body captures from outside must be a constant or be there too.
    An operation that no rule is for may yield anything.
    """
    ranges = dict(known)
    for op in block.operations:
        operation = op.operation
        if operation.name == "pit.element":
            assert operation.results[0] in ranges, "every element is given"
            continue
        operands = [
            ranges[value] if value in ranges else exactly_constant(value) for value in operation.operands
        ]
        if operation.name == "pit.yield":
            return operands
        result = operation.results[0]
        if operation.name == "arith.constant":
            ranges[result] = exactly_constant(result)
        else:
            rule = RULES.get(operation.name)
            ranges[result] = anything(result.type) if rule is None else rule(operation, operands)
    raise AssertionError("a body ends in a yield")


def exactly(scalar: ir.Value) -> Range:
    """The range of one scalar, of any type that a tensor may have."""
    number = wide(scalar)
    return Range(number, number)


def exactly_constant(value: ir.Value) -> Range:
    """The range of a constant outside of the body."""
    maker = value.owner
    assert not isinstance(maker, ir.Block) and maker.operation.name == "arith.constant", "captures are given"
    return exactly(maker.operation.clone().results[0])


def wide(scalar: ir.Value) -> ir.Value:
    """A scalar as intervals keep it: an integer in i64, a truth value or float as it is."""
    i64 = ir.IntegerType.get_signless(WIDE)
    if isinstance(scalar.type, ir.IndexType):
        return arith.index_cast(i64, scalar)
    if isinstance(scalar.type, ir.IntegerType) and 1 < ir.IntegerType(scalar.type).width < WIDE:
        return arith.extsi(i64, scalar)
    return scalar


def union(first: Range, second: Range) -> Range:
    """The range of what is in either; of vectors of floats too."""
    type_ = first.lo.type
    if isinstance(type_, ir.FloatType | ir.VectorType):
        return Range(arith.minimumf(first.lo, second.lo), arith.maximumf(first.hi, second.hi))
    if is_truth(type_):
        return Range(arith.andi(first.lo, second.lo), arith.ori(first.hi, second.hi))
    return Range(arith.minsi(first.lo, second.lo), arith.maxsi(first.hi, second.hi))


def empty(type_: ir.Type) -> Range:
    """The range of nothing, as intervals keep an element of `type_`: `union` with it changes nothing."""
    if isinstance(type_, ir.FloatType):
        return Range(arith.constant(type_, float("inf")), arith.constant(type_, float("-inf")))
    if is_truth(type_):
        return Range(truth(True), truth(False))
    return Range(integer(2 ** (WIDE - 1) - 1), integer(-(2 ** (WIDE - 1))))


def anything(type_: ir.Type) -> Range:
    """All numbers of `type_`."""
    if isinstance(type_, ir.FloatType):
        nan = arith.constant(type_, float("nan"))
        return Range(nan, nan)
    if is_truth(type_):
        return Range(truth(False), truth(True))
    lowest, highest = bounds(type_)
    return Range(integer(lowest), integer(highest))


def bounds(type_: ir.Type) -> tuple[int, int]:
    """The smallest and the largest number of an integer type or `index`."""
    width = WIDE if isinstance(type_, ir.IndexType) else ir.IntegerType(type_).width
    return -(2 ** (width - 1)), 2 ** (width - 1) - 1


def integer(value: int) -> ir.Value:
    """A constant i64."""
    return arith.constant(ir.IntegerType.get_signless(WIDE), value)


def negation(condition: ir.Value) -> ir.Value:
    """`not condition`."""
    return arith.xori(condition, truth(True))


def either(condition: ir.Value, yes: Range, no: Range) -> Range:
    """`yes` where `condition` holds, else `no`."""
    return Range(arith.select(condition, yes.lo, no.lo), arith.select(condition, yes.hi, no.hi))


def within(range_: Range, lowest: int, highest: int) -> ir.Value:
    """Whether all of an integer range is from `lowest` to `highest`."""
    return arith.andi(
        arith.cmpi(arith.CmpIPredicate.sge, range_.lo, integer(lowest)),
        arith.cmpi(arith.CmpIPredicate.sle, range_.hi, integer(highest)),
    )


def hull(numbers: Sequence[ir.Value]) -> Range:
    """The range from the smallest to the largest of `numbers`."""
    found = Range(numbers[0], numbers[0])
    for number in numbers[1:]:
        found = union(found, Range(number, number))
    return found


# ---- rules for operations


def integer_rule(compute: Callable[[Sequence[Range]], Range]) -> Rule:
    """`compute` on integers, anything where a result of i64 might have wrapped or one of its own type does not fit."""

    def rule(op: ir.Operation, operands: Sequence[Range]) -> Range:
        type_ = op.results[0].type
        if is_truth(type_):
            return anything(type_)
        result = compute(operands)
        # Products of numbers of 32 bits, and sums of them, fit 64.
        calm = [within(operand, -(2**31), 2**31) for operand in operands]
        for condition in (*calm, within(result, *bounds(type_))):
            result = either(condition, result, anything(type_))
        return result

    return rule


def _subtract(operands: Sequence[Range]) -> Range:
    a, b = operands
    return Range(arith.subi(a.lo, b.hi), arith.subi(a.hi, b.lo))


def _multiply(operands: Sequence[Range]) -> Range:
    a, b = operands
    return hull([arith.muli(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)])


def _absolute(operands: Sequence[Range]) -> Range:
    [a] = operands
    minus_lo, minus_hi = (arith.subi(integer(0), end) for end in (a.lo, a.hi))
    return Range(arith.maxsi(integer(0), arith.maxsi(a.lo, minus_hi)), arith.maxsi(a.hi, minus_lo))


def _divide(name: str) -> Rule:
    """Division by a positive constant keeps the order of what it divides."""

    def rule(op: ir.Operation, operands: Sequence[Range]) -> Range:
        type_ = op.results[0].type
        divisor = constant_above_zero(op.operands[1])
        if divisor is None or is_truth(type_):
            return anything(type_)
        build = {
            "arith.divsi": arith.divsi,
            "arith.floordivsi": arith.floordivsi,
            "arith.divui": arith.divsi,
        }[name]
        a = operands[0]
        result = Range(build(a.lo, integer(divisor)), build(a.hi, integer(divisor)))
        if name == "arith.divui":
            return either(within(a, 0, bounds(type_)[1]), result, anything(type_))
        return result

    return rule


def constant_above_zero(value: ir.Value) -> int | None:
    """The number that `value` is, if it is a positive integer constant."""
    maker = value.owner
    if isinstance(maker, ir.Block) or maker.operation.name != "arith.constant":
        return None
    number = ir.IntegerAttr(maker.operation.attributes["value"]).value
    return number if number > 0 else None


def _logic(op: ir.Operation, operands: Sequence[Range]) -> Range:
    """`andi`, `ori` and `xori` of truth values."""
    type_ = op.results[0].type
    if not is_truth(type_):
        return anything(type_)
    a, b = operands
    if op.name == "arith.xori":
        surely = arith.ori(arith.andi(a.lo, negation(b.hi)), arith.andi(b.lo, negation(a.hi)))
        alike = arith.ori(arith.andi(a.lo, b.lo), negation(arith.ori(a.hi, b.hi)))
        return Range(surely, negation(alike))
    build = arith.andi if op.name == "arith.andi" else arith.ori
    return Range(build(a.lo, b.lo), build(a.hi, b.hi))


def _select(op: ir.Operation, operands: Sequence[Range]) -> Range:
    condition, yes, no = operands
    return either(condition.lo, yes, either(condition.hi, union(yes, no), no))


def _compare_integers(op: ir.Operation, operands: Sequence[Range]) -> Range:
    """The relation may hold of some pair of numbers, and is known to hold of all."""
    predicate = arith.CmpIPredicate(ir.IntegerAttr(op.attributes["predicate"]).value).name
    a, b = (numbers(operand) for operand in operands)

    def holds(relation: str, x: ir.Value, y: ir.Value) -> ir.Value:
        name = relation if relation == "eq" else f"s{relation}"
        return arith.cmpi(arith.CmpIPredicate[name], x, y)

    if predicate in ("eq", "ne"):
        return equality(a, b, predicate == "ne", holds, holds)
    unknown = anything(ir.IntegerType.get_signless(1))
    if is_truth(op.operands[0].type):
        return unknown
    found = order(a, b, predicate[1:], holds, holds)
    if predicate[0] == "s":
        return found
    natural = arith.andi(*(arith.cmpi(arith.CmpIPredicate.sge, side.lo, integer(0)) for side in (a, b)))
    return either(natural, found, unknown)


def numbers(range_: Range) -> Range:
    """Truth values as 0 and 1."""
    if not is_truth(range_.lo.type):
        return range_
    i64 = ir.IntegerType.get_signless(WIDE)
    return Range(arith.extui(i64, range_.lo), arith.extui(i64, range_.hi))


def _compare_floats(op: ir.Operation, operands: Sequence[Range]) -> Range:
    """As for integers. NaN may make any relation true, and what involves an infinity is not known to be true."""
    predicate = arith.CmpFPredicate(ir.IntegerAttr(op.attributes["predicate"]).value).name
    a, b = operands

    def maybe(relation: str, x: ir.Value, y: ir.Value) -> ir.Value:
        return arith.cmpf(arith.CmpFPredicate[f"U{relation.upper()}"], x, y)

    def surely(relation: str, x: ir.Value, y: ir.Value) -> ir.Value:
        return arith.cmpf(arith.CmpFPredicate[f"O{relation.upper()}"], x, y)

    relation = predicate[1:].lower()
    if relation in ("eq", "ne"):
        found = equality(a, b, relation == "ne", maybe, surely)
    elif relation in ("lt", "le", "gt", "ge"):
        found = order(a, b, relation, maybe, surely)
    else:
        return anything(ir.IntegerType.get_signless(1))
    known = found.lo
    for end in (a.lo, a.hi, b.lo, b.hi):
        for infinity in (float("inf"), float("-inf")):
            known = arith.andi(known, surely("ne", end, arith.constant(end.type, infinity)))
    return Range(known, found.hi)


Relation = Callable[[str, ir.Value, ir.Value], ir.Value]
"""Emits a comparison, named lt, le, eq or ne, of two numbers."""


def order(a: Range, b: Range, relation: str, maybe: Relation, surely: Relation) -> Range:
    """`a relation b` for lt, le, gt, ge."""
    if relation in ("gt", "ge"):
        a, b, relation = b, a, {"gt": "lt", "ge": "le"}[relation]
    return Range(surely(relation, a.hi, b.lo), maybe(relation, a.lo, b.hi))


def equality(a: Range, b: Range, negated: bool, maybe: Relation, surely: Relation) -> Range:
    """`a == b`, or `a != b`."""
    overlap = arith.andi(maybe("le", a.lo, b.hi), maybe("le", b.lo, a.hi))
    ends = [surely("eq", a.lo, a.hi), surely("eq", b.lo, b.hi), surely("eq", a.lo, b.lo)]
    same = arith.andi(ends[0], arith.andi(ends[1], ends[2]))
    return Range(negation(overlap), negation(same)) if negated else Range(same, overlap)


def _resize(op: ir.Operation, operands: Sequence[Range]) -> Range:
    """A cast of an integer that keeps its value, if it fits."""
    type_, source = op.results[0].type, op.operands[0].type
    a = operands[0]
    if is_truth(type_):
        return a if is_truth(source) else anything(type_)
    keeps_sign = op.name in ("arith.extsi", "arith.index_cast")
    if is_truth(source) and keeps_sign:
        return anything(type_)
    a = numbers(a)
    lowest, highest = bounds(type_)
    if not keeps_sign and op.name != "arith.trunci":
        lowest = 0
    return either(within(a, lowest, highest), a, anything(type_))


def _to_float(op: ir.Operation, operands: Sequence[Range]) -> Range:
    type_, source = op.results[0].type, op.operands[0].type
    a = operands[0]
    if is_truth(source):
        if op.name == "arith.sitofp":
            return anything(type_)
        return Range(arith.uitofp(type_, a.lo), arith.uitofp(type_, a.hi))
    found = Range(arith.sitofp(type_, a.lo), arith.sitofp(type_, a.hi))
    if op.name == "arith.sitofp":
        return found
    return either(within(a, 0, bounds(source)[1]), found, anything(type_))


def _cast_float(op: ir.Operation, operands: Sequence[Range]) -> Range:
    build = arith.extf if op.name == "arith.extf" else arith.truncf
    return Range(*(build(op.results[0].type, end) for end in (operands[0].lo, operands[0].hi)))


def _negate(op: ir.Operation, operands: Sequence[Range]) -> Range:
    return Range(arith.negf(operands[0].hi), arith.negf(operands[0].lo))


def _subtract_floats(op: ir.Operation, operands: Sequence[Range]) -> Range:
    a, b = operands
    return Range(arith.subf(a.lo, b.hi), arith.subf(a.hi, b.lo))


def _multiply_floats(op: ir.Operation, operands: Sequence[Range]) -> Range:
    a, b = operands
    return hull([arith.mulf(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)])


def monotone(build: Callable[[ir.Value, ir.Value], ir.Value]) -> Callable[[Sequence[Range]], Range]:
    """An operation that grows with both of its operands."""
    return lambda operands: Range(
        build(operands[0].lo, operands[1].lo), build(operands[0].hi, operands[1].hi)
    )


def on_floats(compute: Callable[[Sequence[Range]], Range]) -> Rule:
    """A rule that needs no more than the ranges."""
    return lambda _op, operands: compute(operands)


RULES: dict[str, Rule] = {
    "arith.addi": integer_rule(monotone(arith.addi)),
    "arith.subi": integer_rule(_subtract),
    "arith.muli": integer_rule(_multiply),
    "arith.maxsi": integer_rule(monotone(arith.maxsi)),
    "arith.minsi": integer_rule(monotone(arith.minsi)),
    "math.absi": integer_rule(_absolute),
    **{name: _divide(name) for name in ("arith.divsi", "arith.divui", "arith.floordivsi")},
    **{f"arith.{name}": _logic for name in ("andi", "ori", "xori")},
    "arith.select": _select,
    "arith.cmpi": _compare_integers,
    "arith.cmpf": _compare_floats,
    **{f"arith.{name}": _resize for name in ("index_cast", "index_castui", "extsi", "extui", "trunci")},
    **{f"arith.{name}": _to_float for name in ("sitofp", "uitofp")},
    **{f"arith.{name}": _cast_float for name in ("extf", "truncf")},
    "arith.negf": _negate,
    "arith.addf": on_floats(monotone(arith.addf)),
    "arith.subf": _subtract_floats,
    "arith.mulf": _multiply_floats,
    "arith.maximumf": on_floats(monotone(arith.maximumf)),
    "arith.minimumf": on_floats(monotone(arith.minimumf)),
}
"""What each operation makes of the ranges of its operands."""

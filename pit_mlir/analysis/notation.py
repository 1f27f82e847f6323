"""Bodies of structured operations as formulas: how each operation on scalars is written, and how tightly it binds."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.body import LEAVES, Body, Node

ATOM, POWER, SIGN, TIMES, PLUS, SHIFT, BITS, COMPARE, NOT, TRUTH = range(10, 0, -1)
"""How tightly a formula binds; what binds less than its surroundings gets parentheses."""

LONGEST = 80
"""A formula of more characters gets a name of its own before it is used in another."""


@dataclass(frozen=True)
class Formula:
    """The text of an expression, and how tightly its outermost operation binds."""

    text: str
    binding: int = ATOM

    def within(self, binding: int) -> str:
        """The text as an operand of something that binds with `binding`."""
        return self.text if self.binding >= binding else f"({self.text})"


INFIX = {
    "arith.addf": ("+", PLUS),
    "arith.addi": ("+", PLUS),
    "arith.subf": ("-", PLUS),
    "arith.subi": ("-", PLUS),
    "arith.mulf": ("*", TIMES),
    "arith.muli": ("*", TIMES),
    "arith.divf": ("/", TIMES),
    "arith.floordivsi": ("//", TIMES),
    "arith.shli": ("<<", SHIFT),
    "arith.shrsi": (">>", SHIFT),
    "arith.andi": ("&", BITS),
    "arith.ori": ("|", BITS),
    "arith.xori": ("^", BITS),
    "math.powf": ("**", POWER),
    "math.fpowi": ("**", POWER),
    "math.ipowi": ("**", POWER),
}
TRUTHS = {
    "arith.andi": "and",
    "arith.ori": "or",
    "arith.xori": "xor",
    "arith.addi": "xor",
    "arith.muli": "and",
}
"""Operations on truth values (i1)."""

FUNCTIONS = {
    "arith.maximumf": "max",
    "arith.minimumf": "min",
    "arith.maxnumf": "maxnum",
    "arith.minnumf": "minnum",
    "arith.maxsi": "max",
    "arith.minsi": "min",
    "arith.maxui": "umax",
    "arith.minui": "umin",
    "arith.divsi": "div",
    "arith.divui": "udiv",
    "arith.remf": "fmod",
    "arith.remsi": "rem",
    "arith.remui": "urem",
    "arith.shrui": "ushr",
    "arith.ceildivsi": "ceildiv",
    "math.absf": "abs",
    "math.absi": "abs",
    "math.roundeven": "round_even",
    "math.clampf": "clamp",
}
"""Operations whose name as a function is not what follows the dialect's name."""

COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
OPPOSITES = {"gt": "le", "ge": "lt", "lt": "ge", "le": "gt"}

CASTS = "extf truncf sitofp fptosi extsi trunci index_cast index_castui fptoui uitofp extui".split()
UNSIGNED_CASTS = ("uitofp", "extui")


def constant_formula(node: Node) -> Formula:
    """A constant for a reader: six digits of a float."""
    value = node.number
    if node.type == "i1":
        return Formula("true" if value else "false")
    if isinstance(value, float) and math.isfinite(value):
        text = f"{value:g}" if abs(value) < 1e16 else f"{value:.6g}"
    else:
        text = str(value)
    return Formula(text, SIGN if text.startswith("-") else ATOM)


def applied(node: Node, types: Sequence[str], x: Sequence[Formula]) -> Formula:
    """The formula of an operation on formulas of the given types."""
    truths = types[0] == "i1" and node.op in TRUTHS if types else False
    if truths and node.op == "arith.xori" and x[1].text == "true":
        return Formula(f"not {x[0].within(NOT)}", NOT)
    if truths or node.op in INFIX:
        sign, binding = (TRUTHS[node.op], TRUTH) if truths else INFIX[node.op]
        chains = binding in (PLUS, TIMES)
        left, right = x[0].within(binding if chains else binding + 1), x[1].within(binding + 1)
        return Formula(f"{left} {sign} {right}", binding)
    if node.op == "arith.cmpf":
        return comparison(str(node.detail), x[0], x[1])
    if node.op == "arith.cmpi":
        return integer_comparison(str(node.detail), x[0], x[1])
    if node.op == "arith.negf":
        return Formula(f"-{x[0].within(SIGN + 1)}", SIGN)
    if node.op == "math.fma":
        return Formula(f"{x[0].within(TIMES)} * {x[1].within(TIMES + 1)} + {x[2].within(PLUS + 1)}", PLUS)
    dialect, _, cast = node.op.partition(".")
    if dialect == "arith" and cast in CASTS:
        unsigned = cast in UNSIGNED_CASTS and types[0] != "i1"
        return Formula(f"{node.type}({f'unsigned({x[0].text})' if unsigned else x[0].text})")
    if node.op == "tensor.extract":
        return Formula(f"{x[0].text}[{', '.join(index.text for index in x[1:])}]" if x[1:] else x[0].text)
    name = FUNCTIONS.get(node.op) or node.op.partition(".")[2]
    detail = "" if node.detail is None else f"<{detail_text(node.detail)}>"
    return Formula(f"{name}{detail}({', '.join(argument.text for argument in x)})")


def detail_text(detail: object) -> str:
    """Attributes, or the number of a result, that tell operations of one name apart."""
    return ", ".join(map(detail_text, detail)) if isinstance(detail, tuple) else str(detail)


def integer_comparison(predicate: str, a: Formula, b: Formula) -> Formula:
    """A comparison of integers, signed where nothing else is said."""
    if predicate[0] == "u":
        a, b = Formula(f"unsigned({a.text})"), Formula(f"unsigned({b.text})")
    kind = predicate if predicate in ("eq", "ne") else predicate[1:]
    return Formula(f"{a.within(COMPARE + 1)} {COMPARISONS[kind]} {b.within(COMPARE + 1)}", COMPARE)


def comparison(predicate: str, a: Formula, b: Formula) -> Formula:
    """A comparison of floats; `not (a <= b)` is true where a or b is NaN, as `ugt` is."""

    def ordered(sign: str) -> str:
        return f"{a.within(COMPARE + 1)} {sign} {b.within(COMPARE + 1)}"

    if predicate in ("true", "false"):
        return Formula(predicate)
    if predicate in ("uno", "ord"):
        text = " or ".join(f"isnan({formula.text})" for formula in dict.fromkeys((a, b)))
        is_nan = Formula(text, TRUTH if a != b else ATOM)
        return is_nan if predicate == "uno" else Formula(f"not {is_nan.within(NOT)}", NOT)
    ordering, kind = predicate[0], predicate[1:]
    if predicate == "une" or (ordering == "o" and kind != "ne"):
        return Formula(ordered(COMPARISONS[kind]), COMPARE)
    if predicate == "one":
        return Formula(ordered("<>"), COMPARE)
    return Formula(f"not ({ordered('<>' if kind == 'eq' else COMPARISONS[OPPOSITES[kind]])})", NOT)


class Writer:
    """Writes what a body yields as formulas over its leaves; what is used twice, or long, is named in a let-line.

    `leaf` writes inputs, accumulators, captures and positions; `names` are those that let-lines may not take.
    """

    def __init__(self, body: Body, leaf: Callable[[Node], Formula], names: Collection[str]) -> None:
        self.body, self.leaf = body, leaf
        self.lets: list[str] = []
        self.formulas: dict[int, Formula] = {}
        self.free = (name for count in range(len(body.nodes)) if (name := f"t{count}") not in names)
        self.uses = [0] * len(body.nodes)
        needed = body.needed(body.live)
        for number in needed:
            for operand in body.nodes[number].operands:
                self.uses[operand] += 1
        for number in sorted(needed):
            self.formulas[number] = self.formula(number)

    def formula(self, number: int) -> Formula:
        """The formula of a node whose operands are written."""
        node = self.body.nodes[number]
        if node.op in LEAVES:
            return constant_formula(node) if node.op == "constant" else self.leaf(node)
        types = [self.body.nodes[operand].type for operand in node.operands]
        return applied(node, types, [self.operand(operand) for operand in node.operands])

    def operand(self, number: int) -> Formula:
        """The formula of a node inside another: a name, if it is used again or long."""
        formula = self.formulas[number]
        node = self.body.nodes[number]
        if node.op in LEAVES or (len(formula.text) <= LONGEST and self.uses[number] == 1):
            return formula
        if formula.text.isidentifier():
            return formula
        name = next(self.free)
        self.lets.append(f"let {name} = {formula.text}")
        self.formulas[number] = Formula(name)
        return self.formulas[number]

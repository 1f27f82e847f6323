"""Zeros: where a tensor holds a special value (0, -inf, false), and who knows where.

A fact starts where a model makes zeros on purpose: a ReLU or threshold (the values themselves tell where), a
select or a product by a mask, a mask constant added to scores, a `pit.mark`. That a product is zero where a factor
is makes no fact: every factor of every contraction could be zero. From there facts are pushed forward: an
operation passes one on if its result is a special value wherever the fact's value is read (see `images`).

Facts are kept beside the module and never written into it: attributes cannot name masks, and upstream passes
drop them. They hold as long as the module is not changed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from pit_mlir.analysis.axes import RESHAPES
from pit_mlir.analysis.decisions import choice_of, is_indicator, rectifier
from pit_mlir.analysis.evaluate import Scalar
from pit_mlir.analysis.expressions import (
    Accumulator,
    Apply,
    Constant,
    Expression,
    Leaf,
    attend_score,
    body_expression,
    constant_of,
    element,
    is_plain,
    leaves,
    parts,
)
from pit_mlir.analysis.facts import Assumption, Assumptions
from pit_mlir.analysis.images import LOWEST_LIMIT, ZERO, Abstract, Kept, Known, Lowest, NonZero, image
from pit_mlir.analysis.masks import Condition, element_type, is_float, is_mask, mask_conditions, unbroadcast
from pit_mlir.bindings import ir
from pit_mlir.dialect.detect import is_by_key
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Structured, owner, projection

MOST_FACTS = 16
"""Facts kept of one value: each is one candidate for an index, and only a few are ever wanted."""


@dataclass(frozen=True)
class Source:
    """Who knows where: dimension i of `tensor` is dimension `dims[i]` of the value that the fact is about.

    None stands for a dimension of size 1 that is broadcast. The fact holds where `tensor` is zero, or with
    `where_zero` false where it is not.
    """

    tensor: ir.Value
    dims: tuple[int | None, ...]
    where_zero: bool = True


@dataclass(frozen=True)
class Fact:
    """A value is `value` (0, -inf or 1 for true) wherever `source` says.

    `kind` is "mask" if the source is a tensor made to tell, "value" if it is found in computed values, and "cast"
    for a mask that was merely turned into numbers, of any `value`: that is no sparsity yet. `exact` says that the
    value is nowhere else `value`. `origin` names what made the zeros, for messages. `of_floats` is false for a fact
    about integers or truth values.
    """

    value: Scalar
    source: Source
    kind: Literal["mask", "value", "cast"]
    origin: str
    assumptions: Assumptions = frozenset()
    exact: bool = False
    of_floats: bool = True

    @property
    def known(self) -> Abstract:
        """What the value is there."""
        is_lowest = self.value == -math.inf and Assumption.LOWEST_IS_INF in self.assumptions
        return Lowest(Fraction(LOWEST_LIMIT), exact=False) if is_lowest else Known(self.value)

    @property
    def is_zero(self) -> bool:
        """Whether the value is 0 (false) there."""
        return self.value == 0


class Zeros:
    """The facts about every value of a block."""

    def __init__(self, block: ir.Block) -> None:
        self._facts: dict[ir.Value, tuple[Fact, ...]] = {}
        for op in block.operations:
            self._visit(op.operation)

    def of(self, value: ir.Value) -> tuple[Fact, ...]:
        """The facts about `value`: those told by masks first, in the order of the program."""
        return tuple(fact for fact in self.about(value) if fact.kind != "cast")

    def about(self, value: ir.Value) -> tuple[Fact, ...]:
        """All facts about `value`, those of masks that were merely turned into numbers among them."""
        return self._facts.get(value, ())

    def __iter__(self) -> Iterator[tuple[ir.Value, Fact]]:
        for value in self._facts:
            yield from ((value, fact) for fact in self.of(value))

    def _visit(self, op: ir.Operation) -> None:
        view = Structured.on_tensors(op)
        if op.name == "pit.mark":
            self._keep(op.results[0], marked(op, self.about(op.operands[0])))
        elif op.name == "pit.swrite":
            self._keep(op.results[0], written(op))
        elif op.name in RESHAPES or op.name in ("tensor.cast", "linalg.copy"):
            self._keep(op.results[0], moved(op, self.about))
        elif op.name == "tm_tensor.scatter":
            self._keep(op.results[0], scattered(op))
        elif view is not None and view.index is None:
            for number, result in enumerate(op.results):
                if is_plain(view, number):
                    self._keep(result, made(view, number, self.about))

    def _keep(self, value: ir.Value, facts: Sequence[Fact]) -> None:
        ordered = sorted(dict.fromkeys(facts), key=lambda fact: fact.kind != "mask")
        if ordered:
            self._facts[value] = tuple(ordered[:MOST_FACTS])


@dataclass(frozen=True)
class MaskedKeys:
    """Keys of a `pit.attend` whose score is -inf for every query: `condition` is in terms of its iterators."""

    condition: Condition
    assumptions: Assumptions


def masked_keys(op: ir.Operation) -> list[MaskedKeys]:
    """The masks that leave keys out of the `pit.attend` `op`."""
    key = op.attributes["batch"].value + 1
    score = attend_score(op, key)
    found: list[MaskedKeys] = []
    for leaf in leaves(score):
        if key not in leaf.dims or not isinstance(element_type(leaf.value), ir.IntegerType):
            continue
        for condition, value in mask_conditions(leaf):
            at = image(score, {leaf: value})
            if at.value == Known(-math.inf):
                found.append(MaskedKeys(condition, at.assumptions))
    return found


def made(view: Structured, number: int, facts_of: Callable[[ir.Value], Sequence[Fact]]) -> list[Fact]:
    """The facts about result `number` of a structured operation."""
    out = projection(view.output_maps[number])
    if out is None or len(set(out)) != len(out):
        return []
    expression = body_expression(view, number, lambda argument: operand(view, argument))
    result = view.op.results[number]
    facts: list[Fact] = []
    for condition, (known, seeds) in conditions(view, expression, facts_of).items():
        dims = tuple(None if dim is None else out.index(dim) if dim in out else -1 for dim in condition.dims)
        found = image(expression, known)
        if -1 in dims:
            facts += summed(view, number, condition, seeds, found.value)
            continue
        start = next((seed for seed in seeds if seed.kind != "cast"), None)
        kind = start.kind if start is not None else kind_of(expression, known, result)
        value = number_of(found.value, view, number)
        if value is None or (kind != "cast" and not is_special(value, result)):
            continue
        # Masks are made on the way to what they mask: that is what a reader looks for.
        if start is None or (is_float(result) and not start.of_floats):
            origin = f"{verb(expression)} at {location_text(view.location)}"
        else:
            origin = start.origin
        assumed = found.assumptions.union(*(seed.assumptions for seed in seeds))
        exact = is_exact(expression, known, value) and all(seed.exact for seed in seeds)
        source = Source(condition.tensor, dims, condition.where_zero)
        facts.append(Fact(value, source, kind, origin, assumed, exact, is_float(result)))
    return facts + (decided(expression, view.location, result) if is_float(result) else [])


def decided(expression: Expression, location: ir.Location, result: ir.Value) -> list[Fact]:
    """The facts about floats that a comparison in `expression` makes 0: they tell where themselves."""
    source = Source(result, tuple(range(ir.RankedTensorType(result.type).rank)))
    facts: list[Fact] = []
    if choice_of(expression) is not None:
        facts.append(Fact(0, source, "mask", f"choice at {location_text(location)}", exact=True))
    name = rectifier(expression)
    if name is not None:
        kind = "mask" if is_indicator(expression) else "value"
        facts.append(Fact(0, source, kind, f"{name} at {location_text(location)}", exact=True))
    return facts


def summed(
    view: Structured, number: int, condition: Condition, seeds: Sequence[Fact], found: Abstract
) -> list[Fact]:
    """The fact about a sum over masked terms: it is 0 where all of them are, which its own values tell.

    Only where the mask tells each element of the result by itself: the gates of a token's experts, no mean over rows.
    """
    out = projection(view.output_maps[number]) or ()
    masks = [seed for seed in seeds if seed.kind == "mask"]
    if not masks or not set(out) <= set(condition.dims) or number_of(found, view, number) != 0:
        return []
    result = view.op.results[number]
    source = Source(result, tuple(range(len(out))))
    assumed = frozenset[Assumption]().union(*(seed.assumptions for seed in masks))
    return [Fact(0, source, "value", masks[0].origin, assumed, of_floats=is_float(result))]


def operand(view: Structured, argument: int) -> Expression:
    """Operand `argument` of `view` as the body sees it: a constant, the accumulator, or an element."""
    value = (*view.inputs, *view.outputs)[argument]
    if argument >= len(view.inputs) and "reduction" in view.iterators:
        return Accumulator()
    return constant_of(value) or Leaf(value, projection(view.maps[argument]) or ())


Known_at = tuple[dict[Leaf, Abstract], list[Fact]]
"""What the leaves are under a condition, and the facts that say so."""


def conditions(
    view: Structured, expression: Expression, facts_of: Callable[[ir.Value], Sequence[Fact]]
) -> dict[Condition, Known_at]:
    """The conditions under which something is known of the leaves of `expression`."""
    found: dict[Condition, Known_at] = {}
    for leaf in leaves(expression):
        facts = facts_of(leaf.value)
        for fact in facts:
            dims = tuple(None if dim is None else leaf.dims[dim] for dim in fact.source.dims)
            condition = Condition(fact.source.tensor, dims, fact.source.where_zero)
            known, seeds = found.setdefault(condition, ({}, []))
            known[leaf] = fact.known
            seeds.append(fact)
        if is_told_by_another(facts) or not is_mask(leaf, expression):
            continue
        for condition, value in mask_conditions(leaf):
            found.setdefault(condition, ({}, []))[0][leaf] = value
    for condition, (known, _) in found.items():
        for leaf in leaves(expression):
            if leaf.value == condition.tensor and leaf.dims == condition.dims:
                known[leaf] = dict(mask_conditions(leaf)).get(condition, ZERO)
    return found


def is_told_by_another(facts: Sequence[Fact]) -> bool:
    """Whether a tensor holds just what another mask says: then that one, nearer to the origin, is asked."""
    return any(fact.exact and fact.kind != "value" for fact in facts)


def kind_of(expression: Expression, known: dict[Leaf, Abstract], result: ir.Value) -> Literal["mask", "cast"]:
    """What an operation on masks does: it masks other values or makes truth values, or casts masks to numbers."""
    is_bool = element_type(result) == ir.IntegerType.get_signless(1)
    others = any(leaf not in known for leaf in leaves(expression))
    constants = [
        part.value for part in parts(expression) if isinstance(part, Constant) and part.type == "float"
    ]
    return "mask" if is_bool or others or any(value <= LOWEST_LIMIT for value in constants) else "cast"


def number_of(found: Abstract, view: Structured, number: int) -> Scalar | None:
    """The number that `found` is; a kept accumulator is the init of its reduction."""
    if isinstance(found, Kept):
        output = view.outputs[number]
        start = element(output, range(ir.RankedTensorType(output.type).rank))
        found = image(start, {}).value if isinstance(start, Constant) else found
    return found.value if isinstance(found, Known) else None


def is_special(value: Scalar, result: ir.Value) -> bool:
    """Whether rules care for `value` in `result`: 0, -inf, and true."""
    is_bool = element_type(result) == ir.IntegerType.get_signless(1)
    return value in (0, -math.inf) or (is_bool and value == 1)


def is_exact(expression: Expression, known: dict[Leaf, Abstract], value: Scalar) -> bool:
    """Whether `expression` differs from `value` wherever what is `known` does not hold."""
    opposite: dict[Leaf, Abstract] = {}
    for leaf, given in known.items():
        is_bool = element_type(leaf.value) == ir.IntegerType.get_signless(1)
        if given == ZERO:
            opposite[leaf] = Known(1) if is_bool else NonZero()
        elif given in (NonZero(), Known(1)):
            opposite[leaf] = ZERO
        else:
            return False
    elsewhere = image(expression, opposite).value
    if isinstance(elsewhere, NonZero):
        return value == 0
    return isinstance(elsewhere, Known) and elsewhere.value != value


def marked(op: ir.Operation, facts: Sequence[Fact]) -> list[Fact]:
    """The facts about the result of a `pit.mark`: its own, and what was known of its source."""
    is_approximation = "approximation" in op.attributes
    origin = f"{'threshold' if is_approximation else 'mark'} at {location_text(op.location)}"
    if is_approximation and facts:
        # What the approximation consists of has been found: it is told by its name.
        return [replace(fact, origin=origin) for fact in facts]
    result, operands = op.results[0], list(op.operands)
    if len(operands) == 1:
        source = Source(result, tuple(range(ir.RankedTensorType(result.type).rank)))
        return [Fact(0, source, "value", origin, exact=True), *facts]
    tensor_, dims = unbroadcast(operands[1], result)
    return [Fact(0, Source(tensor_, dims), "mask", origin), *facts]


def written(op: ir.Operation) -> list[Fact]:
    """The facts about the result of a `pit.swrite` into zeros: it is 0 where the mask of its index is."""
    maker = owner(op.operands[2])
    if maker is None or maker.name != "pit.detect" or op.attributes["combine"].value != "store":
        return []
    if is_by_key(maker):
        return []
    start = constant_of(op.operands[1])
    mask = maker.operands[0]
    group = [*maker.attributes["segments"], *maker.attributes["axis"]]
    whole = sorted(group) == list(range(ir.RankedTensorType(mask.type).rank))
    if start is None or start.value != 0 or not whole or any(size != 1 for size in maker.attributes["block"]):
        return []
    place = dict(zip(op.attributes["group"], op.attributes["axis"], strict=True))
    dims = tuple(place[group.index(dim)] for dim in range(len(group)))
    return [Fact(0, Source(mask, dims), "mask", f"rows at {location_text(op.location)}")]


def scattered(op: ir.Operation) -> list[Fact]:
    """The fact about what a `tm_tensor.scatter` puts into zeros: its values tell where it put something."""
    result = op.results[0]
    start = constant_of(op.operands[2])
    if start is None or start.value != 0 or not is_float(result):
        return []
    source = Source(result, tuple(range(ir.RankedTensorType(result.type).rank)))
    return [Fact(0, source, "mask", f"scatter at {location_text(op.location)}", exact=True)]


def moved(op: ir.Operation, facts_of: Callable[[ir.Value], Sequence[Fact]]) -> list[Fact]:
    """The facts about the result of an operation that moves its source: dimensions that stay whole are renamed.

    Zeros found in values are found as well in the values that were moved.
    """
    result = op.results[0]
    rank = ir.RankedTensorType(result.type).rank
    if op.name in RESHAPES:
        kept = RESHAPES[op.name](op)
        if len(kept) != 1:
            return []
        source, dims = kept[0]
    else:
        source, dims = op.operands[0], list(range(rank))
    facts: list[Fact] = []
    for fact in facts_of(source):
        if op.name == "tensor.pad" and fact.value != padding_value(op):
            continue
        if fact.kind == "value" and op.name == "pit.window":
            # A value is in many windows: looking for its zeros there takes as many times as long.
            continue
        if fact.kind == "value":
            facts.append(
                Fact(fact.value, Source(result, tuple(range(rank))), "value", fact.origin, exact=True)
            )
            continue
        places = [None if dim is None else dims.index(dim) if dim in dims else -1 for dim in fact.source.dims]
        if -1 in places and fact.source.tensor == source:
            # A mask that tells of itself, of which a part is taken, as one expert's column of all gates.
            facts.append(replace(fact, source=Source(result, tuple(range(rank)), fact.source.where_zero)))
        elif -1 not in places:
            source_there = Source(fact.source.tensor, tuple(places), fact.source.where_zero)
            facts.append(replace(fact, source=source_there))
    return [fact for fact in facts if fact.kind != "value" or fact.is_zero]


def verb(expression: Expression) -> str:
    """What kind of operation masks, for messages."""
    if not isinstance(expression, Apply):
        return "mask"
    names = {"arith.select": "select", "arith.mulf": "product", "arith.addf": "sum"}
    return names.get(expression.name, expression.name.split(".")[-1])


def padding_value(op: ir.Operation) -> Scalar | None:
    """What a `tensor.pad` pads with, if it is one constant."""
    constant = constant_of(op.regions[0].blocks[0].operations[0].operation.operands[0])
    return None if constant is None else constant.value

"""R2 and R3 inside a contraction: f(x, y; c) = f(x, y; c) over I alone, x neutral outside I.

Where x is neutral f leaves its accumulator as it is, so the points outside I may be left out. I lists the points at
which the source of a fact about x (a mask, or values such as those behind a ReLU) is live, over the iterators that
this source carries. With a reduced iterator among them this is R2: a list of k for each of the others (the rows m of
an activation, the rows n of a masked weight). Without one it is R3: a list of n or of m, and the background is the
init c, which the results keep where nothing is listed. The operation becomes a `pit.generic`; the blocks of the index
are chosen with the tiles.

Facts needed: `pit.axes` has no "none" among the iterators of I; x is neutral at the value of the fact (for 0
`pit.annihilates`, for -inf `pit.neutral`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.evaluate import Scalar
from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.gathers import is_arithmetic, is_elementwise
from pit_mlir.analysis.zeros import Fact, Source, Zeros
from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.detect import detect
from pit_mlir.dialect.element import operand_element
from pit_mlir.dialect.generic import pit_generic
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import (
    Iterator,
    Structured,
    build_generic,
    owner,
    projection,
    projection_map,
)
from pit_mlir.passes.rules.functions import erase_unused
from pit_mlir.passes.rules.live_index import index_by_key


@dataclass(frozen=True)
class Restriction:
    """A way to restrict an operation: where `fact` about operand `number` holds, nothing is left to do.

    `dims[i]` is the iterator of dimension i of the fact's source, None for a broadcast one of size 1.
    """

    number: int
    fact: Fact
    dims: tuple[int | None, ...]

    @property
    def iterators(self) -> tuple[int, ...]:
        """The iterators that the index runs over."""
        return tuple(dim for dim in self.dims if dim is not None)


def restrict_contractions(function: ir.Operation, report: Report) -> None:
    """R2 and R3 at every contraction of `function` that a fact allows to restrict."""
    block = function.regions[0].blocks[0]
    zeros = Zeros(block)
    for op in list(block.operations):
        view = Structured.on_tensors(op)
        if view is None or view.index is not None or "reduction" not in view.iterators:
            continue
        found = [r for number in range(len(view.inputs)) for r in restrictions(view, number, zeros)]
        refusals = {r: reason for r in found if (reason := refusal(view, r)) is not None}
        allowed = sorted(joined(view, [r for r in found if r not in refusals]), key=preference)
        where = location_text(op.location)
        report.count("num-refused", len(refusals))
        for text in dict.fromkeys(f"{r.fact.origin}: {reason}" for r, reason in refusals.items()):
            report.remark(where, f"not restricted by {text}", topic="dense")
        if allowed:
            restrict(view, allowed[0])
            report.count("num-restricted")
            report.remark(where, explanation(view, allowed[0], allowed[1:]), topic="list")


def restrictions(view: Structured, number: int, zeros: Zeros) -> list[Restriction]:
    """The facts about input `number` in terms of the iterators of `view`; none where a map is no selection."""
    positions = projection(view.maps[number])
    if positions is None:
        return []
    found: list[Restriction] = []
    for fact in zeros.of(view.inputs[number]):
        dims = tuple(None if dim is None else positions[dim] for dim in fact.source.dims)
        named = [dim for dim in dims if dim is not None]
        if named and len(set(named)) == len(named):
            found.append(Restriction(number, fact, dims))
    return found


def refusal(view: Structured, restriction: Restriction) -> str | None:
    """Why `view` may not, or had better not, be restricted; None if it may."""
    attributes = view.op.attributes
    if "pit.axes" not in attributes:
        return "nothing is proved about it; run pit-prove-permutation first"
    axes = [axis.value for axis in attributes["pit.axes"]]
    tied = [iterator for iterator in restriction.iterators if axes[iterator] == "none"]
    if tied:
        return f"iterators {tied} are not proved to be permutation invariant"
    if not is_neutral(attributes, restriction.number, restriction.fact.value):
        return f"operand {restriction.number} is not proved neutral at {value_text(restriction.fact.value)}"
    if not is_reused(view, restriction.number):
        return "each element is used once: finding the live ones costs as much as using them all"
    return None


def is_neutral(attributes: ir.OpAttributeMap, number: int, value: Scalar) -> bool:
    """Whether the proof says that the accumulator stays as it is where operand `number` is `value`."""
    if value == 0 and "pit.annihilates" in attributes:
        return attributes["pit.annihilates"][number].value
    if "pit.neutral" not in attributes:
        return False
    return value_text(value) in [neutral.value for neutral in attributes["pit.neutral"][number]]


def value_text(value: Scalar) -> str:
    """A special value as the proof's attributes have it."""
    return "-inf" if value == -math.inf else str(value)


def is_reused(view: Structured, number: int) -> bool:
    """Whether an element of input `number` serves several results: another operand has a parallel iterator more."""
    own = set(projection(view.maps[number]) or ())
    others = {
        iterator
        for other, map_ in enumerate(view.input_maps)
        if other != number
        for iterator in projection(map_) or ()
    }
    return any(view.iterators[iterator] == "parallel" for iterator in others - own)


def joined(view: Structured, candidates: Sequence[Restriction]) -> list[Restriction]:
    """`candidates`, those about one operand over the same iterators as one where values are among what tells.

    An element that is 0 by any of them is 0: the operand's own values list what is left by all, and no more.
    """
    groups: dict[tuple[int, frozenset[int]], list[Restriction]] = {}
    for candidate in candidates:
        groups.setdefault((candidate.number, frozenset(candidate.iterators)), []).append(candidate)
    found: list[Restriction] = []
    for (number, iterators), group in groups.items():
        origins = dict.fromkeys(restriction.fact.origin for restriction in group)
        positions = projection(view.maps[number]) or ()
        tells = all(r.fact.is_zero for r in group) and any(r.fact.kind == "value" for r in group)
        if not tells or len({r.fact.source for r in group}) < 2 or frozenset(positions) != iterators:
            found += group
            continue
        kind = "mask" if any(r.fact.kind == "mask" for r in group) else "value"
        source = Source(view.inputs[number], tuple(range(len(positions))))
        found.append(Restriction(number, Fact(0, source, kind, " and ".join(origins)), positions))
    return found


def preference(restriction: Restriction) -> tuple[bool, int]:
    """Masks before values: they come in blocks or are known earlier. Then what runs over fewer iterators."""
    return restriction.fact.kind != "mask", len(restriction.iterators)


def explanation(view: Structured, chosen: Restriction, others: Sequence[Restriction]) -> str:
    """What was done and why so, for the report."""
    reduced = [iterator for iterator in chosen.iterators if view.iterators[iterator] == "reduction"]
    kind = (
        "reduced iterators, the terms of its sums" if reduced else "parallel iterators, parts of its result"
    )
    text = f"restricted to what is live by {chosen.fact.origin}: a list along {kind}"
    text += assumed(chosen.fact)
    if " and " in chosen.fact.origin:
        text += "; what is 0 by either is 0 in its values, which therefore have the smallest list"
    left = sorted({other.fact.origin for other in others} - {chosen.fact.origin})
    if not left:
        return text
    why = reason(chosen, others[0])
    return f"{text}; chosen of {len(left) + 1}: {why}; not used, one index is enough: {', '.join(left)}"


def reason(chosen: Restriction, other: Restriction) -> str:
    """Why `chosen` comes before `other`, the best of the others."""
    if chosen.fact.kind != other.fact.kind:
        return "a mask comes in blocks, or is known before values are"
    if len(chosen.iterators) < len(other.iterators):
        return "its list runs over fewer iterators, so that more share it"
    return "both say as much as is known before a call"


def assumed(fact: Fact) -> str:
    """What `fact` relies on, for the end of a remark."""
    return "".join(f"; assumes: {name}" for name in sorted(fact.assumptions))


def restrict(view: Structured, restriction: Restriction) -> None:
    """Puts a `pit.generic` over the live points in place of `view`.

    Where they are named by a key, what is masked is not read as a whole any more: each point computes it anew.
    """
    segments, axis = split(view, restriction)
    with ir.InsertionPoint(view.op), view.location:
        source = live_mask(restriction.fact.source)
        dims = [[restriction.dims.index(iterator) for iterator in some] for some in (axis, segments)]
        # A list along one iterator has blocks of rows that share it; one along several is followed point by point.
        keyed = index_by_key(source, *dims) if len(axis) > 1 and None not in restriction.dims else None
        kept = [n for n in range(len(view.inputs)) if keyed is None or n != restriction.number]

        def body(*scalars: ir.Value) -> list[ir.Value]:
            known = dict(zip((view.scalars[n] for n in kept), scalars, strict=False))
            known |= dict(zip(view.scalars[len(view.inputs) :], scalars[len(kept) :], strict=True))
            if keyed is not None:
                masked = view.inputs[restriction.number]
                positions = projection(view.maps[restriction.number]) or ()
                known[view.scalars[restriction.number]] = recomputed(masked, positions, len(view.iterators))
            return copied(view.yields, view.body, known)

        new = pit_generic(
            [view.inputs[n] for n in kept],
            view.outputs,
            keyed or detect(source, axis=dims[0], segments=dims[1]),
            [*(view.maps[n] for n in kept), *view.output_maps],
            view.iterators,
            group=[*segments, *axis],
            body=body,
        ).operation
    for name in view.op.attributes:
        if name == "pit.axes" or (name.startswith("pit.") and keyed is None):
            new.attributes[name] = view.op.attributes[name]
    for old, result in zip(view.op.results, new.results, strict=True):
        old.replace_all_uses_with(result)
    view.op.erase()
    erase_unused(view.inputs[restriction.number])


def recomputed(value: ir.Value, positions: Sequence[int], iterators: int) -> ir.Value:
    """The element of `value` over the iterators `positions`, from elements of what it is made of one by one."""
    maker = owner(value)
    view = None if maker is None else Structured.on_tensors(maker)
    if view is None or not is_elementwise(view) or not is_arithmetic(view):
        return operand_element(value, projection_map(iterators, positions))
    point = dict(zip(projection(view.output_maps[0]) or (), positions, strict=True))
    known = {
        scalar: recomputed(source, [point[p] for p in projection(map_) or ()], iterators)
        for scalar, source, map_ in zip(view.scalars, view.inputs, view.maps, strict=False)
    }
    return copied(view.yields, view.body, known)[0]


def split(view: Structured, restriction: Restriction) -> tuple[list[int], list[int]]:
    """The iterators of the index: segments, then axis. Reduced iterators are the axis, else the last parallel one."""
    reduced = [iterator for iterator in restriction.iterators if view.iterators[iterator] == "reduction"]
    axis = reduced or [restriction.iterators[-1]]
    return [iterator for iterator in restriction.iterators if iterator not in axis], axis


def live_mask(told: Source) -> ir.Value:
    """A tensor that is not zero where a fact does not hold: who knows of it, or where that is zero."""
    if told.where_zero:
        return told.tensor
    made = next(
        (use.owner.operation for use in told.tensor.uses if OPPOSITE in use.owner.operation.attributes), None
    )
    return opposite(told.tensor) if made is None else made.results[0]


OPPOSITE = "pit.opposite"
"""Marks the tensor that is live where another one is zero, so that there is one of it."""


def opposite(source: ir.Value) -> ir.Value:
    """A tensor of truth values that says where `source` is zero, behind the maker of `source`."""
    maker = owner(source)
    place = (
        ir.InsertionPoint.at_block_begin(source.owner) if maker is None else ir.InsertionPoint.after(maker)
    )
    with place:
        return is_zero(source)


def is_zero(source: ir.Value) -> ir.Value:
    """A tensor of truth values that says where `source` is zero, at the insertion point."""
    type_ = ir.RankedTensorType(source.type)
    out = tensor.EmptyOp(
        [extent(source, dim) for dim in range(type_.rank)], ir.IntegerType.get_signless(1)
    ).result
    identity = projection_map(type_.rank, range(type_.rank))

    def body(element: ir.Value, _out: ir.Value) -> list[ir.Value]:
        if isinstance(element.type, ir.FloatType):
            zero = arith.constant(element.type, 0.0)
            return [arith.CmpFOp(arith.CmpFPredicate.OEQ, element, zero).result]
        zero = arith.constant(element.type, 0)
        return [arith.CmpIOp(arith.CmpIPredicate.eq, element, zero).result]

    parallel: list[Iterator] = ["parallel"] * type_.rank
    made = build_generic([source], [out], [identity, identity], parallel, body)
    made.attributes[OPPOSITE] = ir.UnitAttr.get()
    return made.results[0]

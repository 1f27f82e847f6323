"""R5, combine: f(x, y; c) = swrite(g(sread(x, I), sread(y, I)), into c, I, add), where f = c + sum of g over s.

I lists, per coordinate of the reduced iterators s, the places at which a fact says that g is not 0; a place that
several segments list is added to as often. This is how the outputs of experts meet: x are the weights of the
router, 0 for every expert that a token was not sent to, y what the experts computed. R1 then carries the read of y
up through the experts, which see no token but their own.

Facts needed: x annihilates, and its zeros are known over s and at least one parallel iterator. Worth it only where y
is computed, and from the whole group of I: else a list inside the contraction (R2) says as much, and y is reused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.axes import RESHAPES
from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.gathers import Gather
from pit_mlir.analysis.zeros import Zeros
from pit_mlir.bindings import ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.sread import sread
from pit_mlir.dialect.structured import Iterator, Structured, build_generic, owner, projection, projection_map
from pit_mlir.dialect.swrite import swrite
from pit_mlir.passes.rules.live_index import index_of_live
from pit_mlir.passes.rules.restrict import Restriction, assumed, live_mask, refusal, restrictions


@dataclass(frozen=True)
class Combination:
    """A sum over the iterators `segments` of `addend`, a scalar of the body that is 0 where the restriction says."""

    restriction: Restriction
    segments: tuple[int, ...]
    addend: ir.Value


def combine_contractions(function: ir.Operation, report: Report) -> None:
    """R5 at every sum of `function` whose terms a router, or another mask, makes 0."""
    block = function.regions[0].blocks[0]
    zeros = Zeros(block)
    for op in list(block.operations):
        view = Structured.on_tensors(op)
        found = None if view is None or view.index is not None else find_combination(view, zeros)
        if view is None or found is None:
            continue
        report.remark(
            location_text(op.location),
            f"each place adds up what is live by {found.restriction.fact.origin}; nothing else is computed"
            + assumed(found.restriction.fact),
            topic="index",
        )
        with op.location:
            combine(view, found)
        report.count("num-combined")


def find_combination(view: Structured, zeros: Zeros) -> Combination | None:
    """How `view` adds up rows that are known to be 0 elsewhere; None if it does not, or has better."""
    reduced = {number for number, kind in enumerate(view.iterators) if kind == "reduction"}
    maps = [projection(map_) for map_ in view.maps]
    if not reduced or len(view.outputs) != 1 or any(map_ is None for map_ in maps):
        return None
    output = maps[-1] or ()
    if sorted(output) != [n for n in range(len(view.iterators)) if n not in reduced]:
        return None
    addend = addend_of(view)
    if addend is None:
        return None
    for number in range(len(view.inputs)):
        for restriction in restrictions(view, number, zeros):
            group = set(restriction.iterators)
            if not reduced < group or None in restriction.dims or refusal(view, restriction) is not None:
                continue
            others = [n for n in range(len(view.inputs)) if n != number and reduced & set(maps[n] or ())]
            if any(is_computed(view.inputs[n]) for n in others) and all(
                group <= set(maps[n] or ()) for n in others
            ):
                # Segments in the order of what is computed, whose parts then lie together.
                order = maps[others[0]] or ()
                return Combination(restriction, tuple(p for p in order if p in reduced), addend)
    return None


def addend_of(view: Structured) -> ir.Value | None:
    """What the body adds to its accumulator; None if it does something else."""
    total = owner(view.yields[0])
    accumulator = view.scalars[len(view.inputs)]
    if total is None or total.name not in ("arith.addf", "arith.addi") or total.block != view.body:
        return None
    if len(list(accumulator.uses)) != 1 or accumulator not in list(total.operands):
        return None
    return next(operand for operand in total.operands if operand != accumulator)


def is_computed(value: ir.Value) -> bool:
    """Whether `value` is neither an argument nor a constant, reshaped or not, nor a part of one that a key chose."""
    maker = owner(value)
    while maker is not None and maker.name in RESHAPES:
        maker = owner(maker.operands[0])
    return maker is not None and maker.name != "arith.constant" and Gather.of(maker.results[0]) is None


def combine(view: Structured, found: Combination) -> None:
    """Puts swrite(sread(addends), init, add) in place of `view`."""
    restriction, segments = found.restriction, found.segments
    output = projection(view.maps[-1]) or ()
    axis = tuple(p for p in output if p in restriction.iterators)
    with ir.InsertionPoint(view.op):
        index = index_of_live(
            live_mask(restriction.fact.source),
            axis=[restriction.dims.index(p) for p in axis],
            segments=[restriction.dims.index(p) for p in segments],
        )
        addends = addends_of(view, found, (*segments, *output))
        places = [*range(len(segments)), *(len(segments) + output.index(p) for p in axis)]
        rows = sread(addends, index, axis=places)
        written = swrite(
            rows,
            view.outputs[0],
            index,
            axis=[output.index(p) for p in axis],
            group=[len(segments) + n for n in range(len(axis))],
            combine="add",
        )
    view.op.results[0].replace_all_uses_with(written)
    view.op.erase()


def addends_of(view: Structured, found: Combination, positions: Sequence[int]) -> ir.Value:
    """What `view` adds up, over the iterators `positions`: R1 leaves the listed part of it."""
    type_ = ir.RankedTensorType(view.outputs[0].type).element_type
    out = tensor.EmptyOp([size_of(view, position) for position in positions], type_).result
    iterators: list[Iterator] = ["parallel"] * len(view.iterators)
    maps = [*view.input_maps, projection_map(len(iterators), positions)]

    def body(*scalars: ir.Value) -> list[ir.Value]:
        known = dict(zip(view.scalars, scalars, strict=True))
        return copied([found.addend], view.body, known)

    made = build_generic(view.inputs, [out], maps, iterators, body)
    made.attributes["pit.axes"] = ir.ArrayAttr.get([ir.StringAttr.get("parallel")] * len(iterators))
    return made.results[0]


def size_of(view: Structured, position: int) -> int | ir.Value:
    """The extent of an iterator, from the first operand that runs over it."""
    for value, map_ in zip((*view.inputs, *view.outputs), view.maps, strict=True):
        positions = projection(map_) or ()
        if position in positions:
            return extent(value, positions.index(position))
    raise AssertionError(f"no operand of {view.op.name} runs over iterator {position}")

"""R5, combine: f(x, y; c) = swrite(g(sread(x, I), sread(y, I)), into c, I, add), where f = c + sum of g over s.

I lists, per coordinate of the reduced iterators s, the places at which a fact says that g is not 0; a place that
several segments list is added to as often. This is how the outputs of experts meet: x are the weights of the
router, 0 for every expert that a token was not sent to, y what the experts computed. R1 then carries the read of y
up through the experts, which see no token but their own.

Facts needed: x annihilates, and its zeros are known over s. Worth it only where y is computed, and from the whole
group of I: else a list inside the contraction (R2) says as much, and y is reused. Without a parallel iterator in the
group all is added up at one place, as the experts of a single token are: rows are then coordinates of s, and what is
left is their plain sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.axes import unreshaped
from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.gathers import Gather, is_elementwise
from pit_mlir.analysis.zeros import Zeros
from pit_mlir.bindings import arith, ir, tensor
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
            if not reduced <= group or None in restriction.dims or refusal(view, restriction) is not None:
                continue
            others = [n for n in range(len(view.inputs)) if n != number and reduced & set(maps[n] or ())]
            if not all(group <= set(maps[n] or ()) for n in others):
                continue
            is_one_list = group == reduced
            if any(is_worth(view, n, is_one_list) for n in others):
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


def is_worth(view: Structured, number: int, is_one_list: bool) -> bool:
    """Whether input `number` is computed, so that what is not added up need not be.

    With one list for all results a list inside the sum says where to look; that its terms are rows pays where they
    were summed up themselves, and are no larger for it.
    """
    value = view.inputs[number]
    if not is_one_list:
        return is_computed(value)
    return is_sum(value) and len(projection(view.maps[number]) or ()) == len(view.iterators)


def is_sum(value: ir.Value) -> bool:
    """Whether a reduction makes `value`, or what it is computed from element by element."""
    maker = owner(unreshaped(value))
    view = None if maker is None else Structured.on_tensors(maker)
    if view is None:
        return False
    return "reduction" in view.iterators or (is_elementwise(view) and any(is_sum(v) for v in view.inputs))


def is_computed(value: ir.Value) -> bool:
    """Whether `value` is neither an argument nor a constant, reshaped or not, nor a part of one that a key chose."""
    value = unreshaped(value)
    maker = owner(value)
    return maker is not None and maker.name != "arith.constant" and Gather.of(value) is None


def combine(view: Structured, found: Combination) -> None:
    """Puts swrite(sread(addends), init, add) in place of `view`."""
    restriction, segments = found.restriction, found.segments
    output = projection(view.maps[-1]) or ()
    axis = tuple(p for p in output if p in restriction.iterators)
    with ir.InsertionPoint(view.op):
        mask = live_mask(restriction.fact.source)
        dims = [restriction.dims.index(p) for p in axis]
        if not axis:
            # All is added up at one place, which each segment lists or not.
            mask, dims = with_place(mask), [len(segments)]
        index = index_of_live(mask, axis=dims, segments=[restriction.dims.index(p) for p in segments])
        addends = addends_of(view, found, (*segments, *output))
        places = [*range(len(segments)), *(len(segments) + output.index(p) for p in axis)]
        rows = sread(addends, index, axis=places, group=range(len(places)))
        if axis:
            written = swrite(
                rows,
                view.outputs[0],
                index,
                axis=[output.index(p) for p in axis],
                group=[len(segments) + n for n in range(len(axis))],
                combine="add",
            )
        else:
            written = sum_of_rows(rows, view)
    view.op.results[0].replace_all_uses_with(written)
    view.op.erase()


def with_place(mask: ir.Value) -> ir.Value:
    """`mask` with one more dimension of size 1, the last one."""
    rank = ir.RankedTensorType(mask.type).rank
    sizes = [*(extent(mask, dim) for dim in range(rank)), 1]
    static = [ir.ShapedType.get_dynamic_size() if isinstance(size, ir.Value) else size for size in sizes]
    type_ = ir.RankedTensorType.get(static, ir.RankedTensorType(mask.type).element_type)
    groups = [*([dim] for dim in range(rank - 1)), [rank - 1, rank]]
    return tensor.ExpandShapeOp(
        type_, mask, groups, [s for s in sizes if isinstance(s, ir.Value)], static
    ).result


def sum_of_rows(rows: ir.Value, view: Structured) -> ir.Value:
    """The init of `view` with all of `rows` added to it."""
    rank = ir.RankedTensorType(rows.type).rank
    iterators: list[Iterator] = ["reduction", *("parallel" for _ in range(rank - 1))]
    add = owner(view.yields[0])
    assert add is not None, "a sum"

    def body(row: ir.Value, accumulator: ir.Value) -> list[ir.Value]:
        made = arith.AddFOp if add.name == "arith.addf" else arith.AddIOp
        return [made(accumulator, row).result]

    maps = [projection_map(rank, range(rank)), projection_map(rank, range(1, rank))]
    made = build_generic([rows], [view.outputs[0]], maps, iterators, body)
    made.attributes["pit.axes"] = ir.ArrayAttr.get([ir.StringAttr.get(kind) for kind in iterators])
    return made.results[0]


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

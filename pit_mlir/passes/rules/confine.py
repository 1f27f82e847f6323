"""R3, confine: f(x, y; c) = f over I alone, into 0, where what f says outside I is 0 or never read.

A mask that stands behind a projection (a predictor's, or an input) makes elements of an activation 0. Whatever the
projection, its bias and the ReLU in between say of these elements is not read, so it is not computed: each becomes a
`pit.generic` over the elements that are listed. The projection that reads the activation runs over the same list (R2).

Facts needed: of every reader, that it is constant where the mask is (T12, by the image of its body), or that nobody
reads it there; `pit.axes` has no "none" among the iterators of I. The mask is computed first; what it is computed from
cannot be confined by it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pit_mlir.analysis.zeros import Fact, Source, Zeros
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.bodies import copied_yields
from pit_mlir.dialect.detect import detect
from pit_mlir.dialect.generic import pit_generic
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Structured, is_used, owner, projection, projection_map
from pit_mlir.passes.rules.demand import captured
from pit_mlir.passes.rules.restrict import assumed, live_mask
from pit_mlir.passes.rules.spread import zeros_like

Told = Mapping[Source, Fact]
"""Where a value does not matter: who knows, and the fact that says so."""


@dataclass(frozen=True)
class Confinement:
    """An operation, who knows where its result does not matter, and the iterators of its index, the listed one last.

    `source` is in terms of the result's dimensions; `fact` is about what reads it in the end.
    """

    view: Structured
    fact: Fact
    source: Source
    group: tuple[int, ...]


def confine_projections(function: ir.Operation, report: Report) -> None:
    """R3 at every projection of `function` whose result a mask behind it makes irrelevant, and at what lies between."""
    block = function.regions[0].blocks[0]
    reading = Reading(block)
    confined: dict[ir.Value, Confinement] = {}
    for op in block.operations:
        view = Structured.on_tensors(op)
        if view is None or view.index is not None or len(view.outputs) != 1:
            continue
        chosen = projection_of(view, reading) or follower_of(view, reading, confined)
        if chosen is not None:
            confined[view.op.results[0]] = chosen
    for chosen in confined.values():
        with chosen.view.location:
            maker = owner(live_mask(chosen.source))
        if maker is not None:
            sink(chosen.view.op, maker)
        if "reduction" in chosen.view.iterators:
            where = location_text(chosen.view.location)
            report.count("num-confined")
            report.remark(where, explanation(chosen), topic="list")
    followers = [value for value, chosen in confined.items() if "reduction" not in chosen.view.iterators]
    inner = [
        value
        for value in followers
        if all(reader is not None and reader in followers for reader in results_reading(value))
    ]
    indices: Indices = {}
    for value, chosen in confined.items():
        if value not in inner:
            confine(chosen, inner, indices)
    for value in reversed(inner):
        value.owner.operation.erase()


class Reading:
    """Where the values of a block do not matter: who knows, and the fact that says so."""

    def __init__(self, block: ir.Block) -> None:
        self.zeros = Zeros(block)
        self._unread: dict[ir.Value, Told] = {}
        for op in reversed(list(block.operations)):
            for result in op.operation.results:
                uses = [self._unread_by(use.owner.operation, use.operand_number) for use in result.uses]
                self._unread[result] = common(uses)

    def of(self, value: ir.Value) -> Told:
        """Where a mask makes `value` 0, and where nobody reads it."""
        about = self.zeros.about(value)
        masked = {f.source: f for f in about if f.kind == "mask" and f.is_zero and f.source.tensor != value}
        others = {fact.source for fact in about if not fact.is_zero}
        told = {**self._unread.get(value, {}), **masked}
        return {source: fact for source, fact in told.items() if source not in others}

    def _unread_by(self, user: ir.Operation, number: int) -> Told:
        """Where `user` does not read its operand `number`."""
        view = Structured.on_tensors(user)
        if view is None or view.index is not None or number >= len(view.inputs):
            return {}
        value, own = view.inputs[number], projection(view.maps[number])
        outs = [projection(map_) for map_ in view.output_maps]
        if own is None or any(out is None for out in outs):
            return {}
        results = zip(user.results, outs, strict=True)
        told = common([moved(self.of(result), out or (), own) for result, out in results])
        # What says of the operand itself that it is 0 there, or is the mask, has been read.
        read = {fact.source for fact in self.zeros.about(value)}
        return {s: fact for s, fact in told.items() if s not in read and s.tensor != value}


def common(told: Sequence[Told]) -> Told:
    """What all of `told` say."""
    first, *others = told or [{}]
    return {source: fact for source, fact in first.items() if all(source in other for other in others)}


def moved(told: Told, out: Sequence[int], own: Sequence[int]) -> Told:
    """What is told of a result over the iterators `out`, of an operand over the iterators `own`."""
    found: dict[Source, Fact] = {}
    for source, fact in told.items():
        iterators = iterators_of(source, out)
        if len(iterators) == len(source.dims) and all(iterator in own for iterator in iterators):
            found[replace(source, dims=tuple(map(own.index, iterators)))] = fact
    return found


def projection_of(view: Structured, reading: Reading) -> Confinement | None:
    """How the contraction `view` is confined: a list along an iterator of its weights, one for each other iterator.

    Weights are the operand that alone carries the iterator; the other one carries the others.
    """
    maps = [projection(map_) for map_ in view.maps]
    if "reduction" not in view.iterators or len(view.inputs) != 2 or any(map_ is None for map_ in maps):
        return None
    carried = [set(map_ or ()) for map_ in maps]
    for source, fact in reading.of(view.op.results[0]).items():
        iterators = iterators_of(source, maps[-1] or ())
        for weights, other in ((1, 0), (0, 1)):
            axis = [p for p in iterators if p in carried[weights] - carried[other]]
            rest = [p for p in iterators if p in carried[other] - carried[weights]]
            if len(axis) == 1 and len(rest) == len(iterators) - 1 and may_permute(view, iterators):
                return Confinement(view, fact, source, (*rest, *axis))
    return None


def follower_of(
    view: Structured, reading: Reading, confined: Mapping[ir.Value, Confinement]
) -> Confinement | None:
    """How the element-wise `view` is confined as what it reads is."""
    out = projection(view.maps[-1])
    if out is None or len(set(out)) != len(view.iterators) or is_used(view.scalars[-1]):
        return None
    told = reading.of(view.op.results[0])
    for number, value in enumerate(view.inputs):
        before, own = confined.get(value), projection(view.maps[number])
        if before is None or own is None:
            continue
        place = dict(enumerate(own))
        outs = projection(before.view.maps[-1]) or ()
        group = tuple(place[outs.index(p)] for p in before.group)
        for source, fact in told.items():
            same = iterators_of(source, out) == [place[dim] for dim in before.source.dims if dim is not None]
            is_mask = (source.tensor, source.where_zero) == (before.source.tensor, before.source.where_zero)
            if is_mask and same and may_permute(view, group):
                return Confinement(view, fact, source, group)
    return None


def results_reading(value: ir.Value) -> list[ir.Value | None]:
    """The results of the operations that read `value`; None for one that has none, or several."""
    users = [use.owner.operation for use in value.uses]
    return [user.results[0] if len(user.results) == 1 else None for user in users]


def iterators_of(source: Source, out: Sequence[int]) -> list[int]:
    """The iterators that the dimensions of a mask run over, those of its value being `out`."""
    return [out[dim] for dim in source.dims if dim is not None]


def may_permute(view: Structured, group: Sequence[int]) -> bool:
    """Whether the proof allows any order of the iterators `group`."""
    if "pit.axes" not in view.op.attributes:
        return False
    return all(view.op.attributes["pit.axes"][p].value == "parallel" for p in group)


Indices = dict[tuple[ir.Value, bool, tuple[int, ...]], ir.Value]
"""The indices made so far: of which mask, and in which order of its dimensions."""


def confine(chosen: Confinement, followers: Collection[ir.Value], indices: Indices) -> None:
    """Puts a `pit.generic` over the live elements in place of the operation; it computes the `followers` it reads."""
    # What it reads may have been confined since.
    view, source = Structured.on_tensors(chosen.view.op), chosen.source
    assert view is not None
    iterators = iterators_of(source, projection(view.maps[-1]) or ())
    dims = tuple(iterators.index(p) for p in chosen.group)
    key = source.tensor, source.where_zero, dims
    chain = Chain(view, followers)
    with ir.InsertionPoint(view.op), view.location:
        if key not in indices:
            indices[key] = index_of(source, dims)
        new = pit_generic(
            [value for value, _ in chain.reads],
            view.outputs if "reduction" in view.iterators else [zeros_like(view.op.results[0])],
            indices[key],
            [
                *(projection_map(len(view.iterators), positions) for _, positions in chain.reads),
                view.maps[-1],
            ],
            view.iterators,
            group=chosen.group,
            body=chain.body,
        ).operation
    new.attributes["pit.axes"] = view.op.attributes["pit.axes"]
    view.op.results[0].replace_all_uses_with(new.results[0])
    view.op.erase()


def index_of(source: Source, dims: Sequence[int]) -> ir.Value:
    """The index of what `source` leaves live, behind it: dimensions `dims`, the listed one last."""
    mask = live_mask(source)
    maker = owner(mask)
    place = ir.InsertionPoint.at_block_begin(mask.owner) if maker is None else ir.InsertionPoint.after(maker)
    *segments, axis = dims
    with place:
        return detect(mask, axis=[axis], segments=segments)


class Chain:
    """An operation with the element-wise ones that it alone reads, as one body.

    `reads` are the values that the chain reads, each with the iterators of its dimensions.
    """

    def __init__(self, view: Structured, followers: Collection[ir.Value]) -> None:
        self.view, self.followers = view, followers
        self.reads: dict[tuple[ir.Value, tuple[int, ...]], None] = {}
        self.visit(view, range(len(view.iterators)))

    def visit(self, view: Structured, place: Sequence[int]) -> None:
        """Notes what `view` reads, its iterator i being iterator `place[i]` of the chain."""
        for value, map_ in zip(view.inputs, view.input_maps, strict=True):
            positions = tuple(place[p] for p in projection(map_) or ())
            inner = self.inner(value)
            if inner is None:
                self.reads.setdefault((value, positions))
            else:
                self.visit(inner, renamed(inner, positions))

    def inner(self, value: ir.Value) -> Structured | None:
        """The element-wise operation of the chain that makes `value`."""
        maker = owner(value)
        return Structured.on_tensors(maker) if maker is not None and value in self.followers else None

    def body(self, *scalars: ir.Value) -> list[ir.Value]:
        """What the chain yields, from an element of each of `reads` and the accumulator."""
        known = dict(zip(self.reads, scalars, strict=False))
        return self.compute(self.view, range(len(self.view.iterators)), known, scalars[-1])

    def compute(
        self,
        view: Structured,
        place: Sequence[int],
        known: dict[tuple[ir.Value, tuple[int, ...]], ir.Value],
        accumulator: ir.Value,
    ) -> list[ir.Value]:
        """What `view` yields; `known` are the elements computed so far."""
        elements: list[ir.Value] = []
        for value, map_ in zip(view.inputs, view.input_maps, strict=True):
            key = value, tuple(place[p] for p in projection(map_) or ())
            inner = self.inner(value)
            if key not in known and inner is not None:
                [known[key]] = self.compute(inner, renamed(inner, key[1]), known, accumulator)
            elements.append(known[key])
        return copied_yields(view, [*elements, accumulator])


def renamed(view: Structured, positions: Sequence[int]) -> list[int]:
    """The iterators of an element-wise `view` under the names `positions` of its result's dimensions."""
    out = projection(view.maps[-1]) or ()
    return [positions[out.index(p)] for p in range(len(view.iterators))]


def sink(op: ir.Operation, maker: ir.Operation) -> None:
    """Moves `op`, and what depends on it, behind `maker`, which does not depend on it, if it stands before."""
    following: list[ir.Operation] = []
    for other in list(op.block.operations)[position(op) :]:
        following.append(other.operation)
        if other.operation == maker:
            break
    else:
        return
    late, place = {op}, maker
    for other in following:
        if other == op or any(owner(value) in late for value in (*other.operands, *captured(other))):
            late.add(other)
            other.move_after(place)
            place = other
    assert maker not in late, "a mask does not depend on what it confines"


def position(op: ir.Operation) -> int:
    """The number of `op` in its block."""
    return next(number for number, other in enumerate(op.block.operations) if other.operation == op)


def explanation(chosen: Confinement) -> str:
    """What was done, for the report."""
    return (
        f"restricted to what is live by {chosen.fact.origin}: a list along parallel iterators, parts of its result; "
        "what is masked behind it is not computed" + assumed(chosen.fact)
    )

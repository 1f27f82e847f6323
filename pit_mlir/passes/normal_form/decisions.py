"""Comparisons of floats that decide over other values become tensors of their own: the mask that a predictor makes.

Fusion puts `pred > 0` into the select or product that it decides. There nobody could ask it before what it masks is
computed.
"""

from collections.abc import Sequence

from pit_mlir.analysis.body import attributes_of
from pit_mlir.analysis.decisions import ORDERED
from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import ir, tensor
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.structured import Iterator, Structured, build_generic, projection, projection_map
from pit_mlir.passes.normal_form.rebuild import loop_sites
from pit_mlir.passes.normal_form.scope import generics


def outline_decisions(module: ir.Operation) -> None:
    """Outlines every comparison of an element-wise operation whose inputs nothing else in the body reads."""
    for op in generics(module):
        view = Structured.on_tensors(op)
        if (
            view is None
            or "reduction" in view.iterators
            or any(projection(map_) is None for map_ in view.maps)
        ):
            continue
        found = [inner.operation for inner in view.body.operations if is_ordered(inner.operation)]
        decisions = [made for made in found if decides_over_others(view, made)]
        if decisions:
            outline(view, decisions)


def is_ordered(op: ir.Operation) -> bool:
    """Whether `op` asks which of two floats is larger."""
    return op.name == "arith.cmpf" and attributes_of(op) in ORDERED


def decides_over_others(view: Structured, decision: ir.Operation) -> bool:
    """Whether the inputs that `decision` reads serve it alone, and it decides over elements of others."""
    asked = inputs_of(view, decision.operands)
    rest = inputs_of(view, view.yields, without=decision)
    return bool(asked) and bool(rest) and not asked & rest


def inputs_of(view: Structured, values: Sequence[ir.Value], without: ir.Operation | None = None) -> set[int]:
    """The inputs whose elements `values` are computed from, what only `without` reads not counted."""
    found: set[ir.Value] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        maker = value.owner
        if value in found or (without is not None and value in without.results):
            continue
        found.add(value)
        if not isinstance(maker, ir.Block) and maker.operation.block == view.body:
            pending += list(maker.operation.operands)
    return {number for number, scalar in enumerate(view.scalars[: len(view.inputs)]) if scalar in found}


def outline(view: Structured, decisions: Sequence[ir.Operation]) -> None:
    """Makes a mask of each of `decisions`, which `view` then reads instead of what they compare."""
    asked = {number for decision in decisions for number in inputs_of(view, decision.operands)}
    kept = [number for number in range(len(view.inputs)) if number not in asked]
    with ir.InsertionPoint(view.op), view.location:
        masks = [mask_of(view, decision) for decision in decisions]
        maps = [projection_map(len(view.iterators), positions) for _, positions in masks]

        def body(*scalars: ir.Value) -> list[ir.Value]:
            own = [view.scalars[number] for number in kept]
            results = [decision.results[0] for decision in decisions]
            known = dict(zip([*own, *results, *view.scalars[len(view.inputs) :]], scalars, strict=True))
            return copied(view.yields, view.body, known)

        new = build_generic(
            [*(view.inputs[number] for number in kept), *(mask for mask, _ in masks)],
            view.outputs,
            [*(view.maps[number] for number in kept), *maps, *view.output_maps],
            view.iterators,
            body,
        )
    for old, result in zip(view.op.results, new.results, strict=True):
        old.replace_all_uses_with(result)
    view.op.erase()


def mask_of(view: Structured, decision: ir.Operation) -> tuple[ir.Value, list[int]]:
    """What `decision` says as a tensor of truth values, and the iterators of `view` that it runs over."""
    numbers = sorted(inputs_of(view, decision.operands))
    positions = sorted({p for number in numbers for p in projection(view.maps[number]) or ()})
    i1 = ir.IntegerType.get_signless(1)
    out = tensor.EmptyOp([extent(*loop_sites(view, p)[0]) for p in positions], i1).result
    place = {p: n for n, p in enumerate(positions)}
    maps = [
        projection_map(len(positions), [place[p] for p in projection(view.maps[number]) or ()])
        for number in numbers
    ]
    parallel: list[Iterator] = ["parallel"] * len(positions)

    def body(*scalars: ir.Value) -> list[ir.Value]:
        known = dict(zip([view.scalars[number] for number in numbers], scalars[:-1], strict=True))
        return copied(list(decision.results), view.body, known)

    identity = projection_map(len(positions), range(len(positions)))
    made = build_generic([view.inputs[n] for n in numbers], [out], [*maps, identity], parallel, body)
    return made.results[0], positions

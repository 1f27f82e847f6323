"""R2 where the list has one entry: f(x, y; c) = f(x[key], y[key]; c), d the one reduced iterator, x 0 but at d = key.

A product with one-hot rows (tokens that experts chose, words of an embedding) adds one term to each result: it is
looked up where the key says, and neither the one-hot rows nor a list of their live places is made. A key out of range
has no term.

Facts needed: x annihilates, and a delta fact names its one live position (`analysis/keys.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.gathers import counts_up, is_arithmetic, is_elementwise
from pit_mlir.analysis.keys import Key, key_of
from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Iterator, Structured, build_generic, owner, projection, projection_map
from pit_mlir.passes.normal_form.positions import iota
from pit_mlir.passes.rules.combine import addend_of
from pit_mlir.passes.rules.functions import erase_unused

ASSUMES = "pit.assumes"


@dataclass(frozen=True)
class Lookup:
    """A sum along `iterator` with at most one term that is not 0, at the position that `key` says.

    `positions[i]` is the iterator that dimension i of the key runs over.
    """

    iterator: int
    key: Key
    positions: tuple[int, ...]


def look_up_terms(function: ir.Operation, report: Report) -> None:
    """R2 at every sum of `function` whose one live term has a name."""
    for op in list(function.regions[0].blocks[0].operations):
        view = Structured.on_tensors(op)
        found = None if view is None or view.index is not None else find_lookup(view)
        if view is None or found is None:
            continue
        where = location_text(op.location)
        assumed = (
            [text.value for text in view.op.attributes["pit.assumes"]]
            if ASSUMES in view.op.attributes
            else []
        )
        text = "the one term of each sum is looked up where its key says" + "".join(
            f"; assumes: {a}" for a in assumed
        )
        report.remark(where, text, topic="index")
        report.count("num-looked-up")
        with op.location:
            look_up(view, found)


def find_lookup(view: Structured) -> Lookup | None:
    """The one live term of the sums of `view`, if they have one with a name."""
    reduced = [number for number, kind in enumerate(view.iterators) if kind == "reduction"]
    maps = [projection(map_) for map_ in view.maps]
    if (
        len(reduced) != 1
        or len(view.outputs) != 1
        or None in maps
        or "pit.annihilates" not in view.op.attributes
    ):
        return None
    if addend_of(view) is None:
        return None
    for number, annihilates in enumerate(view.op.attributes["pit.annihilates"]):
        own = maps[number] or ()
        if not annihilates.value or reduced[0] not in own or len(set(own)) != len(own):
            continue
        key = key_of(view.inputs[number], own.index(reduced[0]))
        if key is not None and None not in key.dims:
            return Lookup(reduced[0], key, tuple(own[dim] for dim in key.dims if dim is not None))
    return None


def look_up(view: Structured, found: Lookup) -> None:
    """Puts an operation without the reduction in place of `view`: what carries it is read at the key."""
    kept = [p for p in range(len(view.iterators)) if p != found.iterator]
    place = {old: new for new, old in enumerate(kept)}
    output = projection(view.maps[-1]) or ()
    count = len(view.inputs)
    with ir.InsertionPoint(view.op):
        size = size_along(view, found.iterator)
        limit = arith.constant(ir.IndexType.get(), size) if isinstance(size, int) else size
        iotas = [iota(extent(view.outputs[0], output.index(p))) for p in kept]
        plain = [n for n in range(count) if found.iterator not in (projection(view.maps[n]) or ())]
        inputs = [found.key.tensor, *iotas, *(view.inputs[n] for n in plain)]
        positions = [found.positions, *((p,) for p in kept)]
        positions += [projection(view.maps[n]) or () for n in (*plain, count)]
        maps = [projection_map(len(kept), [place[p] for p in one]) for one in positions]

        def body(*scalars: ir.Value) -> list[ir.Value]:
            key, accumulator = scalars[0], scalars[-1]
            at = key if isinstance(key.type, ir.IndexType) else arith.index_cast(ir.IndexType.get(), key)
            point = dict(zip(kept, scalars[1:], strict=False)) | {found.iterator: at}
            known = {view.scalars[count]: accumulator}
            known |= {view.scalars[n]: scalars[1 + len(kept) + i] for i, n in enumerate(plain)}
            for number in range(count):
                if number not in plain:
                    coordinates = [point[p] for p in projection(view.maps[number]) or ()]
                    given = found.key.tensor, [point[p] for p in found.positions], key
                    known[view.scalars[number]] = element_at(view.inputs[number], coordinates, given)
            [total] = copied(view.yields, view.body, known)
            # As unsigned numbers, negative ones are too large as well.
            inside = arith.cmpi(arith.CmpIPredicate.ult, at, limit)
            return [arith.select(inside, total, accumulator)]

        iterators: list[Iterator] = ["parallel"] * len(kept)
        made = build_generic(inputs, [view.outputs[0]], maps, iterators, body)
    made.attributes["pit.axes"] = ir.ArrayAttr.get([ir.StringAttr.get("parallel")] * len(kept))
    view.op.results[0].replace_all_uses_with(made.results[0])
    view.op.erase()
    for value in view.inputs:
        erase_unused(value)


def size_along(view: Structured, iterator: int) -> int | ir.Value:
    """The extent of `iterator`, from the first input that runs over it."""
    for value, map_ in zip(view.inputs, view.maps, strict=False):
        positions = projection(map_) or ()
        if iterator in positions:
            return extent(value, positions.index(iterator))
    raise AssertionError(f"no input of {view.op.name} runs over iterator {iterator}")


def element_at(
    value: ir.Value, coordinates: Sequence[ir.Value], given: tuple[ir.Value, list[ir.Value], ir.Value]
) -> ir.Value:
    """The element of `value` at `coordinates`, computed anew from its operands where it is made element by element.

    `given` is a tensor, coordinates, and the element there, which is known.
    """
    if (value, list(coordinates)) == given[:2]:
        return given[2]
    maker = owner(value)
    view = None if maker is None else Structured.on_tensors(maker)
    if counts_up(value):
        return coordinates[0]
    if view is None or not is_elementwise(view) or not is_arithmetic(view):
        return tensor.extract(value, list(coordinates))
    output = projection(view.output_maps[0]) or ()
    point = dict(zip(output, coordinates, strict=True))
    known = {
        scalar: element_at(source, [point[p] for p in projection(map_) or ()], given)
        for scalar, source, map_ in zip(view.scalars, view.inputs, view.maps, strict=False)
    }
    [element] = copied(view.yields, view.body, known)
    return element

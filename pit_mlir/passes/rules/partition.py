"""R6, partition: f(x, W[key]; c) = swrite(f(sread(x, I), W[s]; sread(c, I)), into c, I), the axis of I parallel in f.

I lists, in segment s, the places whose key is s: all of them read the same part of W, which then need not be copied
for each. So the weights of the experts that tokens chose, times the tokens, become one product for each expert. A
place has one key and is written once; one whose key is out of range keeps c, and the check of the model fails. R1
then joins what is read and written by the same key: whatever is in between stays in rows.

Fact needed: the verdict "parallel" on the iterators of the places. Worth it only where f multiplies by a part of W
that is a matrix, with an iterator of the result and one that f reduces: a row of W, as an embedding is, is read once.
"""

from dataclasses import dataclass

from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.gathers import Gather
from pit_mlir.bindings import ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.bodies import copied
from pit_mlir.dialect.detect import detect_keys
from pit_mlir.dialect.generic import pit_generic
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.sread import sread
from pit_mlir.dialect.structured import (
    Iterator,
    Structured,
    build_generic,
    owner,
    projection,
    projection_map,
)
from pit_mlir.dialect.swrite import swrite
from pit_mlir.passes.rules.hoist import operand_rows, proof_missing, rows_map
from pit_mlir.passes.rules.hoist_shape import compact_fill, is_refillable
from pit_mlir.passes.rules.rows import Refusal, Rows


@dataclass(frozen=True)
class Partition:
    """A contraction that reads input `number` through `gather`, for each place over its iterators `axis`.

    `iterators[i]` is the contraction's iterator that iterator i of the gather is.
    """

    number: int
    gather: Gather
    iterators: tuple[int, ...]
    axis: tuple[int, ...]


def partition_contractions(function: ir.Operation, report: Report) -> None:
    """R6 at every contraction of `function` with parts of a tensor that are chosen by a key."""
    for op in list(function.regions[0].blocks[0].operations):
        view = Structured.on_tensors(op)
        found = None if view is None or view.index is not None else find_partition(view)
        where = location_text(op.location)
        if view is None or found is None:
            continue
        if isinstance(found, Refusal):
            report.remark(where, f"copies what it reads by a key: {found.reason}", topic="dense")
            continue
        with op.location:
            partition(view, found)
        report.count("num-partitioned")
        report.remark(
            where,
            f"one product for each of the {found.gather.size} values of the key at "
            f"{location_text(found.gather.view.location)}; what it chooses is read where it lies",
            topic="index",
        )


def find_partition(view: Structured) -> Partition | Refusal | None:
    """How `view` multiplies by parts of a tensor that a key chooses; None if it does not."""
    maps = [projection(map_) or () for map_ in view.maps]
    if "reduction" not in view.iterators or len(view.outputs) != 1 or None in map(projection, view.maps):
        return None
    for number, value in enumerate(view.inputs):
        gather = Gather.of(value)
        if gather is None:
            continue
        own = projection(gather.view.output_maps[0]) or ()
        iterators = tuple(maps[number][own.index(i)] for i in range(len(own)))
        part = {iterators[position] for position in gather.positions if position is not None}
        if not multiplies(view, number, part):
            continue
        axis = tuple(p for p in maps[-1] if p not in part)
        if not {iterators[i] for i in gather.key_iterators} <= set(axis):
            return Refusal("the key is not one for each place of the result")
        return proof_missing(view, axis) or Partition(number, gather, iterators, axis)
    return None


def multiplies(view: Structured, number: int, part: set[int]) -> bool:
    """Whether `part`, iterators of input `number`, are those of a matrix that another input is multiplied by."""
    if not any(view.iterators[iterator] == "parallel" for iterator in part):
        return False
    others = [set(projection(m) or ()) & part for n, m in enumerate(view.input_maps) if n != number]
    return any(
        shared < part and any(view.iterators[iterator] == "reduction" for iterator in shared)
        for shared in others
    )


def partition(view: Structured, found: Partition) -> None:
    """Puts swrite(f(sread(x, I), W[s]; sread(c, I)), into c, I) in place of `view`."""
    gather, segment = found.gather, len(view.iterators)
    group = (segment, *found.axis)
    iterators: list[Iterator] = [*view.iterators, "parallel"]
    with ir.InsertionPoint(view.op):
        index = detect_keys(keys(view, found), values=gather.size, axis=range(len(found.axis)))
        maps = [projection_map(len(iterators), projection(map_) or ()) for map_ in view.maps]
        # What lacks a part of the places is read where it lies: the row of a token, for each expert that it chose.
        reads = [whole_rows(operand_rows(map_, group, index, range(len(group)))) for map_ in maps]
        maps = [m if read is None else rows_map(m, read, group) for m, read in zip(maps, reads, strict=True)]
        operands = [
            value if read is None else rows_of(value, read)
            for value, read in zip((*view.inputs, *view.outputs), reads, strict=True)
        ]
        operands[found.number] = gather.table
        places = [segment if p is None else found.iterators[p] for p in gather.positions]
        maps[found.number] = projection_map(len(iterators), places)

        def body(*scalars: ir.Value) -> list[ir.Value]:
            known = dict(zip(view.scalars, scalars, strict=True))
            read = {gather.extract.results[0]: scalars[found.number]}
            [known[view.scalars[found.number]]] = copied(gather.view.yields, gather.view.body, read)
            return copied(view.yields, view.body, known)

        count = len(view.inputs)
        listed = [n for n, read in enumerate(reads) if read is not None and n != found.number]
        made = pit_generic(
            operands[:count], operands[count:], index, maps, iterators, group=group, compact=listed, body=body
        ).operation
        kinds = [*view.op.attributes["pit.axes"], ir.StringAttr.get("parallel")]
        made.attributes["pit.axes"] = ir.ArrayAttr.get(kinds)
        rows = reads[-1]
        assert rows is not None, "the result carries all places"
        written = swrite(made.results[0], view.outputs[0], index, axis=rows.axis, group=rows.group)
    view.op.results[0].replace_all_uses_with(written)
    view.op.erase()


def whole_rows(rows: Rows | None) -> Rows | None:
    """`rows` if no two of them are the same."""
    return rows if rows is not None and rows.is_whole else None


def rows_of(value: ir.Value, rows: Rows) -> ir.Value:
    """`value` at `rows`, made anew at that size if it holds nothing of its own."""
    maker = owner(value)
    if maker is not None and is_refillable(maker):
        return compact_fill(value, maker, rows)
    return sread(value, rows.index, axis=rows.axis, group=rows.group)


def keys(view: Structured, found: Partition) -> ir.Value:
    """The key of each place: a tensor over the iterators `axis`, of `index`."""
    gather, index = found.gather, ir.IndexType.get()
    inputs = [gather.view.inputs[number] for number in gather.key_inputs]
    place = {found.iterators[i]: i for i in range(len(found.iterators))}
    sizes = [size_along(view, position) for position in found.axis]
    renumber = {place[p]: n for n, p in enumerate(found.axis) if p in place}
    maps = [
        projection_map(len(found.axis), [renumber[i] for i in projection(gather.view.maps[number]) or ()])
        for number in gather.key_inputs
    ]
    identity = projection_map(len(found.axis), range(len(found.axis)))
    scalars = [gather.view.scalars[number] for number in gather.key_inputs]

    def body(*elements: ir.Value) -> list[ir.Value]:
        known = dict(zip(scalars, elements, strict=False))
        return copied([gather.key], gather.view.body, known)

    parallel: list[Iterator] = ["parallel"] * len(found.axis)
    out = tensor.EmptyOp(sizes, index).result
    with gather.view.location:
        return build_generic(inputs, [out], [*maps, identity], parallel, body).results[0]


def size_along(view: Structured, position: int) -> int | ir.Value:
    """The extent of a parallel iterator, from the output."""
    output = projection(view.output_maps[0]) or ()
    return extent(view.outputs[0], output.index(position))

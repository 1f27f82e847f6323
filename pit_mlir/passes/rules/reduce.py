"""R2, reduce: f(x, y; c) = f(sread(x, I), sread(y, I); c), d reduced, x neutral outside I. Here f is
attention over keys.

A key outside I contributes nothing if its score is -inf for every query: exp gives 0, and the row maximum and
the row sum leave it out. That holds only in rows that have a live key, since -inf - -inf is no number and a
finite mask makes such a row uniform. Facts, proved by evaluating the score at an assumed mask:

1. dead keys: where the mask of I is 0 at (segment, k), the score is -inf, whatever the query; 2. live rows:
where it is live at (segment, q), the score of k := q is finite; a query listed by I sees at least itself.

Queries are rows of the result, so they are hoisted by R1 in the same step: fact 2 is needed of them alone.
"""

import math
from collections.abc import Sequence

from pit_mlir.analysis.expressions import Expression, Leaf, attend_score, leaves
from pit_mlir.analysis.facts import Assumption
from pit_mlir.analysis.images import ZERO, Abstract, Finite, Known, NonZero, image, is_finite
from pit_mlir.bindings import ir
from pit_mlir.dialect.attend import AttendOp
from pit_mlir.dialect.detect import is_by_key
from pit_mlir.dialect.structured import maps_of, owner, projection
from pit_mlir.passes.rules.rows import Demanded, Plan, Refusal, Rows

QUERY, KEY, VALUE, INIT = range(4)


def plan_attend(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R1 on the queries and R2 on the keys of a dense `pit.attend`."""
    rows = demanded[0]
    if len(op.operands) > INIT + 1:
        return Refusal("it is ragged through another index")
    batch = op.attributes["batch"].value
    maps = [projection(map_) or () for map_ in maps_of(op)]
    iterators = [maps[INIT][dim] for dim in rows.axis]
    segments = iterators[:-1]
    if iterators[-1] != batch or any(segment >= batch for segment in segments):
        return Refusal(
            f"the index runs over iterators {iterators}, expected batch iterators and then the queries"
        )
    notes = dead_keys(op, rows.index, segments)
    if isinstance(notes, Refusal):
        return notes
    reads = [
        whole_rows(maps[number], [*segments, batch + (number in (KEY, VALUE))], rows)
        for number in range(INIT + 1)
    ]
    return Plan(tuple(reads), lambda operands: [build_ragged(op, rows, segments, reads, operands)], notes)


def whole_rows(map_: Sequence[int], iterators: Sequence[int], rows: Rows) -> Rows | None:
    """The rows of an operand that carries all of `iterators`; one that lacks some is read where it lies."""
    if any(iterator not in map_ for iterator in iterators):
        return None
    return Rows(rows.index, tuple(map_.index(iterator) for iterator in iterators), rows.group)


def build_ragged(
    op: ir.Operation,
    rows: Rows,
    segments: Sequence[int],
    reads: Sequence[Rows | None],
    operands: Sequence[ir.Value],
) -> ir.Value:
    """`op` over the index; the operands that are read as rows are compact. The body moves to the new operation."""
    maps: list[ir.Attribute] = []
    for map_, read in zip(maps_of(op), reads, strict=True):
        gone = [] if read is None else [dim for dim in read.axis if dim != read.place]
        results = list(map_.results)
        if read is not None:
            results[read.place] = map_.results[read.axis[-1]]
        kept = [expression for dim, expression in enumerate(results) if dim not in gone]
        maps.append(ir.AffineMapAttr.get(ir.AffineMap.get(map_.n_dims, 0, kept)))
    query, key, value, init = operands
    new = AttendOp(
        query,
        key,
        value,
        init,
        [rows.index],
        init.type,
        ir.ArrayAttr.get(maps),
        op.attributes["batch"],
        ir.DenseI64ArrayAttr.get(list(segments)),
        ir.DenseI64ArrayAttr.get([number for number, read in enumerate(reads) if read is not None]),
    ).operation
    for name in op.attributes:
        if name not in new.attributes:
            new.attributes[name] = op.attributes[name]
    op.regions[0].blocks[0].append_to(new.regions[0])
    return new.results[0]


def dead_keys(op: ir.Operation, index: ir.Value, segments: Sequence[int]) -> tuple[str, ...] | Refusal:
    """Proves both facts of R2 for the keys of `op` outside `index`; what they assume, or why they do not hold."""
    maker = owner(index)
    if maker is None or maker.name != "pit.detect":
        return Refusal("the maker of the index is not visible")
    is_single = len(list(maker.attributes["axis"])) == 1 and all(
        size == 1 for size in maker.attributes["block"]
    )
    if is_by_key(maker) or not is_single:
        return Refusal("the index does not list single tokens of each segment")
    mask = maker.operands[0]
    dims = [*maker.attributes["segments"], *maker.attributes["axis"]]
    if sorted(dims) != list(range(ir.RankedTensorType(mask.type).rank)):
        return Refusal("the index is not of a mask over segments and axis alone")
    q = op.attributes["batch"].value
    at_key = Leaf(mask, tuple(_coordinates(dims, [*segments, q + 1])))
    at_query = Leaf(mask, tuple(_coordinates(dims, [*segments, q])))
    other = attend_score(op, q + 1)
    dead = image(other, finite_floats(other) | {at_key: ZERO})
    if dead.value != Known(-math.inf):
        return Refusal(
            "keys are not left out where the mask is 0: their score is not proved to be -inf there"
        )
    own = attend_score(op, q)
    live = image(own, finite_floats(own) | {at_query: NonZero()})
    binary: list[str] = []
    if not is_finite(live.value):
        live = image(own, finite_floats(own) | {at_query: Known(1)})
        binary = ["live entries of the mask are 1"]
    if not is_finite(live.value):
        return Refusal("a live query is not proved to see itself: it may have no live key")
    return tuple(
        f"assumes: {what}"
        for what in sorted({*dead.assumptions, *live.assumptions, Assumption.FINITE_DATA, *binary})
    )


def finite_floats(expression: Expression) -> dict[Leaf, Abstract]:
    """The floats that `expression` reads, assumed finite."""
    return {
        leaf: Finite() for leaf in leaves(expression) if isinstance(scalar_type(leaf.value), ir.FloatType)
    }


def scalar_type(value: ir.Value) -> ir.Type:
    """The element type of a tensor, the type of a scalar."""
    return value.type.element_type if isinstance(value.type, ir.RankedTensorType) else value.type


def _coordinates(dims: Sequence[int], iterators: Sequence[int]) -> list[int]:
    """Which iterator addresses each dimension of the mask, `dims[i]` being addressed by `iterators[i]`."""
    return [iterator for _, iterator in sorted(zip(dims, iterators, strict=True))]

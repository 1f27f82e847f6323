"""R1, hoist: sread(f(x, y; c), I) = f(sread(x, I), sread(y, I); sread(c, I)), the axis of I parallel in f.

Proof facts: `pit.axes` says "parallel" for every iterator of the group of I. Operands that carry the whole
group are read through I; those that carry a part of it, through the projection of I; the others as they are.
"""

from collections.abc import Sequence

from pit_mlir.analysis.axes import unreshaped
from pit_mlir.analysis.gathers import is_elementwise
from pit_mlir.bindings import ir
from pit_mlir.dialect.bodies import copied_yields
from pit_mlir.dialect.generic import pit_generic
from pit_mlir.dialect.group import group_size, single_coordinates
from pit_mlir.dialect.structured import Iterator, Structured, empty_generic, owner
from pit_mlir.passes.rules.rows import Demanded, Plan, Refusal, Rows


def plan_generic(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R1 on a `linalg.generic`: the group's iterators become one iterator over rows."""
    view = Structured.on_tensors(op)
    assert view is not None and view.index is None
    group = group_iterators(view, demanded)
    if isinstance(group, Refusal):
        return group
    refusal = proof_missing(view, group)
    if refusal is not None:
        return refusal
    rows = next(iter(demanded.values()))
    reads = [operand_rows(map_, group, rows.index, rows.group) for map_ in view.maps]
    partial = [number for number, read in enumerate(reads) if read is not None and not read.is_whole]
    missing = set(range(group_size(rows.index) or 0)) - set(rows.group)
    is_listed = missing <= single_coordinates(rows.index)
    lying = {number for number in partial if copied_iterators(view, number, group)}
    if missing:
        # All is added up at one place: each row has a matrix of its own, once.
        lying |= {number for number, read in enumerate(reads) if read and is_matrix(view, number, group)}
    if is_listed and lying:
        if len({output.type for output in view.outputs}) > 1:
            return Refusal("its outputs have different types")
        # Read where they lie, at the coordinates of each row: the weights of an expert serve all its rows.
        lying |= set(partial)
        reads = [None if number in lying else read for number, read in enumerate(reads)]
        return Plan(tuple(reads), lambda operands: build_listed(view, group, rows, reads, operands))
    return Plan(tuple(reads), lambda operands: build_compact(view, group, reads, operands))


def group_iterators(view: Structured, demanded: Demanded) -> tuple[int, ...] | Refusal:
    """The iterator of `view` that each coordinate of the rows runs over, the same for every result that is read."""
    if len({rows.group for rows in demanded.values()}) > 1:
        return Refusal("its results are read through different coordinates of the index")
    found: set[tuple[int, ...]] = set()
    for number, map_ in enumerate(view.output_maps):
        if number not in demanded:
            continue
        iterators: list[int] = []
        for dim in demanded[number].axis:
            expression = map_.results[dim]
            if not isinstance(expression, ir.AffineDimExpr):
                return Refusal(f"dimension {dim} of result {number} is {expression}, not one iterator")
            iterators.append(expression.position)
        found.add(tuple(iterators))
    if len(found) != 1:
        return Refusal(f"its results are read along different iterators {sorted(found)}")
    group = found.pop()
    for number, map_ in enumerate(view.output_maps):
        if not all(any(is_iterator(e, position) for e in map_.results) for position in group):
            return Refusal(f"result {number} does not carry iterators {list(group)}")
    return group


def is_iterator(expression: ir.AffineExpr, position: int) -> bool:
    """Whether an indexing expression is iterator `position` as a whole."""
    return isinstance(expression, ir.AffineDimExpr) and expression.position == position


def proof_missing(view: Structured, group: Sequence[int]) -> Refusal | None:
    """Why the iterators `group` may not be permuted, None if the proof is there."""
    if "pit.axes" not in view.op.attributes:
        return Refusal("nothing is proved about its iterators (run pit-prove-permutation)")
    kinds = [ir.StringAttr(kind).value for kind in view.op.attributes["pit.axes"]]
    for position in group:
        if kinds[position] != "parallel":
            return Refusal(f"iterator {position} is proved '{kinds[position]}', not 'parallel'")
    for inner in view.body.operations:
        if inner.operation.name == "linalg.index" and inner.operation.attributes["dim"].value in group:
            return Refusal(
                f"its body reads the position along iterator {inner.operation.attributes['dim'].value}"
            )
    return None


def operand_rows(
    map_: ir.AffineMap, group: Sequence[int], index: ir.Value, addressed: Sequence[int]
) -> Rows | None:
    """The rows that an operand with `map_` is read at, None if it carries no iterator of the group.

    Coordinate `addressed[i]` of the index runs along iterator `group[i]`.
    """
    axis: list[int] = []
    coordinates: list[int] = []
    for coordinate, position in zip(addressed, group, strict=True):
        for dim, expression in enumerate(map_.results):
            if is_iterator(expression, position):
                axis.append(dim)
                coordinates.append(coordinate)
    return Rows(index, tuple(axis), tuple(coordinates)) if axis else None


def copied_iterators(view: Structured, number: int, group: Sequence[int]) -> list[int]:
    """Iterators of operand `number` that no output carries: reading it once per row would copy them every time."""
    carried = {
        expression.position
        for map_ in view.output_maps
        for expression in map_.results
        if isinstance(expression, ir.AffineDimExpr)
    }
    own = {position for expression in view.maps[number].results for position in iterators_in(expression)}
    return sorted(own - carried - set(group))


def is_matrix(view: Structured, number: int, group: Sequence[int]) -> bool:
    """Whether input `number` is data that lies in memory, a matrix for each row: its rows would be a copy of it."""
    if number >= len(view.inputs) or not lies_in_memory(view.inputs[number]):
        return False
    own = {position for expression in view.maps[number].results for position in iterators_in(expression)}
    return {view.iterators[position] for position in own - set(group)} == {"parallel", "reduction"}


def lies_in_memory(value: ir.Value) -> bool:
    """Whether `value` is an argument, reshaped, cast or not: nothing that takes longer than to read it."""
    maker = owner(unreshaped(value))
    view = None if maker is None else Structured.on_tensors(maker)
    return maker is None or (
        view is not None and len(view.inputs) == 1 and is_elementwise(view) and lies_in_memory(view.inputs[0])
    )


def iterators_in(expression: ir.AffineExpr) -> set[int]:
    """The iterators that an indexing expression depends on."""
    if isinstance(expression, ir.AffineDimExpr):
        return {expression.position}
    if isinstance(expression, ir.AffineBinaryExpr):
        return iterators_in(expression.lhs) | iterators_in(expression.rhs)
    return set()


def build_compact(
    view: Structured, group: Sequence[int], reads: Sequence[Rows | None], operands: Sequence[ir.Value]
) -> list[ir.Value]:
    """The `linalg.generic` of `view` with its group of iterators replaced by one over rows; the body moves there."""
    first = min(group)
    kept = [position for position in range(len(view.iterators)) if position == first or position not in group]
    place = {old: kept.index(first if old in group else old) for old in range(len(view.iterators))}
    renumber = ir.AffineMap.get(
        len(kept), 0, [ir.AffineDimExpr.get(place[old]) for old in range(len(view.iterators))]
    )
    maps = [compact_map(map_, read, renumber) for map_, read in zip(view.maps, reads, strict=True)]
    count = len(view.inputs)
    op = empty_generic(operands[:count], operands[count:], maps, [view.iterators[old] for old in kept])
    copy_attributes(view.op, op, kept)
    view.body.append_to(op.regions[0])
    for inner in op.regions[0].blocks[0].operations:
        if inner.operation.name == "linalg.index":
            attribute = inner.operation.attributes["dim"]
            inner.operation.attributes["dim"] = ir.IntegerAttr.get(attribute.type, place[attribute.value])
    return list(op.results)


def build_listed(
    view: Structured,
    group: Sequence[int],
    rows: Rows,
    reads: Sequence[Rows | None],
    operands: Sequence[ir.Value],
) -> list[ir.Value]:
    """The `pit.generic` of `view` over `rows`: what `reads` names is compact, the rest is read where it lies.

    Coordinates with one value that the rows lack are iterators of their own, which no operand carries.
    """
    count, old = len(view.inputs), len(view.iterators)
    known = dict(zip(rows.group, group, strict=True))
    added = [c for c in range(group_size(rows.index) or 0) if c not in known]
    known |= {coordinate: old + number for number, coordinate in enumerate(added)}
    whole = [known[coordinate] for coordinate in sorted(known)]
    maps = [
        ir.AffineMap.get(old + len(added), 0, list(map_.results))
        for map_ in (
            map_ if read is None else rows_map(map_, read, whole)
            for map_, read in zip(view.maps, reads, strict=True)
        )
    ]
    more: list[Iterator] = ["parallel"] * len(added)
    op = pit_generic(
        operands[:count],
        operands[count:],
        rows.index,
        maps,
        [*view.iterators, *more],
        group=whole,
        compact=[number for number, read in enumerate(reads) if read is not None],
        body=lambda *scalars: copied_yields(view, scalars),
    ).operation
    for name in view.op.attributes:
        if name.startswith("pit."):
            op.attributes[name] = view.op.attributes[name]
    for name in PER_ITERATOR:
        if name in op.attributes:
            each = ir.StringAttr.get("parallel") if name == "pit.axes" else ir.ArrayAttr.get([])
            op.attributes[name] = ir.ArrayAttr.get([*op.attributes[name], *([each] * len(added))])
    return list(op.results)


def rows_map(map_: ir.AffineMap, rows: Rows, group: Sequence[int]) -> ir.AffineMap:
    """`map_` with the dimensions of `rows` replaced by one, which is called as the first iterator of the group."""
    results = list(map_.results)
    results[rows.place] = ir.AffineDimExpr.get(group[0])
    kept = [e for dim, e in enumerate(results) if dim == rows.place or dim not in rows.axis]
    return ir.AffineMap.get(map_.n_dims, 0, kept)


def compact_map(map_: ir.AffineMap, rows: Rows | None, renumber: ir.AffineMap) -> ir.AffineMap:
    """`map_` over the new iterators, the dimensions of `rows` replaced by one."""
    gone = [] if rows is None else [dim for dim in rows.axis if dim != rows.place]
    results = [e.compose(renumber) for dim, e in enumerate(map_.results) if dim not in gone]
    return ir.AffineMap.get(renumber.n_dims, 0, results)


STRUCTURE = ("indexing_maps", "iterator_types", "operandSegmentSizes")
PER_ITERATOR = ("pit.axes", "pit.fill")
OF_POSITIONS = ("pit.deltas",)
"""What names iterators and positions along them: both are others in the compact operation."""


def copy_attributes(source: ir.Operation, target: ir.Operation, kept: Sequence[int]) -> None:
    """Gives `target` what is known of `source`; the iterators `kept` keep their verdicts."""
    for name in source.attributes:
        attribute = source.attributes[name]
        if name in PER_ITERATOR:
            attribute = ir.ArrayAttr.get([attribute[position] for position in kept])
        if name not in (*STRUCTURE, *OF_POSITIONS):
            target.attributes[name] = attribute

"""R2, reduce, for attention by blocks: a block of queries is computed with the blocks of keys that it may see.

A key contributes nothing to a row where its score is -inf, as causal masks, windows, masks of documents and of blocks
make it. The condition under which a score is live is read off the body of the `pit.attend` (`analysis/liveness.py`), a
`pit.block_mask` lists the blocks in which it may hold, and the others are not computed. Inside a listed block the body
masks as before, so that a list may be too long and never too short.

A row without a live key gives what the dense operators give: NaN where its scores are -inf, 0 where that is guarded.
Where they are finite lowest numbers it is a mean over all keys; the attribute `lowest` has it computed so.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence

from pit_mlir.analysis.expressions import Expression, Leaf, emit, scalar_expression
from pit_mlir.analysis.extents import extent, extent_source
from pit_mlir.analysis.facts import Assumption
from pit_mlir.analysis.images import Abstract, Known, NonZero
from pit_mlir.analysis.liveness import (
    TRUE,
    Above,
    Always,
    Both,
    Condition,
    Either,
    Holds,
    Liveness,
    liveness,
    reads,
)
from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.build import truth
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.attend import AttendOp, indices_of, score_type
from pit_mlir.dialect.block_mask import block_mask
from pit_mlir.dialect.element import elements
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import maps_of, owner, projection, projection_map
from pit_mlir.dialect.yield_ import yielded


def restrict_attentions(function: ir.Operation, report: Report) -> None:
    """Gives every `pit.attend` of `function` whose scores are masked along the keys a list of blocks of keys.

    Layers that mask alike share one list.
    """
    made: dict[Hashable, ir.Value] = {}
    for op in list(function.regions[0].blocks[0].operations):
        if op.operation.name == "pit.attend" and "keys" not in op.operation.attributes:
            restrict_attention(op.operation, made, report)


def restrict_attention(op: ir.Operation, made: dict[Hashable, ir.Value], report: Report) -> None:
    """R2 by blocks at one attention, if its score says which keys a query does not see; `made` are the lists so far."""
    key = batch_of(op) + 1
    score, product = body_score(op)
    found = liveness(score, product, listed_facts(op))
    where = location_text(op.location)
    if all(key not in leaf.dims for leaf in reads(found.condition)):
        if found.condition == TRUE and elements(op.regions[0].blocks[0]) and indices_of(op)[0] is None:
            text = (
                "every query looks at all keys: nothing that is added to its scores or selects them is -inf"
            )
            report.remark(where, text, topic="dense")
        return
    with ir.InsertionPoint(op), op.location:
        restrict(op, found, made)
    report.count("num-restricted")
    text = "each block of queries looks at the blocks of keys that its mask leaves in, by a list"
    report.remark(where, text, topic="list")
    for assumption in (Assumption.FINITE_DATA, *([Assumption.LOWEST_IS_INF] if found.lowest else [])):
        report.remark(where, f"assumes: {assumption}")


def batch_of(op: ir.Operation) -> int:
    """The number of batch iterators, which is also the number of the iterator of queries."""
    return op.attributes["batch"].value


def body_score(op: ir.Operation) -> tuple[Expression, Leaf]:
    """What the body of `op` yields, in terms of the elements that it reads and of the product of query and key."""
    block = op.regions[0].blocks[0]

    def read(value: ir.Value) -> Expression | None:
        maker = owner(value)
        if maker is None or maker.name != "pit.element":
            return None
        return Leaf(maker.operands[0], tuple(projection(maker.attributes["map"].value) or ()))

    [score] = yielded(block)
    return scalar_expression(score, block, read), Leaf(block.arguments[0], ())


def listed_facts(op: ir.Operation) -> dict[Leaf, Abstract]:
    """What is known of the mask of the rows of `op`: both the query and the key of a pair are listed."""
    rows, _ = indices_of(op)
    maker = owner(rows) if rows is not None else None
    if maker is None or maker.name != "pit.detect":
        return {}
    mask = maker.operands[0]
    is_truth = mask.type.element_type == ir.IntegerType.get_signless(1)
    live: Abstract = Known(1) if is_truth else NonZero()
    dims = [*maker.attributes["segments"], *maker.attributes["axis"]]
    query = batch_of(op)
    found: dict[Leaf, Abstract] = {}
    for iterator in (query, query + 1):
        named = dict(zip(dims, [*op.attributes["segments"], iterator], strict=True))
        found[Leaf(mask, tuple(named[dim] for dim in sorted(named)))] = live
    return found


def restrict(op: ir.Operation, found: Liveness, made: dict[Hashable, ir.Value]) -> None:
    """Makes the list of blocks at the insertion point, unless there is one, and `op` anew with it."""
    rows, _ = indices_of(op)
    query = batch_of(op)
    segments = list(op.attributes["segments"])
    carried = {dim for leaf in reads(found.condition) for dim in leaf.dims if dim < query}
    iterators = sorted(carried | set(segments))
    along = (*iterators, query, query + 1)
    sizes = tuple(extent_source(*carrier(op, iterator)) for iterator in along)
    key = (found.condition, rows, tuple(segments), along, sizes)
    if key not in made:
        made[key] = list_blocks(op, found, iterators)
    listed(op, made[key], iterators, found.lowest)


def list_blocks(op: ir.Operation, found: Liveness, iterators: Sequence[int]) -> ir.Value:
    """The index of the blocks that may be live in `op`, over the batch iterators `iterators`."""
    rows, _ = indices_of(op)
    query = batch_of(op)
    number = {iterator: place for place, iterator in enumerate([*iterators, query, query + 1])}
    tensors = [leaf for leaf in reads(found.condition) if isinstance(leaf.value.type, ir.RankedTensorType)]
    scalars = {leaf: leaf.value for leaf in reads(found.condition) if leaf not in tensors}
    type_ = score_type(op.operands[0].type)

    def body(*values: ir.Value) -> ir.Value:
        return emit_condition(found.condition, scalars | dict(zip(tensors, values, strict=True)), type_)

    return block_mask(
        [size_of(op, iterator) for iterator in (*iterators, query, query + 1)],
        [(leaf.value, projection_map(len(number), [number[dim] for dim in leaf.dims])) for leaf in tensors],
        body,
        rows=rows,
        segments=[number[iterator] for iterator in op.attributes["segments"]],
    )


def listed(op: ir.Operation, index: ir.Value, iterators: Sequence[int], lowest: bool) -> None:
    """`op` anew with the blocks of keys in `index`, which is over `iterators`; the old one goes."""
    query, key, value, init, *rows = op.operands
    attributes = op.attributes
    names = ("indexing_maps", "batch", "segments", "compact")
    new = AttendOp(
        query, key, value, init, [*rows, index], init.type, *(attributes[name] for name in names)
    ).operation
    for name in attributes:
        if name not in new.attributes:
            new.attributes[name] = attributes[name]
    new.attributes["keys"] = ir.DenseI64ArrayAttr.get(list(iterators))
    if lowest:
        new.attributes["lowest"] = ir.UnitAttr.get()
    op.regions[0].blocks[0].append_to(new.regions[0])
    op.results[0].replace_all_uses_with(new.results[0])
    op.erase()


def size_of(op: ir.Operation, iterator: int) -> ir.Value:
    """The extent of `iterator` as an `index` value."""
    size = extent(*carrier(op, iterator))
    return arith.constant(ir.IndexType.get(), size) if isinstance(size, int) else size


def carrier(op: ir.Operation, iterator: int) -> tuple[ir.Value, int]:
    """A tensor that carries `iterator` as it is, and the dimension that it addresses."""
    return next((tensor, dims.index(iterator)) for tensor, dims in carriers(op) if iterator in dims)


def carriers(op: ir.Operation) -> Iterator[tuple[ir.Value, tuple[int, ...]]]:
    """Tensors with the iterators that address their dimensions: the mask of the rows, what is not compact."""
    rows, _ = indices_of(op)
    query = batch_of(op)
    if rows is not None:
        maker = owner(rows)
        assert maker is not None and maker.name == "pit.detect", "rows are made by a detect"
        dims = [*maker.attributes["segments"], *maker.attributes["axis"]]
        for along in (query, query + 1):
            named = dict(zip(dims, [*op.attributes["segments"], along], strict=True))
            yield maker.operands[0], tuple(named[dim] for dim in sorted(named))
    hidden = (query, query + 1) if rows is not None else ()
    for number, map_ in enumerate(maps_of(op)):
        dims = projection(map_) or ()
        yield op.operands[number], tuple(-1 if dim in hidden else dim for dim in dims)
    for element in elements(op.regions[0].blocks[0]):
        yield element.source, tuple(projection(element.operation.attributes["map"].value) or ())


def emit_condition(condition: Condition, values: Mapping[Leaf, ir.Value], float_type: ir.Type) -> ir.Value:
    """`condition` as an i1 at the insertion point; `values` gives its elements."""
    match condition:
        case Always(value):
            return truth(value)
        case Holds(what, value):
            given = emit(what, dict(values), float_type)
            return given if value else arith.xori(given, truth(True))
        case Above(what, limit):
            # Unordered: what is NaN is live.
            bound = arith.constant(float_type, limit if limit > -3e38 else float("-inf"))
            return arith.cmpf(arith.CmpFPredicate.UGT, emit(what, dict(values), float_type), bound)
        case Both(first, second):
            return arith.andi(*(emit_condition(c, values, float_type) for c in (first, second)))
        case Either(first, second):
            return arith.ori(*(emit_condition(c, values, float_type) for c in (first, second)))

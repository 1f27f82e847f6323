"""R3 lists places along an axis: what a single number masks gets one, of size 1.

f(x) * g, g a number, is collapse(f'(expand(x)) * expand(g)): f' are the operations of f with one more parallel
iterator, the row, which exists once. So the weight of an expert for the one token of a decoder becomes a mask over
rows, and R3 lists that row or nothing.

Of a product with a matrix it is the other factor that is a row; the matrix serves all rows, as it would serve many.
No facts are needed: an iterator of size 1 may be put anywhere. Worth it only where such a product is computed for the
masked value alone.
"""

from collections.abc import Iterable, Sequence

from pit_mlir.analysis.expressions import Leaf, body_expression, element, leaves
from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.gathers import is_elementwise
from pit_mlir.analysis.images import ZERO, image
from pit_mlir.analysis.masks import CASTS, element_type
from pit_mlir.analysis.zeros import Zeros
from pit_mlir.bindings import ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.structured import Iterator, Structured, empty_generic, owner, projection
from pit_mlir.passes.rules.hoist import OF_POSITIONS, PER_ITERATOR, STRUCTURE
from pit_mlir.passes.rules.hoist_shape import fill, is_refillable


def give_rows(function: ir.Operation, report: Report) -> None:
    """Gives an axis of size 1 to what a number masks in `function`, and to what is computed for that alone."""
    zeros = Zeros(function.regions[0].blocks[0])
    for op in list(function.regions[0].blocks[0].operations):
        view = Structured.on_tensors(op)
        mask = None if view is None else number_masking(view, zeros)
        if view is None or mask is None:
            continue
        chain = chain_of(view, mask)
        if any(is_product(Structured.on_tensors(member)) for member in chain):
            give_row(chain, view, mask)
            report.count("num-rows-given")


def number_masking(view: Structured, zeros: Zeros) -> int | None:
    """The input of `view`, a tensor without dimensions that holds zeros on purpose, where which the result is 0."""
    if not is_elementwise(view) or not view.iterators:
        return None
    terms = [
        Leaf(value, projection(map_) or ()) for value, map_ in zip(view.inputs, view.input_maps, strict=True)
    ]
    body = body_expression(
        view, 0, lambda number: terms[number] if number < len(terms) else Leaf(view.outputs[0], ())
    )
    for number, term in enumerate(terms):
        if term.dims or not isinstance(term.value.type, ir.RankedTensorType):
            continue
        is_told = any(fact.is_zero for fact in zeros.of(term.value))
        if (is_told or is_of_integers(term)) and image(body, {term: ZERO}).value == ZERO:
            return number
    return None


def is_of_integers(term: Leaf) -> bool:
    """Whether `term` is a truth value or an integer, cast or not."""
    roots = list(leaves(element(term.value, (), CASTS)))
    return len(roots) == 1 and isinstance(element_type(roots[0].value), ir.IntegerType)


def chain_of(view: Structured, mask: int) -> list[ir.Operation]:
    """`view`, whose input `mask` masks it, and what is computed for it alone, in the order of the program."""
    chain: dict[ir.Operation, set[int]] = {view.op: row_operands(view.op) - {mask}}
    members = [view.op]
    wanted = {view.op.operands[number] for number in chain[view.op]}
    operations = [op.operation for op in view.op.block.operations]
    for op in reversed(operations[: operations.index(view.op)]):
        if len(op.results) != 1 or op.results[0] not in wanted or not can_have_row(op):
            continue
        if all(use.operand_number in chain.get(use.owner.operation, ()) for use in op.results[0].uses):
            chain[op] = row_operands(op)
            members.append(op)
            wanted |= {op.operands[number] for number in chain[op]}
    return members[::-1]


def can_have_row(op: ir.Operation) -> bool:
    """Whether `op` can be done for each of several rows."""
    view = Structured.on_tensors(op)
    if op.name == "tensor.extract_slice":
        return True
    return view is not None and view.index is None and bool(view.inputs) and len(view.outputs) == 1


def row_operands(op: ir.Operation) -> set[int]:
    """The operands of `op` that are a row of their own for each row: all but the matrices of a product."""
    view = Structured.on_tensors(op)
    if view is None:
        return {0}
    matrices = matrices_of(view)
    return {number for number in range(len(view.inputs)) if number not in matrices}


def matrices_of(view: Structured) -> set[int]:
    """The inputs of a sum of products over all its parallel iterators, where another input lacks some of these."""
    parallel = {number for number, kind in enumerate(view.iterators) if kind == "parallel"}
    if "reduction" not in view.iterators:
        return set()
    whole = {n for n, map_ in enumerate(view.input_maps) if parallel <= set(projection(map_) or ())}
    return whole if len(whole) < len(view.inputs) else set()


def is_product(view: Structured | None) -> bool:
    """Whether `view` multiplies a row with a matrix."""
    return view is not None and bool(matrices_of(view))


def give_row(chain: Iterable[ir.Operation], masked: Structured, mask: int) -> None:
    """Puts operations on rows in place of `chain`, whose last one is `masked` by its input `mask`."""
    members = list(chain)
    rows: dict[ir.Value, ir.Value] = {}
    for op in members:
        with ir.InsertionPoint(op), op.location:
            view = Structured.on_tensors(op)
            if view is None:
                rows[op.results[0]] = slice_of_row(op, rows.get(op.operands[0]) or with_row(op.operands[0]))
                continue
            wanted = row_operands(op)
            if not is_product(view):
                # A bias is the same for all rows; a product needs rows.
                wanted = {number for number in wanted if view.inputs[number] in rows}
            if op == masked.op:
                wanted.add(mask)
            operands = [
                (rows.get(value) or with_row(value)) if number in wanted else value
                for number, value in enumerate(view.inputs)
            ]
            rows[op.results[0]] = generic_on_rows(view, operands, wanted)
    last = members[-1]
    with ir.InsertionPoint(last), last.location:
        result = without_row(rows[last.results[0]], last.results[0].type)
    last.results[0].replace_all_uses_with(result)
    for op in reversed(members):
        op.erase()


def generic_on_rows(view: Structured, inputs: Sequence[ir.Value], wanted: set[int]) -> ir.Value:
    """`view` with one more iterator, the last: the first dimension of its result and of the inputs `wanted`."""
    row, count = len(view.iterators), len(view.inputs)
    maps = [
        ir.AffineMap.get(
            row + 1,
            0,
            [*([ir.AffineDimExpr.get(row)] if number in wanted or number >= count else []), *map_.results],
        )
        for number, map_ in enumerate(view.maps)
    ]
    iterators: list[Iterator] = [*view.iterators, "parallel"]
    made = empty_generic(inputs, [with_row(view.outputs[0])], maps, iterators)
    for name in view.op.attributes:
        attribute = view.op.attributes[name]
        if name in PER_ITERATOR:
            more = ir.StringAttr.get("parallel") if name == "pit.axes" else ir.ArrayAttr.get([])
            attribute = ir.ArrayAttr.get([*attribute, more])
        if name not in (*STRUCTURE, *OF_POSITIONS):
            made.attributes[name] = attribute
    view.body.append_to(made.regions[0])
    return made.results[0]


def slice_of_row(op: ir.Operation, source: ir.Value) -> ir.Value:
    """The `tensor.extract_slice` `op` of each row of `source`."""
    attributes = {name: op.attributes[name] for name in op.attributes}
    for name, first in (("static_offsets", 0), ("static_sizes", 1), ("static_strides", 1)):
        attributes[name] = ir.DenseI64ArrayAttr.get([first, *op.attributes[name]])
    type_ = row_type(op.results[0].type)
    operands = [source, *list(op.operands)[1:]]
    return ir.Operation.create(op.name, [type_], operands, attributes).results[0]


def row_type(type_: ir.Type) -> ir.RankedTensorType:
    """The type of one row of `type_`."""
    ranked = ir.RankedTensorType(type_)
    return ir.RankedTensorType.get([1, *ranked.shape], ranked.element_type)


def with_row(value: ir.Value) -> ir.Value:
    """`value` as one row: reshaped, or made anew where it holds no data."""
    type_ = ir.RankedTensorType(value.type)
    sizes = [1, *(extent(value, dim) for dim in range(type_.rank))]
    maker = owner(value)
    if maker is not None and is_refillable(maker) and maker.name != "arith.constant":
        empty = tensor.EmptyOp(sizes, type_.element_type).result
        return empty if maker.name == "tensor.empty" else fill(maker.operands[0], empty)
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [dynamic if isinstance(size, ir.Value) else size for size in sizes]
    values = [size for size in sizes if isinstance(size, ir.Value)]
    groups = grouped(type_.rank)
    return tensor.ExpandShapeOp(row_type(type_), value, groups, values, static).result


def without_row(value: ir.Value, type_: ir.Type) -> ir.Value:
    """The one row that `value` is."""
    return tensor.CollapseShapeOp(type_, value, grouped(ir.RankedTensorType(type_).rank)).result


def grouped(rank: int) -> list[list[int]]:
    """Which dimensions of one row are each of the `rank` of its value: the row goes along with the first."""
    return [[0, 1], *([dim] for dim in range(2, rank + 1))] if rank else []

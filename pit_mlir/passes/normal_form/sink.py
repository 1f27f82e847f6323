"""Reshapes sink below slices and sorts that leave alone what they join, and meet the reshapes that follow."""

from collections import Counter
from collections.abc import Iterable

from pit_mlir.analysis.axes import is_whole, kept_dims
from pit_mlir.analysis.extents import Source, extent_source, reassociation
from pit_mlir.bindings import ir, tensor
from pit_mlir.dialect.structured import owner
from pit_mlir.passes.normal_form.sizes import index_value, origin, origin_of

Product = tuple[int, Counter[Source]]
"""A size as a number times sizes that nothing more is known of."""

SLICE_PARTS = ("static_offsets", "static_sizes", "static_strides")


def sink_below_slices(slices: Iterable[ir.Operation]) -> None:
    """slice(collapse(x)) = collapse(slice(x)) for each of `slices` that keeps every collapsed group whole."""
    for op in slices:
        collapse = owner(op.operands[0])
        if collapse is None or not is_collapse(collapse):
            continue
        groups = reassociation(collapse)
        kept = kept_dims(op)
        if len(kept) != len(groups):
            continue
        if all(len(group) == 1 or keeps(op, collapse, dim, group) for dim, group in enumerate(groups)):
            with ir.InsertionPoint(op), op.location:
                sink(op, collapse, groups)


def keeps(op: ir.Operation, collapse: ir.Operation, dim: int, group: list[int]) -> bool:
    """Whether the slice `op` keeps all of dimension `dim`, which `collapse` makes of `group`."""
    if is_whole(op, op.operands[0], dim):
        return True
    offset, size, stride = entries(op, dim)
    if offset != 0 or stride != 1 or isinstance(size, int):
        return False
    whole: Product = (1, Counter())
    for one in group:
        whole = times(whole, product_of(origin(collapse.operands[0], one)))
    return product_of(origin_of(size)) == whole


def entries(op: ir.Operation, dim: int) -> list[int | ir.Value]:
    """Offset, size and stride of a slice along `dim`."""
    dynamic = ir.ShapedType.get_dynamic_size()
    counts = list(op.attributes["operandSegmentSizes"])
    found: list[int | ir.Value] = []
    for number, name in enumerate(SLICE_PARTS):
        static = list(op.attributes[name])
        first = sum(counts[: 1 + number]) + sum(entry == dynamic for entry in static[:dim])
        found.append(op.operands[first] if static[dim] == dynamic else static[dim])
    return found


def product_of(size: Source) -> Product:
    """`size` as a product, through `affine.apply` of products."""
    if isinstance(size, int):
        return size, Counter()
    maker = owner(size) if isinstance(size, ir.Value) else None
    if maker is None or maker.name != "affine.apply":
        return 1, Counter([size])
    affine = maker.attributes["map"].value
    (expression,) = affine.results
    found = product_of_expression(expression, affine.n_dims, list(maker.operands))
    return (1, Counter([size])) if found is None else found


def product_of_expression(expression: ir.AffineExpr, dims: int, operands: list[ir.Value]) -> Product | None:
    """An affine expression as a product of numbers and operands, if it is one."""
    if isinstance(expression, ir.AffineConstantExpr):
        return expression.value, Counter()
    if isinstance(expression, ir.AffineDimExpr):
        return product_of(origin_of(operands[expression.position]))
    if isinstance(expression, ir.AffineSymbolExpr):
        return product_of(origin_of(operands[dims + expression.position]))
    if not isinstance(expression, ir.AffineMulExpr):
        return None
    sides = [product_of_expression(side, dims, operands) for side in (expression.lhs, expression.rhs)]
    left, right = sides
    return None if left is None or right is None else times(left, right)


def times(left: Product, right: Product) -> Product:
    """The product of two products."""
    return left[0] * right[0], left[1] + right[1]


def sink_below_sorts(sorts: Iterable[ir.Operation]) -> None:
    """sort(collapse(x), ..) = collapse(sort(x, ..)) for each of `sorts` along a dimension that is not a joined one."""
    for op in sorts:
        dimension = ir.IntegerAttr(op.attributes["dimension"])
        collapse = next((c for c in map(owner, op.operands) if c is not None and is_collapse(c)), None)
        groups = [] if collapse is None else reassociation(collapse)
        if collapse is None or len(groups[dimension.value]) != 1:
            continue
        source = collapse.operands[0]
        sizes = [extent_source(source, dim) for dim in range(ir.RankedTensorType(source.type).rank)]
        with ir.InsertionPoint(op), op.location:
            entries_ = [size if isinstance(size, int) else index_value(size) for size in sizes]
            wide = [expanded(operand, source, entries_, groups) for operand in op.operands]
            made = ir.Operation.create(
                op.name,
                results=[value.type for value in wide],
                operands=wide,
                attributes={
                    "dimension": ir.IntegerAttr.get(dimension.type, groups[dimension.value][0]),
                    "operandSegmentSizes": op.attributes["operandSegmentSizes"],
                },
                regions=1,
            )
            op.regions[0].blocks[0].append_to(made.regions[0])
            for old, new in zip(op.results, made.results, strict=True):
                old.replace_all_uses_with(tensor.CollapseShapeOp(old.type, new, groups).result)
        op.erase()


def is_collapse(op: ir.Operation) -> bool:
    """Whether `op` joins dimensions."""
    return op.name == "tensor.collapse_shape"


def expanded(
    value: ir.Value, source: ir.Value, sizes: list[int | ir.Value], groups: list[list[int]]
) -> ir.Value:
    """`value`, of the sizes of `source` joined in `groups`, with the dimensions of `source`."""
    collapse = owner(value)
    if collapse is not None and is_collapse(collapse) and collapse.operands[0] == source:
        return source
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [dynamic if isinstance(size, ir.Value) else size for size in sizes]
    values = [size for size in sizes if isinstance(size, ir.Value)]
    type_ = ir.RankedTensorType.get(static, ir.RankedTensorType(value.type).element_type)
    return tensor.ExpandShapeOp(type_, value, groups, values, static).result


def sink(op: ir.Operation, collapse: ir.Operation, groups: list[list[int]]) -> None:
    """Puts a collapse of a slice in place of `op`, a slice of `collapse`."""
    source = collapse.operands[0]
    type_ = ir.RankedTensorType(source.type)
    parts: list[list[int | ir.Value]] = [[], [], []]
    for dim, group in enumerate(groups):
        cut = entries(op, dim)
        for one in group:
            size = extent_source(source, one)
            whole = [0, size if isinstance(size, int) else index_value(size), 1]
            for part, entry in zip(parts, cut if len(group) == 1 else whole, strict=True):
                part.append(entry)
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [[dynamic if isinstance(entry, ir.Value) else entry for entry in part] for part in parts]
    values = [[entry for entry in part if isinstance(entry, ir.Value)] for part in parts]
    sliced = ir.RankedTensorType.get(static[1], type_.element_type)
    cut_first = tensor.ExtractSliceOp(sliced, source, *values, *static).result
    joined = tensor.CollapseShapeOp(op.results[0].type, cut_first, groups).result
    op.results[0].replace_all_uses_with(joined)
    op.erase()

"""Windows in normal form: a convolution is a contraction of the windows of its input with its weights.

The windows are a tensor (`pit.window`) with a dimension for each iterator, so that place and inside of a window are
isolated in the maps, and rules and kernels know contractions alone. Where no product is summed over several channels,
in depthwise convolutions and pooling, the windows stay in the maps of a plain `linalg.generic`.
"""

from collections.abc import Iterable, Sequence

from pit_mlir.analysis.extents import extent, reassociation
from pit_mlir.bindings import ir, tensor
from pit_mlir.dialect.structured import Structured, empty_generic, owner, projection, projection_map
from pit_mlir.dialect.window import coefficients_of, whole_dims, window, window_coefficients
from pit_mlir.passes.normal_form.scope import tensor_blocks


def outline_windows(module: ir.Operation) -> None:
    """Puts `pit.window` in front of every contraction below `module` that reads an operand through windows."""
    for block in tensor_blocks(module):
        for child in list(block.operations):
            view = Structured.on_tensors(child.operation)
            if view is not None and "reduction" in view.iterators:
                _outline(view)


def _outline(view: Structured) -> None:
    """Replaces the one operand of `view` that is read through windows, if another one gives their sums channels."""
    windowed = [number for number, map_ in enumerate(view.maps) if projection(map_) is None]
    if len(windowed) != 1 or windowed[0] >= len(view.inputs) or len(view.inputs) != 2:
        return
    [number] = windowed
    map_ = view.maps[number]
    rows = [coefficients_of(expression, map_.n_dims) for expression in map_.results]
    if any(row is None for row in rows):
        return
    read = [i for i in range(map_.n_dims) if any(row[i] for row in rows if row is not None)]
    others = set(projection(view.maps[1 - number]) or ())
    # A factor that lacks no iterator of the other one is no matrix: nothing is reused.
    if not (others - set(read)) or not (set(read) - others):
        return
    order = sorted(read, key=lambda i: next(n for n, row in enumerate(rows) if row is not None and row[i]))
    place = {iterator: dim for dim, iterator in enumerate(order)}
    renumber = ir.AffineMap.get(
        len(order), 0, [ir.AffineDimExpr.get(place.get(i, 0)) for i in range(map_.n_dims)]
    )
    windows = ir.AffineMap.get(len(order), 0, [e.compose(renumber) for e in map_.results])
    with ir.InsertionPoint(view.op), view.location:
        shape = [iterator_extent(view, iterator) for iterator in order]
        source = window(view.inputs[number], windows, shape)
        operands = list(view.op.operands)
        operands[number] = source
        maps = list(view.maps)
        maps[number] = projection_map(map_.n_dims, order)
        count = len(view.inputs)
        made = empty_generic(operands[:count], operands[count:], maps, view.iterators)
    view.body.append_to(made.regions[0])
    for old, new in zip(view.op.results, made.results, strict=True):
        old.replace_all_uses_with(new)
    view.op.erase()


def cut_single_windows(module: ir.Operation) -> None:
    """Cuts operands below `module` to what is read where there is one window along an axis.

    Upstream drops the iterator that counts windows, and has the elements of the one window run over the whole
    operand, which may be longer.
    """
    for block in tensor_blocks(module):
        for child in list(block.operations):
            view = Structured.on_tensors(child.operation)
            if view is None:
                continue
            for number, (value, map_) in enumerate(zip(view.inputs, view.input_maps, strict=True)):
                if not isinstance(value.type, ir.RankedTensorType):
                    continue
                shape = list(value.type.shape)
                read = [_read_by_one(view, e, size) for e, size in zip(map_.results, shape, strict=True)]
                if read != shape:
                    with ir.InsertionPoint(view.op), view.location:
                        view.op.operands[number] = _first(value, read)


def _read_by_one(view: Structured, expression: ir.AffineExpr, size: int) -> int:
    """How many of `size` elements are read at `expression`, if one of its iterators runs once; else all."""
    coefficients = coefficients_of(expression, len(view.iterators))
    if isinstance(expression, ir.AffineDimExpr) or coefficients is None:
        return size
    runs = [(c, iterator_extent(view, iterator)) for iterator, c in enumerate(coefficients) if c]
    if not any(extent_ == 1 for _, extent_ in runs):
        return size
    last = 0
    for coefficient, extent_ in runs:
        if coefficient < 0 or not isinstance(extent_, int):
            return size
        last += coefficient * (extent_ - 1)
    return last + 1


def _first(value: ir.Value, shape: list[int]) -> ir.Value:
    """The first elements of `value` along each dimension, as many as `shape` says; all where it is dynamic."""
    type_ = ir.RankedTensorType(value.type)
    sizes = [extent(value, dim) for dim in range(type_.rank) if type_.is_dynamic_dim(dim)]
    result = ir.RankedTensorType.get(shape, type_.element_type)
    ones = [1] * type_.rank
    return tensor.ExtractSliceOp(result, value, [], sizes, [], [0] * type_.rank, shape, ones).result


def iterator_extent(view: Structured, iterator: int) -> int | ir.Value:
    """How far `iterator` of `view` runs, as the operand says whose dimension it is."""
    for value, map_ in zip((*view.outputs, *view.inputs), (*view.output_maps, *view.input_maps), strict=True):
        for dim, expression in enumerate(map_.results):
            if isinstance(expression, ir.AffineDimExpr) and expression.position == iterator:
                return extent(value, dim)
    raise AssertionError("linalg's verifier asks for an operand of which each iterator is a dimension")


def fold_windows(reshapes: Iterable[ir.Operation]) -> None:
    """Carries each reshape among `reshapes` of windows to their source, and drops windows that are the source."""
    for op in reshapes:
        maker = owner(op.operands[0])
        if maker is None or maker.name != "pit.window":
            continue
        with ir.InsertionPoint(op), op.location:
            folded = _collapsed(op, maker) if op.name == "tensor.collapse_shape" else _expanded(op, maker)
        if folded is not None:
            op.results[0].replace_all_uses_with(folded)
            op.erase()


def drop_idle_windows(windows: Iterable[ir.Operation]) -> None:
    """Removes windows that are just their source."""
    for op in windows:
        map_ = op.attributes["map"].value
        identity = ir.AffineMap.get_identity(map_.n_dims)
        if map_ == identity and op.results[0].type == op.operands[0].type:
            op.results[0].replace_all_uses_with(op.operands[0])
            op.erase()


def _collapsed(op: ir.Operation, maker: ir.Operation) -> ir.Value | None:
    """The windows of `maker` without the dimensions of size 1 that `op` drops; None if it joins others."""
    shape = ir.RankedTensorType(maker.results[0].type).shape
    kept: list[int] = []
    for group in reassociation(op):
        large = [dim for dim in group if shape[dim] != 1]
        if len(large) > 1:
            return None
        kept.append(large[0] if large else group[0])
    map_ = maker.attributes["map"].value
    # At size 1 the coordinate is 0.
    inside = [
        ir.AffineDimExpr.get(kept.index(dim)) if dim in kept else ir.AffineConstantExpr.get(0)
        for dim in range(map_.n_dims)
    ]
    source, left = _without_units(maker.operands[0], map_, kept)
    narrow = ir.AffineMap.get(len(kept), 0, inside)
    composed = ir.AffineMap.get(len(kept), 0, [map_.results[dim].compose(narrow) for dim in left])
    return window(source, composed, [extent(maker.results[0], dim) for dim in kept])


def _without_units(source: ir.Value, map_: ir.AffineMap, kept: Sequence[int]) -> tuple[ir.Value, list[int]]:
    """`source` without dimensions of size 1 that none of the `kept` dimensions reads, and which are left."""
    shape = ir.RankedTensorType(source.type).shape
    rows = window_coefficients(map_)
    left = [dim for dim, row in enumerate(rows) if shape[dim] != 1 or any(row[k] for k in kept)]
    if len(left) == len(shape) or not left:
        return source, list(range(len(shape)))
    groups: list[list[int]] = []
    for dim in range(len(shape)):
        if not groups or (dim in left and any(member in left for member in groups[-1])):
            groups.append([])
        groups[-1].append(dim)
    type_ = ir.RankedTensorType.get(
        [shape[dim] for dim in left], ir.RankedTensorType(source.type).element_type
    )
    return tensor.CollapseShapeOp(type_, source, groups).result, left


def _expanded(op: ir.Operation, maker: ir.Operation) -> ir.Value | None:
    """The windows of `maker` with their source split as `op` splits them; None if it splits what windows overlap."""
    whole = whole_dims(maker)
    groups = reassociation(op)
    if any(len(group) > 1 and whole[dim] is None for dim, group in enumerate(groups)):
        return None
    source, map_ = maker.operands[0], maker.attributes["map"].value
    result = ir.RankedTensorType(op.results[0].type)
    split = {whole[dim]: group for dim, group in enumerate(groups) if len(group) > 1}
    shape: list[int | ir.Value] = []
    source_groups: list[list[int]] = []
    expressions: list[ir.AffineExpr] = []
    inside = ir.AffineMap.get(result.rank, 0, [ir.AffineDimExpr.get(group[0]) for group in groups])
    for dim, expression in enumerate(map_.results):
        group = split.get(dim)
        sizes = [extent(source, dim)] if group is None else [extent(op.results[0], d) for d in group]
        source_groups.append(list(range(len(shape), len(shape) + len(sizes))))
        shape += sizes
        expressions += (
            [expression.compose(inside)] if group is None else [ir.AffineDimExpr.get(d) for d in group]
        )
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [size if isinstance(size, int) else dynamic for size in shape]
    values = [size for size in shape if not isinstance(size, int)]
    type_ = ir.RankedTensorType.get(static, result.element_type)
    expanded = tensor.ExpandShapeOp(type_, source, source_groups, values, static).result
    composed = ir.AffineMap.get(result.rank, 0, expressions)
    return window(expanded, composed, [extent(op.results[0], dim) for dim in range(result.rank)])

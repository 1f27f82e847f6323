"""R1 through operations that move data: slices, concatenations, paddings, reshapes, casts.

sread(g(x), I) = g(sread(x, I)) where g leaves each dimension of I's group whole: there it is the identity,
and it is parallel by its definition. Nothing needs to be proved; anything else is a refusal that names the
dimension.
"""

from collections.abc import Callable, Sequence

from pit_mlir.analysis.axes import RESHAPES, kept_dims
from pit_mlir.analysis.extents import extent, reassociation
from pit_mlir.bindings import ir, linalg, tensor
from pit_mlir.dialect.size import size
from pit_mlir.dialect.window import window
from pit_mlir.passes.rules.rows import Demanded, Plan, Refusal, Rows


def plan_shape(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R1 on a `tensor` operation of `RESHAPES`."""
    rows = demanded[0]
    reads: list[Rows | None] = [None] * len(op.operands)
    for number, (_, dims) in enumerate(RESHAPES[op.name](op)):
        axis: list[int] = []
        for dim in rows.axis:
            source = dims[dim]
            if source is None:
                return Refusal(
                    f"dimension {dim} of its result is cut, joined or split, and the index runs over it"
                )
            axis.append(source)
        reads[number] = Rows(rows.index, tuple(axis), rows.group)
    build = BUILDERS[op.name]
    return Plan(tuple(reads), lambda operands: [build(op, rows, reads, operands)])


def plan_cast(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R1 on `tensor.cast`: the compact value is cast along the other dimensions."""

    def build(operands: Sequence[ir.Value]) -> list[ir.Value]:
        type_ = demanded[0].compact(op.results[0].type)
        return [operands[0] if operands[0].type == type_ else tensor.CastOp(type_, operands[0]).result]

    return Plan((demanded[0],), build)


Reads = Sequence[Rows | None]


def _rebuild(
    op: ir.Operation, rows: Rows, operands: Sequence[ir.Value], **changed: ir.Attribute
) -> ir.Operation:
    """`op` on `operands` with the compact result type and the attributes `changed`."""
    attributes = {name: op.attributes[name] for name in op.attributes} | changed
    return ir.Operation.create(
        op.name,
        results=[rows.compact(op.results[0].type)],
        operands=list(operands),
        attributes=attributes,
        regions=len(op.regions),
    )


def _slice(op: ir.Operation, rows: Rows, reads: Reads, operands: Sequence[ir.Value]) -> ir.Value:
    """The slice along the other dimensions of all rows."""
    read = reads[0]
    assert read is not None
    parts = _SliceParts(op, operands)
    parts.replace(read, size(read.index))
    assert all(dim in kept_dims(op) for dim in read.axis), "a whole dimension is never dropped"
    return _rebuild(op, rows, [operands[0], *parts.operands()], **parts.attributes()).results[0]


class _SliceParts:
    """Offsets, sizes and strides of a slice, numbers and values alike, one entry a dimension."""

    NAMES = ("static_offsets", "static_sizes", "static_strides")

    def __init__(self, op: ir.Operation, operands: Sequence[ir.Value]) -> None:
        values = iter(operands[1:])
        dynamic = ir.ShapedType.get_dynamic_size()
        self.entries: list[list[int | ir.Value]] = [
            [next(values) if entry == dynamic else entry for entry in list(op.attributes[name])]
            for name in self.NAMES
        ]

    def replace(self, rows: Rows, count: ir.Value) -> None:
        """Puts all `count` rows in place of the dimensions that they replace."""
        for entries, entry in zip(self.entries, (0, count, 1), strict=True):
            entries[rows.place] = entry
            for dim in sorted(rows.axis, reverse=True):
                if dim != rows.place:
                    del entries[dim]

    def operands(self) -> list[ir.Value]:
        """The entries that are values, in order."""
        return [entry for entries in self.entries for entry in entries if isinstance(entry, ir.Value)]

    def attributes(self) -> dict[str, ir.Attribute]:
        """The static parts, and how many values each has."""
        dynamic = ir.ShapedType.get_dynamic_size()
        static = [[dynamic if isinstance(e, ir.Value) else e for e in entries] for entries in self.entries]
        counts = [sum(entry == dynamic for entry in entries) for entries in static]
        arrays: dict[str, ir.Attribute] = {
            name: ir.DenseI64ArrayAttr.get(entries) for name, entries in zip(self.NAMES, static, strict=True)
        }
        return arrays | {"operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, *counts])}


def _concat(op: ir.Operation, rows: Rows, reads: Reads, operands: Sequence[ir.Value]) -> ir.Value:
    """The concatenation of the rows."""
    along = ir.IntegerAttr(op.attributes["dim"])
    return _rebuild(op, rows, operands, dim=ir.IntegerAttr.get(along.type, rows.dim(along.value))).results[0]


def _pad(op: ir.Operation, rows: Rows, reads: Reads, operands: Sequence[ir.Value]) -> ir.Value:
    """The padding of each row; the padding value stays, it may not depend on the position."""
    gone = [dim for dim in rows.axis if dim != rows.place]
    changed: dict[str, ir.Attribute] = {
        name: ir.DenseI64ArrayAttr.get(
            [e for dim, e in enumerate(list(op.attributes[name])) if dim not in gone]
        )
        for name in ("static_low", "static_high")
    }
    result = _rebuild(op, rows, operands, **changed)
    block = op.regions[0].blocks[0]
    block.append_to(result.regions[0])
    for dim in sorted(gone, reverse=True):
        result.regions[0].blocks[0].erase_argument(dim)
    return result.results[0]


def plan_pad(op: ir.Operation, demanded: Demanded) -> Plan | Refusal:
    """R1 on `tensor.pad`, whose value must be one constant."""
    block = op.regions[0].blocks[0]
    if any(True for argument in block.arguments for _ in argument.uses):
        return Refusal("its padding value depends on the position")
    return plan_shape(op, demanded)


def _expand(op: ir.Operation, rows: Rows, reads: Reads, operands: Sequence[ir.Value]) -> ir.Value:
    """Splits the other dimensions of each row."""
    return _regroup(op, rows, operands[0], expand=True)


def _collapse(op: ir.Operation, rows: Rows, reads: Reads, operands: Sequence[ir.Value]) -> ir.Value:
    """Joins the other dimensions of each row."""
    return _regroup(op, reads[0], operands[0], expand=False, result=rows.compact(op.results[0].type))


def _regroup(
    op: ir.Operation, rows: Rows | None, source: ir.Value, *, expand: bool, result: ir.Type | None = None
) -> ir.Value:
    """An expand or collapse of compact rows; `rows` are those of the larger side."""
    assert rows is not None
    gone = [dim for dim in rows.axis if dim != rows.place]
    groups: list[list[int]] = []
    for group in reassociation(op):
        kept = [rows.dim(dim) for dim in group if dim not in gone]
        if kept and len(kept) < len(group) and groups:
            # What is left of a dimension that the rows replace has size 1: any neighbour takes it.
            groups[-1] += kept
        elif kept:
            groups.append(kept)
    if not expand:
        assert result is not None
        return tensor.CollapseShapeOp(result, source, groups).result
    type_ = rows.compact(op.results[0].type)
    sizes = [size_ for dim, size_ in enumerate(_expanded_sizes(op)) if dim not in gone]
    sizes[rows.place] = size(rows.index)
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [dynamic if isinstance(entry, ir.Value) else entry for entry in sizes]
    values = [entry for entry in sizes if isinstance(entry, ir.Value)]
    return tensor.ExpandShapeOp(type_, source, groups, values, static).result


def _expanded_sizes(op: ir.Operation) -> list[int | ir.Value]:
    dynamic = ir.ShapedType.get_dynamic_size()
    values = iter(list(op.operands)[1:])
    return [
        next(values) if entry == dynamic else entry for entry in list(op.attributes["static_output_shape"])
    ]


def _window(op: ir.Operation, rows: Rows, reads: Reads, operands: Sequence[ir.Value]) -> ir.Value:
    """The windows of each row."""
    read = reads[0]
    assert read is not None
    map_, windows = op.attributes["map"].value, op.results[0]
    kept = [dim for dim in range(map_.n_dims) if dim == rows.place or dim not in rows.axis]
    # What the rows replace is read by no other dimension of the source.
    places = [
        ir.AffineDimExpr.get(kept.index(rows.place if d in rows.axis else d)) for d in range(map_.n_dims)
    ]
    renumber = ir.AffineMap.get(len(kept), 0, places)
    expressions = [
        expression.compose(renumber)
        for dim, expression in enumerate(map_.results)
        if dim == read.place or dim not in read.axis
    ]
    shape = [size(rows.index) if dim == rows.place else extent(windows, dim) for dim in kept]
    return window(operands[0], ir.AffineMap.get(len(kept), 0, expressions), shape)


BUILDERS: dict[str, Callable[[ir.Operation, Rows, Reads, Sequence[ir.Value]], ir.Value]] = {
    "tensor.extract_slice": _slice,
    "tensor.concat": _concat,
    "tensor.pad": _pad,
    "tensor.expand_shape": _expand,
    "tensor.collapse_shape": _collapse,
    "pit.window": _window,
}


def compact_fill(value: ir.Value, op: ir.Operation, rows: Rows) -> ir.Value:
    """`value`, an empty tensor, a fill or a splat constant, made anew at the compact size."""
    type_ = ir.RankedTensorType(value.type)
    gone = [dim for dim in rows.axis if dim != rows.place]
    sizes = [
        size(rows.index) if dim == rows.place else extent(value, dim)
        for dim in range(type_.rank)
        if dim not in gone
    ]
    empty = tensor.EmptyOp(sizes, type_.element_type).result
    if op.name == "tensor.empty":
        return empty
    if op.name == "linalg.fill":
        return fill(op.operands[0], empty)
    splat = ir.DenseElementsAttr(op.attributes["value"]).get_splat_value()
    attributes: dict[str, ir.Attribute] = {"value": splat}
    scalar = ir.Operation.create("arith.constant", results=[type_.element_type], attributes=attributes)
    return fill(scalar.results[0], empty)


def fill(scalar: ir.Value, out: ir.Value) -> ir.Value:
    """`linalg.fill` of the tensor `out` with `scalar`."""
    return linalg.fill(scalar, outs=[out])


def is_refillable(op: ir.Operation | None) -> bool:
    """Whether a value made by `op` can be made anew at another size."""
    if op is None:
        return False
    if op.name == "arith.constant":
        attribute = op.attributes["value"]
        return isinstance(attribute, ir.DenseElementsAttr) and attribute.is_splat
    return op.name in ("tensor.empty", "linalg.fill")

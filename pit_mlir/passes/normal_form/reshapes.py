"""Pairs of reshapes that upstream does not fold: by equal dynamic sizes, or by dimensions of 1 alone."""

from collections.abc import Iterable, Sequence

from pit_mlir.analysis.extents import extent_source
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import owner
from pit_mlir.passes.normal_form.movement import is_reshape
from pit_mlir.passes.normal_form.sizes import index_value, origin, origin_of


def cancel_reshapes(reshapes: Iterable[ir.Operation]) -> None:
    """Removes each reshape among `reshapes` of a `tensor.collapse_shape` that restores the shape before it.

    Upstream does so for static sizes; here dynamic ones are compared by where they come from.
    """
    for op in reshapes:
        collapse = owner(op.operands[0])
        if collapse is None or collapse.name != "tensor.collapse_shape":
            continue
        source = collapse.operands[0]
        if op.results[0].type == source.type and _restores(op, source):
            op.results[0].replace_all_uses_with(source)
            op.erase()


def _restores(op: ir.Operation, source: ir.Value) -> bool:
    """Whether `op` makes a tensor of the type of `source` that has its sizes, too."""
    shape = ir.ShapedType(source.type)
    dynamic = [dim for dim in range(shape.rank) if shape.is_dynamic_dim(dim)]
    if op.name == "tensor.expand_shape":
        sizes = list(op.operands)[1:]
    else:
        elements = owner(op.operands[1])
        if elements is None or elements.name != "tensor.from_elements":
            return False
        sizes = [elements.operands[dim] for dim in dynamic]
    return all(origin_of(size) == origin(source, dim) for size, dim in zip(sizes, dynamic, strict=True))


def join_unit_reshapes(reshapes: Iterable[ir.Operation]) -> None:
    """Makes one reshape of two in a row, the second among `reshapes`, that only add and drop dimensions of 1.

    Where they do not group alike upstream leaves them, and the first grows by a dimension of 1 each time the
    loops of a generic before it are expanded and its unit extents folded again.
    """
    for op in reshapes:
        first = owner(op.operands[0])
        if first is None or not is_reshape(first) or first.name == op.name:
            continue
        source = first.operands[0]
        shapes = [list(ir.ShapedType(v.type).shape) for v in (source, first.results[0], op.results[0])]
        before, between, after = ([size for size in shape if size != 1] for shape in shapes)
        if not before == between == after != []:
            continue
        with ir.InsertionPoint(op), op.location:
            joined = _unit_reshape(source, op.results[0].type)
        if joined is not None:
            op.results[0].replace_all_uses_with(joined)
            op.erase()


def _unit_reshape(source: ir.Value, type_: ir.Type) -> ir.Value | None:
    """`source` as a `type_`, which differs by dimensions of 1; None where it takes more than one reshape."""
    if source.type == type_:
        return source
    before, after = ir.ShapedType(source.type).shape, ir.ShapedType(type_).shape
    if 1 not in before:
        dynamic = [dim for dim in range(len(before)) if ir.ShapedType(source.type).is_dynamic_dim(dim)]
        return ir.Operation.create(
            "tensor.expand_shape",
            results=[type_],
            operands=[source, *(index_value(extent_source(source, dim)) for dim in dynamic)],
            attributes={
                "reassociation": _groups(after),
                "static_output_shape": ir.DenseI64ArrayAttr.get(list(after)),
            },
        ).results[0]
    if 1 not in after:
        attributes = {"reassociation": _groups(before)}
        return ir.Operation.create(
            "tensor.collapse_shape", results=[type_], operands=[source], attributes=attributes
        ).results[0]
    return None


def _groups(shape: Sequence[int]) -> ir.Attribute:
    """The reassociation of `shape` into its dimensions other than 1."""
    groups: list[list[int]] = [[]]
    for dim, size in enumerate(shape):
        if size != 1 and any(shape[member] != 1 for member in groups[-1]):
            groups.append([])
        groups[-1].append(dim)
    i64 = ir.IntegerType.get_signless(64)
    return ir.ArrayAttr.get(
        [ir.ArrayAttr.get([ir.IntegerAttr.get(i64, dim) for dim in group]) for group in groups]
    )

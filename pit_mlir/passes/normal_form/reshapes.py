"""Pairs of reshapes that upstream does not fold: by equal dynamic sizes, in part, or by dimensions of 1 alone."""

import math
from collections.abc import Iterable, Sequence

from pit_mlir.analysis.extents import extent_source, reassociation
from pit_mlir.bindings import ir, tensor
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


def split_less(reshapes: Iterable[ir.Operation]) -> None:
    """Keeps apart what a `tensor.collapse_shape` joins and an expansion among `reshapes` splits again at once.

    Upstream cancels the two only as a whole: here groups of equal static sizes cancel, whatever becomes of the others.
    """
    for op in reshapes:
        collapse = owner(op.operands[0])
        if op.name != "tensor.expand_shape" or collapse is None or collapse.name != "tensor.collapse_shape":
            continue
        source = collapse.operands[0]
        before, after = (list(ir.ShapedType(v.type).shape) for v in (source, op.results[0]))
        joined: list[list[int]] = []
        split: list[list[int]] = []
        for ours, theirs in zip(reassociation(collapse), reassociation(op), strict=True):
            sizes = [before[dim] for dim in ours]
            if is_told(sizes) and sizes == [after[dim] for dim in theirs if after[dim] != 1]:
                joined += [[dim] for dim in ours]
                split += _with_units(theirs, after)
            else:
                joined.append(list(ours))
                split.append(list(theirs))
        if len(joined) > len(list(reassociation(collapse))):
            with ir.InsertionPoint(op), op.location:
                _reshape_twice(source, joined, split, op)


def is_told(sizes: Sequence[int]) -> bool:
    """Whether equal `sizes` of several dimensions are the same sizes: of one that is dynamic, the others tell it."""
    dynamic = ir.ShapedType.get_dynamic_size()
    return len(sizes) > 1 and 0 not in sizes and 1 not in sizes and sizes.count(dynamic) <= 1


def _with_units(dims: Sequence[int], shape: Sequence[int]) -> list[list[int]]:
    """`dims` in groups of one size that is not 1 each; sizes of 1 stand with the one behind them, or the last."""
    groups: list[list[int]] = [[]]
    for dim in dims:
        if groups[-1] and shape[groups[-1][-1]] != 1:
            groups.append([])
        groups[-1].append(dim)
    if all(shape[dim] == 1 for dim in groups[-1]):
        units = groups.pop()
        groups[-1] += units
    return groups


def _reshape_twice(
    source: ir.Value, joined: list[list[int]], split: list[list[int]], op: ir.Operation
) -> None:
    """Puts `source`, its dimensions joined in groups and the results split, in place of the expansion `op`."""
    shape = ir.RankedTensorType(source.type)
    if any(len(group) > 1 for group in joined):
        dynamic = ir.ShapedType.get_dynamic_size()
        sizes = [[shape.shape[dim] for dim in group] for group in joined]
        products = [dynamic if dynamic in group else math.prod(group) for group in sizes]
        type_ = ir.RankedTensorType.get(products, shape.element_type)
        source = tensor.CollapseShapeOp(type_, source, joined).result
    if any(len(group) > 1 for group in split):
        static = list(op.attributes["static_output_shape"])
        source = tensor.ExpandShapeOp(op.results[0].type, source, split, list(op.operands)[1:], static).result
    op.results[0].replace_all_uses_with(source)
    op.erase()


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

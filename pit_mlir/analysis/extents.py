"""Extents: where the size of a dimension comes from, without asking the value that has it.

A value that becomes compact loses its dimensions; whoever asks such a value for a size (`tensor.dim`, the
operands of a `tensor.empty`) is pointed to the argument or the `index` value that the size was made from.
"""

from collections.abc import Callable

from pit_mlir.bindings import ir, tensor
from pit_mlir.dialect.structured import Structured, owner

Source = int | ir.Value | tuple[ir.Value, int]
"""A static size, an `index` value, or dimension d of a value that nothing more is known of."""

SIZED_LIKE = {"linalg.fill": 1, "tensor.cast": 0, "pit.mark": 0, "pit.swrite": 1, "pit.attend": 3}
"""The operand that has the size of an operation's result."""


def extent_source(value: ir.Value, dim: int) -> Source:
    """Where the size of dimension `dim` of the tensor `value` comes from."""
    while True:
        type_ = ir.RankedTensorType(value.type)
        if not type_.is_dynamic_dim(dim):
            return type_.get_dim_size(dim)
        step = _step(value, dim)
        if step is None:
            return value, dim
        if not isinstance(step, tuple):
            return step
        value, dim = step


def _step(value: ir.Value, dim: int) -> Source | None:
    """One step from a dynamic dimension towards its source; None where there is none."""
    op = owner(value)
    if op is None:
        return None
    view = Structured.on_tensors(op)
    if view is not None:
        return view.outputs[list(op.results).index(value)], dim
    if op.name.startswith("tm_tensor."):
        return op.operands[len(op.operands) - len(op.results) + list(op.results).index(value)], dim
    if op.name in SIZED_LIKE:
        return op.operands[SIZED_LIKE[op.name]], dim
    type_ = ir.RankedTensorType(value.type)
    dynamic_before = sum(type_.is_dynamic_dim(before) for before in range(dim))
    if op.name in SIZE_OPERANDS:
        return op.operands[SIZE_OPERANDS[op.name](op) + dynamic_before]
    if op.name == "tensor.collapse_shape":
        kept = kept_of_group(op.operands[0], reassociation(op)[dim])
        return None if kept is None else (op.operands[0], kept)
    if op.name == "tensor.concat" and dim != ir.IntegerAttr(op.attributes["dim"]).value:
        return op.operands[0], dim
    if (
        op.name == "tensor.pad"
        and list(op.attributes["static_low"])[dim] == list(op.attributes["static_high"])[dim] == 0
    ):
        return op.operands[0], dim
    return None


SIZE_OPERANDS: dict[str, Callable[[ir.Operation], int]] = {
    "tensor.empty": lambda op: 0,
    "tensor.expand_shape": lambda op: 1,
    # Source, then offsets, then sizes. A dynamic size is never dropped from the result.
    "tensor.extract_slice": lambda op: 1 + list(op.attributes["operandSegmentSizes"])[1],
    "pit.window": lambda op: 1,
}
"""Where the operands begin that are the dynamic sizes of an operation's result, in order."""


def reassociation(op: ir.Operation) -> list[list[int]]:
    """The groups of a `tensor.expand_shape` or `tensor.collapse_shape`, in dimensions of the larger side."""
    return [[ir.IntegerAttr(dim).value for dim in group] for group in op.attributes["reassociation"]]


def kept_of_group(value: ir.Value, group: list[int]) -> int | None:
    """The one dimension in a group of dimensions of `value` that a reshape keeps: the others have size 1."""
    type_ = ir.RankedTensorType(value.type)
    large = [dim for dim in group if type_.is_dynamic_dim(dim) or type_.get_dim_size(dim) != 1]
    if len(group) == 1:
        return group[0]
    return large[0] if len(large) == 1 else None


def extent(value: ir.Value, dim: int) -> int | ir.Value:
    """The size of dimension `dim` of `value`: a number, or an `index` value made at the insertion point if needed."""
    source = extent_source(value, dim)
    if not isinstance(source, tuple):
        return source
    return tensor.DimOp(source[0], _index_constant(source[1])).result


def _index_constant(number: int) -> ir.Value:
    index = ir.IndexType.get()
    attributes: dict[str, ir.Attribute] = {"value": ir.IntegerAttr.get(index, number)}
    return ir.Operation.create("arith.constant", results=[index], attributes=attributes).results[0]


def has_extent(size: ir.Value, value: ir.Value, dim: int) -> bool:
    """Whether the `index` value `size` is known to be the size of dimension `dim` of `value`."""
    return _source_of_size(size) == _resolved(extent_source(value, dim))


def _resolved(source: Source) -> Source:
    return _source_of_size(source) if isinstance(source, ir.Value) else source


def _source_of_size(size: ir.Value) -> Source:
    """An `index` value that is `tensor.dim` of a value, or a constant, is that dimension's source, or a number."""
    dim = dim_of(size)
    if dim is not None:
        return extent_source(*dim)
    op = owner(size)
    if op is not None and op.name == "arith.constant":
        return ir.IntegerAttr(op.attributes["value"]).value
    return size


def dim_of(value: ir.Value) -> tuple[ir.Value, int] | None:
    """(v, d) if `value` is `tensor.dim v, d` with a constant d that v has, else None."""
    op = owner(value)
    if op is None or op.name != "tensor.dim":
        return None
    constant = owner(op.operands[1])
    if constant is None or constant.name != "arith.constant":
        return None
    source, dim = op.operands[0], ir.IntegerAttr(constant.attributes["value"]).value
    # MLIR lets other numbers through (no value then has the size), and the bindings crash on them.
    has_dim = isinstance(source.type, ir.RankedTensorType) and 0 <= dim < source.type.rank
    return (source, dim) if has_dim else None

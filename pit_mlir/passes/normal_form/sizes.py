"""Sizes: where they are decided, whether two of them are the same, and what folds by that."""

from collections.abc import Iterable

from pit_mlir.analysis.extents import Source, dim_of, extent_source
from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.dialect.structured import owner


def same_extent(a: tuple[ir.Value, int], b: tuple[ir.Value, int]) -> bool:
    """Whether dimension a[1] of a[0] and b[1] of b[0] are known to have one size."""
    return origin(*a) == origin(*b)


def fold_dims(dims: Iterable[ir.Operation]) -> None:
    """Makes each `tensor.dim` among `dims` ask the value that decides the size."""
    for op in dims:
        asked = dim_of(op.results[0])
        if asked is None:
            continue
        source = origin(*asked)
        if source == asked:
            continue
        with ir.InsertionPoint(op), op.location:
            op.results[0].replace_all_uses_with(index_value(source))
        op.erase()


def fold_quotients(quotients: Iterable[ir.Operation]) -> None:
    """Replaces x * c / c by x among the divisions `quotients`, where the product is a size of flattened dims.

    torch-mlir flattens batch and heads for a batched product and then divides to have the batch back.
    """
    for op in quotients:
        product, divisor = owner(op.operands[0]), constant(op.operands[1])
        factors = None if product is None or divisor is None else _factors(product)
        if factors is not None and factors[1] == divisor != 0:
            op.results[0].replace_all_uses_with(factors[0])
            op.erase()


def _factors(op: ir.Operation) -> tuple[ir.Value, int] | None:
    """(x, c) if `op` computes the size x * c; a size does not overflow."""
    if op.name != "affine.apply" or len(op.operands) != 1:
        return None
    (expression,) = op.attributes["map"].value.results
    if not isinstance(expression, ir.AffineMulExpr) or not isinstance(expression.rhs, ir.AffineConstantExpr):
        return None
    plain = isinstance(expression.lhs, ir.AffineDimExpr | ir.AffineSymbolExpr)
    return (op.operands[0], expression.rhs.value) if plain else None


def constant(value: ir.Value) -> int | None:
    """The integer that `value` always is, if it is made by `arith.constant`."""
    maker = owner(value)
    if maker is None or maker.name != "arith.constant":
        return None
    attribute = maker.attributes["value"]
    return attribute.value if isinstance(attribute, ir.IntegerAttr) else None


def origin(value: ir.Value, dim: int) -> Source:
    """Where the size of a dimension comes from, through every `tensor.dim` on the way."""
    source = extent_source(value, dim)
    return origin_of(source) if isinstance(source, ir.Value) else source


def origin_of(size: ir.Value) -> Source:
    """Where the size that `size` holds comes from."""
    maker = owner(size)
    while maker is not None and maker.name == "arith.index_cast":
        size = maker.operands[0]
        maker = owner(size)
    asked = dim_of(size)
    return size if asked is None else origin(*asked)


def index_value(source: Source) -> ir.Value:
    """`source` as an index value, made at the current insertion point if it is none yet."""
    index = ir.IndexType.get()
    if isinstance(source, int):
        return arith.constant(index, source)
    if isinstance(source, tuple):
        return tensor.dim(source[0], arith.constant(index, source[1]))
    # What computes sizes may do it with 64 bits.
    return source if source.type == index else arith.index_cast(index, source)

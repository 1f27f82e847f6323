"""`pit.window`: the windows of a tensor, seen through an affine map."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation, require
from pit_mlir.dialect.structured import owner


class WindowOp(PitOperation, name="window", traits=[ext.Pure]):
    """The windows of `source`: the element at a place of the result is that of `source` at `map` of the place.

    The map is linear, so that an operand of a convolution is a tensor like any other: with a dimension for the place
    of a window and one for the place inside, each of which is an iterator of its own. No code copies what windows
    share: kernels read the source at the strides that follow from the map.

    `sizes` are the dynamic sizes of the result, in order. Every place of the result must lie in the source.

    ```mlir
    // 3x3 windows, two apart
    %w = "pit.window"(%x) {map = affine_map<(n, c, x, i, y, j) -> (n, c, 2 * x + i, 2 * y + j)>}
        : (tensor<8x64x57x57xf32>) -> tensor<8x64x28x3x28x3xf32>
    ```
    """

    source: ext.Operand[ir.RankedTensorType]
    sizes: Sequence[ext.Operand[ir.IndexType]]
    result: ext.Result[ir.RankedTensorType]
    map: Any

    def verify_op(self) -> None:
        """The map is linear, fits both types, and stays inside the source where the sizes are known."""
        operands = list(self.operation.operands)
        source, result = (
            ir.RankedTensorType(value.type) for value in (operands[0], self.operation.results[0])
        )
        attributes = self.operation.attributes
        require("map" in attributes, "requires attribute 'map'")
        attribute = attributes["map"]
        require(isinstance(attribute, ir.AffineMapAttr), "attribute 'map' must be a map, got {}", attribute)
        map_ = attribute.value
        require(
            map_.n_symbols == 0 and map_.n_dims == result.rank and len(map_.results) == source.rank,
            "map {} must take the {} dimensions of the result to the {} of the source",
            map_,
            result.rank,
            source.rank,
        )
        require(
            result.element_type == source.element_type,
            "result must hold {}, got {}",
            source.element_type,
            result.element_type,
        )
        dynamic = sum(result.is_dynamic_dim(dim) for dim in range(result.rank))
        given = len(operands) - 1
        require(given == dynamic, "has {} sizes for {} dynamic dimensions of {}", given, dynamic, result)
        for dim, expression in enumerate(map_.results):
            coefficients = coefficients_of(expression, result.rank)
            require(
                coefficients is not None and min(coefficients, default=0) >= 0,
                "result {} of map {} must be a sum of dimensions times numbers that are not negative",
                dim,
                map_,
            )
            verify_inside(dim, coefficients or (), source, result)


def verify_inside(
    dim: int, coefficients: Sequence[int], source: ir.RankedTensorType, result: ir.RankedTensorType
) -> None:
    """No window reaches beyond dimension `dim` of the source, as far as sizes are known."""
    used = [(number, factor) for number, factor in enumerate(coefficients) if factor]
    if source.is_dynamic_dim(dim) or any(result.is_dynamic_dim(number) for number, _ in used):
        return
    sizes = [result.get_dim_size(number) for number, _ in used]
    last = sum(factor * (size - 1) for (_, factor), size in zip(used, sizes, strict=True))
    require(
        0 in sizes or last < source.get_dim_size(dim),
        "reads coordinate {} of dimension {} of {}",
        last,
        dim,
        source,
    )


def coefficients_of(expression: ir.AffineExpr, count: int) -> tuple[int, ...] | None:
    """What each of `count` dimensions is multiplied by in a sum without a constant; None if it is no such sum."""
    if isinstance(expression, ir.AffineDimExpr):
        return tuple(int(dim == expression.position) for dim in range(count))
    if isinstance(expression, ir.AffineConstantExpr):
        return (0,) * count if expression.value == 0 else None
    if isinstance(expression, ir.AffineAddExpr):
        sides = [coefficients_of(side, count) for side in (expression.lhs, expression.rhs)]
        if sides[0] is None or sides[1] is None:
            return None
        return tuple(left + right for left, right in zip(sides[0], sides[1], strict=True))
    if isinstance(expression, ir.AffineMulExpr):
        for factor, other in ((expression.lhs, expression.rhs), (expression.rhs, expression.lhs)):
            inner = coefficients_of(other, count)
            if isinstance(factor, ir.AffineConstantExpr) and inner is not None:
                return tuple(factor.value * coefficient for coefficient in inner)
    return None


def is_window(value: ir.Value) -> bool:
    """Whether `value` is made by `pit.window`."""
    maker = owner(value)
    return maker is not None and maker.name == "pit.window"


def window_coefficients(map_: ir.AffineMap) -> list[tuple[int, ...]]:
    """Per dimension of the source what each dimension of the windows is multiplied by, for a verified map."""
    found = [coefficients_of(expression, map_.n_dims) for expression in map_.results]
    assert all(row is not None for row in found), "the map of pit.window is linear"
    return [row for row in found if row is not None]


def whole_dims(op: ir.Operation) -> list[int | None]:
    """For each dimension of the windows the source's dimension that it is by itself, None if it is none."""
    rows = window_coefficients(op.attributes["map"].value)
    source, result = (ir.RankedTensorType(value.type).shape for value in (op.operands[0], op.results[0]))
    dims: list[int | None] = []
    for dim, size in enumerate(result):
        reading = [number for number, row in enumerate(rows) if row[dim]]
        alone = len(reading) == 1 and sum(rows[reading[0]]) == 1 and source[reading[0]] == size
        dims.append(reading[0] if alone else None)
    return dims


def window(source: ir.Value, map_: ir.AffineMap, shape: Sequence[int | ir.Value]) -> ir.Value:
    """The windows of `source` of `shape`, whose sizes are numbers or `index` values."""
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [size if isinstance(size, int) else dynamic for size in shape]
    element = ir.RankedTensorType(source.type).element_type
    op = WindowOp(
        source,
        [size for size in shape if not isinstance(size, int)],
        ir.RankedTensorType.get(static, element),
        ir.AffineMapAttr.get(map_),
    )
    return op.operation.results[0]

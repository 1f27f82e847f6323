"""Panels: how a matrix lies that a micro-kernel reads in place."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import projection


@dataclass(frozen=True)
class PanelMap:
    """The map by which a `pit.element` reads a tensor of panels.

    A panel holds `width` neighbours along the iterator `column` at each step of the iterators `depth`, of which the
    last one runs fastest; `pair` neighbours along that one stand next to each other. The iterators `leading` select
    the matrix. The last panel is full, and so is the last pair: what is behind the edge of the matrix is zero.

    `(e, m, n, k) -> (e, n floordiv 32, k floordiv 2, n mod 32, k mod 2)` reads panels of 32 columns and pairs;
    without pairs it is `(e, n floordiv 32, k, n mod 32)`.
    """

    leading: tuple[int, ...]
    column: int
    depth: tuple[int, ...]
    width: int
    pair: int

    @property
    def positions(self) -> tuple[int, ...]:
        """The iterators in the order in which they lie."""
        return (*self.leading, self.column, *self.depth)

    def map(self, iterators: int) -> ir.AffineMap:
        """The map over so many `iterators`."""
        dim = ir.AffineDimExpr.get
        *outside, last = map(dim, self.depth)
        column = dim(self.column)
        blocks = [ir.AffineExpr.get_floor_div(column, self.width), *outside]
        inside = [ir.AffineExpr.get_mod(column, self.width)]
        if self.pair > 1:
            last, half = ir.AffineExpr.get_floor_div(last, self.pair), ir.AffineExpr.get_mod(last, self.pair)
            inside.append(half)
        return ir.AffineMap.get(iterators, 0, [*map(dim, self.leading), *blocks, last, *inside])

    @staticmethod
    def of(map_: ir.AffineMap) -> "PanelMap | None":
        """The panels that `map_` reads; None if it reads none."""
        results = list(map_.results)
        inside = [expression for expression in results if isinstance(expression, ir.AffineModExpr)]
        whole = len(results) - len(inside)
        first = next((n for n, e in enumerate(results) if isinstance(e, ir.AffineFloorDivExpr)), whole)
        if not 1 <= len(inside) <= 2 or first + 1 >= whole:
            return None
        sizes = [ir.AffineConstantExpr(expression.rhs).value for expression in inside]
        width, pair = sizes[0], sizes[1] if len(sizes) == 2 else 1
        dims = [dimension(expression) for expression in results[:whole]]
        found = PanelMap(tuple(dims[:first]), dims[first], tuple(dims[first + 1 :]), width, pair)
        return found if found.map(map_.n_dims) == map_ else None


def dimension(expression: ir.AffineExpr) -> int:
    """The iterator that `expression` is, or divides; -1 for any other."""
    inner = expression.lhs if isinstance(expression, ir.AffineFloorDivExpr) else expression
    return inner.position if isinstance(inner, ir.AffineDimExpr) else -1


def element_positions(map_: ir.AffineMap) -> tuple[int, ...] | None:
    """The iterators that a read through `map_` moves along, in the order of memory; None if it does more than that."""
    panels = PanelMap.of(map_)
    return projection(map_) if panels is None else panels.positions


def panel_shape(sizes: Sequence[int], depth: int, width: int, pair: int) -> list[int]:
    """The shape of panels of a tensor whose `sizes` are those of leading dimensions, columns, and `depth` more."""
    *rest, last = sizes
    columns = len(sizes) - 1 - depth
    shape = [*rest[:columns], -(-rest[columns] // width), *rest[columns + 1 :], -(-last // pair), width]
    return shape if pair == 1 else [*shape, pair]

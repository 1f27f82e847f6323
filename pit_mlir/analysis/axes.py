"""Axes: which dimensions of which values run over the same model axis.

Dimensions that one iterator walks over are one axis; so are a dimension and its image under a slice, a
concatenation, a padding or a reshape that leaves it alone. A mask over (batch, token) thereby names those
axes in every value of the function, wherever they stand: (b, t), (t, b), (b, h, t), and both q and k of a
score.
"""

from collections.abc import Callable, Iterator

from pit_mlir.analysis.extents import has_extent, kept_of_group, reassociation
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import maps_of, owner
from pit_mlir.dialect.window import whole_dims

Dim = tuple[ir.Value, int]
"""A dimension of a value."""

Iter = tuple[ir.Operation, int]
"""An iterator of a structured operation."""

STRUCTURED = ("linalg.generic", "pit.attend")
FRESH = ("tensor.empty", "linalg.fill", "arith.constant")
SAME_DIMS = ("tensor.cast", "pit.mark", "tm_tensor.scan", "tm_tensor.sort")
"""Each dimension of a result is that of the operand, but the one that is sorted: a rank is no position."""


class Axes:
    """The axes of all values of one function, a partition of their dimensions.

    A value that holds no data of its own (an empty tensor, a fill, a constant, an iota) may stand for several
    axes of equal size at once; it takes part in none.
    """

    def __init__(self, function: ir.Operation) -> None:
        self._parent: dict[Dim | Iter, Dim | Iter] = {}
        for op in function.regions[0].blocks[0].operations:
            for a, b in equal_dims(op.operation):
                self._parent[self._find(a)] = self._find(b)

    def _find(self, node: Dim | Iter) -> Dim | Iter:
        root = node
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while node != root:
            self._parent[node], node = root, self._parent.get(node, node)
        return root

    def dims(self, value: ir.Value, like: Dim) -> list[int]:
        """The dimensions of `value` on the axis of dimension `like`, of a size that can be the same."""
        axis, sizes = self._find(like), (None, dim_size(*like))
        return [
            dim
            for dim in range(ir.RankedTensorType(value.type).rank)
            if self._find((value, dim)) == axis and (sizes[1] is None or dim_size(value, dim) in sizes)
        ]

    def carried(self, value: ir.Value, mask: ir.Value) -> tuple[int, ...] | None:
        """Per dimension of `mask` the first of `value` on its axis, if `value` carries all of them apart."""
        if not isinstance(value.type, ir.RankedTensorType):
            return None
        found = [self.dims(value, (mask, dim)) for dim in range(ir.RankedTensorType(mask.type).rank)]
        if not all(found) or len({dims[0] for dims in found}) != len(found):
            return None
        return tuple(dims[0] for dims in found)


def dim_size(value: ir.Value, dim: int) -> int | None:
    """The static size of a dimension, None if it is dynamic."""
    type_ = ir.RankedTensorType(value.type)
    return None if type_.is_dynamic_dim(dim) else type_.get_dim_size(dim)


def is_fresh(value: ir.Value) -> bool:
    """Whether `value` holds no data that belongs to an axis: an empty tensor, a fill, a constant, an iota."""
    op = owner(value)
    if op is None:
        return False
    return op.name in FRESH or (op.name == "linalg.generic" and op.attributes["operandSegmentSizes"][0] == 0)


def equal_dims(op: ir.Operation) -> Iterator[tuple[Dim | Iter, Dim | Iter]]:
    """Pairs of dimensions (or iterators) that `op` makes one axis."""
    if op.name in STRUCTURED:
        yield from _structured(op)
    elif op.name in SAME_DIMS:
        for operand, result in zip(op.operands, op.results, strict=False):
            if isinstance(operand.type, ir.RankedTensorType) and operand.type.rank == result.type.rank:
                kept = [dim for dim in range(operand.type.rank) if dim != sorted_dim(op)]
                yield from (((operand, dim), (result, dim)) for dim in kept)
    elif op.name in RESHAPES:
        for source, dims in RESHAPES[op.name](op):
            for to, from_ in enumerate(dims):
                if from_ is not None:
                    yield (source, from_), (op.results[0], to)


def sorted_dim(op: ir.Operation) -> int | None:
    """The dimension along which `op` sorts; None for another operation."""
    return ir.IntegerAttr(op.attributes["dimension"]).value if op.name == "tm_tensor.sort" else None


def _structured(op: ir.Operation) -> Iterator[tuple[Dim | Iter, Dim | Iter]]:
    """An operand's dimension and the iterator that walks over it as a whole."""
    # On buffers there are no results.
    if not op.results or is_fresh(op.results[0]):
        return
    maps, operands = maps_of(op), list(op.operands)
    results = list(op.results)
    for value, map_ in (
        *zip(operands, maps, strict=False),
        *zip(results, maps[-len(results) :], strict=True),
    ):
        if is_fresh(value):
            continue
        for dim, expression in enumerate(map_.results):
            if isinstance(expression, ir.AffineDimExpr):
                yield (value, dim), (op, expression.position)


Kept = list[tuple[ir.Value, list[int | None]]]
"""Per source tensor: for each dimension of the result, the source's dimension that it is, None if it is none."""


def _slice(op: ir.Operation) -> Kept:
    return [(op.operands[0], sliced_dims(op))]


def sliced_dims(op: ir.Operation) -> list[int | None]:
    """For each dimension of an `extract_slice`: the source's dimension if it is kept whole, else None."""
    source = op.operands[0]
    kept = kept_dims(op)
    return [dim if is_whole(op, source, dim) else None for dim in kept]


def kept_dims(op: ir.Operation) -> list[int]:
    """The source's dimensions that an `extract_slice` keeps; the others have size 1 and are dropped."""
    result = ir.RankedTensorType(op.results[0].type)
    kept: list[int] = []
    for dim, size in enumerate(list(op.attributes["static_sizes"])):
        if len(kept) < result.rank and result.shape[len(kept)] == size:
            kept.append(dim)
    return kept


def is_whole(op: ir.Operation, source: ir.Value, dim: int) -> bool:
    """Whether a slice (extract or insert) spans the whole of dimension `dim` of `source`, in order."""
    offset, stride = list(op.attributes["static_offsets"])[dim], list(op.attributes["static_strides"])[dim]
    if offset != 0 or stride != 1:
        return False
    size = list(op.attributes["static_sizes"])[dim]
    if size >= 0:
        return size == dim_size(source, dim)
    return has_extent(slice_operand(op, "static_sizes", dim), source, dim)


def slice_operand(op: ir.Operation, attribute: str, dim: int) -> ir.Value:
    """The `index` operand that gives the dynamic entry `dim` of a slice's `static_offsets/sizes/strides`."""
    names = ("static_offsets", "static_sizes", "static_strides")
    dynamic = ir.ShapedType.get_dynamic_size()
    segments = list(op.attributes["operandSegmentSizes"])
    first = sum(segments[: len(segments) - 3 + names.index(attribute)])
    return op.operands[first + sum(entry == dynamic for entry in list(op.attributes[attribute])[:dim])]


def _concat(op: ir.Operation) -> Kept:
    along = ir.IntegerAttr(op.attributes["dim"]).value
    rank = ir.RankedTensorType(op.results[0].type).rank
    return [(operand, [None if dim == along else dim for dim in range(rank)]) for operand in op.operands]


def _pad(op: ir.Operation) -> Kept:
    low, high = list(op.attributes["static_low"]), list(op.attributes["static_high"])
    return [(op.operands[0], [dim if low[dim] == high[dim] == 0 else None for dim in range(len(low))])]


def _expand(op: ir.Operation) -> Kept:
    # A tensor of rank 0 has no groups: all dimensions of the result are new.
    dims: list[int | None] = [None] * ir.RankedTensorType(op.results[0].type).rank
    for dim, group in enumerate(reassociation(op)):
        kept = kept_of_group(op.results[0], group)
        if kept is not None:
            dims[kept] = dim
    return [(op.operands[0], dims)]


def _collapse(op: ir.Operation) -> Kept:
    return [(op.operands[0], [kept_of_group(op.operands[0], group) for group in reassociation(op)])]


def _window(op: ir.Operation) -> Kept:
    return [(op.operands[0], whole_dims(op))]


RESHAPES: dict[str, Callable[[ir.Operation], Kept]] = {
    "tensor.extract_slice": _slice,
    "tensor.concat": _concat,
    "tensor.pad": _pad,
    "tensor.expand_shape": _expand,
    "tensor.collapse_shape": _collapse,
    "pit.window": _window,
}


def unreshaped(value: ir.Value) -> ir.Value:
    """What `value` is made of by `RESHAPES` alone; of tensors that are joined the first."""
    maker = owner(value)
    while maker is not None and maker.name in RESHAPES:
        value = maker.operands[0]
        maker = owner(value)
    return value

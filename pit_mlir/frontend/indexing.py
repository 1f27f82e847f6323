"""Indexing by several tensors, where a size is no number: one index into dimensions that are flattened."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from pit_mlir.frontend.symbols import is_number

aten = torch.ops.aten
Indices = Sequence[Tensor | None]


def index(x: Tensor, indices: Indices) -> Tensor:
    """`aten.index`."""
    if _is_static(x, indices) or len(_taken(indices)) == 1 or _are_apart(indices):
        return NotImplemented
    x, _ = _in_front(x, indices)
    first, flat, place = _as_one(x, indices)
    return flat[(slice(None),) * first + (place,)]


def index_put(x: Tensor, indices: Indices, values: Tensor, accumulate: bool = False) -> Tensor:
    """`aten.index_put`."""
    if _is_static(x, indices):
        return NotImplemented
    # torch-mlir takes sizes that differ in how they are written for different ones.
    shape = x[tuple(slice(None) if i is None else i for i in indices)].shape
    if values.dim() != len(shape) or any(a != b for a, b in zip(values.shape, shape, strict=True)):
        return aten.index_put.default(x, indices, values.expand(shape), accumulate)
    if len(_taken(indices)) == 1:
        return NotImplemented
    y, order = _in_front(x, indices)
    first, flat, place = _as_one(y, indices)
    written = aten.index_put.default(flat, [None] * first + [place], values, accumulate).view(y.shape)
    return written.permute(sorted(range(x.dim()), key=order.__getitem__))


def _is_static(x: Tensor, indices: Indices) -> bool:
    """Whether all sizes are numbers, or a size depends on data."""
    given = [i for i in indices if i is not None]
    sizes = [size for tensor in (x, *given) for size in tensor.shape]
    return all(map(is_number, sizes)) or any(i.dtype is torch.bool for i in given)


def _are_apart(indices: Indices) -> bool:
    """Whether no two indices run along the same dimension: each broadcasts over those of the others.

    torch-mlir takes these whatever their sizes are, and an outer product of positions, as in attention masks, stays
    one that the normal form sees through.
    """
    shapes = [tuple(reversed(i.shape)) for i in indices if i is not None]
    return all(
        sum(dim < len(shape) and not (is_number(shape[dim]) and shape[dim] == 1) for shape in shapes) <= 1
        for dim in range(max(map(len, shapes), default=0))
    )


def _taken(indices: Indices) -> list[int]:
    return [dim for dim, i in enumerate(indices) if i is not None]


def _in_front(x: Tensor, indices: Indices) -> tuple[Tensor, list[int]]:
    """`x` with the indexed dimensions in front, unless they stand side by side, and the order of its dimensions.

    As in numpy, what indices give that stand apart comes first in the result.
    """
    taken = _taken(indices)
    if taken == list(range(taken[0], taken[-1] + 1)):
        return x, list(range(x.dim()))
    order = [*taken, *(dim for dim in range(x.dim()) if dim not in taken)]
    return x.permute(order), order


def _as_one(x: Tensor, indices: Indices) -> tuple[int, Tensor, Tensor]:
    """The first indexed dimension, `x` with all of them flattened into it, and the places in it."""
    taken, given = _taken(indices), [i for i in indices if i is not None]
    first = taken[0] if taken == list(range(taken[0], taken[-1] + 1)) else 0
    place: Any = None
    for dim, i in enumerate(given, first):
        # Reading a range by the index checks it, and makes what is negative count from the end.
        checked = torch.arange(x.shape[dim])[i]
        place = checked if place is None else place * x.shape[dim] + checked
    return first, x.flatten(first, first + len(given) - 1), place


def count_from_end(graph: fx.Graph) -> None:
    """Makes negative indices of each `index_put` in `graph` positive, which torch-mlir's scatter does not."""
    for node in graph.find_nodes(op="call_function", target=aten.index_put.default):
        x, indices = node.args[0], list(node.args[1])
        for dim, i in enumerate(indices):
            if i is not None and i.meta["val"].dtype is not torch.bool:
                with graph.inserting_before(node):
                    indices[dim] = _positive(graph, node, x, dim, i)
        node.update_arg(1, indices)


def _positive(graph: fx.Graph, like: fx.Node, x: fx.Node, dim: int, i: fx.Node) -> fx.Node:
    """`i + size` where `i` is negative, else `i`; what is out of range stays so."""
    size = x.meta["val"].shape[dim]
    known = is_number(size)

    def call(target: Any, *args: Any) -> fx.Node:
        made = graph.call_function(target, args)
        made.meta = {key: value for key, value in like.meta.items() if key == "stack_trace"}
        return made

    extent = size if known else call(aten.sym_size.int, x, dim)
    added, negative = call(aten.add.Scalar, i, extent), call(aten.lt.Scalar, i, 0)
    if isinstance(extent, fx.Node):
        extent.meta["val"] = size
    added.meta["val"], negative.meta["val"] = i.meta["val"], i.meta["val"] < 0
    chosen = call(aten.where.self, negative, added, i)
    chosen.meta["val"] = i.meta["val"]
    return chosen


INDEXING: dict[Any, Callable[..., Any]] = {
    aten.index.Tensor: index,
    aten.index_put.default: index_put,
}

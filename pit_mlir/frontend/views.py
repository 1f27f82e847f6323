"""Views of an exported graph, written with what the exporter knows about sizes.

MLIR has no symbols, so torch-mlir lowers `view` between dynamic shapes by guessing (two dynamic sizes flattened
into one are miscompiled), while the exporter knows which sizes are equal. Here every `view` becomes flatten,
unflatten, squeeze and unsqueeze, and what changes nothing (expand to the same shape, clone, alias, a whole
slice) is removed.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import sympy
import torch
from torch import fx
from torch.fx.node import map_arg

aten = torch.ops.aten

SAME_VALUE = frozenset(
    [
        aten.alias.default,
        aten.clone.default,
        aten.detach.default,
        aten.lift_fresh_copy.default,
        aten.contiguous.default,
    ]
)
SAME_SHAPE = frozenset(
    [aten.expand.default, aten.view.default, aten._unsafe_view.default, aten.reshape.default]
)
VIEWS = frozenset([aten.view.default, aten._unsafe_view.default, aten.reshape.default])

Group = tuple[list[int], list[int]]


def clean_views(graph: fx.Graph) -> None:
    """Rewrites `graph` (functional, decomposed) in place; its outputs keep their values and shapes."""
    sizes = _SizeNodes(graph)
    for node in list(graph.nodes):
        if node.op != "call_function":
            sizes.see(node)
            continue
        if _changes_nothing(node):
            node.replace_all_uses_with(node.args[0])
        elif node.target in VIEWS:
            _rewrite_view(graph, node, sizes)
        elif node.target is aten.expand.default:
            _keep_sizes(node)
        sizes.see(node)
    graph.eliminate_dead_code()


def group_dimensions(source: Sequence[sympy.Expr], target: Sequence[sympy.Expr]) -> list[Group] | None:
    """Splits the dimensions of two shapes with equal element count into groups of equal product, left to right.

    A group is (source dimensions, target dimensions); one of the two lists is empty for a size of 1 that appears
    or disappears. Where no products are known to be equal the rest is one group: the whole counts are. None if
    nothing is left on one side, which happens with sizes of 0.
    """
    groups: list[Group] = []
    i = j = 0
    while i < len(source) or j < len(target):
        if i < len(source) and j < len(target) and source[i] == target[j]:
            groups.append(([i], [j]))
            i, j = i + 1, j + 1
        elif i < len(source) and source[i] == 1:
            groups.append(([i], []))
            i += 1
        elif j < len(target) and target[j] == 1:
            groups.append(([], [j]))
            j += 1
        else:
            if i == len(source) or j == len(target):
                return None
            below, across = _shortest_equal(source[i:], target[j:])
            groups.append((list(range(i, i + below)), list(range(j, j + across))))
            i, j = i + below, j + across
    return groups


def _shortest_equal(source: Sequence[sympy.Expr], target: Sequence[sympy.Expr]) -> tuple[int, int]:
    """The lengths of the shortest non-empty prefixes of two shapes whose products are known to be equal."""
    pairs = [(a, b) for a in range(1, len(source) + 1) for b in range(1, len(target) + 1)]
    for a, b in sorted(pairs, key=sum):
        if sympy.expand(sympy.Mul(*source[:a]) - sympy.Mul(*target[:b])) == 0:
            return a, b
    return len(source), len(target)


class _SizeNodes:
    """Finds a node of the graph that computes a size, by the exporter's expression for it."""

    def __init__(self, graph: fx.Graph) -> None:
        self._graph = graph
        self._nodes: dict[sympy.Expr, fx.Node] = {}
        self._inputs = [node for node in graph.nodes if node.op == "placeholder"]

    def see(self, node: fx.Node) -> None:
        """`node` is before everything that asks from now on."""
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt):
            self._nodes.setdefault(value.node.expr, node)

    def find(self, size: int | torch.SymInt, before: fx.Node) -> fx.Node | int | None:
        """A node or number with the value `size`, for a user that stands at `before`; None if there is none."""
        if isinstance(size, int):
            return size
        expression = size.node.expr
        if expression not in self._nodes:
            place = self._place(expression)
            if place is None:
                return None
            with self._graph.inserting_before(before):
                node = self._graph.call_function(aten.sym_size.int, place)
            node.meta["val"] = size
            self._nodes[expression] = node
        return self._nodes[expression]

    def rest(
        self, source: fx.Node, dims: list[int], sizes: Sequence[fx.Node | int], before: fx.Node
    ) -> fx.Node | int:
        """The elements of dimensions `dims` of `source` divided by the product of `sizes`."""
        with self._graph.inserting_before(before):
            extents = [self._compute(aten.sym_size.int, source, dim) for dim in dims]
            total, known = (functools.reduce(self._multiply, part, 1) for part in (extents, sizes))
            return self._compute(operator.floordiv, total, known)

    def _multiply(self, a: fx.Node | int, b: fx.Node | int) -> fx.Node | int:
        return b if a == 1 else self._compute(operator.mul, a, b)

    def _compute(self, target: Any, *args: Any) -> fx.Node | int:
        """A call that gives a size; a number where the exporter knows it."""
        value = target(*map_arg(args, lambda argument: argument.meta["val"]))
        if isinstance(value, int):
            return value
        node = self._graph.call_function(target, args)
        node.meta["val"] = value
        return node

    def _place(self, expression: sympy.Expr) -> tuple[fx.Node, int] | None:
        """The first input and dimension of size `expression`."""
        for node in self._inputs:
            value = node.meta.get("val")
            if isinstance(value, torch.Tensor):
                for dim, size in enumerate(value.shape):
                    if isinstance(size, torch.SymInt) and size.node.expr == expression:
                        return node, dim
        return None


def _expressions(shape: Sequence[int | torch.SymInt]) -> list[sympy.Expr]:
    return [size.node.expr if isinstance(size, torch.SymInt) else sympy.Integer(size) for size in shape]


def _shape(node: fx.Node) -> list[sympy.Expr]:
    return _expressions(node.meta["val"].shape)


def _changes_nothing(node: fx.Node) -> bool:
    if node.target in SAME_VALUE:
        return True
    if node.target in SAME_SHAPE:
        return _shape(node) == _shape(node.args[0])  # type: ignore[arg-type]
    if node.target is aten.slice.Tensor:
        step = node.args[4] if len(node.args) > 4 else 1
        return step == 1 and _shape(node) == _shape(node.args[0])  # type: ignore[arg-type]
    return False


def _keep_sizes(node: fx.Node) -> None:
    """Writes -1 for the sizes an `expand` keeps: torch-mlir would treat them as sizes that might be broadcast."""
    source = _shape(node.args[0])  # type: ignore[arg-type]
    target = _shape(node)
    new = len(target) - len(source)
    kept = [dim >= new and source[dim - new] == size for dim, size in enumerate(target)]
    sizes = [-1 if keep else size for keep, size in zip(kept, node.args[1], strict=True)]  # type: ignore[arg-type]
    node.update_arg(1, sizes)


def _rewrite_view(graph: fx.Graph, node: fx.Node, sizes: _SizeNodes) -> None:
    """Replaces one `view`; leaves it where its sizes cannot be had before it."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if 0 in _shape(node) and all(size.is_number for size in _shape(node)):
        # Nothing to view, and a division by zero in the lowering of some reshapes.
        with graph.inserting_before(node):
            shape = list(node.meta["val"].shape)
            empty = graph.call_function(aten.full.default, (shape, 0), {"dtype": node.meta["val"].dtype})
        empty.meta = {key: value for key, value in node.meta.items() if key in ("val", "stack_trace")}
        node.replace_all_uses_with(empty)
        return
    groups = group_dimensions(_shape(source), _shape(node))
    if groups is None:
        return
    target = node.meta["val"].shape
    extents: list[list[Any]] = []
    for from_, to in groups:
        found: list[Any] = [sizes.find(target[dim], node) for dim in to]
        if len(to) > 1 and None in found:
            if found.count(None) > 1:
                return
            found[found.index(None)] = sizes.rest(source, from_, [size for size in found if size], node)
        extents.append(found)
    value, position = source, 0
    with graph.inserting_before(node):
        for (from_, to), extent in zip(groups, extents, strict=True):
            if not to:
                value = _call(graph, node, aten.squeeze.dim, value, position)
            elif not from_:
                value = _call(graph, node, aten.unsqueeze.default, value, position)
            else:
                if len(from_) > 1:
                    last = position + len(from_) - 1
                    value = _call(graph, node, aten.flatten.using_ints, value, position, last)
                if len(to) > 1:
                    value = _call(graph, node, aten.unflatten.int, value, position, extent)
            position += len(to)
    node.replace_all_uses_with(value)


def _call(graph: fx.Graph, like: fx.Node, target: Any, *args: Any) -> fx.Node:
    """A new call with the metadata a later reader needs, placed in the model where `like` is."""
    node = graph.call_function(target, args)
    node.meta["val"] = target(*map_arg(args, lambda argument: argument.meta["val"]))
    if "stack_trace" in like.meta:
        node.meta["stack_trace"] = like.meta["stack_trace"]
    return node

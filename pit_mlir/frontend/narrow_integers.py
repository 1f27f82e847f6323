"""8-bit integers of an exported graph are computed with in int32.

torch-mlir crashes on products, differences and maxima of 8-bit integers with numbers, and reads uint8 as signed.
So what computes with them gets int32 and its result is cut back, which gives what torch gives: sums, products,
shifts and comparisons all agree with arithmetic modulo 256 there. What only moves values stays 8 bits wide.
"""

import operator
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx
from torch._guards import detect_fake_mode
from torch.fx.node import map_aggregate, map_arg

from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.source import model_line

aten = torch.ops.aten
convert = torch.ops.prims.convert_element_type.default

NARROW = (torch.int8, torch.uint8)
WIDE = torch.int32
MOVES = frozenset([aten.clone.default, aten.cat.default, aten.lift_fresh_copy.default])


def widen_integers(graph: fx.Graph) -> None:
    """Rewrites `graph` (functional, decomposed) in place; its inputs and outputs keep their types.

    Raises `UnsupportedError` for an operator that exists for 8-bit integers only.
    """
    if any(_is_narrow(value) for node in graph.nodes for value in _values(node)):
        _Widening(graph).run()


class _Widening:
    def __init__(self, graph: fx.Graph) -> None:
        self._graph = graph
        self._wide: dict[fx.Node, fx.Node] = {}
        self._changed: set[fx.Node] = set()
        self._mode = detect_fake_mode([value for node in graph.nodes for value in _values(node)])
        assert self._mode is not None, "a graph that has tensors has fake ones"

    def run(self) -> None:
        for node in list(self._graph.nodes):
            if node.op != "call_function":
                continue
            if node.target is operator.getitem:
                if node.args[0] in self._changed:
                    self._follow(node)
            elif _computes(node):
                self._rewrite(node)

    def _rewrite(self, node: fx.Node) -> None:
        """Makes `node` compute on int32."""
        before = node.meta["val"]
        with self._graph.inserting_before(node):
            args, kwargs = map_arg((node.args, node.kwargs), self._widened)
        args, kwargs = map_aggregate((args, kwargs), lambda value: WIDE if value in NARROW else value)
        try:
            after = self._evaluate(node.target, args, kwargs)
        except (RuntimeError, TypeError) as error:
            kinds = sorted({str(value.dtype) for value in _operands(node) if _is_narrow(value)})
            raise UnsupportedError(
                f"operator {node.target} on {', '.join(kinds) or before} cannot be computed in int32: {error}",
                location=model_line(node),
            ) from None
        node.args, node.kwargs = args, kwargs
        _set_value(node, after)
        self._changed.add(node)
        if isinstance(before, Tensor):
            self._cut(node, before.dtype)

    def _follow(self, node: fx.Node) -> None:
        """`node` takes one of several results of a node that changed."""
        before = node.meta["val"]
        source, number = node.args
        _set_value(node, source.meta["val"][number])  # type: ignore[union-attr, index]
        self._cut(node, before.dtype)

    def _cut(self, node: fx.Node, dtype: torch.dtype) -> None:
        """Users of `node` read it as `dtype`, which it was before."""
        if node.meta["val"].dtype is dtype:
            return
        with self._graph.inserting_after(node):
            cut = self._call(node, convert, node, dtype)
        node.replace_all_uses_with(cut, delete_user_cb=lambda user: user is not cut)

    def _widened(self, node: fx.Node) -> fx.Node:
        """`node` in int32 if it is 8 bits wide, made where the graph inserts."""
        value = node.meta.get("val")
        if not _is_narrow(value):
            return node
        if node not in self._wide:
            with self._graph.inserting_after(self._definition(node)):
                wide = self._call(node, convert, node, WIDE)
            if value.dtype is torch.uint8:
                with self._graph.inserting_after(wide):
                    wide = self._call(node, aten.bitwise_and.Scalar, wide, 255)
            self._wide[node] = wide
        return self._wide[node]

    def _definition(self, node: fx.Node) -> fx.Node:
        """Behind what a node that uses `node` may be inserted: not between placeholders."""
        if node.op != "placeholder":
            return node
        return [other for other in self._graph.nodes if other.op == "placeholder"][-1]

    def _call(self, like: fx.Node, target: Any, *args: Any) -> fx.Node:
        node = self._graph.call_function(target, args)
        node.meta["val"] = self._evaluate(target, args, {})
        if "stack_trace" in like.meta:
            node.meta["stack_trace"] = like.meta["stack_trace"]
        return node

    def _evaluate(self, target: Any, args: Any, kwargs: Any) -> Any:
        """The type of a call's result, as the exporter writes types."""
        args, kwargs = map_arg((args, kwargs), lambda node: node.meta["val"])
        with self._mode:  # type: ignore[union-attr]
            return target(*args, **kwargs)


def _set_value(node: fx.Node, value: Any) -> None:
    """Changes the type of a node's result, of which the exporter keeps two descriptions."""
    node.meta["val"] = value
    node.meta.pop("tensor_meta", None)


def _computes(node: fx.Node) -> bool:
    """Whether `node` does more with 8-bit integers than move them or read them as signed numbers."""
    dtypes = {value.dtype for value in (*_operands(node), *_values(node)) if _is_narrow(value)}
    if "val" not in node.meta or not dtypes or node.target in MOVES or _is_view(node.target):
        return False
    # What reads int8 is right in torch-mlir, and packing such weights as they are is worth it.
    return not (node.target is convert and dtypes == {torch.int8} and not _is_narrow(node.meta["val"]))


def _is_view(target: Any) -> bool:
    """Whether the results of an operator share memory with its operands."""
    return isinstance(target, torch._ops.OpOverload) and any(
        result.alias_info is not None for result in target._schema.returns
    )


def _is_narrow(value: Any) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.dtype in NARROW


def _operands(node: fx.Node) -> list[Any]:
    return [operand.meta.get("val") for operand in node.all_input_nodes]


def _values(node: fx.Node) -> list[Any]:
    """The results of a node, of which there are mostly one."""
    value = node.meta.get("val")
    return list(value) if isinstance(value, list | tuple) else [value]

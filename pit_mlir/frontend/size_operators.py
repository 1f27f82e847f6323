"""Sizes in an exported graph, written so that torch-mlir's import knows them: numbers as such, few operators."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from pit_mlir.frontend.number_tensors import NumberTensors

aten = torch.ops.aten

RENAMED: dict[Any, Any] = {
    torch.sym_max: torch.ops.prim.max.int,
    torch.sym_min: torch.ops.prim.min.int,
    torch.sym_float: aten.Float.Scalar,
}
"""Functions of torch by operators with the same arguments."""


ROOTS = (operator.pow, torch._sym_sqrt)  # pyright: ignore[reportAttributeAccessIssue]


def settle_sizes(graph: fx.Graph) -> None:
    """Writes as a number each size of `graph` that the exporter found to be one after it had made a symbol for it."""
    for node in list(graph.nodes):
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt) and node.op == "call_function" and value.node.expr.is_Integer:
            node.replace_all_uses_with(int(value.node.expr))
            graph.erase_node(node)
        elif value is not None:
            settled = pytree.tree_map_only(torch.Tensor, _settled, value)
            if any(
                new is not old for new, old in zip(*map(pytree.tree_leaves, (settled, value)), strict=True)
            ):
                node.meta["val"] = settled
                node.meta.pop("tensor_meta", None)


def _settled(value: torch.Tensor) -> torch.Tensor:
    """A description of a tensor with numbers for sizes that are; its strides are lost, which no reader needs."""
    sizes = [
        int(size.node.expr) if isinstance(size, torch.SymInt) and size.node.expr.is_Integer else size
        for size in value.shape
    ]
    if all(type(new) is type(old) for new, old in zip(sizes, value.shape, strict=True)):
        return value
    return value.new_empty(sizes)


def rewrite_size_operators(graph: fx.Graph) -> None:
    """Rewrites `graph` (functional, decomposed) in place."""
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if _is_number(node):
            if node.target is operator.mod:
                _replace(graph, node, _remainder)
            elif node.target is operator.pow and _is_exponent(node.args[1]):
                _replace(graph, node, _power)
            elif node.target is operator.neg:
                _replace(graph, node, lambda a: (operator.sub, 0, a))
            elif node.target in RENAMED:
                node.target = RENAMED[node.target]
        elif isinstance(node.target, torch._ops.OpOverload):
            _put_tensors(graph, node)
    graph.eliminate_dead_code()


def _has_roots(value: fx.Node) -> bool:
    """Whether the number `value` is computed with powers or square roots, for which the import has no functions."""
    return value.target in ROOTS or any(
        _is_number(operand) and _has_roots(operand) for operand in value.all_input_nodes
    )


def _is_number(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), torch.SymInt | torch.SymFloat)


def _remainder(a: Any, b: Any) -> tuple[Any, ...]:
    """`a % b` as `a - a // b * b`: the import's own remainder has the sign of `a`, and no lowering."""
    return (operator.sub, a, (operator.mul, (operator.floordiv, a, b), b))


def _is_exponent(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _power(a: Any, b: int) -> tuple[Any, ...]:
    """`a ** b` as a product, which the import knows; other powers are computed with tensors."""
    return (operator.mul, a, 1) if b == 1 else (operator.mul, _power(a, b - 1), a)


def _replace(graph: fx.Graph, node: fx.Node, rule: Callable[..., tuple[Any, ...]]) -> None:
    """Puts the calls that `rule` nests in place of `node`."""
    with graph.inserting_before(node):
        node.replace_all_uses_with(_build(graph, node, rule(*node.args)))
    graph.erase_node(node)


def _build(graph: fx.Graph, like: fx.Node, value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    target, *operands = value
    args = tuple(_build(graph, like, operand) for operand in operands)
    return _call(graph, like, target, *args)


def _put_tensors(graph: fx.Graph, node: fx.Node) -> None:
    """Makes a tensor of each size that stands where the operator takes a tensor, such as `size - tensor`."""
    schema = node.target._schema  # type: ignore[union-attr]
    for position, parameter in enumerate(schema.arguments[: len(node.args)]):
        value = node.args[position]
        if isinstance(parameter.type, torch.TensorType) and isinstance(value, fx.Node) and _is_number(value):
            if _has_roots(value):
                node.update_arg(position, NumberTensors(graph, node).tensor(value))
                continue
            dtype = torch.int64 if isinstance(value.meta["val"], torch.SymInt) else torch.get_default_dtype()
            with graph.inserting_before(node):
                made = graph.call_function(aten.full.default, ([], value), {"dtype": dtype})
            made.meta = {k: v for k, v in node.meta.items() if k == "stack_trace"}
            made.meta["val"] = node.meta["val"].new_empty((), dtype=dtype)
            node.update_arg(position, made)


def _call(graph: fx.Graph, like: fx.Node, target: Any, *args: Any) -> fx.Node:
    node = graph.call_function(target, args)
    node.meta = {key: value for key, value in like.meta.items() if key == "stack_trace"}
    node.meta["val"] = target(*map_arg(args, lambda argument: argument.meta["val"]))
    return node

"""Numbers of an exported graph, sizes and what the model takes from data, as tensors of rank 0."""

import operator
from typing import Any

import torch
from torch import Tensor, fx
from torch._guards import detect_fake_mode
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.fx.node import map_arg

from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.source import model_line

aten = torch.ops.aten
convert = torch.ops.prims.convert_element_type.default

ON_TENSORS: dict[Any, Any] = {
    operator.eq: aten.eq.Tensor,
    operator.ne: aten.ne.Tensor,
    operator.lt: aten.lt.Tensor,
    operator.le: aten.le.Tensor,
    operator.gt: aten.gt.Tensor,
    operator.ge: aten.ge.Tensor,
    operator.add: aten.add.Tensor,
    operator.sub: aten.sub.Tensor,
    operator.mul: aten.mul.Tensor,
    operator.truediv: aten.div.Tensor,
    operator.mod: aten.remainder.Tensor,
    operator.neg: aten.neg.default,
    operator.and_: aten.logical_and.default,
    operator.or_: aten.logical_or.default,
    operator.pow: aten.pow.Tensor_Tensor,
    torch.sym_not: aten.logical_not.default,
    torch.sym_ite: aten.where.self,
    torch._sym_sqrt: aten.sqrt.default,  # pyright: ignore[reportAttributeAccessIssue]
}
"""Functions of numbers as operators on tensors of rank 0."""


class NumberTensors:
    """Makes tensors of numbers in front of `node` of `graph`, whose line of the model they get."""

    def __init__(self, graph: fx.Graph, node: fx.Node) -> None:
        self._graph = graph
        self._node = node
        values = [other.meta.get("val") for other in graph.nodes]
        self._mode = detect_fake_mode([value for value in values if isinstance(value, Tensor)])

    def tensor(self, value: Any) -> fx.Node:
        """A number as a truth value, an int64 or a float64; raises `UnsupportedError` for one that it cannot make."""
        if not isinstance(value, fx.Node):
            return self.call(aten.full.default, [], value, dtype=_dtype(value))
        if value.target is aten._local_scalar_dense.default:
            tensor = self.rank_zero(value.args[0])
            return self._as(tensor, _dtype(torch.empty((), dtype=tensor.meta["val"].dtype).item()))
        if value.target is torch.sym_float:
            return self._as(self.tensor(value.args[0]), torch.float64)
        if value.target in ON_TENSORS:
            return self._apply(value)
        if free_unbacked_symbols(value.meta["val"]):
            raise UnsupportedError(
                f"the model computes {value.target} of a number from the data, which a program cannot; write it with "
                "tensors, a check as torch._assert_async(condition, message)",
                location=model_line(self._node),
            )
        return self.call(aten.full.default, [], value, dtype=_dtype(value.meta["val"]))

    def rank_zero(self, tensor: Any) -> fx.Node:
        """`tensor`, which has one element."""
        return tensor if tensor.meta["val"].dim() == 0 else self.call(aten.view.default, tensor, [])

    def call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """A node that applies the operator `target`."""
        with self._graph.inserting_before(self._node):
            node = self._graph.call_function(target, args, kwargs)
        node.meta = {key: value for key, value in self._node.meta.items() if key == "stack_trace"}
        assert self._mode is not None, "a graph that has numbers has tensors"
        with self._mode:
            node.meta["val"] = target(*map_arg(args, lambda argument: argument.meta["val"]), **kwargs)
        return node

    def _apply(self, value: fx.Node) -> fx.Node:
        """The result of a function of numbers, in the widest type of its operands, or in float64 if it is no int."""
        if value.target is operator.pow and isinstance(value.meta["val"], torch.SymInt):
            return self._power(value)
        operands = [self.tensor(operand) for operand in value.args]
        kinds = {operand.meta["val"].dtype for operand in operands} | {_dtype(value.meta["val"])}
        for wider in (torch.float64, torch.int64):
            if wider in kinds and value.target is not torch.sym_ite:
                operands = [self._as(operand, wider) for operand in operands]
                break
        return self.call(ON_TENSORS[value.target], *operands)

    def _power(self, value: fx.Node) -> fx.Node:
        """An integer to an integer power, which has no lowering, as a product."""
        base, exponent = value.args
        assert isinstance(exponent, int), "an integer power has an integer exponent"
        result = factor = self.tensor(base)
        for _ in range(exponent - 1):
            result = self.call(aten.mul.Tensor, result, factor)
        return result if exponent else self.call(aten.full_like.default, factor, 1)

    def _as(self, tensor: fx.Node, dtype: torch.dtype) -> fx.Node:
        return tensor if tensor.meta["val"].dtype is dtype else self.call(convert, tensor, dtype)


def _dtype(number: Any) -> torch.dtype:
    """The type of a tensor that holds `number`, of Python or of the exporter."""
    if isinstance(number, bool | torch.SymBool):
        return torch.bool
    return torch.int64 if isinstance(number, int | torch.SymInt) else torch.float64

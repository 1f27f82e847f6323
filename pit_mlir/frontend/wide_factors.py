"""Products and quotients of 16-bit floats with a number are computed in f32 where 16 bits do not hold the number.

torch takes a number, of Python or in a tensor of rank 0, as it is, and rounds the result once: -1e9 times an f16 of 0
is 0. torch-mlir rounds the number first, which makes -inf of it, and NaN of the product. Sums round it in torch, too.
"""

from typing import Any

import torch
from torch import Tensor, fx
from torch._guards import detect_fake_mode
from torch.fx.node import map_arg

aten = torch.ops.aten
convert = torch.ops.prims.convert_element_type.default

NARROW = (torch.float16, torch.bfloat16)
SCALED: dict[Any, Any] = {
    aten.mul.Tensor: aten.mul.Tensor,
    aten.mul.Scalar: aten.mul.Tensor,
    aten.div.Tensor: aten.div.Tensor,
    aten.div.Scalar: aten.div.Tensor,
}
"""What multiplies or divides by a number, and the same of any operands."""


def widen_factors(graph: fx.Graph) -> None:
    """Rewrites `graph` (functional, decomposed) in place; what it computes keeps its types."""
    for node in list(graph.nodes):
        value = node.meta.get("val")
        is_narrow = node.target in SCALED and isinstance(value, Tensor) and value.dtype in NARROW
        if is_narrow and any(_is_wider(operand, value.dtype) for operand in node.args[:2]):
            _widen(graph, node, value)


def _is_wider(operand: Any, dtype: torch.dtype) -> bool:
    """Whether `operand` is a number that `dtype` does not hold."""
    if isinstance(operand, bool | int | float):
        number = torch.tensor(float(operand), dtype=torch.float64)
        return not torch.equal(number.to(dtype).double(), number) and operand == operand
    value = operand.meta["val"]
    if not isinstance(value, Tensor):
        return True
    return value.dim() == 0 and value.dtype in (torch.float32, torch.float64)


def _widen(graph: fx.Graph, node: fx.Node, value: Tensor) -> None:
    """Makes `node` compute in f32 and round to the type of `value`."""
    mode = detect_fake_mode([value])
    assert mode is not None, "the values of a graph are fake"

    def call(target: Any, *args: Any) -> fx.Node:
        made = graph.call_function(target, args)
        made.meta = {key: value for key, value in node.meta.items() if key == "stack_trace"}
        made.meta["val"] = target(*map_arg(args, lambda argument: argument.meta["val"]))
        return made

    with mode, graph.inserting_before(node):
        operands = [
            call(convert, operand, torch.float32)
            if isinstance(operand, fx.Node) and isinstance(operand.meta["val"], Tensor)
            else operand
            for operand in node.args[:2]
        ]
        result = call(convert, call(SCALED[node.target], *operands), value.dtype)
    node.replace_all_uses_with(result)
    graph.erase_node(node)

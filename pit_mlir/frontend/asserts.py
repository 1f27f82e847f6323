"""Checks of a model on its data, such as `torch._assert_async`, and their way through the import.

MLIR's import drops them, or does not know them. So a check leaves the exported graph and its condition, a truth value
of rank 0, becomes a further result of the function; after the lowering it becomes the condition of a `pit.check`.
What the exporter knows as a number from the data (`x.sum().item() > 0`) is computed with tensors for that.
"""

import contextlib
import linecache
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, free_unbacked_symbols
from torch.fx.node import has_side_effect

from pit_mlir.bindings import func, ir
from pit_mlir.dialect.check import check
from pit_mlir.frontend.number_tensors import NumberTensors
from pit_mlir.frontend.source import model_line

aten = torch.ops.aten

OF_TENSORS = (aten._assert_async.default, aten._assert_async.msg)
OF_NUMBERS = aten._assert_scalar.default

# torch.fx knows it of the form with a message only, and drops this one as dead.
has_side_effect(aten._assert_async.default)

_check_with: Any = torch._check_with  # pyright: ignore[reportPrivateUsage]


@contextlib.contextmanager
def checks_asserted() -> Iterator[None]:
    """Within it, `torch._check` of a number from the data is an assert of the exported graph.

    The exporter's own assert has neither the line of the check nor its message.
    """
    torch._check_with = _assert_and_check  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        torch._check_with = _check_with  # pyright: ignore[reportPrivateUsage]


def _assert_and_check(kind: Any, condition: Any, message: Callable[[], Any] | None = None) -> None:
    if isinstance(condition, torch.SymBool) and free_unbacked_symbols(condition):
        text = "" if message is None else str(message())
        # What an operator checks of the sizes that it makes is not of the model, and cannot be traced; the exporter
        # asserts it by itself.
        with contextlib.suppress(GuardOnDataDependentSymNode):
            aten._assert_async.msg(torch.scalar_tensor(condition), text)  # pyright: ignore[reportArgumentType]
    _check_with(kind, condition, message)


@dataclass(frozen=True)
class ModelCheck:
    """A check that left the graph; `condition` is a node, a truth value of rank 0, that follows the outputs."""

    condition: fx.Node
    message: str
    location: str | None


def take_checks(graph: fx.Graph) -> list[ModelCheck]:
    """Takes the checks out of `graph`, decomposed; raises `UnsupportedError` for one that cannot be computed.

    What the exporter asserts of the sizes and types of inputs leaves the graph too: each call checks that. What it
    derives from the model's checks comes last, for the first check that fails is the one that is reported.
    """
    checks: list[ModelCheck] = []
    derived: list[ModelCheck] = []
    for node in list(graph.nodes):
        if node.target in OF_TENSORS or (node.target is OF_NUMBERS and _depends_on_data(node.args[0])):
            condition = _condition(NumberTensors(graph, node), node.args[0])
            message = node.args[1] if node.target is aten._assert_async.msg else None
            taken = ModelCheck(condition, str(message or _statement(node)), model_line(node))
            (derived if node.target is OF_NUMBERS else checks).append(taken)
            graph.erase_node(node)
        elif node.target in (OF_NUMBERS, aten._assert_tensor_metadata.default):
            graph.erase_node(node)
    return checks + derived


def put_checks(function: func.FuncOp, checks: Sequence[ModelCheck], conditions: Sequence[ir.Value]) -> None:
    """Ends `function` with a `pit.check` for each of `checks`, whose conditions are computed by `conditions`."""
    block = function.regions[0].blocks[0]
    returned = block.operations[len(block.operations) - 1].operation
    for taken, condition in zip(checks, conditions, strict=True):
        location = returned.location
        if taken.location is not None:
            file, line, column = taken.location.rsplit(":", 2)
            location = ir.Location.file(file, int(line), int(column), function.context)
        with location, ir.InsertionPoint(returned):
            check(condition, taken.message)


def _depends_on_data(value: Any) -> bool:
    """Whether a number of the graph is not known from the sizes of the inputs, or is wrong for sure."""
    return bool(free_unbacked_symbols(value.meta["val"])) if isinstance(value, fx.Node) else not value


def _condition(numbers: NumberTensors, value: Any) -> fx.Node:
    """`value`, a tensor with one element or a number, as a truth value of rank 0."""
    if isinstance(value, fx.Node) and value.target is aten.scalar_tensor.default:
        tensor = numbers.tensor(value.args[0])
    elif isinstance(value, fx.Node) and isinstance(value.meta["val"], Tensor):
        tensor = numbers.rank_zero(value)
    else:
        tensor = numbers.tensor(value)
    return tensor if tensor.meta["val"].dtype is torch.bool else numbers.call(aten.ne.Scalar, tensor, 0)


def _statement(node: fx.Node) -> str:
    """What a check says that has no message in the graph: the line of the model, and the exporter's words."""
    file, line, _ = (model_line(node) or ":0:0").rsplit(":", 2)
    source = linecache.getline(file, int(line)).strip()
    words = f" ({node.args[1]})" if node.target is OF_NUMBERS else ""
    return f"the data fails a check of the model: {source}{words}"

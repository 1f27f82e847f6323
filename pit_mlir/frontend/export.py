"""A model as a functional, decomposed graph: torch.export, what it must not contain, our decompositions."""

import contextlib
import io
import logging
import operator
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, free_unbacked_symbols
from torch.utils import _pytree as pytree

from pit_mlir.errors import InputError, PitError, UnsupportedError
from pit_mlir.frontend.asserts import checks_asserted
from pit_mlir.frontend.decompositions import decomposition_table
from pit_mlir.frontend.shared_memory import refuse_shared_writes
from pit_mlir.frontend.source import error_line, model_line, names_in

aten = torch.ops.aten

SPECIALIZED_ADVICE = (
    "\nA size that differs from call to call must stay a size: math.sqrt(size), float(size) and int(...) of it make a "
    "number of Python; write size**0.5, size * 1.0, size // 2."
)

DISPATCH_ADVICE = (
    "\nIf this takes out the rows of an expert and adds back what it computed: give every expert all rows, and "
    "multiply by a weight that is 0 for the rows of others, out = out + expert(x) * weight[:, None]; only rows with a "
    "weight are computed. For a model of transformers: import pit_mlir.hf, and "
    'model.set_experts_implementation("pit").'
)
ADDING_BACK = ("index_add", "index_put", "index_copy", "scatter", "scatter_add", "index_reduce")
"""Operators that write rows to places that are numbers of the data, with or without an underscore at the end."""


def capture_program(
    model: nn.Module | ExportedProgram, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic_shapes: Any
) -> ExportedProgram:
    """The program of `model` for example arguments; weights are shared with the model, not copied.

    It is not functional yet: operators work in place where the model says so. Raises `UnsupportedError` with the line
    of the model where torch cannot export it, and `InputError` for a model in training mode or with random operators.
    """
    given: Any = model
    if not isinstance(given, nn.Module | ExportedProgram):
        raise InputError(
            f"the model is {type(model).__name__} {getattr(model, '__name__', '')}, expected a torch.nn.Module, a "
            "torch.export.ExportedProgram, or MLIR as text or pathlib.Path; put a function into a module's forward"
        )
    with _inference():
        program = (
            model if isinstance(model, ExportedProgram) else _export(model, args, kwargs, dynamic_shapes)
        )
    refuse_data_dependent_sizes(program.graph)
    refuse_randomness(program.graph, isinstance(model, nn.Module) and model.training)
    return program


def decompose_program(program: ExportedProgram) -> ExportedProgram:
    """`program` as a functional one of the operators that we import; raises `UnsupportedError`."""
    with _inference():
        try:
            return program.run_decompositions(decomposition_table())
        except PitError:
            raise
        except Exception as error:
            refuse_shared_writes(program)
            # A decomposition, ours or another's, that is not made for these types or shapes.
            raise UnsupportedError(
                f"an operator of the model cannot be taken apart: {type(error).__name__}: {str(error).strip()}"
            ) from error


@contextlib.contextmanager
def _inference() -> Iterator[None]:
    """No gradients, and none of torch's warnings about its own internals."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


def _export(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic_shapes: Any
) -> ExportedProgram:
    args, kwargs = _distinct(model, args, kwargs)
    try:
        with _quiet(), checks_asserted():
            return torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False)
    except PitError:
        raise
    except Exception as error:
        # Whatever the model or the exporter raises means the same here: there is no graph of this model.
        advice = SPECIALIZED_ADVICE if "specialized it to be a constant" in str(error) else ""
        if isinstance(error, GuardOnDataDependentSymNode) and names_adding_back(names_in(error)):
            advice = DISPATCH_ADVICE
        raise UnsupportedError(
            f"torch.export cannot export the model: {type(error).__name__}: {str(error).strip()}{advice}",
            location=error_line(error),
        ) from error


def _distinct(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with a copy where a tensor is passed twice or is a weight: the exporter would take them for one
    input, and another call may pass two."""
    seen = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}

    def distinct(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        copy = value.detach().clone() if id(value) in seen else value
        seen.add(id(value))
        return copy

    return pytree.tree_map(distinct, (args, kwargs))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps from the terminal what torch prints and logs about a failure; the error says it."""
    printed, disabled = io.StringIO(), logging.root.manager.disable
    logging.disable(max(disabled, logging.WARNING))
    try:
        with contextlib.redirect_stderr(printed):
            yield
    finally:
        logging.disable(disabled)
    sys.stderr.write(printed.getvalue())


def refuse_data_dependent_sizes(graph: fx.Graph) -> None:
    """Raises `UnsupportedError` for a tensor whose sizes depend on values, such as `x[x > 0]`.

    torch-mlir does not come to an end on some of them.
    """
    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and free_unbacked_symbols(value):
            source = node.args[0] if node.target is operator.getitem else node
            problem = (
                f"gives a tensor whose size depends on the data, {list(value.shape)}; use a mask, torch.where or "
                "torch.topk instead" + (DISPATCH_ADVICE if adds_back(graph) else "")
                if any(map(free_unbacked_symbols, value.shape))
                else "takes a part at a place that is a number from the data; index with the tensor itself, without "
                ".item()"
            )
            raise UnsupportedError(f"operator {source.target} {problem}", location=model_line(node))


def adds_back(graph: fx.Graph) -> bool:
    """Whether `graph` writes rows to computed places: those of an expert, back to the tokens that it came from."""
    return names_adding_back(
        node.target._schema.name.partition("::")[2]
        for node in graph.nodes
        if isinstance(node.target, torch._ops.OpOverload)
    )


def names_adding_back(names: Iterable[str]) -> bool:
    """Whether one of `names` is that of an operator that writes rows to computed places."""
    return not {name.rstrip("_") for name in names}.isdisjoint(ADDING_BACK)


def refuse_randomness(graph: fx.Graph, training: bool) -> None:
    """Raises `InputError` for an operator that draws random numbers or updates statistics as in training."""
    for node in graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        if _is_random(node) or _is_batch_norm_in_training(node):
            name = node.target._schema.name.replace("::", ".")
            reason = (
                "the model is in training mode" if training or _argument(node, "train") else "it is random"
            )
            raise InputError(
                f"{name} cannot be compiled: {reason}; call model.eval() before compiling"
                + ("" if training else ", and take random operators out of the model"),
                location=model_line(node),
            )


def _is_random(node: fx.Node) -> bool:
    """Draws random numbers, with these arguments: dropout without training or with probability 0 does not."""
    if torch.Tag.nondeterministic_seeded not in node.target.tags:  # type: ignore[union-attr]
        return False
    if _argument(node, "train") is False or _argument(node, "training") is False:
        return False
    return all(_argument(node, name) != 0.0 for name in ("p", "dropout_p", "dropout"))


def _is_batch_norm_in_training(node: fx.Node) -> bool:
    """Normalises by the statistics of the batch although running ones exist, and updates those."""
    schema = node.target._schema  # type: ignore[union-attr]
    return (
        "batch_norm" in schema.name
        and _argument(node, "training") is True
        and _argument(node, "running_mean") is not None
    )


def _argument(node: fx.Node, name: str) -> Any:
    """The value that `node` passes for the parameter `name` of its operator, or its default; None if it has none."""
    for position, parameter in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        if parameter.name == name:
            if position < len(node.args):
                return node.args[position]
            return node.kwargs.get(name, parameter.default_value if parameter.has_default_value() else None)
    return None

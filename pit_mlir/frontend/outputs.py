"""The outputs of an exported program: which nodes `@main` returns, what the others are, what is written back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind, OutputSpec

from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.signature import (
    ArgumentOutput,
    ConstantOutput,
    Output,
    ResultOutput,
    SizeOutput,
    WriteBack,
)
from pit_mlir.frontend.source import model_line
from pit_mlir.frontend.symbols import Symbols

MUTATIONS = (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION, OutputKind.USER_INPUT_MUTATION)


@dataclass(frozen=True)
class OutputPlan:
    """`results` are the nodes that `@main` returns; `leaves` and `write_backs` refer to them by number."""

    results: list[fx.Node]
    leaves: tuple[Output, ...]
    write_backs: tuple[WriteBack, ...]


def output_node(graph: fx.Graph) -> fx.Node:
    """The node at the end of `graph`."""
    return next(iter(reversed(graph.nodes)))


def returned_inputs(captured: ExportedProgram, program: ExportedProgram) -> dict[int, str]:
    """The outputs of `program` that are the very tensors of placeholders, with the names of these.

    `program` is what became of `captured`, in which operators still work in place: `x.add_(1)` is x. Operators that
    give another tensor object for the same memory, views, are not followed: such outputs are copies.
    """
    outputs = zip(_user_outputs(program), _user_outputs(captured), strict=True)
    returned: dict[int, str] = {}
    for (position, after), (_, before) in outputs:
        if isinstance(after, fx.Node) and after.op == "placeholder":
            returned[position] = after.name
        elif (tensor := _written(before)) is not None and tensor.op == "placeholder":
            returned[position] = tensor.name
    return returned


def _user_outputs(program: ExportedProgram) -> list[tuple[int, Any]]:
    """Position and value of the outputs that belong to the answer."""
    values = cast(Sequence[Any], output_node(program.graph).args[0])
    specs = program.graph_signature.output_specs
    return [
        (position, value)
        for position, (spec, value) in enumerate(zip(specs, values, strict=True))
        if spec.kind is OutputKind.USER_OUTPUT
    ]


def _written(value: Any) -> fx.Node | None:
    """The node whose tensor `value` is, through operators that write to their operand and return it."""
    while isinstance(value, fx.Node) and isinstance(value.target, torch._ops.OpOverload):
        results = value.target._schema.returns
        alias = results[0].alias_info if len(results) == 1 else None
        if alias is None or not alias.is_write:
            return None
        value = value.args[0]
    return value if isinstance(value, fx.Node) else None


def plan_outputs(
    program: ExportedProgram,
    values: Sequence[Any],
    returned: Mapping[int, str],
    numbers: Mapping[str, int],
    symbols: Symbols,
) -> OutputPlan:
    """What becomes of `values`, the outputs of the cleaned graph, of which `returned` are tensors of placeholders.

    `numbers` are the argument numbers of the placeholders. Raises `UnsupportedError` for an output or a mutation
    that cannot be given as torch would.
    """
    results: list[fx.Node] = []
    leaves: list[Output] = []
    write_backs: list[WriteBack] = []
    for position, (spec, value) in enumerate(zip(program.graph_signature.output_specs, values, strict=True)):
        if position in returned:
            leaves.append(ArgumentOutput(numbers[returned[position]], copy=False))
            continue
        output = _output(value, results, numbers, symbols)
        if spec.kind is OutputKind.USER_OUTPUT:
            leaves.append(output)
        elif spec.kind in MUTATIONS:
            write_backs.append(WriteBack(output, _mutated(program, spec, value, numbers)))
        else:
            raise UnsupportedError(f"an output of kind {spec.kind.name} is not supported ({spec.arg})")
    return OutputPlan(results, tuple(leaves), tuple(write_backs))


def _output(value: Any, results: list[fx.Node], numbers: Mapping[str, int], symbols: Symbols) -> Output:
    """What the output `value` is; a node that has to be computed is appended to `results` unless it is there."""
    if not isinstance(value, fx.Node):
        return ConstantOutput(value)
    if value.op == "placeholder":
        return ArgumentOutput(numbers[value.name], copy=True)
    kind = value.meta["val"]
    if isinstance(kind, torch.SymInt):
        return SizeOutput(str(symbols.size(kind, "an output")))
    if not isinstance(kind, torch.Tensor):
        raise UnsupportedError(
            f"output '{value.name}' is {type(kind).__name__}, expected a tensor, an int, None or a constant",
            location=model_line(value),
        )
    if value not in results:
        results.append(value)
    return ResultOutput(results.index(value), unsigned=kind.dtype is torch.uint8)


def _mutated(program: ExportedProgram, spec: OutputSpec, value: Any, numbers: Mapping[str, int]) -> int:
    """The number of the argument that is written back; its tensor must stay what it is, but for its values."""
    signature = program.graph_signature
    if spec.kind is OutputKind.USER_INPUT_MUTATION:
        name = cast(str, spec.target)
    else:
        paths = {**signature.inputs_to_buffers, **signature.inputs_to_parameters}
        name = next(name for name, path in paths.items() if path == spec.target)
    before = next(node for node in program.graph.nodes if node.name == name).meta["val"]
    after = value.meta["val"]
    if before.dtype != after.dtype or list(before.shape) != list(after.shape):
        raise UnsupportedError(
            f"the model changes '{spec.target}' from {before.dtype}{list(before.shape)} to "
            f"{after.dtype}{list(after.shape)}; only its values may change",
            location=model_line(value),
        )
    return numbers[name]

"""Weights and buffers that share memory where the model writes to one of them: torch cannot make that functional."""

from collections.abc import Iterator

from torch import Tensor, fx
from torch.export import ExportedProgram

from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.source import model_line


def refuse_shared_writes(program: ExportedProgram) -> None:
    """Raises `UnsupportedError` with the line of the model that writes to a tensor that shares memory with another.

    Inputs that do are told by the call, which sees them.
    """
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    tensors = {name: tensor for name in names.values() if (tensor := tensor_of(program, name)) is not None}
    for node in program.graph.nodes:
        for written in written_by(node):
            name = names.get(placeholder_of(written).name, "")
            others = [other for other in tensors if name in tensors and is_shared(tensors, name, other)]
            if others:
                raise UnsupportedError(
                    f"'{name}' shares memory with {', '.join(map(repr, others))}, and the model writes to it: keep a "
                    "copy in one of them (.clone()), or make one from the other in forward()",
                    location=model_line(node),
                )


def tensor_of(program: ExportedProgram, name: str) -> Tensor | None:
    """The weight or buffer of that name."""
    found = program.state_dict.get(name, program.constants.get(name))
    return found if isinstance(found, Tensor) else None


def is_shared(tensors: dict[str, Tensor], one: str, other: str) -> bool:
    """Whether two names stand for different tensors in the same storage; one tensor with two names is tied."""
    if one == other or tensors[one] is tensors[other]:
        return False
    return tensors[one].untyped_storage().data_ptr() == tensors[other].untyped_storage().data_ptr() != 0


def written_by(node: fx.Node) -> Iterator[fx.Node]:
    """The nodes that the operator of `node` writes to."""
    schema = getattr(node.target, "_schema", None) if node.op == "call_function" else None
    for argument, value in zip(schema.arguments if schema else (), node.args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, fx.Node):
            yield value


def placeholder_of(node: fx.Node) -> fx.Node:
    """What `node` is a view of, or is after writes: its source, through operators that return their operand."""
    while node.op == "call_function" and node.args and isinstance(node.args[0], fx.Node):
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.arguments or schema.arguments[0].alias_info is None:
            break
        node = node.args[0]
    return node

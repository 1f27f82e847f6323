"""What tells an exported program from any other: with it a program is found again before it is taken apart.

It holds what the rest of the frontend reads of a captured program: operators with their arguments, types, the lines of
the model, the signature, and what the exporter knows about sizes. Weights count with their types alone, since programs
take them as arguments. Where something in the graph is not known to be the same in another process, such as an operator
that somebody's Python code takes apart, there is no fingerprint, and the import decides.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx
from torch._ops import HigherOrderOperator, OpOverload
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from pit_mlir.frontend.source import model_frames
from pit_mlir.frontend.symbols import named_dims, shape_env_of

NAMESPACES = ("aten", "prims", "pit")
"""Whose operators mean the same as long as torch and this compiler do."""
FUNCTION_MODULES = ("_operator", "math", "builtins", "torch")
PLAIN = (int, float, complex, str, bytes, type(None), type(...))
NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)


class _UnknownError(Exception):
    """Something that may differ in another process."""


def fingerprint(program: ExportedProgram, dynamic_shapes: Any, saved_guards: Any) -> str | None:
    """A digest of all that decides what is imported from `program`; None where nobody can tell.

    `dynamic_shapes` gives symbols their names, `saved_guards` are the conditions of a program from a file.
    """
    digest = hashlib.sha256()
    try:
        for part in _parts(program, dynamic_shapes, saved_guards):
            digest.update(f"{part}\n".encode())
    except _UnknownError:
        return None
    return digest.hexdigest()


def _parts(program: ExportedProgram, dynamic_shapes: Any, saved_guards: Any) -> Iterator[str]:
    yield f"torch {torch.__version__} {torch.get_default_dtype()} {torch.are_deterministic_algorithms_enabled()}"
    yield f"autocast {torch.is_autocast_enabled('cpu')} {torch.get_autocast_dtype('cpu')}"
    yield repr(sorted(named_dims(dynamic_shapes).items()))
    yield repr(list(saved_guards))
    signature = program.graph_signature
    for spec in (*signature.input_specs, *signature.output_specs):
        yield _text(spec)
    shape_env = shape_env_of(program)
    if shape_env is not None:
        yield from _sizes(program, shape_env)
    for name, constant in program.constants.items():
        yield f"{name} {_value(constant)}"
    for path, module in program.graph_module.named_modules():
        if not isinstance(module, fx.GraphModule):
            raise _UnknownError
        yield f"graph {path}"
        for node in module.graph.nodes:
            yield _node(node)


def _sizes(program: ExportedProgram, shape_env: ShapeEnv) -> Iterator[str]:
    """What is known about sizes: operators that are taken apart may ask for it, and for the sizes of the example."""
    yield f"{bool(shape_env.source_to_var)}"
    for known in (
        program.range_constraints,
        shape_env.backed_var_to_val,
        shape_env.var_to_range,
        shape_env.replacements,
    ):
        yield repr(sorted((str(symbol), str(value)) for symbol, value in known.items()))
    for guard in shape_env.guards:
        frame: Any = guard.sloc.framework_loc
        where = "" if frame is None else f"{frame.filename}:{frame.lineno} {frame.name}"
        yield f"{guard.expr} {where}"
    for symbol, asserts in shape_env.deferred_runtime_asserts.items():
        yield f"{symbol} {[str(each.expr) for each in asserts]}"


def _node(node: fx.Node) -> str:
    """One line for a node."""
    arguments = _text(node.args), _text(node.kwargs)
    value = _value(node.meta.get("val"))
    return f"{node.op} {node.name} {_target(node)} {arguments} {value} {model_frames(node)}"


def _target(node: fx.Node) -> str:
    """What a node calls; raises `_UnknownError` for a function of somebody else."""
    target: Any = node.target
    if node.op in ("placeholder", "get_attr", "output"):
        return str(target)
    if isinstance(target, OpOverload) and target.namespace in NAMESPACES:
        return str(target)
    if isinstance(target, HigherOrderOperator):
        return f"higher_order {target.name()}"
    module = str(getattr(target, "__module__", ""))
    if isinstance(target, OpOverload) or module.partition(".")[0] not in FUNCTION_MODULES:
        raise _UnknownError
    return f"{module} {target.__qualname__}"


def _text(value: Any) -> str:
    """An argument of a node, or a part of the signature; raises `_UnknownError` for what may print differently."""
    if isinstance(value, fx.Node):
        return f"%{value.name}"
    if isinstance(value, PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, NAMED):
        return str(value)
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, Mapping):
        return f"dict({', '.join(f'{_text(key)}: {_text(each)}' for key, each in value.items())})"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, slice):
        return f"slice({_text(value.start)}, {_text(value.stop)}, {_text(value.step)})"
    if isinstance(value, torch.export.graph_signature.InputKind | torch.export.graph_signature.OutputKind):
        return value.name
    if type(value).__module__ == torch.export.graph_signature.__name__:
        return f"{type(value).__name__} {_text(vars(value))}"
    raise _UnknownError


def _value(value: Any) -> str:
    """The type of what a node gives."""
    if isinstance(value, torch.Tensor):
        kind = f"{value.dtype} {value.layout} {value.device} {value.requires_grad}"
        strides = _dims(value.stride()) if value.layout is torch.strided else ""
        return f"{kind} {_dims(value.shape)} {strides}"
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return f"{type(value).__name__} {value.node.expr}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_value, value))})"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return _text(value)


def _dims(sizes: Any) -> str:
    return f"[{', '.join(str(size.node.expr) if isinstance(size, torch.SymInt) else str(size) for size in sizes)}]"

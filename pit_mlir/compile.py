"""`compile`: from a model to a `CompiledModule`; and the backend "pit" of `torch.compile`."""

import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pit_mlir.artifact import Artifact, bytecode, key_of, store, stored
from pit_mlir.bindings import ir
from pit_mlir.borders import Border, NumpyBorder, TorchBorder
from pit_mlir.compiled_module import CompiledModule
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError
from pit_mlir.explanation import Explanation
from pit_mlir.frontend.padding import Padding
from pit_mlir.frontend.signature import ArgumentOutput, ImportedModel
from pit_mlir.options import TARGETS, CompileOptions, Progress
from pit_mlir.passes.pipelines import cpu_pipeline, rewrite_pipeline
from pit_mlir.passes.runner import Observer, run_pipeline
from pit_mlir.runtime.engine import build_code
from pit_mlir.runtime.memory import give_back
from pit_mlir.runtime.program import Code, Program
from pit_mlir.snapshot import Snapshot

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

LARGEST_PRINTED = 16
"""Constants with more elements than this are elided in `CompiledModule.ir`."""

_IMPORT = threading.RLock()
"""One thread imports at a time, and a fork waits for it: torch.export and torch-mlir's importer have global state."""
os.register_at_fork(before=_IMPORT.acquire, after_in_parent=_IMPORT.release, after_in_child=_IMPORT.release)


def compile(
    model: "nn.Module | ExportedProgram | str | Path",
    args: tuple[Any, ...] | list[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    sparsity: Sequence[Padding] = (),
    target: str = "cpu",
    options: CompileOptions | None = None,
) -> CompiledModule:
    """Compiles `model` for calls like `model(*args, **kwargs)`.

    `model` is a module in eval mode, an exported program, or the text (or path) of an `.mlir` file with a function
    `main` on tensors; only the first takes `args`, `kwargs` and `dynamic_shapes`, which are those of
    `torch.export.export`. `sparsity` declares what cannot be found in the model, such as `Padding("attention_mask")`.

    Raises `UnsupportedError` for what the compiler cannot do, with the line of the model, and `InputError` for
    arguments that make no sense.
    """
    options = CompileOptions() if options is None else options
    check_arguments(args, kwargs, sparsity, target, options)
    try:
        return build(model, tuple(args), kwargs, dynamic_shapes, sparsity, options)
    except BaseException as error:
        forget_frames(error)
        raise


def check_arguments(args: Any, kwargs: Any, sparsity: Any, target: Any, options: Any) -> None:
    """Raises `InputError` for arguments of `compile` of a wrong type."""
    if target not in TARGETS:
        raise InputError(f"target = {target!r}, expected one of {list(TARGETS)}")
    if not isinstance(options, CompileOptions):
        raise InputError(f"options = {options!r}, expected CompileOptions(...)")
    if not isinstance(args, tuple | list):
        raise InputError(
            f"args is a {type(args).__name__}, expected a tuple: the arguments of a call, (x,) for one"
        )
    if not (kwargs is None or isinstance(kwargs, Mapping)):
        raise InputError(f"kwargs is a {type(kwargs).__name__}, expected a dictionary of arguments by name")
    if not (
        isinstance(sparsity, tuple | list) and all(isinstance(declared, Padding) for declared in sparsity)
    ):
        raise InputError(f"sparsity = {sparsity!r}, expected a list such as [Padding('attention_mask')]")


def forget_frames(error: BaseException) -> None:
    """Clears the local variables behind `error`: someone may keep it, and MLIR's objects with it."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        traceback.clear_frames(found.__traceback__)
        behind = found.__cause__ or found.__context__
        if isinstance(behind, ir.MLIRError):
            # It holds locations, and what it says is part of our message.
            found.__cause__ = found.__context__ = None
        found = behind


def build(
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    dynamic_shapes: Any,
    sparsity: Sequence[Padding],
    options: CompileOptions,
) -> CompiledModule:
    """`compile` with checked arguments."""
    show = options.progress or (lambda phase, done, total: None)
    show("importing", 0, 1)
    imported = import_any(model, args, kwargs, dynamic_shapes, make_context())
    padding = [declared.argument_number(imported.arguments) for declared in sparsity]
    steps = rewrite_pipeline(padding, floats=options.floats, freeze=options.freeze, select=options.select)
    key = ""
    artifact: Artifact | None = None
    if options.cache:
        key = key_of(imported.module, [*steps, *cpu_pipeline(deterministic=options.deterministic)])
        artifact = stored(key)
    if artifact is None:
        artifact = translate(imported, steps, options, show)
        if options.cache:
            store(key, artifact)
    show("done", 1, 1)
    border: Border = NumpyBorder(imported.arguments) if is_text(model) else TorchBorder(imported.arguments)
    snapshot: Snapshot | None = None
    if options.freeze:
        prepare = None if artifact.prepare is None else Program(artifact.prepare)
        snapshot = Snapshot(prepare, {*artifact.used, *returned_weights(imported)}, border)
    compiled = CompiledModule(
        Program(artifact.main),
        imported,
        border,
        artifact.explanation.renewed(title_of(model)),
        artifact.ir,
        artifact.sparse,
        snapshot,
        options.check_finite,
    )
    if snapshot is not None:
        compiled.refresh()
    # Not what is in cycles: collecting takes a tenth of a second with torch in the process.
    give_back()
    return compiled


def returned_weights(imported: ImportedModel) -> set[int]:
    """The numbers of the weights that the model returns as they are, or writes somewhere."""
    values = (*imported.outputs, *(back.value for back in imported.write_backs))
    returned = {value.argument for value in values if isinstance(value, ArgumentOutput)}
    weights = [number for number, a in enumerate(imported.arguments) if a.kind == "weight"]
    return {order for order, number in enumerate(weights) if number in returned}


def translate(
    imported: ImportedModel, steps: Sequence[str], options: CompileOptions, show: Progress
) -> Artifact:
    """Rewrites the program of `imported` in place by `steps`, and compiles it."""
    module, report = imported.module, Report()
    run_pipeline(module, steps, report, observers=[ProgressObserver(show, len(steps))])
    text = module.operation.get_asm(large_elements_limit=LARGEST_PRINTED)
    show("generating code", len(steps), len(steps) + 1)
    prepare, used = prepare_code(imported, options) if options.freeze else (None, ())
    sparse = bytecode(module)
    code = build_code(module, report, deterministic=options.deterministic)
    return Artifact(code, prepare, used, Explanation.of(report), text, sparse)


def title_of(model: Any) -> str:
    """What a report calls `model`."""
    if isinstance(model, str):
        return "a program in MLIR"
    return model.name if isinstance(model, Path) else type(model).__name__


class ProgressObserver(Observer):
    """Tells a progress callback before each pass."""

    def __init__(self, show: Progress, total: int) -> None:
        self._show = show
        self._total = total
        self._done = 0

    def before(self, step: Any, op: ir.Operation) -> None:
        """See `Observer`."""
        self._show(str(getattr(step, "name", step)), min(self._done, self._total), self._total + 1)
        self._done += 1


def is_text(model: Any) -> bool:
    """Whether `model` is MLIR, as text or as a path."""
    return isinstance(model, str | Path)


def import_any(
    model: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    dynamic_shapes: Any,
    context: ir.Context,
) -> ImportedModel:
    """`model` as linalg on tensors in `context`."""
    if is_text(model):
        from pit_mlir.frontend.text import import_text

        if args or kwargs or dynamic_shapes:
            raise InputError("a program in MLIR needs no example arguments: its types say what it takes")
        return import_text(model, context=context)
    with _IMPORT:
        from pit_mlir.frontend.torch_import import import_model

        return import_model(model, args, kwargs, dynamic_shapes=dynamic_shapes, context=context)


def prepare_code(imported: ImportedModel, options: CompileOptions) -> tuple[Code | None, tuple[int, ...]]:
    """The code of @prepare, which leaves the module, if there is one; and which weights @main reads itself."""
    functions = {op.attributes["sym_name"].value: op for op in imported.module.body.operations}
    numbers = [number for number, a in enumerate(imported.arguments) if a.kind == "weight"]
    body = functions["main"].regions[0].blocks[0]
    used = tuple(
        order for order, number in enumerate(numbers) if any(True for _ in body.arguments[number].uses)
    )
    prepare = functions.get("prepare")
    if prepare is None:
        return None, used
    with imported.module.context, ir.Location.unknown():
        alone = ir.Module.create()
        alone.body.append(prepare)
        prepare.attributes["sym_name"] = ir.StringAttr.get("main")
    return build_code(alone, deterministic=options.deterministic), used


def torch_backend(graph: Any, examples: list[Any]) -> Callable[..., Any]:
    """The backend "pit" of `torch.compile`, for inference.

    `graph` is the `torch.fx.GraphModule` that dynamo captured, `examples` its inputs. Sizes that dynamo made symbols
    are numbers in our programs: each combination of sizes that a call brings is compiled once, when it first comes,
    and not before, since torch.export cannot run inside of dynamo. So what cannot be compiled is a plain `PitError`.
    Where sizes change all the time, `pit_mlir.compile` with `dynamic_shapes` makes one program for all of them.
    """
    import torch

    programs: dict[tuple[Any, ...], CompiledModule] = {}
    is_tensor = [isinstance(example, torch.Tensor) for example in examples]

    class Specialized(torch.nn.Module):
        """The graph with its sizes filled in."""

        def __init__(self, values: Sequence[Any]) -> None:
            super().__init__()
            self.graph = graph
            self.values = [None if tensor else value for value, tensor in zip(values, is_tensor, strict=True)]

        def forward(self, *tensors: Any) -> Any:
            rest = iter(tensors)
            return self.graph(*(next(rest) if value is None else value for value in self.values))

    def program(values: Sequence[Any]) -> CompiledModule:
        key = tuple(
            tuple(value.shape) if tensor else value for value, tensor in zip(values, is_tensor, strict=True)
        )
        if key not in programs:
            tensors = tuple(value.detach() for value in values if isinstance(value, torch.Tensor))
            programs[key] = compile(Specialized(values).eval(), tensors)
        return programs[key]

    @torch.compiler.disable
    def run(*inputs: Any) -> Any:
        if torch.is_grad_enabled():
            raise InputError(
                "torch.compile(backend='pit') compiles for inference: call under torch.no_grad() or "
                "torch.inference_mode()"
            )
        tensors = [value.detach() for value in inputs if isinstance(value, torch.Tensor)]
        return program(inputs)(*tensors)

    return run

"""`compile`: from a model to a `CompiledModule`; and the backend "pit" of `torch.compile`."""

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pit_mlir.artifact import Artifact, Known
from pit_mlir.artifact_cache import bytecode, key_of, known, remember, store, stored
from pit_mlir.assembly import assemble
from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.ptx import tools_digest
from pit_mlir.compiled_module import CompiledModule, Settings
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError, PlatformError
from pit_mlir.explanation import Explanation
from pit_mlir.frontend.padding import Padding
from pit_mlir.frontend.signature import BoundModel, ImportedModel
from pit_mlir.options import CompileOptions, Progress
from pit_mlir.passes.pipelines import rewrite_pipeline, target_pipeline
from pit_mlir.passes.runner import Observer, run_pipeline
from pit_mlir.runtime.device import current_gpu
from pit_mlir.runtime.engine import build_code
from pit_mlir.runtime.memory import give_back
from pit_mlir.runtime.program import Code
from pit_mlir.target import Target, kernel_chip

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

LARGEST_PRINTED = 16
"""Constants with more elements than this are elided in `CompiledModule.ir`."""

TARGET_VARIABLE = "PIT_TARGET"
EMULATE_VARIABLE = "PIT_EMULATE"
"""With this set to 1, programs for a GPU are emulated."""

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
    target: str | None = None,
    options: CompileOptions | None = None,
) -> CompiledModule:
    """Compiles `model` for calls like `model(*args, **kwargs)`.

    `model` is a module in eval mode, an exported program, or the text (or path) of an `.mlir` file with a function
    `main` on tensors; only the first takes `args`, `kwargs` and `dynamic_shapes`, which are those of
    `torch.export.export`. `sparsity` declares what cannot be found in the model, such as `Padding("attention_mask")`.

    `target` is "cpu", "cuda" for the GPU that torch uses, or "emulator", which runs the kernels of a GPU on the host
    and watches what their threads do; the latter two take a chip, as in "cuda:sm_90a". By default it is `$PIT_TARGET`,
    else "cpu". For a GPU that is not here, the program is made all the same and cannot be called.

    Raises `UnsupportedError` for what the compiler cannot do, with the line of the model, and `InputError` for
    arguments that make no sense.
    """
    options = CompileOptions() if options is None else options
    check_arguments(args, kwargs, sparsity, options)
    plan = Plan(options, target_named(target), tuple(sparsity))
    try:
        return build(model, Example(tuple(args), kwargs, dynamic_shapes), plan)
    except BaseException as error:
        forget_frames(error)
        raise


class Example(NamedTuple):
    """The arguments of a call that torch.export captures a model with, and which of their sizes are dynamic."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] | None
    dynamic_shapes: Any


class Plan(NamedTuple):
    """What the user chose about a compilation."""

    options: CompileOptions
    target: Target
    sparsity: tuple[Padding, ...] = ()

    @property
    def show(self) -> Progress:
        """What is told of the progress."""
        return self.options.progress or (lambda phase, done, total: None)

    @property
    def tf32(self) -> bool:
        """Whether kernels round factors of f32."""
        return takes_tf32() if self.options.tf32 is None else self.options.tf32


def takes_tf32() -> bool:
    """Whether torch is set to multiply matrices of f32 as tf32 on a GPU; it need not be there."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.backends.cuda.matmul.fp32_precision == "tf32"


def target_named(name: str | None) -> Target:
    """The target `name`, or the default one, the chip of this machine's GPU filled in; raises `InputError`."""
    given = os.environ.get(TARGET_VARIABLE, "cpu") if name is None else name
    target = Target.of(given)
    if target.kind == "cuda" and os.environ.get(EMULATE_VARIABLE, "0") not in ("", "0"):
        return Target("emulator", target.chip)
    if given == "cuda":
        with contextlib.suppress(PlatformError):
            return Target("cuda", kernel_chip(current_gpu().chip))
    return target


def check_arguments(args: Any, kwargs: Any, sparsity: Any, options: Any) -> None:
    """Raises `InputError` for arguments of `compile` of a wrong type."""
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


def build(model: Any, example: Example, plan: Plan) -> CompiledModule:
    """`compile` with checked arguments."""
    plan.show("importing", 0, 1)
    if is_text(model):
        imported = import_program(model, example)
        bound, artifact = imported, artifact_of(imported, plan)[0]
    else:
        bound, artifact = bound_torch_model(model, example, plan)
    plan.show("done", 1, 1)
    # numpy has no arrays on a GPU.
    arrays = is_text(model) and plan.target.kind != "cuda"
    settings = Settings(plan.target, arrays, plan.options.freeze, plan.options.check_finite)
    explained = replace(artifact, explanation=artifact.explanation.renewed(title_of(model)))
    compiled = assemble(bound, explained, settings)
    if plan.options.freeze:
        compiled.refresh()
    # Not what is in cycles: collecting takes a tenth of a second with torch in the process.
    give_back()
    return compiled


def bound_torch_model(model: Any, example: Example, plan: Plan) -> tuple[BoundModel, Artifact]:
    """A model of torch, bound to its program.

    What was compiled before is found twice: by what torch.export gives, which spares taking operators apart and the
    import, and by what is imported, which is the same for more models.
    """
    with _IMPORT:
        from pit_mlir.frontend.torch_import import capture_model, import_captured

        captured = capture_model(model, *example)
        fingerprint = captured.fingerprint() if plan.options.cache else None
    early = ""
    if fingerprint is not None:
        # Which numbers the declared masks will have follows from the model and their names.
        steps = [*steps_of(range(len(plan.sparsity)), plan), *map(repr, plan.sparsity)]
        early = key_of(fingerprint.encode(), steps)
        before = known(early)
        found = None if before is None else stored(before.key)
        if before is not None and found is not None:
            return captured.bind(before.interface), found
    with _IMPORT:
        imported = import_captured(captured, make_context())
    artifact, key = artifact_of(imported, plan)
    if early and captured.has_weights(imported.interface):
        remember(early, Known(imported.interface, key))
    return imported, artifact


def artifact_of(imported: ImportedModel, plan: Plan) -> tuple[Artifact, str]:
    """The artifact of an imported model, found or made, and its key, which is empty without a cache."""
    padding = [declared.argument_number(imported.interface.arguments) for declared in plan.sparsity]
    rewriting = rewriting_of(padding, plan)
    if not plan.options.cache:
        return translate(imported, rewriting, plan), ""
    key = key_of(bytecode(imported.module), steps_of(padding, plan))
    artifact = stored(key)
    if artifact is None:
        artifact = translate(imported, rewriting, plan)
        store(key, artifact)
    return artifact, key


def rewriting_of(padding: Sequence[int], plan: Plan) -> tuple[str, ...]:
    """The passes from what is imported to the sparse program."""
    return tuple(
        rewrite_pipeline(
            padding,
            floats=plan.options.floats,
            freeze=plan.options.freeze,
            select=plan.options.select,
            chip=plan.target.chip,
        )
    )


def steps_of(padding: Sequence[int], plan: Plan) -> list[str]:
    """All passes of a compilation, and the tools of others that it calls: what the key of its artifact holds."""
    return [
        *rewriting_of(padding, plan),
        *target_pipeline(plan.target, deterministic=plan.options.deterministic, tf32=plan.tf32),
        *([tools_digest()] if plan.target.kind == "cuda" else []),
    ]


def translate(imported: ImportedModel, steps: Sequence[str], plan: Plan) -> Artifact:
    """Rewrites the program of `imported` in place by `steps`, and compiles it."""
    module, report = imported.module, Report()
    run_pipeline(module, steps, report, observers=[ProgressObserver(plan.show, len(steps))])
    text = module.operation.get_asm(large_elements_limit=LARGEST_PRINTED)
    plan.show("generating code", len(steps), len(steps) + 1)
    prepare, used = prepare_code(imported, plan) if plan.options.freeze else (None, ())
    sparse = bytecode(module)
    code = build_code(
        module, report, target=plan.target, deterministic=plan.options.deterministic, tf32=plan.tf32
    )
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


def import_program(text: str | Path, example: Example) -> ImportedModel:
    """A program in MLIR as linalg on tensors."""
    from pit_mlir.frontend.text import import_text

    if any(example):
        raise InputError("a program in MLIR needs no example arguments: its types say what it takes")
    return import_text(text, context=make_context())


def prepare_code(imported: ImportedModel, plan: Plan) -> tuple[Code | None, tuple[int, ...]]:
    """The code of @prepare, which leaves the module, if there is one; and which weights @main reads itself."""
    functions = {op.attributes["sym_name"].value: op for op in imported.module.body.operations}
    numbers = [number for number, a in enumerate(imported.interface.arguments) if a.kind == "weight"]
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
    return build_code(
        alone, target=plan.target, deterministic=plan.options.deterministic, tf32=plan.tf32
    ), used


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

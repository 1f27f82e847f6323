"""Where our side runs, and the programs it runs: compiled here, or made elsewhere and read from a folder.

A machine with a GPU may lack the compiler; one with the compiler may lack a GPU. `--make` compiles the programs of a
command into the folder of `--programs` and measures nothing; the same command without it reads them there.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import pit_mlir
from pit_mlir.runtime.device import current_gpu
from pit_mlir.target import Target, kernel_chip


def description(model: nn.Module | str, args: tuple[Any, ...], settings: Mapping[str, Any]) -> str:
    """What a program follows from, for whoever makes the same model again: its parts, their sizes, the arguments."""
    lines = [repr(sorted((name, repr(value)) for name, value in settings.items())), *map(shape_of, args)]
    if isinstance(model, str):
        return "\n".join([model, *lines])
    for name, part in model.named_modules():
        plain = {
            key: value
            for key, value in vars(part).items()
            if isinstance(value, int | float | str | tuple) and not key.startswith("_")
        }
        lines.append(f"{name} {type(part).__qualname__} {sorted(plain.items(), key=repr)}")
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return "\n".join([*lines, *(f"{name} {shape_of(tensor)}" for name, tensor in tensors)])


def shape_of(value: Any) -> str:
    """The type and the sizes of an argument."""
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)


class Programs:
    """Makes compiled models for `target`; with a folder, reads them there, or with `make` writes them."""

    def __init__(self, target: Target, folder: Path | None, *, make: bool) -> None:
        self.target, self.folder, self.make = target, folder, make

    @property
    def has_compiler(self) -> bool:
        """Whether programs are compiled here."""
        return self.folder is None or self.make

    def compile(
        self,
        model: nn.Module | str,
        args: tuple[Any, ...] = (),
        *,
        dynamic_shapes: Any = None,
        sparsity: Any = (),
        options: pit_mlir.CompileOptions | None = None,
    ) -> pit_mlir.CompiledModule:
        """`pit_mlir.compile`, or what it made elsewhere. Raises `PitError`."""
        settings = {"sparsity": sparsity, "options": options, "target": str(self.target)}
        settings["dynamic"] = dynamic_shapes is not None
        path = None
        if self.folder is not None:
            digest = hashlib.sha256(description(model, args, settings).encode()).hexdigest()
            path = self.folder / f"{digest[:32]}.pit"
        weights = None if isinstance(model, str) else model
        if path is not None and not self.make:
            return pit_mlir.load(path, weights)
        made = pit_mlir.compile(
            model,
            args,
            dynamic_shapes=dynamic_shapes,
            sparsity=sparsity,
            options=options,
            target=str(self.target),
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.save(path, weights=False)
        return made


def target_named(text: str) -> Target:
    """The target `text`, "cuda" with the chip of the GPU that torch uses; raises `PitError`. Needs no compiler."""
    found = Target.of(text)
    return Target("cuda", kernel_chip(current_gpu().chip)) if text == "cuda" else found


def has_gpu_tensors() -> bool:
    """Whether tensors are made on a GPU unless someone says otherwise."""
    return torch.get_default_device().type == "cuda"


def on_host(clock: Callable[[], float]) -> Callable[[Callable[[], object]], float]:
    """What counts the milliseconds of a call by `clock`."""

    def timed(run: Callable[[], object]) -> float:
        begin = clock()
        run()
        return (clock() - begin) * 1e3

    return timed


def on_gpu(run: Callable[[], object]) -> float:
    """Milliseconds from when the GPU starts with what `run` asks of it until it has done all of it."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def timer(clock: Callable[[], float] = time.perf_counter) -> Callable[[Callable[[], object]], float]:
    """What counts the milliseconds of a call: by events on a GPU, else by `clock`."""
    return on_gpu if has_gpu_tensors() else on_host(clock)


@contextlib.contextmanager
def tensors_on(target: Target, *, make: bool) -> Any:
    """Inside, tensors are made where programs for `target` want them; where they are only made, on the host."""
    if target.kind != "cuda" or make:
        yield
        return
    before = torch.get_default_device()
    torch.set_default_device("cuda")
    try:
        yield
    finally:
        torch.set_default_device(before)

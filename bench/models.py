"""Whole models: time of a call, of compiling, memory, call overhead: `python -m bench.models --model bert --layers 2`.

The models of `make demo`, random weights, inputs drawn anew for every call; `tiny` is a ReLU of 8 numbers, whose time
is that of calling anything. Beside the call: `compile s`, nothing in the cache (in a process that has compiled
before); `again s`, from the cache; `export s`, torch.export alone; with `--memory` the most memory that a process
needs while it does nothing but call the model, ours and torch's, each in a process of its own, in MiB.

Peers: `torch`, the model as it is; `dense`, the same compiler without lists.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

import pit_mlir as pit
from bench.family import Run, chosen, need, positive, start
from bench.protocol import OURS, Case
from bench.twins import dense_twin
from examples import models

PEERS = ("torch", "dense")
TINY = models.Case(
    "tiny",
    nn.ReLU,
    lambda generator: (torch.randn(8, generator=generator),),
    lambda _, inputs: (inputs[0] <= 0).float().mean().item(),
    "what a call costs",
)
MODELS = dict(zip(("bert", "opt-token", "opt", "mlp", "mlp-rows"), models.CASES, strict=True)) | {
    "tiny": TINY
}
LAYERED = ("bert", "opt-token", "opt")
CALLS = 3


@dataclass(frozen=True)
class Subject:
    """A model to measure; `layers` is 0 where there are none to count."""

    name: str
    layers: int
    freeze: bool

    @property
    def case(self) -> models.Case:
        """How it is built."""
        return MODELS[self.name]

    def build(self) -> nn.Module:
        """The model."""
        made = self.case.model(self.layers) if self.layers else self.case.model()  # type: ignore[call-arg]
        return made.eval()

    def compile(
        self, model: nn.Module, inputs: models.Inputs, by: Callable[..., pit.CompiledModule] = pit.compile
    ) -> pit.CompiledModule:
        """Ours, as the model's user compiles it; `by` makes it."""
        return by(model, inputs, sparsity=self.case.sparsity, options=self.options())

    def options(self) -> pit.CompileOptions:
        """What the compiler is told."""
        return pit.CompileOptions(**(self.case.options | ({"freeze": True} if self.freeze else {})))

    def __str__(self) -> str:
        layers = f", {self.layers} layers" if self.layers else ""
        return f"{self.name}{layers}{' frozen' if self.options().freeze else ''}"


@contextmanager
def empty_cache() -> Iterator[None]:
    """A cache of compiled programs that has nothing in it yet."""
    before = {name: os.environ.get(name) for name in ("PIT_CACHE_DIR", "PIT_CACHE_SIZE")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PIT_CACHE_DIR"] = folder
        os.environ.pop("PIT_CACHE_SIZE", None)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                os.environ.update({name: value} if value is not None else {})


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """The time of `work` and what it made."""
    begin = time.perf_counter()
    made = work()
    return time.perf_counter() - begin, made


def memory_of(subject: Subject, side: str) -> float:
    """The peak of a process that calls one side, in MiB."""
    arguments = [subject.name, str(subject.layers), str(int(subject.freeze)), side]
    command = [sys.executable, "-m", "bench.memory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    need(done.returncode == 0, "--memory", f"a process that ends well: {done.stderr.strip()[-300:]}")
    return float(done.stdout.split()[-1])


def measure(run: Run, subject: Subject, with_memory: bool) -> None:
    """One row."""
    case = subject.case
    generator = torch.Generator(torch.get_default_device()).manual_seed(run.seed)
    model, inputs = subject.build(), case.inputs(generator)
    figures: dict[str, float] = {"layers": subject.layers}
    with empty_cache():
        figures["compile s"], ours = seconds(lambda: subject.compile(model, inputs, run.compile))
        figures["again s"], _ = seconds(lambda: subject.compile(model, inputs, run.compile))
    figures["export s"], _ = seconds(lambda: torch.export.export(model, inputs))
    if subject.name == "tiny":
        # Calls that follow each other: one alone, with threads asleep and code forgotten, is what `pit_ms` has.
        figures["call us"] = (
            statistics.median(timeit.repeat(lambda: ours(*inputs), number=1000, repeat=7)) * 1e3
        )
    if with_memory:
        figures |= {"MiB": memory_of(subject, OURS), "torch MiB": memory_of(subject, "torch")}
    sides = {OURS: ours} | run.others(
        {"torch": lambda: model, "dense": lambda: dense_twin(model, inputs, subject.options())}
    )
    reference = case.reference or (lambda model, inputs: model(*inputs))

    def checked(side: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda *args: reference(side, args)

    run.measure(
        Case(str(subject), case.title, "f32", round(case.zeros(model, inputs), 3)),
        sides,
        partial(case.inputs, generator),
        lambda *args: reference(model, args).double(),
        checks={name: side if name == OURS else checked(side) for name, side in sides.items()},
        figures=figures,
    )


def main(
    run: Run,
    model: Annotated[list[str], typer.Option(help=f"{', '.join(MODELS)}. Repeat for more.")] = list(MODELS),
    layers: Annotated[list[int], typer.Option(help="Layers of bert and opt. Repeat for more.")] = [12],
    freeze: Annotated[bool, typer.Option("--freeze", help="Weights are packed once.")] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Also measure memory, in processes of their own.")
    ] = False,
) -> None:
    """Measures all combinations."""
    positive(layers, "--layers")
    subjects = [
        Subject(name, count if name in LAYERED else 0, freeze)
        for name, count in itertools.product(chosen(model, list(MODELS), "--model"), layers)
    ]
    # What is loaded once in a process is not what compiling one model costs.
    Subject("tiny", 0, freeze).compile(nn.ReLU(), (torch.randn(8),), run.compile)
    for subject in run.each(list(dict.fromkeys(subjects))):
        run.attempt(subject, partial(measure, run, subject, memory))


if __name__ == "__main__":
    start(main, "models", "whole models", PEERS, ("torch",))

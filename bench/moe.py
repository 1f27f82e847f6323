"""Mixtures of experts against torch: `python -m bench.moe --tokens 16 --tokens 256 --skew one`.

Sides: the compiled model; the same model by this compiler without its rules for sparsity (all experts for all
tokens); torch on the model as it is written; by hand, `torch.nn.functional.grouped_mm` on tokens sorted by expert,
and a loop of gathers, products and `index_add_`. A case is style, type, skew, tokens. The floor is what the products
or the weights of the chosen experts cost at least, whichever is more.
"""

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated
from unittest import mock

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit
from bench.protocol import Row, interleaved, relative_error, show, write
from pit_mlir.passes.pipelines import rewrite_pipeline

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
GFLOPS_OF_CORE = {"f32": 117.0, "bf16": 234.0}
GIGABYTES = 40.0
"""What a core multiplies and memory delivers a second, as measured on the machine the figures are from."""
SKEWS = ("balanced", "skewed", "one")


class Experts(nn.Module):
    """A router, and SwiGLU experts whose weights are one tensor for each of the three products."""

    def __init__(self, hidden: int, intermediate: int, experts: int, chosen: int) -> None:
        super().__init__()
        self.router = nn.Linear(hidden, experts)
        self.gate = nn.Parameter(torch.randn(experts, intermediate, hidden) * hidden**-0.5)
        self.up = nn.Parameter(torch.randn(experts, intermediate, hidden) * hidden**-0.5)
        self.down = nn.Parameter(torch.randn(experts, hidden, intermediate) * intermediate**-0.5)
        self.experts, self.chosen = experts, chosen

    def route(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weights and the numbers of the experts of each token, best first."""
        # In f32: scores that are equal in bf16 would be chosen by rounding.
        scores = functional.linear(x.float(), self.router.weight.float(), self.router.bias.float())
        weights, chosen = functional.softmax(scores, -1).topk(self.chosen, -1)
        return weights.to(x.dtype), chosen


class Combined(Experts):
    """All experts for all tokens, as far as the text goes; the sum weighs those that were not chosen with 0."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        gates = (functional.one_hot(chosen, self.experts).to(x.dtype) * weights[..., None]).sum(1)
        gate = functional.silu(torch.einsum("td,ehd->eth", x, self.gate))
        hidden = gate * torch.einsum("td,ehd->eth", x, self.up)
        return torch.einsum("etd,te->td", torch.einsum("eth,edh->etd", hidden, self.down), gates)


class Dispatched(Experts):
    """Tokens are dispatched to their experts and combined by products with one-hot rows."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        one_hot = functional.one_hot(chosen, self.experts).to(x.dtype)
        inputs = torch.einsum("te,td->etd", one_hot.sum(1), x)
        gate = functional.silu(torch.einsum("etd,ehd->eth", inputs, self.gate))
        hidden = gate * torch.einsum("etd,ehd->eth", inputs, self.up)
        outputs = torch.einsum("eth,edh->etd", hidden, self.down)
        return torch.einsum("etd,te->td", outputs, (one_hot * weights[..., None]).sum(1))


class Loop(Experts):
    """One expert after another adds its outputs, times a weight that is 0 for the tokens of others."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        out = torch.zeros_like(x)
        for number in range(self.experts):
            hidden = functional.silu(x @ self.gate[number].T) * (x @ self.up[number].T)
            share = (weights * (chosen == number)).sum(-1)
            out = out + (hidden @ self.down[number].T) * share[:, None]
        return out


STYLES: dict[str, type[Experts]] = {"combined": Combined, "dispatched": Dispatched, "loop": Loop}


def gathered(model: Experts, x: Tensor) -> Tensor:
    """A loop over the experts that gathers the tokens of each."""
    weights, chosen = model.route(x)
    out = torch.zeros_like(x)
    for number in range(model.experts):
        token, rank = (chosen == number).nonzero(as_tuple=True)
        if len(token):
            mine = x[token]
            hidden = functional.silu(mine @ model.gate[number].T) * (mine @ model.up[number].T)
            out.index_add_(0, token, (hidden @ model.down[number].T) * weights[token, rank, None])
    return out


def grouped(model: Experts, x: Tensor) -> Tensor:
    """Tokens sorted by expert, one grouped product for each of the three weights."""
    weights, chosen = model.route(x)
    order = chosen.flatten().argsort(stable=True)
    ends = torch.bincount(chosen.flatten(), minlength=model.experts).cumsum(0).to(torch.int32)
    token = order // model.chosen
    mine = x[token]
    gate = functional.silu(functional.grouped_mm(mine, model.gate.mT, offs=ends))
    hidden = gate * functional.grouped_mm(mine, model.up.mT, offs=ends)
    outputs = functional.grouped_mm(hidden, model.down.mT, offs=ends)
    return torch.zeros_like(x).index_add_(0, token, outputs * weights.flatten()[order, None])


def skew(model: Experts, kind: str) -> None:
    """Makes the router like some experts: "skewed" as 1 / rank, "one" the first ones for all tokens."""
    rank = torch.arange(1, model.experts + 1, dtype=torch.float32)
    bias = {"balanced": rank * 0, "skewed": -rank.log(), "one": -rank * 100}[kind]
    with torch.no_grad():
        model.router.bias.copy_(bias)


def compile_dense(model: nn.Module, x: Tensor) -> pit.CompiledModule:
    """`model` compiled without the rules that find and use sparsity."""

    def without(*args: object, **kwargs: object) -> tuple[str, ...]:
        steps = rewrite_pipeline(*args, **kwargs)  # type: ignore[arg-type]
        return tuple(step for step in steps if not step.startswith("pit-insert-sparsity"))

    with mock.patch.object(sys.modules["pit_mlir.compile"], "rewrite_pipeline", without):
        return compile_any(model, x)


def compile_any(model: nn.Module, x: Tensor) -> pit.CompiledModule:
    """`model` compiled for any number of tokens."""
    example = x.new_zeros(12, x.shape[1])
    return pit.compile(model, (example,), dynamic_shapes=({0: torch.export.Dim("tokens", min=0)},))


def floor(model: Experts, x: Tensor, dtype: str, threads: int) -> float:
    """Milliseconds that the products, or the weights of the chosen experts, take at least."""
    used = int((torch.bincount(model.route(x)[1].flatten(), minlength=model.experts) > 0).sum())
    elements = model.gate[0].numel() * 3
    flops = 2 * elements * len(x) * model.chosen / (GFLOPS_OF_CORE[dtype] * threads * 1e9)
    reading = used * elements * x.element_size() / (GIGABYTES * 1e9)
    return max(flops, reading) * 1e3


Side = Callable[[Tensor], Tensor]


def sides_of(model: Experts, hidden: int, names: Sequence[str]) -> dict[str, Side]:
    """What is compared, ours first; what is compiled serves any number of tokens."""
    example = model.up.new_zeros(12, hidden)
    made: dict[str, Callable[[], Side]] = {
        "dense": lambda: compile_dense(model, example),
        "torch": lambda: model,
        "grouped": lambda: partial(grouped, model),
        "gathered": lambda: partial(gathered, model),
    }
    return {"pit": compile_any(model, example)} | {name: made[name]() for name in names}


def measure(model: Experts, x: Tensor, dtype: str, sides: Mapping[str, Side], rounds: int, name: str) -> Row:
    """Compares all sides on `x`, then times them."""
    exact = gathered(copy.deepcopy(model).double(), x.double()) if dtype == "f32" else gathered(model, x)
    errors = {side: relative_error(run(x), exact) for side, run in sides.items()}
    for side, error in errors.items():
        assert error < (1e-4 if dtype == "f32" else 5e-2), f"{name}: {side} is wrong by {error}"
    times = interleaved({side: partial(run, x) for side, run in sides.items()}, rounds)
    return Row(name, errors["pit"], times, floor(model, x, dtype, torch.get_num_threads()))


def main(
    hidden: int = 1024,
    intermediate: int = 3584,
    experts: int = 8,
    top_k: int = 2,
    tokens: Annotated[list[int] | None, typer.Option(help="Tokens of a case; repeat for more.")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help=f"{', '.join(DTYPES)}; repeat for more.")] = None,
    skewed: Annotated[
        list[str] | None, typer.Option("--skew", help=f"{', '.join(SKEWS)}; repeat for more.")
    ] = None,
    style: Annotated[list[str] | None, typer.Option(help=f"{', '.join(STYLES)}; repeat for more.")] = None,
    side: Annotated[
        list[str] | None, typer.Option(help="dense, torch, grouped, gathered; repeat for more.")
    ] = None,
    threads: int = 2,
    rounds: int = 9,
    output: Annotated[Path | None, typer.Option(help="Write the rows as JSON.")] = None,
) -> None:
    """Measures every combination of what is given; the default is a quarter of Mixtral-8x7B."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    rows: list[Row] = []
    for kind in style or ["combined"]:
        for type_ in dtype or ["f32", "bf16"]:
            model = STYLES[kind](hidden, intermediate, experts, top_k).to(DTYPES[type_]).eval()
            sides = sides_of(model, hidden, side or ["grouped", "gathered"])
            for how in skewed or ["balanced"]:
                skew(model, how)
                for count in tokens or [1, 16, 256]:
                    x = torch.randn(count, hidden).to(DTYPES[type_])
                    name = f"{kind} {type_} {how} {count}"
                    rows.append(measure(model, x, type_, sides, rounds, name))
    show(f"{hidden} x {intermediate}, {experts} experts, top {top_k}, {threads} threads", rows)
    if output is not None:
        write(output, rows)


if __name__ == "__main__":
    typer.run(main)

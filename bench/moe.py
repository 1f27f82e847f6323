"""Layers of mixtures of experts: `python -m bench.moe --shape qwen3-30b --tokens 16 --dtype bf16`.

SwiGLU experts with a router, of the sizes of known models or of any other: `--shape 1024x3584x8x2` is hidden x
intermediate x experts x top-k, and `--shape mixtral/4` has both matrix sides divided by 4 where memory demands it.
Our model is a sum over all experts, in which most weights are 0 (`--style`: or a dispatch by one-hot rows, or a
loop). `--weight live` reads the weights in every call, `frozen` packs them once. Tokens are drawn anew for every
call; `index ms` is what sorting them by expert alone takes.

Peers, routing included: `zentorch` (zentorch_fused_moe, on copies, as it rewrites weights), `grouped` (grouped_mm on
sorted tokens), `gathered` (a loop that gathers), `torch` (the model as written), `dense` (ours without rules for
sparsity). `--update` shows at the end whose results are right after weights were updated in place.

The floor: the operations of the chosen experts, or reading their weights once, whichever takes longer.
"""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import torch
import typer
from torch import Tensor, nn

import pit_mlir as pit
from bench import experts
from bench.experts import SKEWS, STYLES, Experts, Zentorch
from bench.family import Dtypes, Run, chosen, need, positive, sides_of, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, TOLERANCE, Case, Side
from bench.target import has_gpu_tensors
from bench.twins import keys_of
from pit_mlir.passes.pipelines import rewrite_pipeline

SHAPES = {
    "mixtral": (4096, 14336, 8, 2),
    "deepseek-v3": (7168, 2048, 256, 8),
    "qwen3-30b": (2048, 768, 128, 8),
    "qwen3-235b": (4096, 1536, 128, 8),
    "qwen2-57b": (3584, 2560, 64, 8),
    "gpt-oss-20b": (2880, 2880, 32, 4),
    "gpt-oss-120b": (2880, 2880, 128, 4),
    "llama-4-scout": (5120, 8192, 16, 1),
    "olmoe": (2048, 1024, 64, 8),
    "switch-base": (768, 3072, 64, 1),
}
"""Hidden, intermediate of an expert, experts, experts of a token."""
PEERS = ("zentorch", "grouped", "gathered", "torch", "dense")


@dataclass(frozen=True)
class Layer:
    """A layer to measure."""

    title: str
    shape: tuple[int, int, int, int]
    style: str
    dtype: str
    weight: str

    @property
    def bytes(self) -> int:
        """The size of the experts."""
        hidden, intermediate, count, _ = self.shape
        return 3 * hidden * intermediate * count * DTYPES[self.dtype].itemsize

    def __str__(self) -> str:
        return f"{self.title} {self.dtype} {self.style} {self.weight}"


def shape_of(text: str) -> tuple[str, tuple[int, int, int, int]]:
    """The title and the sizes of `text`: a name, a name divided, or sizes."""
    name, _, divisor = text.partition("/")
    if name not in SHAPES:
        need(
            "x" in text and not divisor,
            f"--shape {text}",
            f"one of {', '.join(SHAPES)}, with /2 or /4, or HxIxExK",
        )
        sizes: Any = sides_of(text, 4, "--shape")
        need(sizes[3] <= sizes[2], f"--shape {text}", f"top-k of at most {sizes[2]} experts")
        return text, sizes
    hidden, intermediate, count, top = SHAPES[name]
    scale = int(divisor) if divisor.isdigit() else 1
    need(not divisor or (scale > 0 and divisor.isdigit()), f"--shape {text}", "a positive number behind /")
    fits = hidden % scale == 0 and intermediate % scale == 0
    need(fits, f"--shape {text}", f"a divisor of {hidden} and {intermediate}")
    return text, (hidden // scale, intermediate // scale, count, top)


def available() -> int:
    """Bytes of memory that are free, where tensors are made."""
    if has_gpu_tensors():
        return torch.cuda.mem_get_info()[0]
    fields = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return next(1024 * int(words[1]) for words in fields if words[0] == "MemAvailable:")


def require_memory(layer: Layer, peers: list[str]) -> None:
    """Weights, our packed copy, zentorch's, must fit."""
    copies = 1 + (layer.weight == "frozen") + ("zentorch" in peers)
    # What is made on the way to a copy, and everything else.
    needed = layer.bytes * (copies + 0.7) + (1 << 30)
    need(
        needed <= available(),
        f"--shape {layer.title} --dtype {layer.dtype}",
        f"{needed / 2**30:.0f} GiB of free memory, there are {available() / 2**30:.0f}: divide its sides, "
        f"as --shape {layer.title.split('/')[0]}/4",
    )


def compile_any(run: Run, model: nn.Module, hidden: int, freeze: bool) -> pit.CompiledModule:
    """`model` compiled for any number of tokens."""
    example = torch.zeros(12, hidden, dtype=next(model.parameters()).dtype)
    options = pit.CompileOptions(freeze=freeze)
    return run.compile(
        model, (example,), dynamic_shapes=({0: torch.export.Dim("tokens", min=0)},), options=options
    )


def compile_dense(run: Run, model: nn.Module, hidden: int, freeze: bool) -> pit.CompiledModule:
    """`model` compiled without the rules that find and use sparsity."""

    def without(*args: Any, **kwargs: Any) -> tuple[str, ...]:
        steps = rewrite_pipeline(*args, **kwargs)
        return tuple(step for step in steps if not step.startswith("pit-insert-sparsity"))

    with mock.patch.object(sys.modules["pit_mlir.compile"], "rewrite_pipeline", without):
        return compile_any(run, model, hidden, freeze)


def floor(model: Experts, dtype: str, threads: int, x: Tensor) -> float:
    """Milliseconds that the products, or the weights of the chosen experts, take at least."""
    used = len(model.route(x)[1].unique())
    elements = model.gate[0].numel() * 3
    flops = 2.0 * elements * len(x) * model.chosen
    reading = limits().packed_ms(used * elements * x.element_size())
    return max(limits().compute_ms(flops, dtype, threads), reading)


def refresh(sides: dict[str, Side], layer: Layer) -> None:
    """Frozen programs of ours take what weights are now."""
    for side in sides.values():
        if isinstance(side, pit.CompiledModule) and layer.weight == "frozen":
            side.refresh()


def updated(
    run: Run,
    layer: Layer,
    case: Case,
    model: Experts,
    sides: dict[str, Side],
    tokens: Callable[[], tuple[Tensor]],
) -> None:
    """Each expert gets the weights of the one before, in place: who still answers right?"""
    for weight in (model.gate, model.up, model.down):
        last = weight[-1].clone()
        for number in range(model.experts - 1, 0, -1):
            weight[number].copy_(weight[number - 1])
        weight[0].copy_(last)
    for side in sides.values():
        if isinstance(side, Zentorch):
            side.update()
    refresh(sides, layer)
    case = Case(f"{case.case} updated", case.shape, case.dtype)
    row = run.measure(case, sides, tokens, partial(experts.exact, model), trusted=(OURS,))
    for name, error in row.errors.items():
        if error > TOLERANCE[case.dtype]:
            run.notes[f"{case}: {name} is wrong by {error:.0%} of the largest value"] = None


@functools.lru_cache(maxsize=1)
def model_of(style: str, shape: tuple[int, int, int, int], dtype: str) -> Experts:
    """The model; the last one is kept, as random numbers for billions of weights take long."""
    return STYLES[style](*shape, dtype=DTYPES[dtype]).eval()


def measure(run: Run, layer: Layer, skews: list[str], counts: list[int], updates: bool) -> None:
    """All rows of a layer."""
    hidden, frozen = layer.shape[0], layer.weight == "frozen"
    model = model_of(layer.style, layer.shape, layer.dtype)
    sides: dict[str, Side] = {OURS: compile_any(run, model, hidden, frozen)} | run.others(
        {
            "zentorch": lambda: Zentorch(model),
            "grouped": lambda: partial(experts.grouped, model),
            "gathered": lambda: partial(experts.gathered, model),
            "torch": lambda: model,
            "dense": lambda: compile_dense(run, model, hidden, frozen),
        }
    )

    def tokens(count: int) -> tuple[Tensor]:
        return (torch.randn(count, hidden).to(DTYPES[layer.dtype]),)

    sizes = "x".join(map(str, layer.shape))
    title = layer.title if layer.title == sizes else f"{layer.title} {sizes}"
    for kind in skews:
        experts.skew(model, kind)
        refresh(sides, layer)
        for count in counts:
            keys = keys_of(run, model.route(*tokens(count))[1], layer.shape[2])
            case = Case(f"{layer.style} {layer.weight} {kind}", f"{title} T={count}", layer.dtype)
            run.attempt(
                case,
                lambda case=case, count=count, keys=keys: run.measure(
                    case,
                    sides,
                    partial(tokens, count),
                    partial(experts.exact, model),
                    index=lambda x: partial(keys, model.route(x)[1]),
                    floor=partial(floor, model, layer.dtype, run.threads),
                ),
            )
    if updates:
        case = Case(f"{layer.style} {layer.weight} {skews[-1]}", f"{title} T={counts[-1]}", layer.dtype)
        updated(run, layer, case, model, sides, partial(tokens, counts[-1]))


def main(
    run: Run,
    shape: Annotated[
        list[str], typer.Option(help=f"{', '.join(SHAPES)}, with /4 divided, or numbers. Repeat for more.")
    ] = ["mixtral/4"],
    tokens: Annotated[list[int], typer.Option(help="Tokens of a call. Repeat for more.")] = [1, 16, 64, 256],
    dtype: Dtypes = ["bf16", "f32"],
    weight: Annotated[list[str], typer.Option(help="live, frozen. Repeat for more.")] = ["live"],
    skew: Annotated[
        list[str], typer.Option(help=f"How tokens choose: {', '.join(SKEWS)}. Repeat for more.")
    ] = ["balanced"],
    style: Annotated[list[str], typer.Option(help=f"{', '.join(STYLES)}. Repeat for more.")] = ["combined"],
    update: Annotated[
        bool, typer.Option("--update", help="At the end, update weights in place and compare.")
    ] = False,
) -> None:
    """Measures all combinations."""
    positive(tokens, "--tokens")
    chosen(skew, SKEWS, "--skew")
    layers = [
        Layer(*shape_of(text), kind, type_, kept)
        for text in shape
        for kind in chosen(style, list(STYLES), "--style")
        for type_ in chosen(dtype, list(DTYPES), "--dtype")
        for kept in chosen(weight, ("live", "frozen"), "--weight")
    ]
    for layer in layers:
        require_memory(layer, run.peers)
    for layer in run.each(layers):
        run.attempt(layer, lambda layer=layer: measure(run, layer, skew, tokens, update))


if __name__ == "__main__":
    start(main, "moe", "mixtures of experts", PEERS, ("zentorch", "grouped"))

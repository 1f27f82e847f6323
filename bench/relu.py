"""The product behind a ReLU, over the live columns of its result: `python -m bench.relu --tokens 1 --zeros 0.9 --dtype
bf16`.

The down-projection of a feed-forward layer, T x inputs times inputs x outputs. Where the activation is zero is drawn
anew for every call: anywhere (1x1), in blocks (32x1), in whole rows (`--granularity rows`). The weight is (n, k) as
nn.Linear keeps it, live or frozen, or (k, n). `index ms` is what listing the live columns of each block of rows alone
takes.

Peers: `torch`; `dense`, the same compiler without lists; `gather`, what one writes by hand: the columns that are live
in any row, gathered from both sides, then multiplied; `gather_kn`, the same with a weight that somebody has
transposed before, so that its live rows lie together.

The floor: the operations on live columns, or the bytes of x, of the live part of the weight (frozen or (k, n); else
all of it, as cache lines cannot be halved), and of the result, whichever takes longer.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir
from bench.family import Dtypes, Run, Zeros, block_of, chosen, positive, share, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Side
from bench.twins import block_mask, dense_twin, index_of
from pit_mlir.target import LINE_BYTES

PEERS = ("torch", "dense", "gather", "gather_kn")
WEIGHTS = ("live", "frozen", "kn")


class Down(nn.Module):
    """ReLU, then a projection; its weight is (k, n) if `transposed`."""

    def __init__(self, outputs: int, inputs: int, *, transposed: bool) -> None:
        super().__init__()
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(shape) * inputs**-0.5)
        self.transposed = transposed

    def forward(self, x: Tensor) -> Tensor:
        live = functional.relu(x)
        return live @ self.weight if self.transposed else functional.linear(live, self.weight)

    @property
    def columns(self) -> Tensor:
        """The weight as (k, n)."""
        return self.weight if self.transposed else self.weight.T


def gathered(columns: Tensor, x: Tensor) -> Tensor:
    """By hand: live columns of the activation times live rows of the weight (k, n)."""
    active = functional.relu(x)
    live = active.any(0).nonzero()[:, 0]
    return active.index_select(1, live) @ columns.index_select(0, live)


def block_for(text: str, rows: int) -> tuple[int, int]:
    """The block of `text`, "rows" for whole ones; blocks higher than x are cut."""
    return (1, 1 << 30) if text == "rows" else block_of(text)


def fresh(rows: int, inputs: int, block: tuple[int, int], zeros: float, type_: torch.dtype) -> tuple[Tensor]:
    """x: negative where the ReLU will make a zero."""
    size = torch.rand(rows, inputs) + 0.1
    return (torch.where(block_mask((rows, inputs), block, zeros), size, -size).to(type_),)


def floor(model: Down, frozen: bool, dtype: str, threads: int, x: Tensor) -> float:
    """Milliseconds that operations and bytes need at least."""
    machine, (inputs, outputs) = limits(), model.columns.shape
    share_ = (x > 0).any(0).float().mean().item()
    size = x.element_size()
    bytes_ = inputs * outputs * size
    if frozen:
        reading = machine.packed_ms(bytes_ * share_)
    else:
        together = 1 if model.transposed else LINE_BYTES // size
        reading = machine.read_ms(bytes_ * (1 - (1 - share_) ** together))
    reading += machine.read_ms((x.numel() + len(x) * outputs) * size)
    return max(machine.compute_ms(2.0 * len(x) * inputs * outputs * share_, dtype, threads), reading)


def measure(
    run: Run, model: Down, dtype: str, lies: str, tokens: int, patterns: list[tuple[str, float]]
) -> None:
    """All rows of one model and number of tokens."""
    type_, (inputs, outputs) = DTYPES[dtype], model.columns.shape
    example = (torch.randn(tokens, inputs).to(type_),)
    options = pit_mlir.CompileOptions(freeze=lies == "frozen")
    peers: dict[str, Callable[[], Side]] = {
        "torch": lambda: model,
        "dense": lambda: dense_twin(model, example, options),
        "gather": lambda: partial(gathered, model.columns),
        "gather_kn": lambda: partial(gathered, model.columns.contiguous()),
    }
    sides = {OURS: run.compile(model, example, options=options)} | run.others(peers)
    listed = index_of(run, example[0], segment=0, axis=1, block=min(tokens, 32))
    exact = model.columns.double()
    for text, zeros in patterns:
        case = Case(f"down projection {lies}", f"{tokens}x{inputs}x{outputs}", dtype, zeros, text)
        draw = partial(fresh, tokens, inputs, block_for(text, tokens), zeros, type_)
        run.attempt(
            case,
            lambda case=case, draw=draw: run.measure(
                case,
                sides,
                draw,
                lambda x: functional.relu(x).double() @ exact,
                index=lambda x: partial(listed, functional.relu(x)),
                floor=partial(floor, model, lies == "frozen", dtype, run.threads),
            ),
        )


def main(
    run: Run,
    tokens: Annotated[list[int], typer.Option(help="Rows of x. Repeat for more.")] = [1, 16, 256],
    inputs: Annotated[int, typer.Option(help="Columns of the activation.")] = 11008,
    outputs: Annotated[int, typer.Option(help="Columns of the result.")] = 4096,
    dtype: Dtypes = ["f32", "bf16"],
    granularity: Annotated[
        list[str], typer.Option(help="Blocks that are zero as a whole: 1x1, 32x1, .., rows. Repeat for more.")
    ] = ["1x1"],
    zeros: Zeros = [0.5, 0.9, 0.99],
    weight: Annotated[list[str], typer.Option(help="live, frozen, kn. Repeat for more.")] = [
        "live",
        "frozen",
    ],
) -> None:
    """Measures all combinations."""
    positive([*tokens, inputs, outputs], "--tokens, --inputs, --outputs")
    patterns = [(text, share(value, "--zeros")) for text in granularity for value in zeros]
    for text in granularity:
        block_for(text, 1)
    kinds = itertools.product(
        chosen(dtype, list(DTYPES), "--dtype"), chosen(weight, WEIGHTS, "--weight"), tokens
    )

    def work(type_: str, lies: str, count: int) -> None:
        model = Down(outputs, inputs, transposed=lies == "kn").to(DTYPES[type_]).eval()
        measure(run, model, type_, lies, count, patterns)

    for type_, lies, count in run.each(list(kinds), lambda kind: " ".join(map(str, kind))):
        run.attempt(f"{type_} {lies} {count}", partial(work, type_, lies, count))


if __name__ == "__main__":
    start(main, "relu", "down projection behind a ReLU", PEERS, ("torch", "gather"))

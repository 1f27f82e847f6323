"""Weights under a mask that changes in every call: `python -m bench.pruning --tokens 16 --zeros 0.9 --mask bool`.

x times a weight under a mask, drawn anew for every call; the weight is (n, k) as nn.Linear keeps it, or (k, n), and
the granularity is that of the weight, outputs x inputs. With `--repeated` the mask has one value a block and the
model repeats it. `index ms` is what listing the live parts of the mask alone takes. Ours may not exceed the dense
twin by more than that: notes at the end name the cases that do, beyond what runs of one side differ by.

Peers: `torch`, the masking included; `dense`, the same compiler without lists; `premasked`, torch with a weight that
somebody has masked before.

The floor: the weight and its mask read once, and the operations on live blocks.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from bench.family import Dtypes, Granularities, Run, Zeros, block_of, chosen, need, positive, share, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Row, Side
from bench.twins import block_mask, dense_twin, index_of

PEERS = ("torch", "dense", "premasked")


class Pruned(nn.Module):
    """x times a weight under a mask; the weight is (n, k), or (k, n) if `transposed`; the model repeats `block`."""

    def __init__(self, outputs: int, inputs: int, *, transposed: bool, block: tuple[int, int] | None) -> None:
        super().__init__()
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(shape) * inputs**-0.5)
        self.transposed, self.block = transposed, block

    def masked(self, mask: Tensor) -> Tensor:
        """The weight under `mask`."""
        if self.block is not None:
            mask = mask.repeat_interleave(self.block[0], 0).repeat_interleave(self.block[1], 1)
        return self.weight.masked_fill(~mask, 0.0) if mask.dtype == torch.bool else self.weight * mask

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        weight = self.masked(mask)
        return x @ weight if self.transposed else functional.linear(x, weight)

    def exact(self, x: Tensor, mask: Tensor) -> Tensor:
        """The result in f64."""
        weight = self.masked(mask).double()
        return x.double() @ (weight if self.transposed else weight.T)


@dataclass(frozen=True)
class Layer:
    """A layer to measure: `block` is that of the weight as it lies."""

    tokens: int
    inputs: int
    outputs: int
    dtype: str
    layout: str
    granularity: str
    mask: str
    repeated: bool

    @property
    def transposed(self) -> bool:
        """Whether the weight is (k, n)."""
        return self.layout == "kn"

    @property
    def block(self) -> tuple[int, int]:
        """The block of the weight as it lies."""
        outputs, inputs = block_of(self.granularity)
        return (inputs, outputs) if self.transposed else (outputs, inputs)

    @property
    def weight_shape(self) -> tuple[int, int]:
        """The weight as it lies."""
        return (self.inputs, self.outputs) if self.transposed else (self.outputs, self.inputs)

    def case(self, zeros: float) -> Case:
        """What a row says."""
        words = f"masked weight {self.layout} {'repeated' if self.repeated else self.mask}"
        return Case(words, f"{self.tokens}x{self.inputs}x{self.outputs}", self.dtype, zeros, self.granularity)

    def drawn(self, zeros: float) -> Tensor:
        """A mask."""
        high, wide = self.block
        if self.repeated:
            return block_mask([self.weight_shape[0] // high, self.weight_shape[1] // wide], (1, 1), zeros)
        made = block_mask(self.weight_shape, self.block, zeros)
        return made if self.mask == "bool" else made.to(DTYPES[self.dtype])


def measure(run: Run, layer: Layer, shares: list[float]) -> None:
    """All rows of a layer."""
    block = layer.block if layer.repeated else None
    model = Pruned(layer.outputs, layer.inputs, transposed=layer.transposed, block=block)
    model.to(DTYPES[layer.dtype]).eval()
    x = torch.randn(layer.tokens, layer.inputs).to(DTYPES[layer.dtype])
    args = (x, layer.drawn(0.5))
    whole = model.weight.clone()
    peers: dict[str, Callable[[], Side]] = {
        "torch": lambda: model,
        "dense": lambda: dense_twin(model, args),
        "premasked": lambda: lambda x, _: x @ whole if layer.transposed else functional.linear(x, whole),
    }
    sides = {OURS: run.compile(model, args)} | run.others(peers)
    segment = int(layer.transposed)
    listed = index_of(run, args[1], segment=segment, axis=1 - segment, block=1 if layer.repeated else 32)
    read = limits().read_ms((whole.numel() + args[1].numel()) * whole.element_size())
    flops = 2.0 * layer.tokens * layer.inputs * layer.outputs
    for zeros in shares:
        row: list[Row] = []
        run.attempt(
            layer.case(zeros),
            lambda zeros=zeros, row=row: row.append(
                run.measure(
                    layer.case(zeros),
                    sides,
                    lambda: (x, layer.drawn(zeros)),
                    model.exact,
                    index=lambda _, mask: partial(listed, mask),
                    floor=read + (1 - zeros) * limits().compute_ms(flops, layer.dtype, run.threads),
                    checks={name: side for name, side in sides.items() if name != "premasked"},
                )
            ),
        )
        if row and "dense" in sides:
            bound(run, row[0])


def bound(run: Run, row: Row) -> None:
    """Notes a row whose list costs more than the dense twin and the index, each at its best."""
    assert row.index is not None
    excess = row.ours.min - row.times["dense"].min - row.index.min
    if excess > 0.1 * row.times["dense"].min:
        run.notes[f"{row.case}: {excess:.2f} ms beyond dense and the index"] = None


def main(
    run: Run,
    tokens: Annotated[list[int], typer.Option(help="Rows of x. Repeat for more.")] = [1, 16, 256, 2048],
    inputs: Annotated[int, typer.Option(help="k")] = 2048,
    outputs: Annotated[int, typer.Option(help="n")] = 2048,
    dtype: Dtypes = ["f32", "bf16"],
    granularity: Granularities = ["32x64", "32x1", "1x64", "64x32"],
    zeros: Zeros = [0.0, 0.5, 0.9, 0.95, 0.99],
    layout: Annotated[list[str], typer.Option(help="nk as nn.Linear keeps it, kn. Repeat for more.")] = [
        "nk",
        "kn",
    ],
    mask: Annotated[str, typer.Option(help="The mask's type: same as the weight's, or bool.")] = "same",
    repeated: Annotated[
        bool, typer.Option("--repeated", help="The model repeats a bool mask of blocks.")
    ] = False,
) -> None:
    """Measures all combinations."""
    positive([*tokens, inputs, outputs], "--tokens, --inputs, --outputs")
    chosen([mask], ("same", "bool"), "--mask")
    for text in granularity:
        for side, length, name in zip(block_of(text), (outputs, inputs), ("outputs", "inputs"), strict=True):
            need(length % side == 0, f"--granularity {text}", f"{side} to divide {length} {name}")
    shares = [share(value, "--zeros") for value in zeros]
    layers = [
        Layer(count, inputs, outputs, type_, lies, text, mask, repeated)
        for type_, lies, text, count in itertools.product(
            chosen(dtype, list(DTYPES), "--dtype"),
            chosen(layout, ("nk", "kn"), "--layout"),
            granularity,
            tokens,
        )
    ]
    for layer in run.each(layers, lambda layer: layer.case(0)):
        run.attempt(layer.case(0), lambda layer=layer: measure(run, layer, shares))


if __name__ == "__main__":
    start(main, "pruning", "masked weights", PEERS, ("torch", "dense"))

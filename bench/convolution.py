"""Convolutions against torch, dense and with channels or images that a mask leaves out: `python -m bench.convolution`.

Peers: `torch`; `dense`, the same compiler without lists, where a mask leaves something out.

The floor: the multiplications at the limits of the machine.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from bench.family import Absent, Dtypes, Run, Zeros, chosen, need, share, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Side
from bench.protocol import Case as Measured
from bench.twins import dense_twin

PEERS = ("torch", "dense")
MASKS = ("images", "channels", "filters")


@dataclass(frozen=True)
class Case:
    """A convolution of `images` of `size` x `size` pixels."""

    name: str
    images: int
    channels: int
    filters: int
    size: int
    kernel: int
    stride: int = 1
    groups: int = 1

    def layer(self) -> nn.Conv2d:
        """The module."""
        padding = self.kernel // 2 if self.stride < self.kernel else 0
        return nn.Conv2d(
            self.channels, self.filters, self.kernel, self.stride, padding, groups=self.groups
        ).eval()

    def multiplications(self, result: Tensor) -> int:
        """Products of two numbers that the dense convolution takes."""
        return result.numel() * self.channels // self.groups * self.kernel**2


CASES = (
    Case("3x3  64 at 56", 4, 64, 64, 56, 3),
    Case("3x3 128 at 28", 4, 128, 128, 28, 3),
    Case("3x3 256 at 14", 4, 256, 256, 14, 3),
    Case("3x3 512 at 7", 4, 512, 512, 7, 3),
    Case("3x3 stride 2, 128 at 56", 4, 128, 128, 56, 3, 2),
    Case("1x1 256 to 64 at 56", 4, 256, 64, 56, 1),
    Case("1x1 stride 2, 256 to 512 at 56", 4, 256, 512, 56, 1, 2),
    Case("7x7 stride 2, stem", 4, 3, 64, 224, 7, 2),
    Case("4x4 patches, 96", 4, 3, 96, 224, 4, 4),
    Case("16x16 patches, 384", 4, 3, 384, 224, 16, 16),
    Case("depthwise 3x3, 128 at 28", 4, 128, 128, 28, 3, 1, 128),
    Case("grouped 3x3, 8 of 128 at 28", 4, 128, 128, 28, 3, 1, 8),
)


class Masked(nn.Module):
    """A convolution of which a mask, given with each call, leaves out images, channels of its input or filters."""

    def __init__(self, case: Case, side: str) -> None:
        super().__init__()
        self.layer, self.side = case.layer(), side

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What is left of the convolution."""
        match self.side:
            case "images":
                return self.layer(x) * mask[:, None, None, None]
            case "channels":
                return self.layer(x * mask[:, None, None])
            case _:
                return self.layer(x) * mask[:, None, None]


def named(case: Case, dtype: str, zeros: float | None = None, granularity: str | None = None) -> Measured:
    """What a row says."""
    return Measured(case.name, f"{case.images}x{case.channels}x{case.size}", dtype, zeros, granularity)


def dense(run: Run, case: Case, dtype: str) -> None:
    """One convolution, nothing left out."""
    layer = case.layer().to(DTYPES[dtype])
    exact = copy.deepcopy(layer).double()

    def fresh() -> tuple[Tensor]:
        return (torch.randn(case.images, case.channels, case.size, case.size).to(DTYPES[dtype]),)

    x = fresh()
    operations = 2.0 * case.multiplications(layer(*x))
    sides: dict[str, Side] = {OURS: run.compile(layer, x)} | run.others({"torch": lambda: layer} | NO_TWIN)
    floor = limits().compute_ms(operations, dtype, run.threads)
    run.measure(named(case, dtype), sides, fresh, lambda x: exact(x.double()), floor=floor)


def masked(run: Run, case: Case, side: str, shares: Sequence[float]) -> None:
    """A convolution of which `shares` of the images, channels or filters are zero; all of it by our dense path, too."""
    model = Masked(case, side)
    exact = copy.deepcopy(model).double()
    images = case.images * 4
    count = {"images": images, "channels": case.channels, "filters": case.filters}[side]
    x = torch.randn(images, case.channels, case.size, case.size)
    ours = run.compile(model, (x, torch.ones(count, dtype=torch.bool)))
    whole = {
        "torch": lambda: model,
        "dense": lambda: dense_twin(model, (x, torch.ones(count, dtype=torch.bool))),
    }
    sides: dict[str, Side] = {OURS: ours} | run.others(whole)
    for zeros in shares:
        run.measure(
            named(case, "f32", zeros, side),
            sides,
            lambda zeros=zeros: (x, torch.rand(count) >= zeros),
            lambda x, mask: exact(x.double(), mask),
        )


def no_twin() -> Side:
    """Why there is no dense twin where nothing is sparse."""
    raise Absent("the same as ours where nothing is sparse")


NO_TWIN = {"dense": no_twin}


def main(
    run: Run,
    only: Annotated[str, typer.Option(help="Cases whose name holds this.")] = "",
    dtype: Dtypes = ["f32"],
    mask: Annotated[
        list[str], typer.Option(help=f"What a mask leaves out: {', '.join(MASKS)}; or none.")
    ] = list(MASKS),
    zeros: Zeros = [0.0, 0.5, 0.9],
) -> None:
    """Every case, one line each; the masked ones are of the second."""
    cases = [case for case in CASES if only in case.name]
    need(bool(cases), f"--only {only}", f"part of one of {'; '.join(case.name for case in CASES)}")
    shares = [share(value, "--zeros") for value in zeros]
    masks = chosen([name for name in mask if name != "none"], MASKS, "--mask")
    work = [(f"{case.name} {type_}", partial(dense, run, case, type_)) for type_ in dtype for case in cases]
    work += [
        (f"masked {name}", partial(masked, run, CASES[1], name, shares))
        for name in masks
        if CASES[1] in cases
    ]
    chosen(dtype, list(DTYPES), "--dtype")
    for name, measure in run.each(work, lambda work: work[0]):
        run.attempt(name, measure)


if __name__ == "__main__":
    start(main, "convolution", "convolutions", PEERS, ("torch",))

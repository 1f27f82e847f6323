"""Convolutions against torch, dense and with channels or images that a mask leaves out: `python -m bench.convolution`.

The floor is what the multiplications take at the pace of a large matrix product of torch on this machine.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

import pit_mlir
from bench.before import Row, interleaved, relative_error, show, write


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


def pace() -> float:
    """Multiplications a millisecond of a large product of torch."""
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    taken: list[float] = []
    for _ in range(9):
        start = time.perf_counter()
        torch.mm(left, right)
        taken.append((time.perf_counter() - start) * 1e3)
    return 1024**3 / min(taken)


def dense(case: Case, dtype: torch.dtype, products: float) -> Row:
    """One convolution, nothing left out."""
    layer = case.layer().to(dtype)
    x = torch.randn(case.images, case.channels, case.size, case.size, dtype=dtype)
    expected = layer.double()(x.double())
    layer = layer.to(dtype)
    ours = pit_mlir.compile(layer, (x,))
    times = interleaved({"pit": lambda: ours(x), "torch": lambda: layer(x)})
    error = relative_error(ours(x), expected)
    return Row(f"{case.name} {dtype}", error, times, case.multiplications(expected) / products)


def masked(case: Case, side: str, shares: Sequence[float]) -> list[Row]:
    """A convolution of which `shares` of the images, channels or filters are live; all of it by our dense path, too."""
    model = Masked(case, side)
    x = torch.randn(case.images * 4, case.channels, case.size, case.size)
    count = {"images": len(x), "channels": case.channels, "filters": case.filters}[side]
    ours = pit_mlir.compile(model, (x, torch.ones(count, dtype=torch.bool)))
    whole = pit_mlir.compile(model.layer, (x,))
    rows: list[Row] = []
    for share in shares:
        mask = torch.arange(count) % 10 < share * 10
        expected = model.double()(x.double(), mask)
        model.float()
        sides = {
            "pit": lambda mask=mask: ours(x, mask),
            "pit dense": lambda: whole(x),
            "torch": lambda mask=mask: model(x, mask),
        }
        name = f"{case.name}, {share:.0%} of the {side}"
        rows.append(Row(name, relative_error(ours(x, mask), expected), interleaved(sides)))
    return rows


def main(
    output: Annotated[Path | None, typer.Option(help="Also write the rows here, as JSON.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of both sides.")] = 1,
    only: Annotated[str, typer.Option(help="Cases whose name holds this.")] = "",
    half: Annotated[bool, typer.Option(help="Also in bf16.")] = False,
) -> None:
    """Every case, one line each."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    cases: Sequence[Case] = [case for case in CASES if only in case.name]
    with torch.no_grad():
        products = pace()
        rows = [dense(case, torch.float32, products) for case in cases]
        rows += [dense(case, torch.bfloat16, products) for case in cases if half]
        for side in ("images", "channels", "filters"):
            rows += [row for case in cases if case == CASES[1] for row in masked(case, side, (1.0, 0.5, 0.1))]
    show(f"convolutions, {threads} threads", rows)
    if output is not None:
        write(output, rows)


if __name__ == "__main__":
    typer.run(main)

"""Lists of what is live, and nothing else: `python -m bench.index --shape 4096x4096 --granularity 32x1 --of mask`.

Of a matrix whose blocks of the granularity (rows x columns) are zero or not as a whole, drawn anew for every call,
`pit.detect` lists the live columns of each block of rows; of blocks wider than high, the live rows of each block of
columns. `--of mask` looks at a mask of one byte an element, `--of values` at values of `--dtype`.

Peers: `nonzero`, torch's, of the matrix reduced to one value a block where blocks are larger than 1x1 (the reduction
included); `numpy`, numpy.nonzero, likewise; `sum`, torch's sum of the same bytes: memory read once, nothing listed.

The floor: reading the matrix once.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor

from bench.family import Dtypes, Granularities, Run, Zeros, block_of, chosen, need, share, sides_of, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Side
from bench.twins import block_mask, index_of

PEERS = ("nonzero", "numpy", "sum")
GRID = ["1x1", "16x16", "32x32", "32x1", "1x64"]


@dataclass(frozen=True)
class Pattern:
    """A matrix of `dtype`, "mask" for bytes, and its blocks."""

    rows: int
    columns: int
    dtype: str
    block: tuple[int, int]

    @property
    def by_rows(self) -> bool:
        """Whether a block of rows is a segment; else a block of columns is one."""
        return self.block[0] >= self.block[1]

    @property
    def granularity(self) -> str:
        """`32x1`."""
        return "x".join(map(str, self.block))

    def fresh(self, values: Tensor | None, zeros: float) -> tuple[Tensor]:
        """A matrix."""
        mask = block_mask((self.rows, self.columns), self.block, zeros)
        return (mask if values is None else values * mask.to(values.dtype),)

    def reduced(self, x: Tensor) -> Tensor:
        """One truth value for each block."""
        (rows, columns), (high, wide) = x.shape, self.block
        live = x if x.dtype == torch.bool else x != 0
        if high > 1:
            live = live.view(rows // high, high, columns).any(1)
        return live if wide == 1 else live.view(len(live), columns // wide, wide).any(2)

    def listed(self, x: Tensor) -> Tensor:
        """What ours counts: entries over all segments."""
        (rows, columns), (high, wide) = x.shape, self.block
        live = (x != 0).view(rows // high, high, columns).any(1) if self.by_rows else x != 0
        live = live if self.by_rows else live.view(rows, columns // wide, wide).any(2)
        return live.sum().double()

    def peers(self) -> dict[str, Callable[[], Side]]:
        """What is compared; each is given the matrix."""
        return {
            "nonzero": lambda: lambda x: self.reduced(x).nonzero(),
            "numpy": lambda: lambda x: self.reduced(x).cpu().numpy().nonzero(),
            "sum": lambda: summed,
        }


def summed(x: Tensor) -> Tensor:
    """The sum of `x`, read in words of 8 bytes where it is bytes: what is compared is reading."""
    return x.view(torch.int64).sum() if x.element_size() < 4 else x.sum()


def measure(run: Run, pattern: Pattern, case: Case, zeros: float) -> None:
    """One row."""
    values = None
    if pattern.dtype != "mask":
        values = torch.randn(pattern.rows, pattern.columns).to(DTYPES[pattern.dtype])
    example = pattern.fresh(values, 0.5)[0]
    segment, block = (0, pattern.block[0]) if pattern.by_rows else (1, pattern.block[1])
    ours = index_of(run, example, segment=segment, axis=1 - segment, block=block)
    run.measure(
        case,
        {OURS: ours} | run.others(pattern.peers()),
        partial(pattern.fresh, values, zeros),
        pattern.listed,
        checks={OURS: ours},
        floor=limits().read_ms(example.numel() * example.element_size()),
    )


def main(
    run: Run,
    shape: Annotated[list[str], typer.Option(help="Rows x columns. Repeat for more.")] = ["4096x4096"],
    of: Annotated[list[str], typer.Option(help="mask (bytes), values. Repeat for more.")] = [
        "mask",
        "values",
    ],
    dtype: Dtypes = ["f32"],
    granularity: Granularities = GRID,
    zeros: Zeros = [0.9],
) -> None:
    """Measures all combinations."""
    chosen(of, ("mask", "values"), "--of")
    types = [
        kind for of_ in of for kind in (["mask"] if of_ == "mask" else chosen(dtype, list(DTYPES), "--dtype"))
    ]
    sizes = [sides_of(text, 2, "--shape") for text in shape]
    for size, text in itertools.product(sizes, granularity):
        for length, side, name in zip(size, block_of(text), ("rows", "columns"), strict=True):
            need(length % side == 0, f"--granularity {text}", f"{side} to divide {length} {name}")
    for value in zeros:
        share(value, "--zeros")

    def named(drawn: tuple[Pattern, float]) -> Case:
        pattern, value = drawn
        return Case("index", f"{pattern.rows}x{pattern.columns}", pattern.dtype, value, pattern.granularity)

    found = itertools.product(sizes, types, granularity, zeros)
    patterns = [(Pattern(*size, type_, block_of(text)), value) for size, type_, text, value in found]  # type: ignore[misc]
    for drawn in run.each(patterns, named):
        run.attempt(named(drawn), lambda drawn=drawn: measure(run, drawn[0], named(drawn), drawn[1]))


if __name__ == "__main__":
    start(main, "index", "lists of what is live", PEERS, ("nonzero", "sum"))

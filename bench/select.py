"""How good the choice at run time is: `python -m bench.select --granularity 8x1 --zeros 0.9 --shape 2048x2048x512`.

relu(A) @ B, the zeros of A drawn anew for every call; or A @ relu(B), B the weights of a layer, (columns, depth), with
`--factor second`. `pit` counts the live micro-tiles and chooses by the tile
database; each peer is the same program forced to one candidate: a list for micro-tiles of 8, 16 or 32 rows, or of
64 steps of a row, or `dense`.
No side finds anything in the caches, so that what ran before it does not decide.
The *regret* is what `pit` takes over the best of the candidates, counting and choosing included. The least of several
medians is less than any of them is: so the best of every other round is compared in the rounds between, and the other
way round, by the median of the ratios of a round. A note names the best of each case, its regret, what was followed and
what that takes over the best where it is forced; at last the worst regret of all.
"""

import itertools
import re
import statistics
from collections.abc import Callable
from functools import partial
from typing import Annotated, cast

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir
from bench.family import Dtypes, Run, Zeros, block_of, chosen, need, share, start
from bench.protocol import DTYPES, OURS, Case, Row, Side
from bench.twins import block_mask

CANDIDATES = ("8x1", "16x1", "32x1", "1x64", "dense")
PEERS = (*CANDIDATES, "torch")


class First(nn.Module):
    """The product behind a ReLU."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.relu(a) @ b


class Second(nn.Module):
    """The product with weights behind a ReLU, (columns, depth)."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.linear(a, functional.relu(b))


PRODUCTS: dict[str, Callable[[], nn.Module]] = {"first": First, "second": Second}
"""By the factor that has zeros."""


def fresh(
    shape: tuple[int, int, int], block: tuple[int, int], zeros: float, type_: torch.dtype, factor: str
) -> tuple[Tensor, Tensor]:
    """A and B; of `factor` what the ReLU makes a zero is negative."""
    rows, steps, columns = shape
    sides = (rows if factor == "first" else columns), steps
    size = torch.rand(sides) + 0.1
    sparse = torch.where(block_mask(sides, block, zeros), size, -size).to(type_)
    if factor == "first":
        return sparse, torch.randn(steps, columns).to(type_)
    return torch.randn(rows, steps).to(type_), sparse


def exact(factor: str) -> Callable[[Tensor, Tensor], Tensor]:
    """What is right."""
    return lambda a, b: PRODUCTS[factor]()(a.double(), b.double())


def shape_of(text: str) -> tuple[int, int, int]:
    """Rows, depth and columns of `MxKxN`."""
    need(bool(re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", text)), "--shape", f"MxKxN, got {text!r}")
    rows, steps, columns = map(int, text.split("x"))
    return rows, steps, columns


def regret(row: Row, side: str = OURS) -> tuple[str, float]:
    """The best candidate, and by how much `side` is slower, as above; below 0 where measuring says it is faster."""
    candidates = [name for name in CANDIDATES if name in row.times]
    halves = [slice(start, None, 2) for start in (0, 1)] if len(row.ours.rounds) > 1 else [slice(None)] * 2

    def best(half: slice) -> str:
        return min(candidates, key=lambda name: statistics.median(row.times[name].rounds[half]))

    def ratios(known: str, half: slice) -> list[float]:
        pairs = zip(row.times[side].rounds[half], row.times[known].rounds[half], strict=True)
        return [ours / theirs for ours, theirs in pairs]

    one, other = halves
    over = ratios(best(one), other) + ratios(best(other), one)
    return best(slice(None)), statistics.median(over) - 1


def followed(side: Side, draw: Callable[[], tuple[Tensor, ...]]) -> str:
    """What a call of our `side` follows on arguments like those that were measured."""
    sample = cast(pit_mlir.CompiledModule, side).explain(*draw()).sample
    assert sample is not None, "explain() was given arguments"
    return sample.choices[0].followed.name


def main(
    run: Run,
    shape: Annotated[list[str], typer.Option(help="MxKxN. Repeat for more.")] = [
        "2048x2048x512",
        "256x4096x1024",
    ],
    dtype: Dtypes = ["f32"],
    granularity: Annotated[
        list[str], typer.Option(help="Blocks that are zero as a whole. Repeat for more.")
    ] = [
        "1x1",
        "2x1",
        "4x1",
        "8x1",
        "16x1",
        "32x1",
        "1x64",
        "32x64",
    ],
    zeros: Zeros = [0.0, 0.5, 0.9, 0.95, 0.99],
    factor: Annotated[
        list[str], typer.Option(help=f"{', '.join(PRODUCTS)}: which has zeros. Repeat for more.")
    ] = ["first"],
) -> None:
    """Measures all combinations."""
    patterns = [(text, block_of(text), share(value, "--zeros")) for text in granularity for value in zeros]
    kinds = list(
        itertools.product(
            chosen(dtype, list(DTYPES), "--dtype"),
            map(shape_of, shape),
            chosen(factor, list(PRODUCTS), "--factor"),
        )
    )
    found: list[float] = []
    picked: list[float] = []

    def work(name: str, sizes: tuple[int, int, int], which: str) -> None:
        type_, product = DTYPES[name], PRODUCTS[which]
        example = fresh(sizes, (1, 1), 0.5, type_, which)

        def side(select: str) -> Side:
            return pit_mlir.compile(product(), example, options=pit_mlir.CompileOptions(select=select))

        peers = {candidate: partial(side, candidate) for candidate in CANDIDATES} | {"torch": product}
        sides = {OURS: side("")} | run.others(peers)
        for text, block, share_ in patterns:
            case = Case(f"select, {which}", "x".join(map(str, sizes)), name, share_, text)
            draw = partial(fresh, sizes, block, share_, type_, which)
            row = run.measure(case, sides, draw, exact(which), cold=True)
            if any(candidate in row.times for candidate in CANDIDATES):
                best, over = regret(row)
                found.append(over)
                note = f"{case}: best {best}, regret {over:+.0%}"
                if (name_ := followed(sides[OURS], draw)) in row.times:
                    picked.append(regret(row, name_)[1])
                    note += f"; followed {name_}, {picked[-1]:+.0%} where forced"
                run.notes[note] = None

    for name, sizes, which in run.each(kinds, lambda kind: f"{kind[0]} {kind[1]} {kind[2]}"):
        run.attempt(f"{name} {sizes} {which}", partial(work, name, sizes, which))
    if picked:
        small = sum(over <= 0.1 for over in picked)
        run.notes[f"what was followed is within 10 % in {small} of {len(picked)} cases"] = None
    if found:
        small = sum(over <= 0.1 for over in found)
        run.notes[f"worst regret {max(found):+.0%}; at most 10 % in {small} of {len(found)} cases"] = None


if __name__ == "__main__":
    start(main, "select", "the choice at run time", PEERS, PEERS)

"""How good the choice at run time is: `python -m bench.select --granularity 8x1 --zeros 0.9 --shape 2048x2048x512`.

relu(A) @ B, the zeros of A drawn anew for every call. `pit` counts the live micro-tiles and chooses by the tile
database; each peer is the same program forced to one candidate: a list for micro-tiles of 8, 16 or 32 rows, or of
64 steps of a row, or `dense`.
No side finds anything in the caches, so that what ran before it does not decide.
The *regret* is what `pit` takes over the best of the candidates, counting and choosing included; a note names the best
of each case, its regret, and the worst regret of all. Part of it is what the machine does meanwhile: the note says as
well what was followed, and what that takes over the best where it is forced.
"""

import itertools
import re
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


class Product(nn.Module):
    """The product behind a ReLU."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.relu(a) @ b


def fresh(
    shape: tuple[int, int, int], block: tuple[int, int], zeros: float, type_: torch.dtype
) -> tuple[Tensor, Tensor]:
    """A, negative where the ReLU makes a zero, and B."""
    rows, steps, columns = shape
    size = torch.rand(rows, steps) + 0.1
    a = torch.where(block_mask((rows, steps), block, zeros), size, -size)
    return a.to(type_), torch.randn(steps, columns).to(type_)


def exact(a: Tensor, b: Tensor) -> Tensor:
    """What is right."""
    return functional.relu(a).double() @ b.double()


def shape_of(text: str) -> tuple[int, int, int]:
    """Rows, depth and columns of `MxKxN`."""
    need(bool(re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", text)), "--shape", f"MxKxN, got {text!r}")
    rows, steps, columns = map(int, text.split("x"))
    return rows, steps, columns


def regret(row: Row) -> tuple[str, float]:
    """The best candidate, and by how much ours is slower; below 0 where measuring says it is faster."""
    medians = {name: row.times[name].median for name in CANDIDATES if name in row.times}
    best = min(medians, key=lambda name: medians[name])
    return best, row.ours.median / medians[best] - 1


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
) -> None:
    """Measures all combinations."""
    patterns = [(text, block_of(text), share(value, "--zeros")) for text in granularity for value in zeros]
    kinds = list(itertools.product(chosen(dtype, list(DTYPES), "--dtype"), map(shape_of, shape)))
    found: list[float] = []
    picked: list[float] = []

    def work(name: str, sizes: tuple[int, int, int]) -> None:
        type_, example = DTYPES[name], fresh(sizes, (1, 1), 0.5, DTYPES[name])

        def side(select: str) -> Side:
            return pit_mlir.compile(Product(), example, options=pit_mlir.CompileOptions(select=select))

        peers = {candidate: partial(side, candidate) for candidate in CANDIDATES} | {"torch": Product}
        sides = {OURS: side("")} | run.others(peers)
        for text, block, share_ in patterns:
            case = Case("select", "x".join(map(str, sizes)), name, share_, text)
            draw = partial(fresh, sizes, block, share_, type_)
            row = run.measure(case, sides, draw, exact, cold=True)
            if any(candidate in row.times for candidate in CANDIDATES):
                best, over = regret(row)
                found.append(over)
                note = f"{case}: best {best}, regret {over:+.0%}"
                if (name_ := followed(sides[OURS], draw)) in row.times:
                    picked.append(row.times[name_].median / row.times[best].median - 1)
                    note += f"; followed {name_}, {picked[-1]:+.0%} where forced"
                run.notes[note] = None

    for name, sizes in run.each(kinds, lambda kind: f"{kind[0]} {kind[1]}"):
        run.attempt(f"{name} {sizes}", partial(work, name, sizes))
    if picked:
        small = sum(over <= 0.1 for over in picked)
        run.notes[f"what was followed is within 10 % in {small} of {len(picked)} cases"] = None
    if found:
        small = sum(over <= 0.1 for over in found)
        run.notes[f"worst regret {max(found):+.0%}; at most 10 % in {small} of {len(found)} cases"] = None


if __name__ == "__main__":
    start(main, "select", "the choice at run time", PEERS, PEERS)

"""Weights under a mask that changes in every call: `python -m bench.pruning --rows 16 --zeros 0.9 --mask bool`.

Sides: ours; the same compiler without lists; torch, the masking included; and the making of the index alone, which is
part of ours. A case is type, layout of the weight, block of the mask, rows, share of zeros. With `--repeated` the mask
has one value a block and the model repeats it. Ours may not exceed the dense twin by more than the index takes: the
last line names the cases that do, beyond what runs of one side differ by.
"""

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir
from bench.before import ROUNDS, Row, interleaved, relative_error, show, write
from bench.twins import block_mask, dense_twin, index_of

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
MASKS = 4
"""Masks that calls take in turn."""


class Pruned(nn.Module):
    """x times a weight under a mask; the weight is (n, k), or (k, n) if `transposed`."""

    def __init__(self, outputs: int, inputs: int, *, transposed: bool, block: tuple[int, int] | None) -> None:
        super().__init__()
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(shape) * inputs**-0.5)
        self.transposed, self.block = transposed, block

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.block is not None:
            mask = mask.repeat_interleave(self.block[0], 0).repeat_interleave(self.block[1], 1)
        weight = self.weight.masked_fill(~mask, 0.0) if mask.dtype == torch.bool else self.weight * mask
        return x @ weight if self.transposed else functional.linear(x, weight)


def sides_of(block: str) -> tuple[int, int]:
    """`32x64` as numbers, outputs first."""
    outputs, inputs = block.split("x")
    return int(outputs), int(inputs)


def case(
    model: Pruned, name: str, rows: int, zeros: list[float], block: tuple[int, int], mask: str, cpu_time: bool
) -> list[Row]:
    """The rows of the table of one model, one for each share of zeros; `block` is that of the weight as it lies."""
    shape = list(model.weight.shape)
    x = torch.randn(rows, shape[0] if model.transposed else shape[1]).to(model.weight.dtype)

    def drawn(share: float) -> Tensor:
        if model.block is not None:
            return block_mask([-(-s // b) for s, b in zip(shape, block, strict=True)], (1, 1), share)
        made = block_mask(shape, block, share)
        return made if mask == "bool" else made.to(model.weight.dtype)

    args = (x, drawn(0.5))
    ours, dense = pit_mlir.compile(model, args), dense_twin(model, args)
    found: list[Row] = []
    for share in zeros:
        masks = [drawn(share) for _ in range(MASKS)]
        error = max(relative_error(ours(x, m), exact(model, x, m)) for m in masks)
        index = index_of(masks[0], segment=int(model.transposed), axis=1 - int(model.transposed), block=32)
        sides = {
            side: in_turn(run, x, masks) for side, run in (("ours", ours), ("dense", dense), ("torch", model))
        }
        clock = time.thread_time if cpu_time else time.perf_counter
        times = interleaved({**sides, "index": index}, ROUNDS, clock)
        found.append(Row(f"{name} rows={rows} zeros={share}", error, times))
    return found


def in_turn(run: Callable[..., object], x: Tensor, masks: Sequence[Tensor]) -> Callable[[], object]:
    """Calls `run` with `x` and each of `masks` in turn."""
    turns = cycle(masks)
    return lambda: run(x, next(turns))


def exact(model: Pruned, x: Tensor, mask: Tensor) -> Tensor:
    """The result in f64."""
    weight = model.weight.double()
    if model.block is not None:
        mask = mask.repeat_interleave(model.block[0], 0).repeat_interleave(model.block[1], 1)
    weight = weight * mask.double()
    return x.double() @ (weight if model.transposed else weight.T)


def excess(row: Row) -> float:
    """By how many milliseconds ours exceeds the dense twin and the index, each at its best."""
    return row.times["ours"].least - row.times["dense"].least - row.times["index"].least


def main(
    outputs: Annotated[int, typer.Option(help="rows of a weight (n, k)")] = 2048,
    inputs: Annotated[int, typer.Option(help="k")] = 2048,
    rows: Annotated[list[int] | None, typer.Option(help="rows of x")] = None,
    zeros: Annotated[list[float] | None, typer.Option(help="shares of zeros")] = None,
    block: Annotated[list[str] | None, typer.Option(help="blocks of the mask, outputs x inputs")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="f32, bf16")] = None,
    layout: Annotated[list[str] | None, typer.Option(help="nk as nn.Linear keeps it, kn")] = None,
    mask: Annotated[str, typer.Option(help="the mask's type: same as the weight's, or bool")] = "same",
    repeated: Annotated[bool, typer.Option(help="the model repeats a mask of blocks")] = False,
    cpu_time: Annotated[
        bool, typer.Option(help="one thread, its own time: for a machine with others on it")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="where to write the rows as JSON")] = None,
) -> None:
    """Prints the table of all combinations."""
    torch.manual_seed(0)
    if cpu_time:
        torch.set_num_threads(1)
    found: list[Row] = []
    with torch.no_grad():
        for name in type_ or list(DTYPES):
            for order in layout or ["nk", "kn"]:
                for text in block or ["32x64", "32x1", "1x64", "64x32"]:
                    for count in rows or [1, 16, 256, 2048]:
                        high, wide = sides_of(text)
                        shape = (wide, high) if order == "kn" else (high, wide)
                        model = Pruned(
                            outputs, inputs, transposed=order == "kn", block=shape if repeated else None
                        )
                        model.to(DTYPES[name]).eval()
                        kind = "bool" if repeated else mask
                        shares = zeros or [0.0, 0.5, 0.9, 0.95, 0.99]
                        found += case(model, f"{name} {order} {text}", count, shares, shape, kind, cpu_time)
    show("masked weights", found)
    over = [
        f"{row.case} by {excess(row):.2f} ms" for row in found if excess(row) > 0.1 * row.times["dense"].least
    ]
    print("beyond dense + index by a tenth of dense:", "; ".join(over) or "none")
    if output is not None:
        write(output, found)


if __name__ == "__main__":
    typer.run(main)

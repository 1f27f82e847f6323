"""The product behind a ReLU, over the live columns of its result: `python -m bench.relu --rows 16 --zeros 0.9`.

Sides: ours; the same compiler without lists; torch; and the making of the index alone, which is part of ours. A case is
type, how the weight lies, rows, where the zeros are, their share. The weight is (n, k) as nn.Linear keeps it, live or
frozen, or (k, n). The zeros are anywhere, in blocks of 32 rows by one column, or in whole rows.
"""

import time
from functools import partial
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
BLOCKS = {"anywhere": (1, 1), "32x1": (32, 1), "rows": (1, 1 << 30)}


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


def case(
    model: Down, name: str, rows: int, zeros: list[float], kinds: list[str], freeze: bool, cpu_time: bool
) -> list[Row]:
    """The rows of the table of one model."""
    type_, inputs = model.weight.dtype, model.weight.shape[0 if model.transposed else 1]
    options = pit_mlir.CompileOptions(freeze=freeze)
    example = (torch.randn(rows, inputs).to(type_),)
    ours, dense = pit_mlir.compile(model, example, options=options), dense_twin(model, example, options)
    weight = model.weight.double() if model.transposed else model.weight.double().T
    found: list[Row] = []
    for kind in kinds:
        for share in zeros:
            size = torch.rand(rows, inputs) + 0.1
            x = torch.where(block_mask((rows, inputs), BLOCKS[kind], share), size, -size).to(type_)
            index = index_of(functional.relu(x), segment=0, axis=1, block=min(rows, 32))
            sides = {"ours": partial(ours, x), "dense": partial(dense, x), "torch": partial(model, x)}
            clock = time.thread_time if cpu_time else time.perf_counter
            times = interleaved({**sides, "index": index}, ROUNDS, clock)
            error = relative_error(ours(x), functional.relu(x).double() @ weight)
            found.append(Row(f"{name} rows={rows} {kind} zeros={share}", error, times))
    return found


def main(
    outputs: Annotated[int, typer.Option(help="columns of the result")] = 4096,
    inputs: Annotated[int, typer.Option(help="columns of the activation")] = 11008,
    rows: Annotated[list[int] | None, typer.Option(help="rows of x")] = None,
    zeros: Annotated[list[float] | None, typer.Option(help="shares of zeros")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="anywhere, 32x1, rows")] = None,
    type_: Annotated[list[str] | None, typer.Option("--type", help="f32, bf16")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="live, frozen, kn")] = None,
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
            for lies in weight or ["live", "frozen", "kn"]:
                for count in rows or [1, 16, 256]:
                    model = Down(outputs, inputs, transposed=lies == "kn").to(DTYPES[name]).eval()
                    shares, kinds = zeros or [0.0, 0.5, 0.9, 0.99], kind or list(BLOCKS)
                    found += case(model, f"{name} {lies}", count, shares, kinds, lies == "frozen", cpu_time)
    show("down projection behind a ReLU", found)
    if output is not None:
        write(output, found)


if __name__ == "__main__":
    typer.run(main)

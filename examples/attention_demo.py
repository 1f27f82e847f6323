"""What the examples of sparse attention share: compile, compare with torch, time, draw who looks at whom."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from torch import Tensor, nn

import pit_mlir as pit

ROUNDS = 3
SHADES = " ░▒▓█"
TOLERANCE = 1e-4


class Attention(nn.Module):
    """Attention of several heads, dense as torch writes it: `live` says which key each query sees."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, context: Tensor, live: Tensor) -> Tensor:
        """`x` (batch, queries, dim) looks at `context` (batch, keys, dim) where `live` (.., queries, keys) is true."""
        q, k, v = (
            projection(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, source in ((self.query, x), (self.key, context), (self.value, context))
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=live)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Sequential):
    """Two projections with a GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))


def picture(live: Tensor, rows: int = 24) -> str:
    """Queries down, keys across; the darker a place, the more of its pairs are live."""
    share = nn.functional.adaptive_avg_pool2d(live.float()[None], (rows, 2 * rows))[0]
    steps = (share.sqrt() * (len(SHADES) - 1)).ceil().long().tolist()
    return "\n".join("".join(SHADES[step] for step in row) for row in steps)


def median_times(runs: Sequence[Callable[[], object]]) -> list[float]:
    """Median milliseconds of each of `runs`, called in turn after a warm-up."""
    taken: list[list[float]] = [[] for _ in runs]
    for number in range(ROUNDS + 1):
        for run, times in zip(runs, taken, strict=True):
            begin = time.perf_counter()
            run()
            if number:
                times.append(1e3 * (time.perf_counter() - begin))
    return [statistics.median(times) for times in taken]


def demonstrate(title: str, model: nn.Module, inputs: tuple[Tensor, ...], live: Tensor) -> None:
    """Compiles `model`, compares it with torch on `inputs` and prints the times, and `live`, who looks at whom.

    Raises `SystemExit` where the results differ by more than `TOLERANCE` of the largest.
    """
    console = Console()
    with torch.inference_mode():
        begin = time.perf_counter()
        compiled = pit.compile(model, inputs)
        seconds = time.perf_counter() - begin
        expected = model(*inputs)
        error = ((compiled(*inputs) - expected).abs().max() / expected.abs().max()).item()
        ours, dense = median_times([lambda: compiled(*inputs), lambda: model(*inputs)])
    console.print(Panel.fit(picture(live), title=f"{title}: queries down, keys across"))
    table = Table("", "ms", "times as fast", box=None)
    table.add_row("torch, dense", f"{dense:.1f}", "1.00")
    table.add_row("pit_mlir", f"{ours:.1f}", f"{dense / ours:.2f}")
    console.print(table)
    console.print(
        f"{100 * live.float().mean().item():.1f} % of the pairs are live; "
        f"largest difference {error:.0e} of the largest value; compiled in {seconds:.1f} s"
    )
    if error > TOLERANCE:
        raise SystemExit(f"results differ by {error:.0e}, expected at most {TOLERANCE:.0e}")

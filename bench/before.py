"""How sides are compared: in one process, runs interleaved, medians, outputs checked before anything is timed.

Absolute times of a shared machine mean little; ratios of runs that took turns do.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

ROUNDS = 9
WARM_UP = 2
WIDTH = 200
"""Columns of a table in a file or a pipe."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of one side."""

    least: float
    median: float
    most: float


@dataclass(frozen=True)
class Row:
    """One case: `times` by side, the first being ours; `error` relative to the largest value of the dense result.

    `floor`: the milliseconds that bytes and operations need on this machine at least, None where nobody worked it out.
    """

    case: str
    error: float
    times: Mapping[str, Times]
    floor: float | None = None

    def ratio(self, side: str) -> float:
        """How many times faster than `side` ours is."""
        ours, other = next(iter(self.times.values())), self.times[side]
        return other.median / ours.median


def interleaved(
    sides: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """The times of `sides`, called in turn, `rounds` times after a warm-up.

    Each round starts with another side: what the one before leaves in the caches would favour always the same.
    `clock` may be `time.thread_time` where sides run on one thread: others of the machine then count less.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + WARM_UP):
        turn = list(sides.items())
        first = number % len(turn)
        for name, run in (*turn[first:], *turn[:first]):
            start = clock()
            run()
            if number >= WARM_UP:
                taken[name].append((clock() - start) * 1e3)
    return {name: Times(min(ms), statistics.median(ms), max(ms)) for name, ms in taken.items()}


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest expected value; `expected` is best of a wider type."""
    if expected.numel() == 0:
        return 0.0
    difference = (actual.to(expected.dtype) - expected).abs().max()
    return (difference / expected.abs().max().clamp_min(1e-30)).item()


def show(title: str, rows: Sequence[Row]) -> None:
    """Prints one line a case: the median of each side, how many times faster ours is, the error."""
    table = Table(title=title, title_justify="left")
    sides = list(dict.fromkeys(name for row in rows for name in row.times))
    table.add_column("case")
    for name in sides:
        table.add_column(f"{name} ms", justify="right")
    for name in sides[1:]:
        table.add_column(f"over {name}", justify="right")
    table.add_column("over floor", justify="right")
    table.add_column("error", justify="right")
    for row in rows:
        times = [f"{row.times[name].median:.3f}" if name in row.times else "" for name in sides]
        ratios = [f"{row.ratio(name):.2f}x" if name in row.times else "" for name in sides[1:]]
        ours = next(iter(row.times.values())).median
        floor = f"{ours / row.floor:.2f}" if row.floor else ""
        table.add_row(row.case, *times, *ratios, floor, f"{row.error:.0e}")
    console = Console()
    # Figures that are cut are of no use: what is not a terminal has room.
    (console if console.is_terminal else Console(width=WIDTH)).print(table)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Writes `rows` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")

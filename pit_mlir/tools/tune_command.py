"""`pit-mlir tune`: measures what steps cost on this machine, and keeps it for all later compilations."""

import os
import statistics
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pit_mlir.analysis.tiles import UNITS, Database, measured_path, save, shipped
from pit_mlir.errors import PitError
from pit_mlir.tools.terminal import drawn, show
from pit_mlir.tools.tune import SPREAD, SWEEPS, Measured, measure, solve, steps_of

BUSY = 0.5
"""A load of the machine, before anything is measured, with which figures are not trusted."""


def run(output: str | None, sweeps: int = SWEEPS) -> int:
    """Measures, writes the database to `output`, or where compilations look for it, and shows it; the exit status.

    An interrupt leaves what was there.
    """
    path = measured_path() if output is None else Path(output)
    try:
        start, load = time.monotonic(), os.getloadavg()[0]
        runs = measured(sweeps)
        found = save(path, solve(runs, shipped().costs))
        return show(drawn(table_of(found, shipped())) + summary(found, runs, time.monotonic() - start, load))
    except KeyboardInterrupt:
        print("pit-mlir: interrupted, nothing was written", file=sys.stderr)
        return 130
    except PitError as error:
        print(f"pit-mlir: error: {error.message}", file=sys.stderr)
        return 1


def measured(sweeps: int) -> list[Measured]:
    """All runs, with a bar on standard error while they go on."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("compiling", total=steps_of(sweeps))
        return measure(lambda phase: bar.update(task, advance=1, description=phase), sweeps)


def table_of(found: Database, before: Database) -> Table:
    """What was found, beside what is shipped."""
    table = Table(box=None, pad_edge=False)
    for title in ("unit", "ps", "shipped", "change"):
        table.add_column(title, justify="left" if title == "unit" else "right")
    table.add_column("is")
    for unit, text in UNITS.items():
        here, there = found.costs[unit], before.costs[unit]
        table.add_row(unit, f"{here:.2f}", f"{there:.2f}", f"{here / there - 1:+.0%}", text)
    return table


def summary(found: Database, runs: list[Measured], seconds: float, load: float) -> str:
    """How sure the figures are, and where they went."""
    spread = statistics.median(run.spread for run in runs)
    text = f"{found.source}: {len(runs)} runs in {seconds:.0f} s, sweeps differ by {spread:.0%}\n"
    if spread > SPREAD or load > BUSY:
        text += f"others use this machine (load {load:.1f} before): measure again when it is quiet\n"
    return text

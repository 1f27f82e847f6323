"""Where results lie, and how they look: `bench/results/<machine>/<family>.json`, a list of rows; a table."""

import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import machine_name
from bench.protocol import OURS, Row

RESULTS = Path(__file__).parent / "results"
WIDTH = 200
"""Columns of a table in a file or a pipe."""
PACKAGES = ("pit-mlir", "torch", "zentorch", "transformers")
KEYS = (
    *("case", "shape", "dtype", "zeros", "granularity", "peer", "peer_ms", "pit_ms", "index_ms"),
    *("ratio", "max_error", "floor_ms"),
)
"""What every row has."""


def versions() -> str:
    """What took part, as "torch 2.13.0, .."."""
    found: list[str] = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def flat(rows: Sequence[Row], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`rows` as they are written, each with the `settings` of its run."""
    about = {**settings, "machine": machine_name(), "versions": versions()}
    return [{**line, **about} for row in rows for line in row.flat()]


def write(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes `lines` as JSON; a file that is there is replaced at once, never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(list(lines), indent=1) + "\n")
    partial.replace(path)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; none if it is not there."""
    return json.loads(path.read_text()) if path.exists() else []


def table(title: str, rows: Sequence[Row]) -> Table:
    """One line a case: medians of each side, how many times faster ours is, over the floor, and the error."""
    made = Table(title=title, title_justify="left")
    peers = list(dict.fromkeys(name for row in rows for name in row.peers))
    compared = [name for name in peers if any(row.compares for row in rows)]
    has_index = any(row.index for row in rows)
    has_floor = any(row.floor and row.compares for row in rows)
    figures = list(dict.fromkeys(name for row in rows for name in row.figures))
    made.add_column("case")
    heads = [f"{OURS} ms", *(["index ms"] if has_index else []), *(f"{name} ms" for name in peers)]
    heads += [f"x {name}" for name in compared] + (["x floor"] if has_floor else []) + figures + ["error"]
    for head in heads:
        made.add_column(head, justify="right")
    for row in rows:
        cells = [number(row.ours.median)]
        cells += [number(row.index.median) if row.index else ""] if has_index else []
        cells += [number(row.times[name].median) if name in row.times else "" for name in peers]
        cells += [f"{row.ratio(name):.2f}" if name in row.times else "" for name in compared]
        cells += [f"{row.ours.median / row.floor:.2f}" if row.floor else ""] if has_floor else []
        cells += [number(row.figures[name]) if name in row.figures else "" for name in figures]
        made.add_row(str(row.case), *cells, f"{row.errors.get(OURS, 0.0):.0e}")
    return made


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def show(title: str, rows: Sequence[Row]) -> None:
    """Prints the table of `rows`."""
    console = Console()
    # Figures that are cut are of no use: what is not a terminal has room.
    (console if console.is_terminal else Console(width=WIDTH)).print(table(title, rows))

"""Holds results against what was aimed at, in docs/performance.md: `python -m bench.goals [--machine NAME] [--write]`.

Nothing is measured: it reads the files of `make bench`. Without `--write` the table is printed only; with it the other
tables of rows (`bench/tables.py`) are written, too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.figures import machine_folder, rows_of
from bench.tables import TABLES

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
Line = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """What `value` of the rows of some files that `fits` should be: at least `bound`, or at most."""

    text: str
    files: tuple[str, ...]
    bound: float
    fits: Callable[[Line], bool]
    value: Callable[[Line], float] = lambda row: row["ratio"]
    unit: str = "x"
    at_most: bool = False

    def met(self, row: Line) -> bool:
        """Whether a row is as wanted."""
        return self.value(row) <= self.bound if self.at_most else self.value(row) >= self.bound


def over(peer: str, **wanted: Any) -> Callable[[Line], bool]:
    """Rows against `peer` whose entries are as `wanted`."""
    return lambda row: row["peer"] == peer and all(row[key] == value for key, value in wanted.items())


def near_floor(row: Line) -> float:
    """The floor as a share of our time."""
    return row["floor_ms"] / row["pit_ms"]["median"]


def of_weight(kind: str, peer: str) -> Callable[[Line], bool]:
    """Rows of experts whose weights are live or frozen."""
    return lambda row: row["peer"] == peer and f" {kind} " in row["case"] and "updated" not in row["case"]


def down(peer: str) -> Callable[[Line], bool]:
    """Rows of the down projection with nine of ten zeros, its weight frozen."""
    return over(peer, zeros=0.9, case="down projection frozen")


def grid() -> list[Goal]:
    """The sparse product with blocks, and with single zeros."""
    bounds = {0.5: 1.75, 0.9: 7.0, 0.95: 11.0, 0.99: 22.0}
    found = [
        Goal(
            f"product, blocks, {zeros:.0%} zeros, over torch dense",
            ("matmul",),
            bound,
            over("torch", zeros=zeros),
        )
        for zeros, bound in bounds.items()
    ]
    found.append(
        Goal(
            "product, 1x1, any zeros, over torch dense",
            ("matmul-fine",),
            0.95,
            over("torch", granularity="1x1"),
        )
    )
    fine = Goal(
        "product, 1x1 to 8x1, from 90 % zeros, of the floor",
        ("matmul-fine",),
        0.75,
        lambda row: row["peer"] == "torch" and row["zeros"] >= 0.9,
        near_floor,
        "",
    )
    return [*found, fine]


EXPERTS = ("moe", "moe-f32")
BLOCKS = "128x128"
GOALS = [
    Goal("dense f32, 256 to 4096, over torch", ("dense", "dense-large"), 1.05, over("torch", dtype="f32")),
    Goal("dense bf16, 256 to 4096, over torch", ("dense", "dense-large"), 1.0, over("torch", dtype="bf16")),
    *grid(),
    Goal("experts, frozen, over zentorch", EXPERTS, 1.0, of_weight("frozen", "zentorch")),
    Goal("experts, frozen, over grouped_mm", EXPERTS, 1.3, of_weight("frozen", "grouped")),
    Goal("experts, live, over zentorch", EXPERTS, 0.9, of_weight("live", "zentorch")),
    Goal("ReLU, one token, frozen, 90 % zeros, over torch dense", ("relu",), 7.0, down("torch")),
    Goal("ReLU, one token, frozen, 90 % zeros, over a gather by hand", ("relu",), 2.0, down("gather_kn")),
    Goal("padded BERT-base, half filled, over torch", ("padding",), 1.9, over("torch")),
    Goal("padded BERT-base, half filled, over packing by hand", ("padding",), 1.0, over("packed")),
    Goal(
        "attention, blocks, f32, over FlexAttention", ("attention",), 1.2,
        over("flex", dtype="f32", granularity=BLOCKS),
    ),
    Goal(
        "attention, blocks, bf16, over FlexAttention", ("attention",), 1.8,
        over("flex", dtype="bf16", granularity=BLOCKS),
    ),
    Goal(
        "index of a byte mask of 4096 x 4096", ("index",), 1.0, over("nonzero", dtype="mask"),
        lambda row: row["pit_ms"]["median"], " ms", at_most=True,
    ),
    Goal("index of f32 values, of read bandwidth", ("index",), 0.8, over("nonzero", dtype="f32"), near_floor, ""),
    Goal(
        "a call of a tiny model", ("models",), 20.0, lambda row: "call us" in row,
        lambda row: row["call us"], " us", at_most=True,
    ),
    Goal(
        "compiling BERT-base", ("models",), 10.0, lambda row: row["case"].startswith("bert"),
        lambda row: row["compile s"], " s", at_most=True,
    ),
    Goal(
        "compiling BERT-base again, beyond the export", ("models",), 0.5, lambda row: row["case"].startswith("bert"),
        lambda row: row["again s"] - row["export s"], " s", at_most=True,
    ),
    Goal(
        "memory over torch's", ("models",), 1.15, lambda row: "torch MiB" in row and row["case"] != "tiny",
        lambda row: row["MiB"] / row["torch MiB"], "x", at_most=True,
    ),
]  # fmt: skip


def number(value: float, unit: str) -> str:
    """Three digits; a share without a unit as percent."""
    return f"{value:.0%}" if not unit else f"{value:.3g}{unit}"


def told(goal: Goal, folder: Path) -> str:
    """The line of one goal."""
    rows = [row for row in rows_of(folder, *goal.files) if goal.fits(row)]
    wanted = f"{'at most' if goal.at_most else 'at least'} {number(goal.bound, goal.unit)}"
    if not rows:
        return f"| {goal.text} | {wanted} | not measured | |"
    values = sorted((goal.value(row) for row in rows), reverse=goal.at_most)
    ends = list(dict.fromkeys(number(value, goal.unit) for value in (values[0], values[-1])))
    missed = [row for row in rows if not goal.met(row)]
    count = "yes" if not missed else f"{len(rows) - len(missed)} of {len(rows)}"
    return f"| {goal.text} | {wanted} | {' to '.join(ends)} | {count} |"


def table(folder: Path) -> str:
    """All goals in Markdown, with what missed below."""
    head = ["| goal | wanted | measured, worst to best | met |", "|---|---|---|---|"]
    return "\n".join([*head, *(told(goal, folder) for goal in GOALS)])


def main(
    machine: Annotated[str, typer.Option(help="Whose results; this machine's by default.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Put the table into docs/performance.md.")] = False,
) -> None:
    """Prints the table."""
    folder = machine_folder(machine)
    print(table(folder))
    if write:
        text = DOCUMENT.read_text()
        for name, made in ({"goals": table} | TABLES).items():
            text = with_table(text, name, made(folder))
        DOCUMENT.write_text(text)


def with_table(text: str, name: str, made: str) -> str:
    """`text` with the table `made` between the two marks of `name`."""
    mark = f"<!-- {name} -->"
    if text.count(mark) != 2:
        raise SystemExit(f"{DOCUMENT} has {text.count(mark)} lines {mark}, expected 2")
    return re.sub(f"{mark}.*{mark}", lambda _: f"{mark}\n{made}\n{mark}", text, flags=re.DOTALL)


if __name__ == "__main__":
    typer.run(main)

"""A campaign: many cases, a progress bar, a summary, and a folder for each finding."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.fuzz.outcome import Outcome
from tests.fuzz.workers import run_all

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "fuzz"
KEPT = Path(__file__).parent / "seeds.txt"


@dataclass(frozen=True)
class Kind:
    """What a fuzzer is: `run` takes a case `(seed, kept steps or None)`, `steps` counts those of a seed.

    A case may take `seconds`.
    """

    name: str
    run: Callable[[Any], Outcome]
    steps: Callable[[int], int]
    seconds: float
    files: Callable[[Any], dict[str, str]]
    """The case as files: a process that died has left none."""
    explain: Callable[[int, Outcome], Outcome] | None = None
    """Looks closer at a process that died or hung."""


@dataclass
class Tally:
    """What has been seen so far."""

    statuses: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[int]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    interrupted: bool = False

    def add(self, seed: int, outcome: Outcome) -> None:
        self.statuses[outcome.status] += 1
        self.facts += outcome.facts
        if outcome.status in ("refused", "upstream"):
            self.refusals[outcome.signature] += 1
        if outcome.is_finding:
            key = f"{outcome.status}: {outcome.signature}"
            self.findings.setdefault(key, []).append(seed)
            self.outcomes.setdefault(key, outcome)


def kept_seeds(kind: str) -> list[int]:
    """The seeds that once found something: lines `programs 17  # what it found`."""
    lines = KEPT.read_text().splitlines()
    return [int(match[1]) for line in lines if (match := re.match(rf"{kind} (\d+)", line))]


def cases(kind: Kind, first: int, count: int | None, until: float | None) -> Iterator[tuple[int, None]]:
    """Kept seeds, then `count` seeds from `first` on, or as many as the time allows."""
    for seed in kept_seeds(kind.name):
        yield seed, None
    seed = first
    while (count is None or seed < first + count) and (until is None or time.monotonic() < until):
        yield seed, None
        seed += 1


def campaign(
    kind: Kind, first: int, count: int | None, seconds: float | None, jobs: int, console: Console
) -> Tally:
    """Runs the cases; Ctrl-C ends it early. Findings are made smaller and written to build/fuzz."""
    tally = Tally()
    until = None if seconds is None else time.monotonic() + seconds
    total = None if count is None else count + len(kept_seeds(kind.name))
    columns = (
        TextColumn(f"{kind.name:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    started = time.monotonic()
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=total)
            pending = cases(kind, first, count, until)
            for (seed, _), outcome in run_all(
                kind.run, pending, jobs=jobs, seconds=kind.seconds, folder=FOLDER
            ):
                if kind.explain is not None and outcome.is_death:
                    outcome = kind.explain(seed, outcome)
                tally.add(seed, outcome)
                found = sum(map(len, tally.findings.values()))
                progress.update(
                    task, advance=1, description=f"{found} findings, {tally.statuses['refused']} refused"
                )
    except KeyboardInterrupt:
        tally.interrupted = True
        console.print("interrupted: this is what was seen so far")
    for key, seeds in tally.findings.items():
        keep(kind, seeds[0], tally.outcomes[key], console)
    show(kind, tally, time.monotonic() - started, console)
    return tally


def keep(kind: Kind, seed: int, outcome: Outcome, console: Console) -> None:
    """Writes a finding and the smallest form of it that was found."""
    from tests.fuzz.reduce import smallest

    def fails(steps: tuple[int, ...]) -> bool:
        ((_, again),) = run_all(kind.run, [(seed, steps)], jobs=1, seconds=kind.seconds, folder=FOLDER)
        small.append((steps, again))
        same = again.status == outcome.status and outcome.signature.startswith(again.signature)
        return again.is_finding and same

    small: list[tuple[tuple[int, ...], Outcome]] = []
    count = kind.steps(seed)
    steps = smallest(count, fails) if count else ()
    reduced = next((one for kept, one in small if kept == steps and one.is_finding), outcome)
    folder = FOLDER / f"{kind.name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = f" --keep {','.join(map(str, steps))}" if reduced is not outcome else ""
    command = f"python -m tests.fuzz {kind.name} --seed {seed} --n 1{chosen}"
    case = (seed, steps if chosen else None)
    for name, text in {**kind.files(case), **reduced.files}.items():
        (folder / name).write_text(text)
    (folder / "report.txt").write_text(
        f"{reduced.status}: {reduced.signature}\n\n{reduced.detail}\n\nrepeat with: {command}\n"
    )
    console.print(f"[red]{reduced.status}[/]: {reduced.signature}", highlight=False)
    console.print(f"    {folder.relative_to(ROOT)}; repeat with: {command}", highlight=False, soft_wrap=True)


def show(kind: Kind, tally: Tally, seconds: float, console: Console) -> None:
    """The summary."""
    total = sum(tally.statuses.values())
    each = ", ".join(f"{count} {status}" for status, count in tally.statuses.most_common())
    console.print(f"{kind.name}: {total} in {seconds:.0f} s: {each or 'nothing'}", highlight=False)
    seen = tally.facts
    if seen["compiled"]:
        shares = (100 * seen["sparse"] / seen["compiled"], 100 * seen["compared"] / max(seen["elements"], 1))
        console.print(
            "  sparse: {:.0f} % of those compiled; elements compared: {:.1f} %".format(*shares),
            highlight=False,
        )
    facts = ", ".join(f"{name} {count}" for name, count in seen.most_common())
    console.print(f"  {facts}", highlight=False, soft_wrap=True)
    for reason, count in tally.refusals.most_common(12):
        console.print(
            f"  refused, or upstream's fault, {count} times: {reason}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
    for key, seeds in tally.findings.items():
        shown = ", ".join(map(str, seeds[:8]))
        console.print(
            f"  finding, {len(seeds)} times: {key} (seeds {shown})",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )

"""What `make bench` does: a subset of all families in about ten minutes, then the figures: `python -m bench.subset`.

Every part, named in subset.toml, is a command that can be repeated alone; `--only moe` runs those whose name holds
that, `--list` prints them. Rows go to `bench/results/<machine>/<part>.json`. What fails is named at the end, and the
others go on; after `--minutes` no further part is started.
"""

import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.machine import machine_name
from bench.results import RESULTS
from bench.target import target_named, tensors_on

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Part:
    """One command: the file it writes is `name`.json; `about` says what it is for."""

    name: str
    about: str
    words: str

    def command(self, folder: Path, more: Sequence[str]) -> list[str]:
        """What is run; rows go to `folder`, `more` are options for every part."""
        family, *options = shlex.split(self.words)
        path = folder / f"{self.name}.json"
        return [sys.executable, "-m", f"bench.{family}", *options, *more, "--json", str(path)]


def parts(only: str, table: str = "subset") -> list[Part]:
    """The parts of a table whose name holds a word of `only`, all if it is empty, in the order of its file."""

    def wanted(name: str) -> bool:
        return not only.split() or any(word in name for word in only.split())

    listed = tomllib.loads(Path(__file__).with_name(f"{table}.toml").read_text())["part"]
    return [Part(part["name"], part["about"], part["command"]) for part in listed if wanted(part["name"])]


def shared_options(target: str, programs: Path | None, *, make: bool) -> list[str]:
    """What every part is told of where our side runs."""
    options = [] if target == "cpu" else ["--target", target]
    options += [] if programs is None else ["--programs", str(programs.absolute())]
    return options + (["--make"] if make else [])


def main(
    only: Annotated[str, typer.Option(help="Parts whose name holds one of these words.")] = "",
    minutes: Annotated[float, typer.Option(help="No part is started after so many.")] = 10.0,
    listed: Annotated[bool, typer.Option("--list", help="Print the commands, run nothing.")] = False,
    figures: Annotated[bool, typer.Option(help="Draw the figures at the end.")] = True,
    table: Annotated[str, typer.Option(help="Which parts: subset.toml, or gpu.toml.")] = "subset",
    target: Annotated[str, typer.Option(help="What our side is compiled for: cpu, cuda, ..")] = "cpu",
    programs: Annotated[Path | None, typer.Option(help="Compiled programs.", metavar="FOLDER")] = None,
    make: Annotated[bool, typer.Option("--make", help="Write them there, and measure nothing.")] = False,
) -> None:
    """Runs all parts, then draws the figures."""
    console = Console(soft_wrap=True)
    chosen = parts(only, table)
    if not chosen:
        names = ", ".join(part.name for part in parts("", table))
        raise SystemExit(f"--only {only}: expected part of one of {names}")
    with tensors_on(target_named(target), make=make or listed):
        folder = RESULTS / machine_name()
    more = shared_options(target, programs, make=make)
    begin, told = time.monotonic(), list[str]()
    for number, part in enumerate(chosen, 1):
        command = f"python -m bench.{' '.join([*part.words.split(), *more])}"
        if listed:
            console.print(f"{part.name:12} {command}", highlight=False)
            continue
        spent = time.monotonic() - begin
        if spent > 60 * minutes:
            told.append(f"{part.name}: not started, {minutes:g} minutes are over")
            continue
        console.rule(f"{number} of {len(chosen)}, minute {spent / 60:.1f}: {part.name}, {part.about}")
        console.print(command, style="dim", highlight=False)
        started = time.monotonic()
        try:
            code = subprocess.run(part.command(folder, more), cwd=ROOT, check=False).returncode
        except KeyboardInterrupt:
            told.append(f"{part.name}: interrupted")
            break
        console.print(f"{part.name}: {time.monotonic() - started:.0f} s", style="dim")
        if code == 130:
            told.append(f"{part.name}: interrupted")
            break
        if code:
            told.append(f"{part.name}: ended with {code}, see above")
    if listed:
        return
    if figures and target == "cpu":
        subprocess.run([sys.executable, "-m", "bench.figures"], cwd=ROOT, check=False)
    written = f"programs in {programs}" if make else f"rows in {folder}"
    console.print(f"{(time.monotonic() - begin) / 60:.1f} minutes, {written}")
    for line in told:
        console.print(line, style="red")
    raise typer.Exit(1 if told else 0)


if __name__ == "__main__":
    typer.run(main)

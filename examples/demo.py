"""`make demo`: compile real models, run them sparse, compare with torch.

Nothing is downloaded: the models are built from their configurations with random weights.
"""

import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import pit_mlir as pit
from examples.models import CASES, Case

ROUNDS = 9
SECONDS = 20.0
"""Time for the rounds of one model: a slow machine does fewer, at least 3."""
TOLERANCE = 1e-4
FOLDER = Path("build/demo")


@dataclass(frozen=True)
class Measured:
    """One model against torch: the share of zeros, the largest error relative to the largest value, seconds."""

    title: str
    zeros: float
    error: float
    dense: float
    ours: float

    @property
    def ratio(self) -> float:
        """How many times faster than torch."""
        return self.dense / self.ours

    def row(self) -> list[str]:
        """A row of the table."""
        return [
            self.title,
            f"{100 * self.zeros:.0f} %",
            f"{self.error:.0e}",
            f"{1e3 * self.dense:.1f}",
            f"{1e3 * self.ours:.1f}",
            f"{self.ratio:.2f}x",
        ]


def compile_case(case: Case, model: torch.nn.Module, inputs: Any, console: Console) -> pit.CompiledModule:
    """Compiles with a progress bar that names the phase."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<46}"), BarColumn(20), TimeElapsedColumn())
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("compiling", total=None)

        def show(phase: str, done: int, total: int) -> None:
            progress.update(task, description=phase, completed=done, total=total)

        options = pit.CompileOptions(progress=show, **case.options)
        return pit.compile(model, inputs, sparsity=case.sparsity, options=options)


def median_times(runs: tuple[Callable[[], Any], ...]) -> list[float]:
    """Median seconds of each of `runs`, called in turn after a warm-up."""
    times: list[list[float]] = [[] for _ in runs]
    begin = time.perf_counter()
    for round_ in range(ROUNDS + 2):
        if round_ >= 5 and time.perf_counter() - begin > SECONDS:
            break
        for number, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if round_ >= 2:
                times[number].append(time.perf_counter() - start)
    return [statistics.median(column) for column in times]


def measure(case: Case, console: Console) -> tuple[Measured, pit.CompiledModule]:
    """Compiles one case, checks it on fresh inputs, times it against torch."""
    generator = torch.Generator().manual_seed(0)
    model = case.model().eval()
    fast = compile_case(case, model, case.inputs(generator), console)
    reference = case.reference or (lambda model, inputs: model(*inputs))
    worst = 0.0
    for _ in range(3):
        inputs = case.inputs(generator)
        expected, given = reference(model, inputs), fast(*inputs)
        worst = max(worst, ((given - expected).abs().max() / expected.abs().max()).item())
    inputs = case.inputs(generator)
    zeros = case.zeros(model, inputs)
    dense, ours = median_times((lambda: model(*inputs), lambda: fast(*inputs)))
    return Measured(case.title, zeros, worst, dense, ours), fast


def describe(case: Case, measured: Measured, fast: pit.CompiledModule) -> str:
    """What there is to say about one model, a line for each."""
    found = fast.explain().summary
    indices = "".join(f"index of {index}\n" for index in found.indices)
    return (
        f"{case.note}\n"
        f"{found.operators} operators: {found.compact} on live rows alone, {found.listed} on lists, {found.dense} "
        "dense\n"
        f"{indices}"
        f"[bold]{measured.ratio:.2f}x[/] torch at {100 * measured.zeros:.0f} % zeros"
    )


def save(number: int, case: Case, fast: pit.CompiledModule) -> None:
    """Writes what was proved and rewritten, and the sparse program, for a reader."""
    slug = re.sub(r"\W+", "-", case.title.lower()).strip("-")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{number}-{slug}.explain.txt").write_text(f"{fast.explain()}\n")
    (FOLDER / f"{number}-{slug}.mlir").write_text(fast.ir)


def table_of(rows: list[Measured]) -> Table:
    """The results, narrow enough for 80 columns."""
    threads = torch.get_num_threads()
    table = Table(
        title=f"pit_mlir against torch {torch.__version__}, fp32, {threads} thread{'s' * (threads > 1)}",
        caption="error: the largest, relative to the largest value; times: medians",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
    )
    for column in ("model", "zeros", "error", "torch ms", "pit ms", "ratio"):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for measured in rows:
        table.add_row(*measured.row())
    return table


def main() -> int:
    """Runs all cases and prints the table; 1 if an answer differs from torch's."""
    console = Console(highlight=False)
    console.print("Real models with random weights, compiled from torch; new data in every call.\n")
    rows: list[Measured] = []
    with torch.inference_mode():
        for number, case in enumerate(CASES):
            console.print(f"[bold]{case.title}[/]")
            measured, fast = measure(case, console)
            rows.append(measured)
            save(number, case, fast)
            console.print(Padding(describe(case, measured, fast), (0, 0, 1, 2), expand=False))
    console.print(table_of(rows))
    console.print(
        f"The indices are built inside the measured calls. Per model, in {FOLDER}: what was proved and "
        "rewritten, line by line (*.explain.txt), and the sparse program (*.mlir)."
    )
    wrong = [measured.title for measured in rows if not measured.error <= TOLERANCE]
    if wrong:
        console.print(f"[red]differs from torch by more than {TOLERANCE}: {', '.join(wrong)}[/]")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)

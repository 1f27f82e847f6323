"""`make demo`: compile real models, run them sparse, compare with torch.

Nothing is downloaded: the models are built from their configurations with random weights.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import pit_mlir as pit
from examples.models import CASES, Case

ROUNDS = 9


def compile_case(case: Case, model: torch.nn.Module, inputs: Any, console: Console) -> pit.CompiledModule:
    """Compiles with a progress bar that names the phase."""
    columns = (SpinnerColumn(), TextColumn("{task.description:<52}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{case.title}: compiling", total=None)

        def show(phase: str, done: int, total: int) -> None:
            progress.update(task, description=f"{case.title}: {phase}", completed=done, total=total)

        options = pit.CompileOptions(progress=show, **case.options)
        return pit.compile(model, inputs, sparsity=case.sparsity, options=options)


def median_times(runs: tuple[Callable[[], Any], ...]) -> list[float]:
    """Median seconds of each of `runs`, called in turn `ROUNDS` times after a warm-up."""
    times: list[list[float]] = [[] for _ in runs]
    for round_ in range(ROUNDS + 2):
        for number, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if round_ >= 2:
                times[number].append(time.perf_counter() - start)
    return [statistics.median(column) for column in times]


def measure(case: Case, console: Console) -> tuple[list[str], pit.CompiledModule]:
    """Compiles one case, checks it on fresh inputs, times it against torch; a row of the table."""
    generator = torch.Generator().manual_seed(0)
    model = case.model().eval()
    fast = compile_case(case, model, case.inputs(generator), console)
    reference = case.reference or (lambda model, inputs: model(*inputs))
    worst = 0.0
    for _ in range(3):
        inputs = case.inputs(generator)
        expected, given = reference(model, inputs), fast(*inputs)
        worst = max(worst, ((given - expected).abs().max() / expected.abs().max()).item())
    zeros = case.zeros(model, inputs)
    dense, ours = median_times((lambda: model(*inputs), lambda: fast(*inputs)))
    row = [
        case.title,
        f"{100 * zeros:.0f} %",
        f"{worst:.1e}",
        f"{1e3 * dense:.1f}",
        f"{1e3 * ours:.1f}",
        f"{dense / ours:.2f}x",
    ]
    return row, fast


def main() -> None:
    """Runs all cases and prints the table."""
    console = Console()
    table = Table(
        title=f"pit_mlir against torch {torch.__version__}, fp32, {torch.get_num_threads()} threads"
    )
    for column in ("model", "zeros", "max rel. error", "torch ms", "pit ms", "ratio"):
        table.add_column(column, justify="left" if column == "model" else "right")
    folder = Path("build/demo")
    folder.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        for number, case in enumerate(CASES):
            row, fast = measure(case, console)
            table.add_row(*row)
            console.print(f"[bold]{case.title}[/]: {case.note}; {row[5]}")
            (folder / f"{number}-explain.txt").write_text(str(fast.explain()))
            (folder / f"{number}.mlir").write_text(fast.ir)
    console.print(table)
    console.print(
        f"Median of {ROUNDS} runs in turn, index building included. What was proved and rewritten, per model: "
        f"{folder}/*-explain.txt; the sparse programs: {folder}/*.mlir"
    )


if __name__ == "__main__":
    main()

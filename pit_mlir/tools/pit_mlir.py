"""`pit-mlir`: the compiler from a shell."""

import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from pit_mlir.analysis.facts import Floats
from pit_mlir.analysis.permutation import TIMEOUT_MS
from pit_mlir.diagnostics import Diagnostic
from pit_mlir.errors import PitError
from pit_mlir.tools.doctor import Finding, findings
from pit_mlir.tools.prove import Question, Statement, statements
from pit_mlir.tools.prove_text import json_report, report
from pit_mlir.tools.source import InvalidMLIR, Source

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

PROGRESS_FROM = 40
"""Operations from which on a bar shows how far the prover is."""


@app.callback()
def commands() -> None:
    """A compiler for deep learning whose sparsity is known only at run time."""


@app.command()
def doctor() -> None:
    """Says what of this machine the compiler can use; status 1 if something it needs is missing."""
    found = list(findings())
    Console().print(_table(found))
    missing = [finding.subject for finding in found if finding.verdict == "missing"]
    print(f"missing: {', '.join(missing)}" if missing else "ready")
    raise typer.Exit(1 if missing else 0)


PROVE_HELP = """\
Says of each operation along which iterators its points may be permuted, which may be skipped, and why.

An operation is shown as an equation. Each iterator has a verdict: along a parallel one the results move with the \
operands, along a reduction one they stay as they are. One that is none is refused, with two orders and the numbers \
that differ.

\b
$ pit-mlir prove product.mlir
product.mlir:2:8: linalg.matmul in @f
  C[m, n] += A[m, k] * B[k, n]
    m  4  parallel   every result has m as a whole dimension
    n  6  parallel   every result has n as a whole dimension
    k  5  reduction  f(f(acc, x), y) = f(f(acc, y), x) ...
    A  0 annihilates; at 0, B is not read

So columns of A that are zero may be skipped: 0 annihilates, and columns may come in any order.

The status is 0 whatever the verdicts are; it is 1 where there is nothing to prove or the file is not valid.
"""


@app.command(help=escape(PROVE_HELP))
def prove(
    file: Annotated[str, typer.Argument(help="MLIR, as text or bytecode; - is standard input.")],
    floats: Annotated[
        Floats, typer.Option(help="Floats as real numbers, or as they are: then sums depend on their order.")
    ] = "real",
    timeout_ms: Annotated[
        int,
        typer.Option(
            min=1, metavar="MS", help="How long the solver may work on one question; then it is not proved."
        ),
    ] = TIMEOUT_MS,
    function: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only operations of this function; may be repeated."),
    ] = None,
    line: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Only operations of this line; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Says of each operation along which iterators its points may be permuted, which may be skipped, and why."""
    try:
        source = Source.read(file)
        question = Question(floats, timeout_ms, function or (), line or ())
        found = _with_progress(source, question)
    except PitError as error:
        _print_error(error)
        raise typer.Exit(1) from None
    if json:
        print(json_report(source.name, question, found))
        return
    # Without colour means without any style here (no-color.org).
    console = Console(
        soft_wrap=True, highlight=False, color_system=None if "NO_COLOR" in os.environ else "auto"
    )
    for text in report(found):
        console.print(text)


def _table(found: list[Finding]) -> Table:
    marks = {"good": "[green]✓[/]", "missing": "[red]✗[/]", "absent": "[dim]–[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for style in ("", "bold", ""):
        table.add_column(style=style, overflow="fold")
    for finding in found:
        table.add_row(marks[finding.verdict], finding.subject, finding.text)
    return table


def _with_progress(source: Source, question: Question) -> list[Statement]:
    """What is proved about `source`, with a bar on a terminal's standard error if it takes a while."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return statements(source, question, lambda done, of: None)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("proving", visible=False)

        def each(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of, visible=of >= PROGRESS_FROM)

        return statements(source, question, each)


def _print_error(error: PitError) -> None:
    diagnostics = error.diagnostics if isinstance(error, InvalidMLIR) else ()
    for diagnostic in diagnostics or (Diagnostic("error", error.location or "pit-mlir", error.message),):
        print(diagnostic, file=sys.stderr)


def main() -> None:
    """The console script."""
    try:
        app()
    except BrokenPipeError:
        # The reader of the output went away, as `head` does; what Python still has buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)

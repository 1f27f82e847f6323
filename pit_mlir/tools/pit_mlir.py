"""`pit-mlir`: the compiler from a shell."""

from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from pit_mlir.tools.doctor import Finding, findings
from pit_mlir.tools.process import deepen_stack
from pit_mlir.tools.terminal import drawn, show

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def commands() -> None:
    """A compiler for deep learning whose sparsity is known only at run time."""


@app.command()
def doctor() -> None:
    """Says what of this machine the compiler can use; status 1 if something it needs is missing."""
    found = list(findings())
    missing = [finding.subject for finding in found if finding.verdict == "missing"]
    summary = f"missing: {', '.join(missing)}\n" if missing else "ready\n"
    status = show(drawn(_table(found)) + summary)
    raise typer.Exit(1 if missing else status)


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
        Literal["real", "strict"],
        typer.Option(help="Floats as real numbers, or as they are: then sums depend on their order."),
    ] = "real",
    timeout_ms: Annotated[
        int,
        typer.Option(
            min=1,
            max=2**31 - 1,
            metavar="MS",
            help="How long the solver may work on one question; then it is not proved.",
        ),
    ] = 5000,
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
    # Loads MLIR and the solver, which `--help` and `doctor` do without.
    from pit_mlir.tools.prove_command import run

    raise typer.Exit(run(file, floats, timeout_ms, function or (), line or (), as_json=json))


def _table(found: list[Finding]) -> Table:
    marks = {"good": "[green]✓[/]", "missing": "[red]✗[/]", "absent": "[dim]–[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for style in ("", "bold", ""):
        table.add_column(style=style, overflow="fold")
    for finding in found:
        table.add_row(marks[finding.verdict], finding.subject, finding.text)
    return table


def main() -> None:
    """The console script."""
    deepen_stack()
    app()

"""`pit-mlir`: the compiler from a shell."""

import typer
from rich.console import Console
from rich.table import Table

from pit_mlir.tools.doctor import Finding, findings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


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
    app()

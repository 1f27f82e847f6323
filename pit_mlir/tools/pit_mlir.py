"""`pit-mlir`: the compiler from a shell."""

import signal
import sys
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from pit_mlir.tools.doctor import Finding, findings
from pit_mlir.tools.process import deepen_stack, discard_output
from pit_mlir.tools.terminal import drawn, show

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Model = Annotated[str, typer.Argument(help="A model: .py, .py:NAME, .pt2 or .mlir.", show_default=False)]
Padding = Annotated[
    list[str] | None,
    typer.Option(metavar="MASK", help="Input that is a mask (batch, token) of padding; may be repeated."),
]
Floats = Annotated[
    Literal["real", "strict"],
    typer.Option(help="Floats as real numbers, or as they are: then sums depend on their order."),
]
Freeze = Annotated[bool, typer.Option("--freeze", help="Work on a snapshot of the weights.")]


def _print_version(asked: bool) -> None:
    if asked:
        from pit_mlir.tools.version import version_text

        raise typer.Exit(show(f"{version_text('pit-mlir')}\n"))


@app.callback()
def commands(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="The version of this and of what it stands on.",
        ),
    ] = False,
) -> None:
    """A compiler for deep learning whose sparsity is known only at run time."""


@app.command()
def doctor() -> None:
    """Says what of this machine the compiler can use; status 1 if something it needs is missing."""
    found = list(findings())
    missing = [finding.subject for finding in found if finding.verdict == "missing"]
    summary = f"missing: {', '.join(missing)}\n" if missing else "ready\n"
    status = show(drawn(_table(found)) + summary)
    raise typer.Exit(1 if missing else status)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that is kept.")] = False,
) -> None:
    """Says what is kept of compiled programs, and where; PIT_CACHE_DIR and PIT_CACHE_SIZE change it."""
    from pit_mlir.tools.cache_command import run

    raise typer.Exit(run(clear=clear))


@app.command()
def tune(
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where it goes; else where compilations look for it."
        ),
    ] = None,
    sweeps: Annotated[int, typer.Option(min=1, help="How often all kernels are measured.")] = 4,
) -> None:
    """Measures what the steps of kernels cost on this machine, by which each call chooses the list that it follows.

    All threads work for about half a minute, best on a machine that does nothing else: it is told where sweeps differ.
    What is found goes to the cache directory (PIT_CACHE_DIR) and is used by all later compilations; without it costs
    shipped for this kind of processor are, or general ones: `pit-mlir doctor` says which. An interrupt leaves what was
    there; a file of another processor, of another release or a damaged one is ignored with a warning.
    """
    from pit_mlir.tools.tune_command import run

    raise typer.Exit(run(output, sweeps))


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
    floats: Floats = "real",
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


EXPLAIN_HELP = """\
Compiles a model, runs a sample call, and reports by line of the model what was found and done.

That is: where zeros come from, what is listed, what the lists held in that call, how much work is left of the dense \
model's, the proof for each axis, and what stays dense and why.

\b
MODEL is one of
  net.py       a file that names a model 'model' and the arguments of
               a call 'inputs', each a value or a function that makes
               it; and, if need be, 'sparsity' and 'dynamic_shapes',
               which are those of pit_mlir.compile
  net.py:NAME  the same, and the model has another name
  net.pt2      an exported program, as torch.export.save writes it
  net.mlir     a function @main on tensors
.py and .pt2 are code: give it only what you would run.

\b
$ pit-mlir explain net.py -o report.html
$ pit-mlir explain net.pt2 --padding attention_mask
$ pit-mlir explain net.mlir --inputs call.npz --json

The report is a page with pictures, JSON or text, as its name ends: .html, .json, .txt. Without -o it is text.

The status is 1 where the model cannot be read, compiled or called.
"""


@app.command(help=escape(EXPLAIN_HELP))
def explain(
    model: Model,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where the report goes: .html, .json or .txt."),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(metavar="FILE.npz", help="Arguments of a call by name, for .pt2 and .mlir."),
    ] = None,
    padding: Padding = None,
    floats: Floats = "real",
    freeze: Freeze = False,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Compiles a model, runs a sample call, and reports by line of the model what was found and done."""
    # Loads MLIR, the solver and what the model needs, which `--help` and `doctor` do without.
    from pit_mlir.options import CompileOptions
    from pit_mlir.tools.explain_command import run

    options = CompileOptions(floats=floats, freeze=freeze)
    raise typer.Exit(run(model, output, inputs, padding or (), options, as_json=json))


COMPILE_HELP = """\
Compiles a model into a file that runs anywhere without the compiler: pit_mlir.load and `pit-mlir run` need neither \
torch-mlir nor LLVM.

MODEL is what `pit-mlir explain` takes: net.py, net.py:NAME, net.pt2 or net.mlir; .py and .pt2 are code.

\b
$ pit-mlir compile net.pt2 -o net.pit
$ pit-mlir compile net.py --padding attention_mask --freeze
$ pit-mlir compile net.pt2 --target cuda:sm_90a
$ pit-mlir run net.pit

The file has machine code for this processor and others that can do as much, the kernels of a GPU, and the weights; \
with --no-weights pit_mlir.load(file, weights=...) takes them from a module or a state dict. A file is code: load only \
what you would run.

The status is 1 where the model cannot be read or compiled, or the file cannot be written.
"""


@app.command("compile", help=escape(COMPILE_HELP))
def compile_(
    model: Model,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where it goes; by default the model's name and .pit."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda or emulator, the latter two with a chip if need be: cuda:sm_90a.",
            show_default="cpu",
        ),
    ] = None,
    padding: Padding = None,
    floats: Floats = "real",
    freeze: Freeze = False,
    weights: Annotated[bool, typer.Option(help="Whether the file has the weights.")] = True,
) -> None:
    """Compiles a model into a file that runs without the compiler."""
    from pit_mlir.options import CompileOptions
    from pit_mlir.tools.compile_command import run

    options = CompileOptions(floats=floats, freeze=freeze)
    raise typer.Exit(run(model, output, padding or (), target, options, weights=weights))


RUN_HELP = """\
Calls a compiled model, or says what it takes and which GPUs it has kernels for, whether or not one is here.

\b
$ pit-mlir run net.pit
$ pit-mlir run net.pit --inputs call.npz -o answer.npz

call.npz has an array for each input, by its name, as numpy.savez writes them; one of float32 serves for an input of \
bfloat16. Of each value of the answer its type, shape and range are shown. FILE is code: run only what you trust.

The status is 1 where the file cannot be read, or called here, or the arrays do not fit.
"""


@app.command("run", help=escape(RUN_HELP))
def run_(
    file: Annotated[str, typer.Argument(help="What `pit-mlir compile` has written.", show_default=False)],
    inputs: Annotated[
        str | None, typer.Option(metavar="FILE.npz", help="Arguments of a call by name.", show_default=False)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE.npz", help="Where the arrays of the answer go."),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="How often it is called; the fastest is told.")] = 1,
) -> None:
    """Calls a compiled model, or says what it takes."""
    from pit_mlir.tools.run_command import run

    raise typer.Exit(run(file, inputs, output, repeat))


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
    # An interrupt is an exception again, so that a bar can clean up behind itself; the scripts begin without.
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            app()
        finally:
            # What Python still has buffered would else fail when it ends, with a message that names nobody.
            if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]
                sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None:
            raise
        print(f"pit-mlir: error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        discard_output()
        sys.exit(1)

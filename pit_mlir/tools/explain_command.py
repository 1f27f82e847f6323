"""`pit-mlir explain`: compiles a model, runs a sample call, writes the report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress

from pit_mlir.compile import compile
from pit_mlir.errors import PitError
from pit_mlir.explanation import Explanation, percent
from pit_mlir.frontend.padding import Padding
from pit_mlir.options import CompileOptions
from pit_mlir.options import Progress as Callback
from pit_mlir.tools.model_file import load
from pit_mlir.tools.terminal import print_error, show


def run(
    file: str,
    output: str | None,
    inputs: str | None,
    padding: Sequence[str],
    options: CompileOptions,
    *,
    as_json: bool,
) -> int:
    """Writes what was found in the model of `file` to `output`, or to standard output; the exit status."""
    try:
        found = explained(file, inputs, padding, options)
        if output is None:
            return show(f"{found.to_json() if as_json else found}\n")
        found.save(output)
    except PitError as error:
        print_error(error)
        return 1
    return show(f"{output}: {headline(found)}\n")


def headline(found: Explanation) -> str:
    """What is in a report, in a line."""
    summary = found.summary
    text = f"{summary.compact} operators on live rows, {summary.listed} on lists, {summary.dense} dense"
    if found.sample is None:
        return f"{text}; no sample run"
    return f"{text}; {percent(found.sample.share)} of the dense multiply-adds"


def explained(file: str, inputs: str | None, padding: Sequence[str], options: CompileOptions) -> Explanation:
    """What is found in the model of `file`, with a sample run if there is a call to run."""
    subject = load(file, inputs)
    args, kwargs = subject.call or ((), {})
    sparsity = [*subject.sparsity, *(Padding(mask) for mask in padding)]
    with progress() as callback:
        compiled = compile(
            subject.model,
            args if subject.has_example else (),
            kwargs if subject.has_example else None,
            dynamic_shapes=subject.dynamic_shapes,
            sparsity=sparsity,
            options=replace(options, progress=callback),
        )
        found = compiled.explain() if subject.call is None else compiled.explain(*args, **kwargs)
    return replace(found, title=subject.title or found.title)


@contextmanager
def progress() -> Iterator[Callback | None]:
    """A bar on a terminal's standard error that names the phase; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("importing", total=None)

        def each(phase: str, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=total)

        yield each

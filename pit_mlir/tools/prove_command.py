"""`pit-mlir prove` on a terminal: progress, colours, errors as `file:line:col: error: ...`."""

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from pit_mlir.analysis.facts import Floats
from pit_mlir.diagnostics import Diagnostic
from pit_mlir.errors import PitError
from pit_mlir.tools.prove import Question, Statement, statements
from pit_mlir.tools.prove_text import json_report, report
from pit_mlir.tools.source import InvalidMLIR, Source
from pit_mlir.tools.terminal import drawn, show

PROGRESS_FROM = 40
"""Operations from which on a bar shows how far the prover is."""


def run(
    file: str,
    floats: Floats,
    timeout_ms: int,
    functions: Sequence[str],
    lines: Sequence[int],
    *,
    as_json: bool,
) -> int:
    """Prints what is proved about `file`; the exit status."""
    question = Question(floats, timeout_ms, functions, lines)
    try:
        source = Source.read(file)
        found = _with_progress(source, question)
    except PitError as error:
        diagnostics = error.diagnostics if isinstance(error, InvalidMLIR) else ()
        for diagnostic in diagnostics or (Diagnostic("error", error.location or file, error.message),):
            print(diagnostic, file=sys.stderr)
        return 1
    return show(_text(source, question, found, as_json=as_json))


def _text(source: Source, question: Question, found: Sequence[Statement], *, as_json: bool) -> str:
    if as_json:
        return f"{json_report(source.name, question, found)}\n"
    # Without colour means without any style here (no-color.org).
    color_system = None if os.environ.get("NO_COLOR") else "auto"
    return drawn(Text("\n").join(report(found)), soft_wrap=True, highlight=False, color_system=color_system)


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

"""What `pit-mlir` says on standard output, drawn by Rich."""

import io
import sys
from typing import Any

from rich.console import Console, RenderableType

from pit_mlir.diagnostics import Diagnostic
from pit_mlir.errors import InputError, PassError, PitError
from pit_mlir.tools.process import discard_output, write_output


def drawn(what: RenderableType, **options: Any) -> str:
    """`what` as Rich's console with these `options` shows it on standard output.

    It draws into memory: writing itself, it would end the program with status 0 when the reader goes away.
    """
    console = Console(file=io.StringIO(), force_terminal=Console().is_terminal, **options)
    with console.capture() as text:
        console.print(what)
    return text.get()


def show(output: str) -> int:
    """Writes what `pit-mlir` has to say; the exit status. A reader that went away wants no message."""
    try:
        write_output(output)
    except BrokenPipeError:
        discard_output()
        return 1
    except InputError as error:
        print(f"pit-mlir: error: {error.message}", file=sys.stderr)
        return 1
    return 0


def print_error(error: PitError) -> None:
    """Says on standard error what went wrong, and where."""
    given = error.diagnostics if isinstance(error, PassError) else ()
    for diagnostic in given or (Diagnostic("error", error.location or "pit-mlir", error.message),):
        print(diagnostic, file=sys.stderr)

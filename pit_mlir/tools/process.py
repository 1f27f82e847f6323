"""What the command line tools ask of their process: a deep stack, and standard output that may fail."""

import os
import resource
import sys
from contextlib import suppress

from pit_mlir.errors import InputError

_STACK = 100 << 20


def deepen_stack() -> None:
    """Makes deep nesting less of a danger: MLIR's parser and printer recurse."""
    # A platform that allows no more keeps what it has.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))


def write_output(output: str | bytes) -> None:
    """Writes to standard output; raises `InputError` where it cannot, `BrokenPipeError` where its reader went away."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise InputError("cannot write to standard output: it is closed")
    rest = memoryview(output.encode(sys.stdout.encoding, "replace") if isinstance(output, str) else output)
    try:
        # An unbuffered stream (PYTHONUNBUFFERED) takes the part of one write that fits.
        while rest:
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # Python would try again, and complain, when it ends.
        sys.stdout = None
        raise InputError(f"cannot write to standard output: {error.strerror}") from None


def discard_output() -> None:
    """For when the reader went away, as `head` does: what Python still has buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

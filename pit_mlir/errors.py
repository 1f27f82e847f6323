"""Errors of the project: every failure a user can cause is a `PitError` of one of these kinds."""

from collections.abc import Sequence

from pit_mlir.diagnostics import Diagnostic


class PitError(Exception):
    """Base of all errors raised on purpose.

    The message says what was given, what was expected and what to do about it. `location` is the place in
    the model or in the IR (`file:line:col`) where one is known; it is printed in front of the message.
    """

    def __init__(self, message: str, *, location: str | None = None) -> None:
        self.message = message
        self.location = location
        super().__init__(f"{location}: {message}" if location else message)


class InputError(PitError):
    """An argument of a call does not fit the compiled program (shape, dtype, device, structure, value)."""


class UnsupportedError(PitError):
    """The model or the IR uses something that is not built; the message names it and its source line."""


class PassError(PitError):
    """A pass failed or produced invalid IR; the message names the pass and how to reproduce the failure.

    `diagnostics` are the errors of MLIR behind it, `command` the reproducing command line; both may be empty.
    """

    def __init__(
        self, message: str, *, location: str | None = None, diagnostics: Sequence[Diagnostic] = ()
    ) -> None:
        super().__init__(message, location=location)
        self.diagnostics = tuple(diagnostics)
        self.command = ""

    def reproduce_with(self, command: str) -> None:
        """Keeps `command`, which reproduces the failure, and adds it to the text of the error."""
        self.command = command
        self.args = (f"{self.args[0]}\nreproduce with: {command}",)


class PlatformError(PitError):
    """The machine, the platform or an installed package does not offer what the compiler needs."""


class MissingPackageError(PlatformError, ImportError):
    """A package that an optional part of the compiler needs is not installed, or not in a version that fits."""


class KernelError(PitError):
    """A kernel did what the programming model of the GPU does not allow; the message names kernel, block, thread and
    operation. The emulator finds these."""

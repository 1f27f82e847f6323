"""Diagnostics of the compiler: our own small type, since the MLIR bindings can emit errors only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "remark", "note"]


@dataclass(frozen=True)
class Diagnostic:
    """One message about one place: `location` is `file:line:col` (or MLIR's text for another location)."""

    severity: Severity
    location: str
    message: str
    notes: tuple["Diagnostic", ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.location}: {self.severity}: {self.message}", *map(str, self.notes)]
        return "\n".join(lines)


@dataclass
class Report:
    """Where passes put their diagnostics; the driver prints them, `explain()` groups them by operator.

    `listener`, when given, sees each diagnostic as it is made.
    """

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    listener: Callable[[Diagnostic], None] | None = None

    def add(self, diagnostic: Diagnostic) -> None:
        """Keeps `diagnostic` and shows it to the listener."""
        self.diagnostics.append(diagnostic)
        if self.listener is not None:
            self.listener(diagnostic)

    def remark(self, location: str, message: str, notes: tuple[Diagnostic, ...] = ()) -> None:
        """Says something about `location` that is not a fault."""
        self.add(Diagnostic("remark", location, message, notes))

    def warning(self, location: str, message: str, notes: tuple[Diagnostic, ...] = ()) -> None:
        """Says that something at `location` is likely not what the user wants."""
        self.add(Diagnostic("warning", location, message, notes))

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.diagnostics)

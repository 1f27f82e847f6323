"""Diagnostics of the compiler: our own small type, since the MLIR bindings can emit errors only."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "remark", "note"]

Topic = Literal["", "zeros", "index", "compact", "list", "rewritten", "kernel", "dense"]
"""What a remark is about: where zeros come from, an index that was made, an operator that runs on its rows or on its
lists, another rewrite, the code that was chosen, or why something stays dense. `explain()` orders by it."""


@dataclass(frozen=True)
class Diagnostic:
    """One message about one place: `location` is `file:line:col` (or MLIR's text for another location)."""

    severity: Severity
    location: str
    message: str
    notes: tuple["Diagnostic", ...] = ()
    topic: Topic = ""

    def __str__(self) -> str:
        lines = [f"{self.location}: {self.severity}: {self.message}", *map(str, self.notes)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Operator:
    """One operator of the model: `kind` for a reader, and per axis the verdict with its reason.

    `equation` is what it computes, with a letter for each axis in `letters`; both empty where there is none.
    """

    location: str
    kind: str
    axes: tuple[tuple[str, str], ...]
    equation: str = ""
    letters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """The function `name` of the program's machine code, which an operator calls: what a profiler shows."""

    location: str
    name: str


@dataclass
class Report:
    """Where passes put their diagnostics; the driver prints them, `explain()` groups them by line of the model.

    `operators` are in the order of the program. `listener`, when given, sees each diagnostic as it is made.
    """

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    operators: list[Operator] = field(default_factory=list[Operator])
    kernels: list[Kernel] = field(default_factory=list[Kernel])
    listener: Callable[[Diagnostic], None] | None = None
    statistics: Counter[str] = field(default_factory=Counter[str])
    """What the pass that runs has counted, by the names that it declares."""

    def count(self, statistic: str, number: int = 1) -> None:
        """Adds `number` to a statistic of the pass that runs."""
        self.statistics[statistic] += number

    def add(self, diagnostic: Diagnostic) -> None:
        """Keeps `diagnostic` and shows it to the listener."""
        self.diagnostics.append(diagnostic)
        if self.listener is not None:
            self.listener(diagnostic)

    def remark(
        self, location: str, message: str, notes: tuple[Diagnostic, ...] = (), *, topic: Topic = ""
    ) -> None:
        """Says something about `location` that is not a fault."""
        self.add(Diagnostic("remark", location, message, notes, topic))

    def warning(self, location: str, message: str, notes: tuple[Diagnostic, ...] = ()) -> None:
        """Says that something at `location` is likely not what the user wants."""
        self.add(Diagnostic("warning", location, message, notes))

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.diagnostics)

"""What `pit-mlir-opt` reads: the bytes of a file or of standard input, their parts, and lines to show."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pit_mlir.diagnostics import Diagnostic
from pit_mlir.errors import InputError

WIDTH = 100
"""How much of a line is shown on each side of the caret."""


@dataclass(frozen=True)
class Input:
    """The bytes of the input and how diagnostics call it."""

    name: str
    data: bytes

    @classmethod
    def read(cls, path: str) -> "Input":
        """The file at `path`, or standard input for `-`; raises `InputError` where that cannot be read."""
        if path == "-":
            if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
                raise InputError("cannot read standard input: it is closed")
            return cls("<stdin>", sys.stdin.buffer.read())
        try:
            return cls(path, Path(path).read_bytes())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"cannot open input file '{path}': {reason}") from None

    @property
    def is_file(self) -> bool:
        """Whether it can be read again by its name."""
        return self.name != "<stdin>" and Path(self.name).is_file()

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines as MLIR counts them."""
        return self.data.split(b"\n")

    def parts(self, marker: str) -> Iterator[bytes]:
        """The parts between lines `marker`, each behind empty lines so that its line numbers are those of the file."""
        # `// ------` is a comment, no marker.
        more = "(?!-)" if marker.endswith("-") else ""
        separator = re.compile(rf"^{re.escape(marker)}{more}.*$\n?".encode(), re.MULTILINE)
        start = 0
        for match in [*separator.finditer(self.data), None]:
            end = len(self.data) if match is None else match.start()
            yield b"\n" * self.data.count(b"\n", 0, start) + self.data[start:end]
            start = end if match is None else match.end()

    def named(self, diagnostic: Diagnostic) -> Diagnostic:
        """`diagnostic` with the input's name where MLIR, which was given a text, says `-`."""
        location = re.sub(r"^-:(?=\d)", lambda _: f"{self.name}:", diagnostic.location)
        notes = tuple(map(self.named, diagnostic.notes))
        return Diagnostic(diagnostic.severity, location, diagnostic.message, notes)

    def excerpt(self, location: str) -> str:
        """The line at `location` with a caret under the column; empty for another file."""
        match = re.fullmatch(re.escape(self.name) + r":(\d+):(\d+)", location)
        if match is None or not 1 <= int(match[1]) <= len(self.lines):
            return ""
        # Columns are bytes.
        line, column = self.lines[int(match[1]) - 1].rstrip(b"\r"), max(int(match[2]) - 1, 0)
        before, after = printable(line[:column]), printable(line[column:])
        before = before if len(before) <= WIDTH else "..." + before[-WIDTH:]
        after = after if len(after) <= WIDTH else after[:WIDTH] + "..."
        padding = "".join("\t" if letter == "\t" else " " for letter in before)
        return f"{before}{after}\n{padding}^\n"


def printable(line: bytes) -> str:
    """`line` as text that a terminal can show."""
    text = line.decode(errors="replace")
    return "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in text)

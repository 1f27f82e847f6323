"""What `pit-mlir-opt` reads: a source, its parts, and lines of it to show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from pit_mlir.tools.source import STDIN, Source

WIDTH = 100
"""How much of a line is shown on each side of the caret."""


@dataclass(frozen=True)
class Input(Source):
    """A source that may be read in parts, and whose lines are shown."""

    @property
    def is_file(self) -> bool:
        """Whether it can be read again by its name."""
        return self.name != STDIN and Path(self.name).is_file()

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines as MLIR counts them."""
        return self.data.split(b"\n")

    def parts(self, marker: str) -> Iterator[Self]:
        """The parts between lines `marker`, each behind empty lines so that its line numbers are those of the file."""
        # `// ------` is a comment, no marker.
        more = "(?!-)" if marker.endswith("-") else ""
        separator = re.compile(rf"^{re.escape(marker)}{more}.*$\n?".encode(), re.MULTILINE)
        start = 0
        for match in [*separator.finditer(self.data), None]:
            end = len(self.data) if match is None else match.start()
            yield replace(self, data=b"\n" * self.data.count(b"\n", 0, start) + self.data[start:end])
            start = end if match is None else match.end()

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

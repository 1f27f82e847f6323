"""`--verify-diagnostics`: compares what was reported with `// expected-error@+1 {{text}}` comments."""

import re
from collections.abc import Iterable, Iterator

from pit_mlir.diagnostics import Diagnostic

_EXPECTED = re.compile(
    r"expected-(?P<severity>error|warning|remark|note)(?P<regex>-re)?"
    r"(?:@(?P<place>[+-]\d+|above|below|unknown|\d+))?\s*\{\{(?P<text>(?:\{\{.*?\}\}|.)*?)\}\}"
)


SHOWN_OPERATION = "see current operation"
"""How the note begins that MLIR adds to each error about an operation; nobody needs to expect it."""


def mismatches(
    source: str, name: str, diagnostics: Iterable[Diagnostic], *, only_expected: bool = False
) -> list[str]:
    """The complaints: what is expected in `source` and was not said, and what was said unexpectedly.

    A comment speaks of its own line, `@+n` and `@-n` of one relative to it, `@above` and `@below` of the next line
    that has no such comment, `@n` of line n, `@unknown` of a diagnostic without a position. The text must
    be part of the message; `-re` comments hold regular expressions in inner `{{}}`. With `only_expected`, more may
    be said than is expected.
    """
    said = list(_flat(diagnostics))
    faults: list[str] = []
    for line, severity, pattern, text in _expectations(source):
        if isinstance(pattern, re.error):
            faults.append(f'{name}:{line or 0}:1: error: invalid regex "{text}": {pattern}')
            continue
        fits = (
            d for d in said if _line(d, name) == line and d.severity == severity and pattern.search(d.message)
        )
        found = next(fits, None)
        if found is None:
            faults.append(f'{name}:{line or 0}:1: error: expected {severity} "{text}" was not produced')
        else:
            said.remove(found)
    unexpected = [] if only_expected else said
    return faults + [f"{d.location}: error: unexpected {d.severity}: {d.message}" for d in unexpected]


def _flat(diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    for diagnostic in diagnostics:
        if not diagnostic.message.startswith(SHOWN_OPERATION):
            yield diagnostic
        yield from _flat(diagnostic.notes)


def _line(diagnostic: Diagnostic, name: str) -> int | None:
    """The line of the input that `diagnostic` speaks of, None for none."""
    match = re.fullmatch(re.escape(name) + r":(\d+):\d+", diagnostic.location)
    return int(match[1]) if match else None


def _expectations(source: str) -> Iterator[tuple[int | None, str, re.Pattern[str] | re.error, str]]:
    lines = source.splitlines()
    for number, line in enumerate(lines, start=1):
        for match in _EXPECTED.finditer(line):
            yield _target(match["place"], number, lines), match["severity"], _pattern(match), match["text"]


def _target(place: str | None, number: int, lines: list[str]) -> int | None:
    """The line, counted from 1, that a comment on line `number` speaks of."""
    if place == "unknown":
        return None
    if place in ("above", "below"):
        step = -1 if place == "above" else 1
        number += step
        while 0 < number <= len(lines) and _EXPECTED.search(lines[number - 1]):
            number += step
        return number
    if place is None:
        return number
    return number + int(place) if place[0] in "+-" else int(place)


def _pattern(match: re.Match[str]) -> re.Pattern[str] | re.error:
    """What the message must match, or what is wrong with the regular expression."""
    if not match["regex"]:
        return re.compile(re.escape(match["text"]))
    pieces = re.split(r"\{\{(.*?)\}\}", match["text"])
    try:
        return re.compile("".join(piece if odd else re.escape(piece) for odd, piece in _odd(pieces)))
    except re.error as error:
        return error


def _odd(pieces: list[str]) -> Iterator[tuple[bool, str]]:
    return ((bool(place % 2), piece) for place, piece in enumerate(pieces))

"""What the text fuzzer starts from: the parts of the lit tests with the command lines that run them."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LIT_TESTS = Path(__file__).parents[2] / "lit_tests"
DROPPED = (
    "--split-input-file",
    "--verify-diagnostics",
    "-o",
    "--emit-bytecode",
    "--mlir-timing",
    "--mlir-print-ir",
    # What is printed instead of a module.
    "--help",
    "-h",
    "--version",
    "--list-passes",
    "--show-dialects",
)


@dataclass(frozen=True)
class Sample:
    """A module as text, and the words of the command lines of its file."""

    name: str
    text: str
    commands: tuple[tuple[str, ...], ...]


@cache
def samples() -> tuple[Sample, ...]:
    """All parts of all lit tests in a fixed order."""
    found: list[Sample] = []
    for path in sorted(LIT_TESTS.rglob("*.mlir")):
        source = path.read_text()
        commands = tuple(dict.fromkeys(command for line in run_lines(source) if (command := words_of(line))))
        parts = re.split(r"^// -----.*$", source, flags=re.MULTILINE)
        code = [re.sub(r"^\s*//.*$\n?", "", part, flags=re.MULTILINE) for part in parts]
        found += [
            Sample(f"{path.stem}:{number}", text, commands)
            for number, text in enumerate(code)
            if text.strip() and len(text) < 20_000
        ]
    return tuple(found)


def run_lines(source: str) -> list[str]:
    """What stands behind `RUN:`, continued lines joined."""
    lines = re.findall(r"^// RUN: (.*)$", source, flags=re.MULTILINE)
    return (
        " ".join(lines).replace("\\ ", " ").split("&&")
        if any(line.endswith("\\") for line in lines)
        else lines
    )


def words_of(line: str) -> tuple[str, ...]:
    """The options of the first `pit-mlir-opt` in a command line that has no file but the test."""
    match = re.match(r"\s*pit-mlir-opt\s+([^|>&]*)", line)
    if match is None or "<" in line or "%t" in match[1]:
        return ()
    try:
        words = [word for word in shlex.split(match[1]) if word != "%s"]
    except ValueError:
        return ()
    if any("%" in word for word in words) or any(not word.startswith("-") for word in words):
        words = [word for word in words if word.startswith("-") and "%" not in word]
    return tuple(word for word in words if not word.startswith(DROPPED))

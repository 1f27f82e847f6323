"""MLIR as a tool is given it, by file or standard input: the text, the module in it, and the names written there."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from pit_mlir.analysis.body import constant
from pit_mlir.analysis.notation import constant_formula
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Diagnostic
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import InputError
from pit_mlir.passes.runner import diagnostics_of

STDIN = "<stdin>"
_BYTECODE = b"ML\xefR"
_VALUE = re.compile(r"%[\w$.-]+")
_RESULTS = re.compile(r"((?:%[\w$.-]+(?::\d+)?\s*,\s*)*%[\w$.-]+(?::\d+)?)\s*=\s*$")


class InvalidMLIR(InputError):
    """The input is no valid MLIR; `diagnostics` are all that MLIR said."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(diagnostics[0].message, location=diagnostics[0].location)
        self.diagnostics = tuple(diagnostics)


@dataclass(frozen=True)
class Source:
    """The bytes of a file or of standard input; `name` is what messages call it."""

    name: str
    data: bytes

    @classmethod
    def read(cls, path: str) -> Self:
        """The file at `path`, or standard input for `-`; raises `InputError` where that cannot be read."""
        if path == "-":
            if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
                raise InputError("cannot read standard input: it is closed", location=f"{STDIN}:1:1")
            return cls(STDIN, sys.stdin.buffer.read())
        try:
            return cls(path, Path(path).read_bytes())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"cannot open the file: {reason}", location=f"{path}:1:1") from None

    def parse(self, context: ir.Context) -> ir.Module:
        """The module in the text or bytecode; raises `InvalidMLIR`."""
        try:
            with context:
                return ir.Module.parse(self.data if self.is_bytecode else self.text)
        except ir.MLIRError as error:
            found = [self.named(diagnostic) for diagnostic in diagnostics_of(error)]
        raise InvalidMLIR(found or [Diagnostic("error", f"{self.name}:1:1", "not valid MLIR")])

    @property
    def is_bytecode(self) -> bool:
        """Whether it is MLIR bytecode, not text."""
        return self.data.startswith(_BYTECODE)

    @cached_property
    def text(self) -> str:
        """The text; raises `InputError` for what is neither text nor bytecode."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise InputError("neither text in UTF-8 nor MLIR bytecode", location=f"{self.name}:1:1") from None

    def named(self, diagnostic: Diagnostic) -> Diagnostic:
        """`diagnostic` with the name of the input where MLIR, which was given a text, says `-`."""
        notes = tuple(map(self.named, diagnostic.notes))
        return Diagnostic(diagnostic.severity, self.place(diagnostic.location), diagnostic.message, notes)

    def place(self, location: str) -> str:
        """`location` with the name of the input."""
        return re.sub(r"^-:(?=\d)", lambda _: f"{self.name}:", location)

    def offset(self, location: ir.Location) -> int | None:
        """Where in the text `location` points; None if it is of another file, such as the model's."""
        match = re.fullmatch(r"-:(\d+):(\d+)", location_text(location))
        if match is None or self.is_bytecode or int(match[1]) > len(self._lines):
            return None
        line, column = int(match[1]), int(match[2])
        # MLIR counts bytes.
        before = self._lines[line - 1].encode()[: column - 1].decode(errors="replace")
        return self._starts[line - 1] + len(before)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self._lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts


class Names:
    """What the values of a module are called: as in the text if it can be found there, else as MLIR prints them.

    Names are without `%`, but for numbers. It holds the module's names, so it must not outlive the module.
    """

    def __init__(self, source: Source, module: ir.Module) -> None:
        self.source = source
        self.state = ir.AsmState(module.operation)

    def __call__(self, value: ir.Value) -> str:
        """The name of `value`, or the number that it is."""
        maker = value.owner
        if not isinstance(maker, ir.Block) and maker.operation.name == "arith.constant":
            node = constant(maker.operation)
            if node.op == "constant":
                return constant_formula(node).text
        written = self._written(value) or value.get_name(self.state)
        return written if written[1:2].isdigit() else written.removeprefix("%")

    def _written(self, value: ir.Value) -> str | None:
        """The name of `value` where the text defines it."""
        maker = value.owner
        if isinstance(maker, ir.Block):
            start = self.source.offset(ir.BlockArgument(value).location)
            match = None if start is None else _VALUE.match(self.source.text, start)
            return None if match is None else match[0]
        operation = maker.operation
        start = self.source.offset(operation.location)
        if start is None or not self.source.text.startswith((operation.name, f'"{operation.name}'), start):
            return None
        match = _RESULTS.search(self.source.text[max(0, start - 1000) : start])
        return None if match is None else _result(match[1], ir.OpResult(value).result_number)


def _result(definition: str, number: int) -> str | None:
    """The name of result `number` in `%a, %b:2 =`."""
    for part in definition.split(","):
        name, _, count = part.strip().partition(":")
        if number < int(count or 1):
            return f"{name}#{number}" if count else name
        number -= int(count or 1)
    return None

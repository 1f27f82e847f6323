"""`explain()`: what the compiler found, proved, rewrote and left alone, by line of the model."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pit_mlir.diagnostics import Diagnostic


@dataclass(frozen=True)
class Finding:
    """What was said about one place of the model: `remarks` in the order they were made."""

    location: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Printable; `findings` are in the order of the program, `assumptions` hold for every call or are checked."""

    findings: tuple[Finding, ...]
    assumptions: tuple[str, ...]

    @staticmethod
    def of(diagnostics: Sequence[Diagnostic]) -> "Explanation":
        """Groups remarks and warnings by location; those that begin with "assumes" are the assumptions."""
        places: dict[str, list[str]] = {}
        assumptions: dict[str, None] = {}
        for diagnostic in diagnostics:
            if diagnostic.message.startswith("assumes"):
                assumptions[diagnostic.message.removeprefix("assumes").strip(" :")] = None
                continue
            lines = [diagnostic.message, *(f"  {note.message}" for note in diagnostic.notes)]
            said = places.setdefault(diagnostic.location, [])
            said.extend(line for line in lines if line not in said)
        findings = tuple(Finding(location, tuple(lines)) for location, lines in places.items())
        return Explanation(findings, tuple(assumptions))

    def __str__(self) -> str:
        lines: list[str] = []
        if self.assumptions:
            lines += ["assumed, beyond finite data:", *(f"  {text}" for text in self.assumptions), ""]
        for finding in self.findings:
            lines += [finding.location, *(f"  {remark}" for remark in finding.remarks)]
        return "\n".join(lines) if lines else "nothing to explain: no operator could be made sparse"

    def to_json(self) -> str:
        """The same as JSON: {"findings": [{"location", "remarks"}], "assumptions": [..]}."""
        return json.dumps(asdict(self), indent=2)

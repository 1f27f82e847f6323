"""`explain()`: what the compiler found, proved, rewrote and left alone, by line of the model."""

import json
import linecache
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pit_mlir.diagnostics import Diagnostic, Operator, Report
from pit_mlir.errors import InputError
from pit_mlir.sample import MILLISECONDS, Candidate, Choice, Pattern, Sample

WIDTH = 100
"""Columns of the text."""

TITLES = {
    "zeros": "zeros",
    "index": "index",
    "compact": "rewritten",
    "list": "rewritten",
    "rewritten": "rewritten",
    "kernel": "kernel",
    "dense": "dense",
    "": "note",
}
"""What the text calls the topic of a remark; lines come in this order."""

WORK_OF_PHASES = ("finding what is live", "preparing operands", "multiplying", "waiting for memory")
"""What each of `analysis.cover.PHASES` is."""

ASSUMES = re.compile(r";? ?assumes: ([^;]*)")
PLACE = re.compile(r"(?:[^\s:'\"(]*/)?([^\s:/'\"(]+\.\w+):(\d+):\d+")


@dataclass(frozen=True)
class Remark:
    """One thing that was said, `count` times, about operators of one line."""

    topic: str
    text: str
    count: int


@dataclass(frozen=True)
class Operators:
    """`count` operators of one kind with the same verdicts: `axes` has (verdict, reason) per axis.

    `equation` is that of the first of them, `letters` are its names of the axes.
    """

    kind: str
    count: int
    axes: tuple[tuple[str, str], ...]
    equation: str = ""
    letters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What was found at one line of the model; `source` is its text, empty where the file cannot be read.

    `kernels` are the functions of the machine code that do its work.
    """

    location: str
    source: str
    operators: tuple[Operators, ...]
    remarks: tuple[Remark, ...]
    kernels: tuple[str, ...] = ()

    def count(self, *topics: str) -> int:
        """How often something about one of `topics` was said."""
        return sum(remark.count for remark in self.remarks if remark.topic in topics)

    @property
    def size(self) -> int:
        """How many operators come from this line."""
        return sum(operators.count for operators in self.operators)

    @property
    def indexed(self) -> int:
        """How many of them an index reaches."""
        return min(self.size, self.count("compact", "list", "index"))


@dataclass(frozen=True)
class Summary:
    """How many operators there are, run on live rows alone, run on lists, and stay dense; and what is indexed."""

    operators: int
    compact: int
    listed: int
    dense: int
    indices: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Printable; `findings` are in the order of the program, `assumptions` hold for every call or are checked.

    `sample` is what one call did, where `CompiledModule.explain` was given its arguments; `title` names the model.
    """

    summary: Summary
    assumptions: tuple[str, ...]
    findings: tuple[Finding, ...]
    sample: Sample | None = None
    title: str = ""

    @staticmethod
    def of(report: Report, title: str = "") -> "Explanation":
        """Groups what `report` holds by line of the model; what repeats, as layers do, is said once with a count."""
        operators: dict[str, list[Operator]] = {}
        remarks: dict[str, list[Diagnostic]] = {}
        for operator in report.operators:
            operators.setdefault(operator.location, []).append(operator)
        for diagnostic in report:
            remarks.setdefault(diagnostic.location, []).append(diagnostic)
        texts = [text for diagnostic in report for text in texts_of(diagnostic)]
        assumptions = dict.fromkeys(found.strip() for text in texts for found in ASSUMES.findall(text))
        kernels: dict[str, list[str]] = {}
        for kernel in report.kernels:
            kernels.setdefault(kernel.location, []).append(kernel.name)
        findings = [
            replace(
                finding_of(location, operators.get(location, []), remarks.get(location, [])),
                kernels=tuple(dict.fromkeys(kernels.get(location, []))),
            )
            for location in dict.fromkeys([*operators, *remarks])
        ]
        kept = tuple(finding for finding in findings if finding.operators or finding.remarks)
        return Explanation(summary_of(kept), tuple(map(sentence, assumptions)), kept, title=title)

    def renewed(self, title: str) -> "Explanation":
        """The same of a model called `title`, with the lines of the model as they are in its files now."""
        findings = tuple(replace(found, source=source_of(found.location)) for found in self.findings)
        return replace(self, findings=findings, title=title)

    def __str__(self) -> str:
        return "\n".join(lines_of(self))

    def to_json(self) -> str:
        """The same as JSON, an object with the fields of this class; locations keep their directories."""
        return json.dumps(asdict(self), indent=2)

    def to_html(self, path: str | Path | None = None) -> str:
        """The same as a page with pictures, one file that needs no other; also written to `path`, if given."""
        from pit_mlir.report.page import page

        text = page(self)
        if path is not None:
            write(path, text)
        return text

    def save(self, path: str | Path) -> None:
        """Writes it to `path`, whose end says how: `.html`, `.json` or `.txt`; raises `InputError` for another."""
        forms = {".html": self.to_html, ".json": self.to_json, ".txt": lambda: str(self)}
        suffix = Path(path).suffix.lower()
        if suffix not in forms:
            raise InputError(f"cannot write a report as '{path}': its name must end in {', '.join(forms)}")
        write(path, forms[suffix]().rstrip("\n") + "\n")


def write(path: str | Path, text: str) -> None:
    """Writes `text` to the file at `path`; raises `InputError` where that cannot be done."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None


def texts_of(diagnostic: Diagnostic) -> Iterator[str]:
    """The message and its notes."""
    yield diagnostic.message
    yield from (note.message for note in diagnostic.notes)


def finding_of(location: str, operators: Sequence[Operator], remarks: Sequence[Diagnostic]) -> Finding:
    """What is known about one line, equal things counted."""
    said = Counter(
        (diagnostic.topic, text)
        for diagnostic in remarks
        for message in texts_of(diagnostic)
        # A verdict "none" stands with the operators already; its note, two orders that differ, stays.
        if not (diagnostic.topic == "" and ": iterator d" in message)
        and (text := shortened(ASSUMES.sub("", message).removeprefix("compact: ")))
    )
    order = list(dict.fromkeys(TITLES.values()))
    grouped = sorted(said, key=lambda key: order.index(TITLES[key[0]]))
    kinds = Counter((operator.kind, tuple(verdict for verdict, _ in operator.axes)) for operator in operators)
    first = {
        (operator.kind, tuple(verdict for verdict, _ in operator.axes)): operator
        for operator in reversed(operators)
    }
    return Finding(
        location,
        source_of(location),
        tuple(
            Operators(kind[0], count, first[kind].axes, first[kind].equation, first[kind].letters)
            for kind, count in kinds.items()
        ),
        tuple(Remark(topic, text, said[topic, text]) for topic, text in grouped),
    )


def source_of(location: str) -> str:
    """The text of the line of a Python model at `file:line:col`, empty where it cannot be read."""
    match = re.fullmatch(r"(.*\.py):(\d+):\d+", location)
    return linecache.getline(match[1], int(match[2])).strip() if match else ""


def shortened(text: str) -> str:
    """`text` with `file:line` in place of paths."""
    return PLACE.sub(r"\1:\2", text).strip()


def sentence(text: str) -> str:
    """`text` with a capital letter and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def summary_of(findings: Sequence[Finding]) -> Summary:
    """The numbers on top."""
    operators = sum(finding.size for finding in findings)
    listed = sum(finding.count("list") for finding in findings)
    sources = Counter[str]()
    for finding in findings:
        for remark in finding.remarks:
            if remark.topic == "index":
                sources[re.sub(r"^compact through the index of |:.*", "", remark.text)] += remark.count
            if remark.topic == "list":
                sources[list_text(shortened(finding.location), remark.text)] += remark.count
    dense = operators - sum(finding.indexed for finding in findings)
    indices = tuple(counted(text, count) for text, count in sources.items())
    return Summary(operators, operators - listed - dense, listed, dense, indices)


def list_text(place: str, text: str) -> str:
    """What the list is of that an operator at `place` runs on, from the remark `text` of `pit-insert-sparsity`."""
    origin = re.sub(r"^.*?live by |: a list.*", "", text).removesuffix(f" at {place}")
    kind = "terms" if "reduced iterators" in text else "parts"
    return f"the live {kind} of the sums at {place} ({origin})"


def counted(text: str, count: int) -> str:
    """`text`, with `(x12)` behind it if it was said twelve times."""
    return text if count == 1 else f"{text} (x{count})"


def lines_of(explanation: Explanation) -> Iterator[str]:
    """The text, line by line."""
    summary, findings = explanation.summary, explanation.findings
    lines = "line" if len(findings) == 1 else "lines"
    yield f"{summary.operators} operators at {len(findings)} {lines} of the model"
    yield f"  {summary.compact} run on live rows alone, {summary.listed} on lists, {summary.dense} stay dense"
    if summary.indices:
        yield "indices, made anew in every call, of"
        yield from wrapped(summary.indices, "  ")
    else:
        yield "nothing is known to be zero or unused: no index is made"
    if explanation.sample is not None:
        yield from wrapped([sample_text(explanation.sample)], "")
    if explanation.assumptions:
        yield "assumed of every call"
        yield from wrapped(explanation.assumptions, "  ")
    yield "axes: the parts of a parallel axis may be computed in any order and place; those of a reduction"
    yield "  may be combined in any order, f(f(acc, x), y) = f(f(acc, y), x); none: the order matters"
    for finding in findings:
        yield ""
        yield f"{shortened(finding.location)}  {finding.source}".rstrip()
        title = ""
        sample = explanation.sample
        for next_title, text in (
            *entries_of(finding),
            *sample_entries(finding, sample),
            *choice_entries(finding, sample),
        ):
            yield from wrapped([text], f"  {next_title if next_title != title else '':10}")
            title = next_title


def entries_of(finding: Finding) -> Iterator[tuple[str, str]]:
    """Title and text of each thing that there is to say about one line."""
    for operators in finding.operators:
        yield "axes", counted(f"{operators.kind}: {axes_text(operators.axes)}", operators.count)
    for remark in finding.remarks:
        yield TITLES[remark.topic], counted(remark.text, remark.count)
    rest = finding.size - finding.indexed
    if rest > 0 and not finding.count("dense"):
        some = f"{rest} of {finding.size}: no index of their own"
        yield "dense", "all: no index reaches them" if rest == finding.size else some


def sample_text(sample: Sample) -> str:
    """How much work the sample run did."""
    share = percent(sample.share)
    return f"in the sample run: {share} of the multiply-adds of the dense model, {sample.done:,} of {sample.dense:,}"


def sample_entries(finding: Finding, sample: Sample | None) -> Iterator[tuple[str, str]]:
    """What the indices made at one line held in the sample run; those that repeat are added up."""
    groups: dict[tuple[str, str], list[Pattern]] = {}
    for pattern in sample.patterns if sample is not None else ():
        if pattern.location == finding.location:
            groups.setdefault((pattern.kind, pattern.source), []).append(pattern)
    for (_, source), patterns in groups.items():
        live, total = (sum(p.live for p in patterns), sum(p.segments * p.capacity for p in patterns))
        of = f"{unit_of(patterns[0])} of {source}"
        text = f"{live:,} of {total:,} {of} are listed: {percent(live / total if total else 0.0)}"
        yield "sample", counted(shortened(text), len(patterns))


def choices_at(sample: Sample | None, location: str) -> list[list[Choice]]:
    """The choices of one line; those that followed the same, as layers do, are together."""
    groups: dict[str, list[Choice]] = {}
    for choice in sample.choices if sample is not None else ():
        if choice.location == location:
            groups.setdefault(choice.followed.name, []).append(choice)
    return list(groups.values())


def choice_entries(finding: Finding, sample: Sample | None) -> Iterator[tuple[str, str]]:
    """How the contractions of one line chose in the sample run; those that chose the same are told of once."""
    for choices in choices_at(sample, finding.location):
        first = choices[0]
        yield "choice", counted(reason_of(first), len(choices))
        others = sorted(first.candidates, key=lambda candidate: candidate.total)
        told = ", ".join(f"{candidate.name} {milliseconds(candidate.total)}" for candidate in others)
        yield "choice", f"expected, in {first.unit}: {told}; costs: {first.costs}"


def reason_of(choice: Choice) -> str:
    """Why a contraction followed the list that it did, or none."""
    followed, (*lists, dense) = choice.followed, choice.candidates
    if followed.is_dense:
        best = min(lists, key=lambda candidate: candidate.total)
        times = ratio(best.total, followed.total)
        parts = parts_of(best, choice.unit)
        return f"no list is followed: the cheapest, {best.name}, is expected to take {times} as long{parts}"
    times, parts = ratio(dense.total, followed.total), parts_of(followed, choice.unit)
    return (
        f"the list of {followed.entries:,} micro-tiles {followed.name} is followed: without a list it is expected to "
        f"take {times} as long{parts}"
    )


def parts_of(candidate: Candidate, unit: str) -> str:
    """What a candidate is expected to spend its time on, in brackets; nothing where costs are not times."""
    if unit != MILLISECONDS:
        return ""
    done = zip(WORK_OF_PHASES, candidate.expected, strict=True)
    return f" ({', '.join(f'{milliseconds(time)} ms {what}' for what, time in done if time)})"


def milliseconds(time: float) -> str:
    """`12.3`, `0.123`: three digits, as costs are known to not more."""
    return f"{time:.3g}" if time < 1000 else f"{time:.0f}"


def ratio(time: float, other: float) -> str:
    """How many times `other` `time` is."""
    return f"{time / other:.3g} times" if other and time < 100 * other else "over 100 times"


def unit_of(pattern: Pattern) -> str:
    """What the entries of a pattern are."""
    units = {
        "rows": "rows",
        "list": f"micro-tiles of {pattern.block} x 1",
        "pairs": f"blocks of {pattern.block} queries and keys",
    }
    return units[pattern.kind]


def percent(share: float) -> str:
    """`12.3 %`; what is little but not nothing is not called nothing, nor what is not all, all."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def axes_text(axes: Sequence[tuple[str, str]]) -> str:
    """`parallel x3, reduction`, with the reason where an axis is none."""
    texts = [verdict if verdict != "none" else f"none ({reason})" for verdict, reason in axes]
    groups: list[tuple[str, int]] = []
    for text in texts:
        if groups and groups[-1][0] == text:
            groups[-1] = text, groups[-1][1] + 1
        else:
            groups.append((text, 1))
    return ", ".join(text if count == 1 else f"{count} {text}" for text, count in groups) or "no axes"


def wrapped(texts: Iterable[str], indent: str) -> Iterator[str]:
    """`texts` behind `indent`, further lines of each below its beginning."""
    for text in texts:
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=" " * len(indent),
            break_long_words=False,
            break_on_hyphens=False,
        )

"""The page of a report: what was found on top, then the work by line, then each line of the model."""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files

from pit_mlir.explanation import (
    Explanation,
    Finding,
    Operators,
    choices_at,
    counted,
    entries_of,
    percent,
    shortened,
)
from pit_mlir.report.choices import table_of
from pit_mlir.report.markup import Child, Markup, element, joined
from pit_mlir.report.patterns import figures_of, patterns_at
from pit_mlir.report.pictures import share_bar
from pit_mlir.sample import Sample, Work

AXIS = re.compile(r"\bd(\d+)\b")


def page(explanation: Explanation) -> str:
    """The whole page, one file that asks nothing of a network."""
    title = f"{explanation.title or 'A model'}: sparsity that was found"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(files("pit_mlir.report").joinpath("style.css").read_text(encoding="utf-8"))),
    )
    body = element(
        "body",
        element("h1", title),
        element("p", introduction(explanation), class_="soft"),
        cards(explanation),
        indices_of(explanation),
        work_by_line(explanation),
        element("h2", "Line by line"),
        element(
            "p",
            "The parts of a ",
            element("b", "parallel", class_="parallel"),
            " axis may be computed in any order and place; those of a ",
            element("b", "reduction", class_="reduction"),
            " may be combined in any order, f(f(acc, x), y) = f(f(acc, y), x); ",
            element("b", "none", class_="none"),
            " means that the order matters.",
            class_="soft",
        ),
        *(line_of(explanation, number, finding) for number, finding in enumerate(explanation.findings)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def introduction(explanation: Explanation) -> str:
    """What the numbers are of."""
    lines = len(explanation.findings)
    text = f"{lines} {'line' if lines == 1 else 'lines'} of the model, {explanation.summary.operators} operators."
    if explanation.sample is None:
        return (
            f"{text} No sample run: explain() shows patterns and work when it gets the arguments of a call."
        )
    return f"{text} Patterns and work are those of one sample run; indices are made anew in every call."


def cards(explanation: Explanation) -> Markup:
    """The numbers on top."""
    summary, sample = explanation.summary, explanation.sample
    shown: list[tuple[str, str]] = []
    if sample is not None:
        shown.append(
            (percent(sample.share), f"of the dense multiply-adds: {sample.done:,} of {sample.dense:,}")
        )
    shown += [
        (str(summary.compact), "operators run on live rows alone"),
        (str(summary.listed), "run on lists of live parts"),
        (str(summary.dense), "stay dense"),
    ]
    return element(
        "div",
        *(
            element(
                "div",
                element("b", value),
                text,
                class_="card first" if sample is not None and place == 0 else "card",
            )
            for place, (value, text) in enumerate(shown)
        ),
        class_="cards",
    )


def indices_of(explanation: Explanation) -> Markup:
    """What is listed, and what every call is taken to be like."""
    indices = explanation.summary.indices
    parts: list[Child] = [element("h2", "Indices")]
    if indices:
        parts.append(element("p", "Made anew in every call, of", class_="soft"))
        parts.append(bullets(indices))
    else:
        parts.append(element("p", "Nothing is known to be zero or unused: no index is made."))
    if explanation.assumptions:
        parts += [element("h2", "Assumed of every call"), bullets(explanation.assumptions)]
    return joined(parts)


def bullets(texts: Sequence[str]) -> Markup:
    """A list of `texts`."""
    return element("ul", *(element("li", text) for text in texts))


def work_by_line(explanation: Explanation) -> Markup:
    """Each line that contracts or attends: multiply-adds of the call beside those of the dense model."""
    sample = explanation.sample
    if sample is None or not sample.work:
        return Markup()
    rows: list[Markup] = []
    numbers = {finding.location: number for number, finding in enumerate(explanation.findings)}
    for location, work in by_location(sample).items():
        done, dense = sum(one.done for one in work), sum(one.dense for one in work)
        share = done / dense if dense else 1.0
        number = numbers.get(location)
        place = shortened(location)
        rows.append(
            element(
                "tr",
                element("td", place if number is None else element("a", place, href=f"#line-{number}")),
                element("td", share_bar(share, f"{percent(share)} of the dense work")),
                element("td", percent(share), class_="number"),
                element("td", f"{done:,}", class_="number"),
                element("td", f"{dense:,}", class_="number"),
            )
        )
    head = [
        element("th", "line"),
        element("th", ""),
        element("th", "left", class_="number"),
        element("th", "in the call", class_="number"),
        element("th", "dense", class_="number"),
    ]
    return joined(
        [
            element("h2", "Work"),
            element(
                "p",
                "Multiply-adds of contractions and attention, counted from the lengths of the lists of the call.",
                class_="soft",
            ),
            table(head, rows),
        ]
    )


def by_location(sample: Sample) -> dict[str, list[Work]]:
    """The work of `sample` by line, in the order of the program."""
    found: dict[str, list[Work]] = {}
    for work in sample.work:
        found.setdefault(work.location, []).append(work)
    return found


def table(head: Sequence[Markup], rows: Sequence[Markup]) -> Markup:
    """A table that scrolls by itself where it is too wide."""
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    return element("div", whole, class_="scroll")


def line_of(explanation: Explanation, number: int, finding: Finding) -> Markup:
    """Everything about one line of the model."""
    sample = explanation.sample
    patterns, choices = patterns_at(sample, finding.location), choices_at(sample, finding.location)
    return element(
        "section",
        element(
            "header",
            element("h3", shortened(finding.location), title=finding.location),
            *(element("span", text, class_=f"chip {class_}") for text, class_ in chips(finding)),
        ),
        element("div", finding.source, class_="source code") if finding.source else None,
        remarks_of(finding),
        *(figures_of(group, choices) for group in patterns),
        *(table_of(group) for group in choices),
        element(
            "details",
            element("summary", f"Proofs and kernels: {counted_operators(finding)}"),
            *(proofs_of(operators) for operators in finding.operators),
            kernels_of(finding),
        )
        if finding.operators or finding.kernels
        else None,
        class_="line",
        id=f"line-{number}",
    )


def counted_operators(finding: Finding) -> str:
    """How many operators come from a line."""
    return f"{finding.size} {'operator' if finding.size == 1 else 'operators'}"


def chips(finding: Finding) -> Iterator[tuple[str, str]]:
    """What became of a line, in a word each, with its class."""
    listed = min(finding.size, finding.count("list"))
    compact = finding.indexed - listed
    if compact > 0:
        yield f"{compact} on live rows", "sparse"
    if listed:
        yield f"{listed} on lists", "list"
    if finding.size > finding.indexed:
        yield f"{finding.size - finding.indexed} dense", "dense"


def remarks_of(finding: Finding) -> Markup:
    """What was said about a line, by topic."""
    rows = [
        element("tr", element("th", title), element("td", text, class_="why"))
        for title, text in entries_of(finding)
        if title != "axes"
    ]
    return element("div", element("table", element("tbody", *rows)), class_="scroll") if rows else Markup()


def proofs_of(operators: Operators) -> Markup:
    """The axes of operators of one kind, with the reason of each verdict."""
    letters = operators.letters or tuple(f"d{number}" for number in range(len(operators.axes)))

    def named(text: str) -> str:
        return AXIS.sub(
            lambda match: letters[int(match[1])] if int(match[1]) < len(letters) else match[0], text
        )

    rows = [
        element(
            "tr",
            element("td", letter if operators.letters else "", class_="code"),
            element("td", element("span", verdict, class_=f"chip {verdict}")),
            element("td", named(reason), class_="why"),
        )
        for letter, (verdict, reason) in zip(letters, operators.axes, strict=True)
    ]
    parts: list[Child] = [element("h3", counted(operators.kind, operators.count))]
    if operators.equation:
        parts.append(element("div", operators.equation, class_="source code"))
    parts.append(table([element("th", text) for text in ("axis", "verdict", "because")], rows))
    return joined(parts)


def kernels_of(finding: Finding) -> Markup:
    """The functions that a profiler shows."""
    if not finding.kernels:
        return Markup()
    names = [element("li", name, class_="code") for name in finding.kernels]
    return joined([element("h3", "Kernels, as a profiler names them"), element("ul", *names)])

"""How contractions chose in a sample run: what each candidate was expected to cost, and why one was followed."""

from pit_mlir.explanation import WORK_OF_PHASES, counted, milliseconds, reason_of
from pit_mlir.report.markup import Markup, element, joined
from pit_mlir.report.pictures import share_bar
from pit_mlir.sample import Choice


def table_of(choices: list[Choice]) -> Markup:
    """The candidates of choices that followed the same, those of the first of them, the cheapest first."""
    choice = choices[0]
    head = ("candidate", "entries", *WORK_OF_PHASES, "all")
    ordered = sorted(choice.candidates, key=lambda candidate: candidate.total)
    most = max(candidate.total for candidate in ordered)
    rows = [
        element(
            "tr",
            element("td", f"{one.name} (followed)" if one is choice.followed else one.name),
            element("td", "" if one.is_dense else f"{one.entries:,}", class_="number"),
            *(element("td", milliseconds(time) if time else "", class_="number") for time in one.expected),
            element("td", milliseconds(one.total), class_="number"),
            element(
                "td", share_bar(one.total / most if most else 0.0, f"{milliseconds(one.total)} {choice.unit}")
            ),
            class_="chosen" if one is choice.followed else None,
        )
        for one in ordered
    ]
    cells = [element("th", text, class_="number" if place else None) for place, text in enumerate(head)]
    whole = element("table", element("thead", element("tr", *cells, element("th"))), element("tbody", *rows))
    reason = counted(reason_of(choice), len(choices))
    return joined(
        [
            element("h3", f"The choice: what was expected, in {choice.unit}"),
            element("div", whole, class_="scroll"),
            element("p", f"{reason[:1].upper()}{reason[1:]}. Costs: {choice.costs}.", class_="soft"),
        ]
    )

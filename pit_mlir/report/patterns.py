"""The patterns of a sample run: what was live, what other micro-tiles would leave, and what was chosen."""

from collections.abc import Sequence

from pit_mlir.analysis.cover import DENSE
from pit_mlir.explanation import percent, shortened, unit_of
from pit_mlir.report.markup import Markup, element, joined
from pit_mlir.report.pictures import bars, coverage_curve, heat_map
from pit_mlir.sample import Choice, Pattern, Sample

NEARLY_ALL = 0.95
MAPS = 3
"""Heat maps that are drawn of patterns that repeat, as layers do."""


def patterns_at(sample: Sample | None, location: str) -> list[list[Pattern]]:
    """The patterns of one line; those of the same kind and size, as layers have, are together."""
    groups: dict[tuple[object, ...], list[Pattern]] = {}
    for pattern in sample.patterns if sample is not None else ():
        if pattern.location == location:
            key = pattern.kind, pattern.source, pattern.segments, pattern.capacity, pattern.block
            groups.setdefault(key, []).append(pattern)
    return list(groups.values())


def figures_of(patterns: list[Pattern], choices: list[list[Choice]]) -> Markup:
    """Heat maps, loads, coverage and candidates of patterns that repeat; the `choices` are those of their line."""
    first = patterns[0]
    followed = [choice.followed for group in choices for choice in group]
    chosen = chosen_of(first, [one.name for one in followed])
    share = sum(pattern.share for pattern in patterns) / len(patterns)
    times = f", {len(patterns)} times" if len(patterns) > 1 else ""
    return joined(
        [
            element(
                "h3", f"In the sample run{times}: {percent(share)} of {shortened(first.source)} is listed"
            ),
            element(
                "div",
                *(heat_figure(pattern) for pattern in patterns[:MAPS]),
                loads_figure(patterns),
                curve_figure(first, chosen),
                class_="figures",
            ),
            candidates(first, chosen, is_told=not choices),
        ]
    )


def heat_figure(pattern: Pattern) -> Markup:
    """Where what is live lies."""
    text = f"{pattern.live:,} of {pattern.segments * pattern.capacity:,} {unit_of(pattern)} listed"
    if pattern.kind == "pairs":
        across = "queries downwards, keys across, the darker the more heads and sequences look there"
    elif pattern.segments == 1 and len(pattern.heat) > 1:
        across = "read line by line"
    else:
        across = f"{pattern.segments:,} lists downwards, {pattern.capacity:,} places across"
    return element("figure", heat_map(pattern.heat, text), element("figcaption", f"{text}; {across}."))


def loads_figure(patterns: list[Pattern]) -> Markup:
    """How long the lists are; of patterns of one list each, how they differ from one to the next."""
    first = patterns[0]
    if first.segments > 1:
        loads, what = first.loads, "list"
    elif len(patterns) > 1:
        loads, what = tuple(float(pattern.live) for pattern in patterns), "repetition"
    else:
        return Markup()
    mean = sum(loads) / len(loads)
    span = f"{min(loads):,.0f} to {max(loads):,.0f} of {first.capacity:,}"
    text = f"Length of each {what}: {span}, {mean:,.1f} on average"
    return element("figure", bars(loads, text, mean), element("figcaption", f"{text} (dashed)."))


def chosen_of(pattern: Pattern, followed: Sequence[str]) -> int | None:
    """The length of the micro-tile that was chosen, where candidates called `followed` were; None if it is not known.

    0 stands for none: all is done without a list.
    """
    if pattern.kind != "list" or not followed:
        return 1 if pattern.kind == "rows" else pattern.block
    lengths = {
        0 if name == DENSE else int(name.partition("x")[0]) if name.endswith("x1") else None
        for name in followed
    }
    return lengths.pop() if len(lengths) == 1 else None


def curve_figure(pattern: Pattern, chosen: int | None) -> Markup:
    """What each length of the micro-tile would leave of the work."""
    label = "Share of the work left over the length of the micro-tile"
    text = (
        f"{label}. Measured in the call (line), and if zeros were scattered one by one (dashed: 1 - s^T; in runs of g, "
        f"1 - s^(T/g)).{'' if chosen is None else ' The ring is what was chosen.'}"
    )
    return element("figure", coverage_curve(pattern.coverage, chosen, label), element("figcaption", text))


def candidates(pattern: Pattern, chosen: int | None, *, is_told: bool) -> Markup:
    """What could be done, how much work each would leave in this call, and what was chosen; why, if that `is_told`."""
    rows = [
        row("all of it, dense", 1.0, 1.0, "", is_chosen=chosen == 0),
    ]
    for one in reversed(pattern.coverage):
        text = name_of(pattern, one.micro_tile)
        rows.append(row(text, one.share, one.random, f"{one.live:,}", is_chosen=one.micro_tile == chosen))
    head = [element("th", "candidate"), *(element("th", text, class_="number") for text in HEAD)]
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    why = element("p", reason(pattern), class_="soft") if is_told else Markup()
    return joined([element("div", whole, class_="scroll"), why])


HEAD = ("work left", "if scattered", "entries")


def name_of(pattern: Pattern, length: int) -> str:
    """What a micro-tile of `length` is."""
    if pattern.kind == "list":
        return f"micro-tiles of {length} x 1, gathered"
    if pattern.kind == "pairs":
        return f"blocks of {length} queries and keys"
    return "single rows, gathered" if length == 1 else f"tiles of {length} neighbouring rows, not gathered"


def row(text: str, share: float, random: float, entries: str, *, is_chosen: bool) -> Markup:
    """One candidate."""
    return element(
        "tr",
        element("td", f"{text} (chosen)" if is_chosen else text),
        element("td", percent(share), class_="number"),
        element("td", percent(random), class_="number"),
        element("td", entries, class_="number"),
        class_="chosen" if is_chosen else None,
    )


def reason(pattern: Pattern) -> str:
    """Why the chosen candidate was chosen."""
    if pattern.kind == "rows":
        return (
            "Chosen: single rows. Their order is free, so live rows are gathered into full tiles while packed, "
            "and a row is long enough to be moved at the speed of memory; a larger tile could only add dead rows."
        )
    if pattern.kind == "pairs":
        return (
            f"Chosen: blocks of {pattern.block}, what the kernel has in its cache. They are found by what the "
            "mask ranges over in them; smaller ones follow the mask closer, and there are more of them to ask about."
        )
    text = (
        f"Chosen: lists that {pattern.block} neighbouring rows share. Fewer rows leave less work, but each gathered "
        "column is then used fewer times and a register tile stays partly empty."
    )
    nearly_all = pattern.share > NEARLY_ALL
    return (
        f"{text} In this call nearly all of them are live: the lists save next to nothing."
        if nearly_all
        else text
    )

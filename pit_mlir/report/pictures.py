"""The pictures of a report, as SVG whose colours come from the style of the page."""

from collections.abc import Sequence

from pit_mlir.explanation import percent
from pit_mlir.report.markup import Markup, element, joined, number, svg
from pit_mlir.sample import Coverage

LEVELS = 8
"""Shades of a heat map."""


def heat_map(heat: Sequence[Sequence[float]], label: str) -> Markup:
    """One square for each cell, the darker the more of it is live; runs of equal cells are one rectangle."""
    columns = max(map(len, heat), default=1)
    shades: dict[int, list[str]] = {}
    for y, row in enumerate(heat):
        for x, length, level in runs([shade(share) for share in row]):
            if level:
                shades.setdefault(level, []).append(f"M{x} {y}h{length}v1h-{length}z")
    paths = [
        element("path", d="".join(parts), fill_opacity=number(level / LEVELS))
        for level, parts in sorted(shades.items())
    ]
    frame = element("rect", width=columns, height=len(heat), class_="cells")
    return svg(columns, len(heat), frame, *paths, label=label, class_="heat", preserveAspectRatio="none")


def shade(share: float) -> int:
    """0 for nothing, `LEVELS` for all, what is little is seen."""
    return 0 if share <= 0 else max(1, round(share * LEVELS))


def runs(levels: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first, length, level) of each run of equal `levels`."""
    found: list[tuple[int, int, int]] = []
    for place, level in enumerate(levels):
        if found and found[-1][2] == level:
            first, length, _ = found[-1]
            found[-1] = first, length + 1, level
        else:
            found.append((place, 1, level))
    return found


def bars(values: Sequence[float], label: str, mean: float) -> Markup:
    """A bar for each of `values`, the largest of which is full height, and a line at their `mean`."""
    width, height, most = 240.0, 80.0, max(values, default=0.0)
    step = width / max(1, len(values))
    gap = step * 0.15 if len(values) <= 60 else 0.0
    drawn = [
        element(
            "rect",
            x=number(place * step + gap / 2),
            y=number(height - tall),
            width=number(step - gap),
            height=number(tall),
            class_="bar",
        )
        for place, value in enumerate(values)
        if (tall := height * value / most if most else 0.0) > 0
    ]
    ground = element("line", x1=0, x2=number(width), y1=number(height), y2=number(height), class_="axis")
    level = number(height - (height * mean / most if most else 0.0))
    middle = element("line", x1=0, x2=number(width), y1=level, y2=level, class_="random")
    return svg(width, height + 1, *drawn, ground, middle, label=label, class_="bars")


def share_bar(share: float, label: str) -> Markup:
    """A bar of which `share` is filled."""
    full = element("rect", width=200, height=10, rx=2, class_="rest")
    done = element("rect", width=number(200 * min(1.0, share)), height=10, rx=2, class_="bar")
    return svg(200, 10, full, done, label=label, class_="share")


def coverage_curve(coverage: Sequence[Coverage], chosen: int | None, label: str) -> Markup:
    """The share of work that is left over the length of the micro-tile: measured, and for scattered zeros."""
    left, top, width, height = 34.0, 8.0, 240.0, 120.0
    step = width / max(1, len(coverage) - 1)

    def point(place: int, share: float) -> tuple[float, float]:
        return left + place * step, top + height * (1 - share)

    def line(shares: Sequence[float], class_: str) -> Markup:
        places = [point(place, share) for place, share in enumerate(shares)]
        return element(
            "polyline", points=" ".join(f"{number(x)},{number(y)}" for x, y in places), class_=class_
        )

    grid: list[Markup] = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = point(0, share)[1]
        grid.append(element("line", x1=left, x2=left + width, y1=number(y), y2=number(y), class_="grid"))
        text = f"{100 * share:.0f} %"
        grid.append(element("text", text, x=left - 4, y=number(y + 3), text_anchor="end"))
    marks: list[Markup] = []
    for place, one in enumerate(coverage):
        x, y = point(place, one.share)
        is_chosen = one.micro_tile == chosen
        about = element("title", f"{one.micro_tile}: {percent(one.share)} of the work")
        marks.append(
            element(
                "circle",
                about,
                cx=number(x),
                cy=number(y),
                r=4.5 if is_chosen else 2.5,
                class_="chosen" if is_chosen else "dot",
            )
        )
        marks.append(
            element("text", str(one.micro_tile), x=number(x), y=top + height + 13, text_anchor="middle")
        )
    return svg(
        left + width + 12,
        top + height + 18,
        joined(grid),
        line([one.random for one in coverage], "random"),
        line([one.share for one in coverage], "measured"),
        joined(marks),
        label=label,
        class_="curve",
    )

"""HTML and SVG that cannot be ill-formed: text is escaped, elements are closed."""

import html
from collections.abc import Iterable

VOID = ("meta",)
"""Elements that have no end, in HTML."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Markup | None


def joined(children: Iterable[Child]) -> Markup:
    """`children` one after another: what is no markup is escaped, None is nothing."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child)
            for child in children
            if child is not None
        )
    )


def element(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element; `class_` and `stroke_width` are the attributes class and stroke-width, None is no attribute."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    start = f"<{name}{given}>"
    return Markup(start if name in VOID else f"{start}{joined(children)}</{name}>")


def svg(width: float, height: float, *children: Child, label: str, **attributes: object) -> Markup:
    """A picture of so many units that says what it shows; it grows and shrinks with its place."""
    view = f"0 0 {number(width)} {number(height)}"
    return element(
        "svg",
        element("title", label),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=view,
        role="img",
        **attributes,
    )


def number(value: float) -> str:
    """A coordinate, no longer than it needs to be."""
    return f"{value:.2f}".rstrip("0").rstrip(".")

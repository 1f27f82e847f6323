"""Draws the figures of the README from result files: `python -m bench.figures [--machine NAME] [--png]`.

Nothing is measured. Figures are SVG that follows the reader's light or dark colours; what has no rows is told and
left out.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.machine import machine_name
from bench.results import RESULTS, read

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLOURS = ("#2f81f7", "#e5732f", "#2da44e", "#a475f9", "#c99a1a", "#db61a2", "#8b949e")
"""Readable on white and on black."""
INK = "#123456"
"""Stands for the reader's colour of text until the file is written."""
STYLE = "<style>svg{color:#24292f}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"

Rows = list[dict[str, Any]]


class Missing(Exception):
    """What a figure needs and no file has."""


def rows_of(folder: Path, *names: str) -> Rows:
    """The rows of some files."""
    return [row for name in names for row in read(folder / f"{name}.json")]


def need_rows(found: Rows, part: str) -> Rows:
    """`found`, of which there must be some."""
    if not found:
        raise Missing(f"no rows: python -m bench.subset --only {part}")
    return found


def of(rows: Rows, **wanted: Any) -> Rows:
    """Those whose entries are as `wanted`."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def distinct(rows: Rows, key: str) -> list[Any]:
    """The values of `key`, in order of appearance."""
    return list(dict.fromkeys(row[key] for row in rows))


def plot_speed_ups(axes: Any, rows: Rows, title: str) -> None:
    """Speed-up over torch's dense product against zeros, by granularity; dashed: the floor's."""
    for colour, granularity in zip(COLOURS, distinct(rows, "granularity"), strict=False):
        line = sorted(of(rows, granularity=granularity), key=lambda row: row["zeros"])
        zeros = [spread(row["zeros"]) for row in line]
        axes.plot(zeros, [row["ratio"] for row in line], "o-", color=colour, label=granularity)
        bound = [row["peer_ms"]["median"] / row["floor_ms"] for row in line]
        axes.plot(zeros, bound, "--", color=colour, alpha=0.7, linewidth=1)
    shares = sorted(distinct(rows, "zeros"))
    axes.set_xticks([spread(share) for share in shares], [f"{100 * share:g} %" for share in shares])
    axes.axhline(1, color=INK, linewidth=0.8)
    log_ratios(axes)
    axes.set(title=title, xlabel="zeros")
    axes.legend(frameon=False, loc="upper left", title="blocks")


def spread(zeros: float) -> float:
    """Where a share of zeros stands: by how often dense work would be done for one live part, on a log scale."""
    return -math.log10(max(1 - zeros, 1e-3))


def log_ratios(axes: Any) -> None:
    """A log scale that says 2x."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))


def speed_up(folder: Path, pyplot: Any) -> Any:
    """The sparse grid, coarse and fine."""
    coarse = of(rows_of(folder, "matmul"), peer="torch")
    fine = of(rows_of(folder, "matmul-fine"), peer="torch")
    need_rows(coarse + fine, "matmul")
    panels = [(rows, title) for rows, title in ((coarse, "blocks"), (fine, "fine zeros")) if rows]
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.6 * len(panels), 3.9), squeeze=False, sharey=True
    )
    shape = " x ".join((coarse + fine)[0]["shape"].split("x"))
    for one, (rows, title) in zip(axes[0], panels, strict=True):
        plot_speed_ups(one, rows, f"{title}, f32, {shape}")
    axes[0][0].set_ylabel("times as fast as torch's dense product")
    caption(
        figure, "A sparse x B, indices built in every call; dashed: the machine's limit, bytes and operations"
    )
    return figure


def grid(
    pyplot: Any, count: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Any, list[Any]]:
    """A figure of `count` panels of `size` inches, so many a line; the panels."""
    columns = min(columns, count)
    lines = -(-count // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(size[0] * columns, size[1] * lines), squeeze=False, **options
    )
    for spare in axes.flat[count:]:
        spare.set_visible(False)
    return figure, list(axes.flat[:count])


def caption(figure: Any, text: str) -> None:
    """A line under a figure."""
    figure.text(0.5, 0.005, text, ha="center", fontsize=8, color=INK)


def moe(folder: Path, pyplot: Any) -> Any:
    """Mixtures of experts: how many times as fast as zentorch and grouped_mm, by tokens."""
    rows = [row for row in rows_of(folder, "moe", "moe-f32") if row["peer"] in ("zentorch", "grouped")]
    need_rows(rows, "moe")
    kinds = [(name, dtype) for name in names(rows) for dtype in ("bf16", "f32") if layer(rows, name, dtype)]
    figure, places = grid(pyplot, len(kinds), 2, (4.3, 2.7), sharey=True)
    bars = [("live", "zentorch"), ("frozen", "zentorch"), ("live", "grouped"), ("frozen", "grouped")]
    for one, (name, dtype) in zip(places, kinds, strict=True):
        found = layer(rows, name, dtype)
        tokens = sorted({token(row) for row in found})
        for number, (weight, peer) in enumerate(bars):
            line = {token(row): row["ratio"] for row in of(found, peer=peer) if f" {weight} " in row["case"]}
            across = [place + (number - 1.5) * 0.2 for place, count in enumerate(tokens) if count in line]
            heights = [line[count] - 1 for count in tokens if count in line]
            shade = 0.5 if weight == "live" else 1.0
            label = f"{weight}, over {'grouped_mm' if peer == 'grouped' else peer}"
            colour = COLOURS[0 if peer == "zentorch" else 1]
            one.bar(across, heights, 0.19, bottom=1, color=colour, alpha=shade, label=label)
        one.set_xticks(range(len(tokens)), [str(count) for count in tokens])
        one.axhline(1, color=INK, linewidth=0.8)
        one.set(title=f"{name}, {dtype}", xlabel="tokens")
        log_ratios(one)
    places[0].set_ylabel("ours is so many times as fast")
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=4, loc="upper center", fontsize=8)
    return figure


def names(rows: Rows) -> list[str]:
    """The titles of the layers."""
    return list(dict.fromkeys(row["shape"].split()[0] for row in rows))


def layer(rows: Rows, name: str, dtype: str) -> Rows:
    """The rows of one layer."""
    return [row for row in rows if row["shape"].startswith(f"{name} ") and row["dtype"] == dtype]


def token(row: dict[str, Any]) -> int:
    """How many tokens."""
    return int(row["shape"].rpartition("T=")[2])


def growth(folder: Path, pyplot: Any) -> Any:
    """Time against zeros, tokens, experts, and compile time against layers."""
    panels = [panel for panel in (zeros_panel(folder), *moe_panels(folder), *layer_panels(folder)) if panel]
    if not panels:
        raise Missing("no rows: python -m bench.subset --only growth")
    figure, places = grid(pyplot, len(panels), 3, (2.9, 2.7))
    for one, (title, across, up, lines) in zip(places, panels, strict=True):
        for colour, (label, points) in zip(COLOURS, lines, strict=False):
            style = "--" if label == "floor" else "o-"
            one.plot(
                *zip(*points, strict=True), style, color=INK if label == "floor" else colour, label=label
            )
        one.set(title=title, xlabel=across, ylabel=up)
        if across in ("tokens", "experts"):
            one.set_xscale("log", base=2)
            one.set_yscale("log", base=2)
            ticks = [point[0] for point in lines[0][1]]
            one.set_xticks(ticks, [str(tick) for tick in ticks])
            one.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        else:
            one.set_ylim(bottom=0)
        if len(lines) > 1:
            one.legend(frameon=False, fontsize=8)
    return figure


Panel = tuple[str, str, str, list[tuple[str, list[tuple[float, float]]]]]


def medians(
    rows: Rows, across: Callable[[dict[str, Any]], float]
) -> list[tuple[str, list[tuple[float, float]]]]:
    """Our medians and the floors over `across`."""
    found = {across(row): row for row in rows}
    ours = [(x, row["pit_ms"]["median"]) for x, row in sorted(found.items())]
    floors = [(x, row["floor_ms"]) for x, row in sorted(found.items()) if row["floor_ms"]]
    return [("pit", ours), *([("floor", floors)] if floors else [])]


def zeros_panel(folder: Path) -> Panel | None:
    """A product with blocks of 32x1."""
    rows = of(rows_of(folder, "matmul"), granularity="32x1", peer="torch")
    return ("product, 32x1", "% zeros", "ms", medians(rows, lambda row: 100 * row["zeros"])) if rows else None


def moe_panels(folder: Path) -> Iterable[Panel]:
    """Tokens and experts."""
    if rows := rows_of(folder, "growth-tokens"):
        yield "experts: tokens", "tokens", "ms", medians(rows, token)
    if rows := rows_of(folder, "growth-experts"):
        yield (
            "experts: their number",
            "experts",
            "ms",
            medians(rows, lambda row: int(row["shape"].split("x")[2])),
        )


def layer_panels(folder: Path) -> Iterable[Panel]:
    """Calls and compiling."""
    if rows := rows_of(folder, "growth-layers"):
        yield "BERT: a call", "layers", "ms", medians(rows, lambda row: row["layers"])
        lines = [
            (name, sorted((row["layers"], row[key]) for row in rows))
            for name, key in (
                ("compile", "compile s"),
                ("from the cache", "again s"),
                ("torch.export", "export s"),
            )
        ]
        yield "BERT: compiling", "layers", "s", lines


FIGURES: dict[str, Callable[[Path, Any], Any]] = {"speed-up": speed_up, "experts": moe, "growth": growth}


def prepare() -> Any:
    """pyplot, in our style."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    pyplot.rcParams.update(dict.fromkeys(ink, INK))
    pyplot.rcParams.update(
        {
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.alpha": 0.25,
            "svg.hashsalt": "pit",
            "svg.fonttype": "none",
            "lines.markersize": 4,
        }
    )
    return pyplot


def save(figure: Any, path: Path, png: bool) -> None:
    """An SVG in the reader's colours; for a look at once, a PNG on white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout(rect=(0, 0.04, 1, 0.94 if figure.legends else 1))
    if png:
        figure.savefig(path.with_suffix(".png"), dpi=130, facecolor="white")
    figure.savefig(path, transparent=True, metadata={"Date": None})
    text = path.read_text().replace(INK, "currentColor")
    path.write_text(re.sub(r"(<svg[^>]*>)", rf"\1\n {STYLE}", text, count=1))


def machine_folder(machine: str) -> Path:
    """The folder of `machine`, or of this one; of the first that has results, where this one has none."""
    wanted = RESULTS / (machine or machine_name())
    others: Sequence[Path] = sorted(path for path in RESULTS.glob("*") if path.is_dir())
    if wanted.is_dir() or machine or not others:
        return wanted
    return others[0]


def main(
    machine: Annotated[str, typer.Option(help="Whose results; this machine's by default.")] = "",
    images: Annotated[Path, typer.Option(help="Where figures go.")] = IMAGES,
    png: Annotated[bool, typer.Option("--png", help="Also as PNG.")] = False,
) -> None:
    """Draws what there are rows for."""
    try:
        pyplot = prepare()
    except ImportError:
        raise SystemExit("matplotlib is not installed: pip install 'pit_mlir[bench]'") from None
    folder = machine_folder(machine)
    for name, draw in FIGURES.items():
        try:
            save(draw(folder, pyplot), images / f"{name}.svg", png)
            print(f"{images / name}.svg")
        except Missing as error:
            print(f"{name}: {error}")


if __name__ == "__main__":
    typer.run(main)

"""Tables of docs/performance.md that are rows of `make bench`, and nothing else; `python -m bench.goals --write` puts
them there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.figures import Rows, distinct, of, rows_of

NOT_MEASURED = "not measured"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    rows = [f"| {' | '.join(cells)} |" for cells in (head, *lines)]
    return "\n".join([rows[0], f"|{'---|' * len(head)}", *rows[1:]])


def grid(rows: Rows, cell: Callable[[Rows], str]) -> str:
    """`cell` of the rows of each granularity (downwards) and share of zeros."""
    shares = sorted(distinct(rows, "zeros"))
    lines = [
        [granularity, *(cell(of(rows, granularity=granularity, zeros=zeros)) for zeros in shares)]
        for granularity in distinct(rows, "granularity")
    ]
    return markdown(["zeros in", *map(str, shares)], lines)


def ratio(found: Rows) -> str:
    """How many times faster than the peer."""
    return f"{found[0]['ratio']:.1f}" if found else NOT_MEASURED


def against_floor(found: Rows) -> str:
    """The floor and what was taken in ms, and the share."""
    if not found:
        return NOT_MEASURED
    floor, taken = found[0]["floor_ms"], found[0]["pit_ms"]["median"]
    return f"{floor:.1f} / {taken:.1f}: {floor / taken:.0%}"


def speed_ups(folder: Path) -> str:
    """Products with zeros in A over torch's dense ones."""
    return grid(products(folder, 0.5), ratio)


def floors(folder: Path) -> str:
    """The same against the floor, where at least nine of ten are zeros."""
    return grid(products(folder, 0.9), against_floor)


def products(folder: Path, least: float) -> Rows:
    """The rows against torch with a share of at least `least` zeros, fine ones first."""
    rows = of(rows_of(folder, "matmul-fine", "matmul"), peer="torch")
    return [row for row in rows if row["zeros"] >= least]


def experts(folder: Path) -> str:
    """Experts over zentorch, weights live / frozen, by layer and tokens."""
    rows = of(rows_of(folder, "moe", "moe-f32"), peer="zentorch")
    cases: dict[tuple[str, str], dict[int, dict[str, str]]] = {}
    for row in rows:
        # "combined live balanced" of "mixtral/4 4096x3584x8x2 T=16"
        weight, layer = row["case"].split()[1], row["shape"].split()[0]
        tokens = int(row["shape"].partition("T=")[2])
        case = cases.setdefault((layer, row["dtype"]), {})
        case.setdefault(tokens, {})[weight] = f"{row['ratio']:.2f}"
    counts = sorted({tokens for case in cases.values() for tokens in case})
    lines = [
        [
            f"{layer}, {dtype}",
            *(" / ".join(case.get(t, {}).get(w, NOT_MEASURED) for w in ("live", "frozen")) for t in counts),
        ]
        for (layer, dtype), case in cases.items()
    ]
    return markdown(
        ["layer, type", *(f"{tokens} token{'s' if tokens > 1 else ''}" for tokens in counts)], lines
    )


TABLES: dict[str, Callable[[Path], str]] = {"speed-ups": speed_ups, "floors": floors, "experts": experts}
"""Each by what marks its place."""

"""What a list covers and what following it costs: the model behind every choice between lists, and none.

Nothing here knows MLIR. A cost is a sum of terms, each a unit of work and how often it is done; how often may be a
number, as in `pit-mlir tune` and in reports, or a value of generated code that a call computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N")


@dataclass(frozen=True)
class Term(Generic[N]):
    """Work of `unit`, named as in the tile database, done as often as the product of `times` says."""

    unit: str
    times: tuple[N, ...]


def dead_share(zeros: float, granularity: int, micro_tile: int) -> float:
    """The share of micro-tiles that hold nothing but zeros.

    Zeros come in runs of `granularity` along the micro-tile, a share `zeros` of the runs, at random. A run is at least
    as long as a micro-tile or divides it.
    """
    if not 0 <= zeros <= 1:
        raise ValueError(f"zeros = {zeros}, expected a share from 0 to 1")
    runs = max(1, micro_tile // granularity)
    if granularity < micro_tile and micro_tile % granularity:
        raise ValueError(f"runs of {granularity} do not fill micro-tiles of {micro_tile}")
    return zeros**runs


def unit_of_step(micro_tile: int, known: Sequence[int]) -> str:
    """The unit of a multiply-add of a listed step for micro-tiles of so many rows: the measured height next to it."""
    nearest = min(known, key=lambda height: (abs(height - micro_tile), height))
    return f"listed_{nearest}"


HEIGHTS = (8, 16, 32)
"""The micro-tiles whose steps are measured."""


def listed_terms(
    entries: N,
    rows: N,
    columns: N,
    steps: N,
    segments: N,
    *,
    micro_tile: int,
    shares: bool,
    has_runs: bool = False,
) -> list[Term[N]]:
    """Following a list along the depth: `entries` micro-tiles with `rows` live rows in all, for `columns` columns.

    There are `segments` lists, each of at most `steps` entries. `shares`: all columns are packed once and addressed by
    the entries; else those of each entry are packed. `has_runs`: entries are neighbours, nothing is gathered.
    """
    gathered = Term("row" if has_runs else "gathered", (rows,))
    multiplied = Term(unit_of_step(micro_tile, HEIGHTS), (rows, columns))
    listed = Term("place", (segments, steps))
    if shares:
        return [
            listed,
            gathered,
            multiplied,
            Term("shared", (entries, columns)),
            Term("column", (steps, columns)),
        ]
    return [listed, gathered, multiplied, Term("column", (entries, columns))]


def parts_terms(
    entries: N, columns: N, steps: N, tasks: N, packed: N, places: N, *, pairs: bool
) -> list[Term[N]]:
    """Following lists of rows for parts of the depth: `entries` rows of `steps` each, for `columns` columns.

    There could be as many as `places`. The columns of `tasks` tasks pack the same rows, and the rows of all tasks
    together pack the columns of `packed` steps.
    """
    suffix = "_pair" if pairs else ""
    return [
        Term("place", (places,)),
        Term("row", (entries, steps, tasks)),
        Term(f"dense{suffix}", (entries, columns, steps)),
        Term("added", (entries, columns)),
        Term(f"column{suffix}", (packed, columns)),
    ]


def dense_terms(rows: N, columns: N, steps: N, *, pairs: bool) -> list[Term[N]]:
    """The loop without a list; its columns are packed once."""
    suffix = "_pair" if pairs else ""
    return [
        Term("row", (rows, steps)),
        Term(f"dense{suffix}", (rows, columns, steps)),
        Term(f"column{suffix}", (columns, steps)),
    ]


def streamed_terms(many: N, few: N, steps: N, bytes_: N) -> list[Term[N]]:
    """Few rows: `many` columns of `bytes_` an element are read where they lie, at each of `steps` of the depth."""
    return [Term("byte", (many, steps, bytes_)), Term("streamed", (many, few, steps))]


def price(terms: Sequence[Term[int]] | Sequence[Term[float]], costs: Mapping[str, float]) -> float:
    """What `terms` cost, in picoseconds of one thread."""
    total = 0.0
    for term in terms:
        amount = costs[term.unit]
        for factor in term.times:
            amount *= factor
        total += amount
    return total

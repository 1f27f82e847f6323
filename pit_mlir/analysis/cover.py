"""What a list covers and what following it costs: the model behind every choice between lists, and none.

Nothing here knows MLIR. A cost is a sum of terms, each a unit of work and how often it is done; how often may be a
number, as in `pit-mlir tune` and in reports, or a value of generated code that a call computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

N = TypeVar("N")


DENSE = "dense"
"""What following no list is called; a list is called by the shape of its micro-tiles, rows by steps of the depth."""


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


def unit_of_step(micro_tile: int) -> str:
    """The unit of a multiply-add of a listed step for micro-tiles of so many rows: the measured height next to it."""
    nearest = min(HEIGHTS, key=lambda height: (abs(height - micro_tile), height))
    return f"listed_{nearest}"


def unit_of_column(*, turned: bool, pairs: bool) -> str:
    """The unit of packing columns: those that lie along the depth are `turned`."""
    return ("turned" if turned else "column") + ("_pair" if pairs else "")


HEIGHTS = (8, 16, 32)
"""The micro-tiles whose steps are measured."""


@dataclass(frozen=True)
class Listed(Generic[N]):
    """What it takes to follow lists along the depth, for micro-tiles of `micro_tile` rows.

    To make the lists, `left` elements are looked at and each of `possible` entries is written or not. Then elements of
    rows are packed: `whole` ones are read in order and what is live is kept, `gathered` ones are taken one by one,
    `row` ones lie together. So are those of columns, `packed` ones. At listed steps `fetched` ones are not in the
    nearest caches; where columns are not packed, `missed` ones are in none. `multiplied` products are added up. `far`
    bytes of all else come from memory.
    """

    micro_tile: int
    left: N
    possible: N
    whole: N
    gathered: N
    row: N
    packed: N
    fetched: N
    missed: N
    multiplied: N
    far: N
    turned: bool


def listed_terms(work: Listed[N]) -> list[Term[N]]:
    """Following lists along the depth."""
    return [
        Term("bit", (work.left,)),
        Term("place", (work.possible,)),
        Term("whole", (work.whole,)),
        Term("gathered", (work.gathered,)),
        Term("row", (work.row,)),
        Term(unit_of_column(turned=work.turned, pairs=False), (work.packed,)),
        Term("fetched", (work.fetched,)),
        Term("missed", (work.missed,)),
        Term(unit_of_step(work.micro_tile), (work.multiplied,)),
        Term("far", (work.far,)),
    ]


def parts_terms(
    entries: N,
    columns: N,
    steps: N,
    tasks: N,
    packed: N,
    places: N,
    left: N,
    far: N,
    *,
    pairs: bool,
    turned: bool,
) -> list[Term[N]]:
    """Following lists of rows for parts of the depth: `entries` rows of `steps` each, for `columns` columns.

    There could be as many as `places`, which `left` elements tell. The columns of `tasks` tasks pack the same rows, and
    the rows of all tasks together pack the columns of `packed` steps. `far` bytes come from memory.
    """
    return [
        Term("bit", (left,)),
        Term("place", (places,)),
        Term("part", (entries, steps, tasks)),
        Term("dense_pair" if pairs else "dense", (entries, columns, steps)),
        Term("added", (entries, columns)),
        Term(unit_of_column(turned=turned, pairs=pairs), (packed, columns)),
        Term("far", (far,)),
    ]


def dense_terms(
    rows: N, columns: N, steps: N, far: N, *, pairs: bool, turned: bool, packed: bool = True
) -> list[Term[N]]:
    """The loop without a list; its columns are packed once if they are `packed`. `far` bytes come from memory."""
    terms = [
        Term("row", (rows, steps)),
        Term("dense_pair" if pairs else "dense", (rows, columns, steps)),
        Term("far", (far,)),
    ]
    column = Term(unit_of_column(turned=turned, pairs=pairs), (columns, steps))
    return [*terms, column] if packed else terms


def streamed_terms(many: N, few: N, steps: N, bytes_: N, *, turned: bool) -> list[Term[N]]:
    """Few rows: `many` columns of `bytes_` an element are read where they lie, at each of `steps` of the depth."""
    products = "streamed_turned" if turned else "streamed"
    return [Term("byte", (many, steps, bytes_)), Term(products, (many, few, steps))]


PHASES: tuple[str, ...] = ("list", "operands", "products", "memory")
"""What is done: finding out what is live, packing or reading operands, adding up products, waiting for memory."""
_LISTING = ("bit", "place")
_MEMORY = ("far", "missed", "byte")


def phase_of(unit: str) -> str:
    """The one of `PHASES` that `unit` is work of."""
    if unit in _LISTING:
        return "list"
    if unit in _MEMORY:
        return "memory"
    is_product = unit.startswith(("listed_", "dense")) or unit in ("added", "streamed", "streamed_turned")
    return "products" if is_product else "operands"


def price(terms: Sequence[Term[int]] | Sequence[Term[float]], costs: Mapping[str, float]) -> float:
    """What `terms` cost, in picoseconds of one thread."""
    return sum(price_of(term, costs) for term in terms)


def price_of(term: Term[int] | Term[float], costs: Mapping[str, float]) -> float:
    """What `term` costs, in picoseconds of one thread."""
    amount = costs[term.unit]
    for factor in term.times:
        amount *= factor
    return amount

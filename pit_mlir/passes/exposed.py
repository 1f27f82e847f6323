"""The plan by which the further results of a program are read that returns its indices. No MLIR in here."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rows:
    """An extent that is the number of rows of the index with this number."""

    index: int


@dataclass(frozen=True)
class Number:
    """An extent that the call tells, at this place among the numbers."""

    place: int


Extent = int | Rows | Number | None
"""A size of an iterator; None for one that only the index knows."""


@dataclass(frozen=True)
class ExposedIndex:
    """An index of `source`, said in words; its results begin at number `result`.

    `finer` has (micro-tile, place among the numbers). Of pairs, which a `pit.block_mask` lists, `block` has queries and
    keys; the queries and keys may be the rows of another index, `rows` = (its number, the segments that select them).
    """

    location: str
    source: str
    result: int
    segments: int
    block: tuple[int, ...]
    finer: tuple[tuple[int, int], ...]
    is_pairs: bool = False
    rows: tuple[int, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class ExposedWork:
    """A contraction or an attention: the extents of its iterators, and which of them its index restricts.

    `index` is the number of an exposed index. Of an attention the last four iterators are queries, keys, the width of
    a score and that of a value; with an index both queries and keys run over the segment that the iterators `group`
    select. `pairs` is the number of the index of blocks of keys, over the iterators `pair_group`, that queries look at.
    """

    location: str
    kind: str
    extents: tuple[Extent, ...]
    index: int | None
    group: tuple[int, ...]
    block: tuple[int, ...]
    pairs: int | None = None
    pair_group: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExposedChoice:
    """A contraction that chooses among the `candidates`, named as users do; result number `result` says how.

    `work` is its number among the work, which is that of the last of its lists.
    """

    location: str
    candidates: tuple[str, ...]
    result: int
    work: int


@dataclass(frozen=True)
class DeviceChoice:
    """A contraction whose kernels on a GPU choose between the list `candidate` and none, by what the list holds.

    A listed step costs `cost` hundredths of one of the dense kernel. `work` is the contraction's number among the work.
    """

    location: str
    candidate: str
    cost: int
    work: int


@dataclass
class Exposure:
    """The plan of the further results of a function; the last of them holds so many `numbers`.

    `segments` have (the number of an index, a segment of it), each an index that other operations share the lists of:
    their numbers are behind those of `indices`.
    """

    indices: list[ExposedIndex] = field(default_factory=list[ExposedIndex])
    segments: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    work: list[ExposedWork] = field(default_factory=list[ExposedWork])
    choices: list[ExposedChoice] = field(default_factory=list[ExposedChoice])
    device_choices: list[DeviceChoice] = field(default_factory=list[DeviceChoice])
    numbers: int = 0

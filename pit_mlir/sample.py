"""A sample run: what the indices of one call held, and how much work that call did of what the dense model does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy

from pit_mlir.analysis.cover import DENSE, PHASES
from pit_mlir.passes.exposed import (
    DeviceChoice,
    ExposedChoice,
    ExposedIndex,
    ExposedWork,
    Exposure,
    Number,
    Rows,
)

Array = numpy.ndarray[Any, Any]

HEAT_ROWS, HEAT_COLUMNS = 40, 96
"""The largest heat map: larger patterns are averaged."""
LOADS = 256
"""Segments whose loads are kept one by one; of more, neighbours are averaged."""
MILLISECONDS, STEPS = "ms of one thread", "steps of the dense kernel"
"""What costs are counted in: of the CPU, and of kernels of a GPU."""
PICOSECONDS = 1e9
"""In a millisecond."""
LENGTHS = (1, 2, 4, 8, 16, 32, 64)
"""Lengths of micro-tiles that the pattern is looked at with."""


@dataclass(frozen=True)
class Coverage:
    """`live` of `total` micro-tiles of length `micro_tile` hold something; `random` is the share of live ones that
    zeros in as many single places would leave if they were scattered at random, 1 - s^T."""

    micro_tile: int
    live: int
    total: int
    random: float

    @property
    def share(self) -> float:
        """The share of the work that is left."""
        return self.live / self.total if self.total else 0.0


@dataclass(frozen=True)
class Pattern:
    """One index of the call.

    `kind` is "rows" where an entry is one place, "list" where the places of a block share a list, "pairs" where an
    entry is a block of keys that a block of queries looks at. There are `segments` lists of at most `capacity` entries,
    `live` in all; `block` places share a list. `loads` is the length
    of each list, `heat` the share of live entries over (segment, coordinate), both averaged where there are many.
    """

    location: str
    source: str
    kind: str
    segments: int
    capacity: int
    live: int
    block: int
    loads: tuple[float, ...]
    heat: tuple[tuple[float, ...], ...]
    coverage: tuple[Coverage, ...]

    @property
    def share(self) -> float:
        """The share of entries that are live."""
        return self.live / (self.segments * self.capacity) if self.segments * self.capacity else 0.0


@dataclass(frozen=True)
class Work:
    """Multiply-adds of one contraction or attention in the call, and those of the dense model.

    `index` is the number of the pattern that restricts it; None where it runs on all that its operands hold.
    """

    location: str
    kind: str
    done: int
    dense: int
    index: int | None


@dataclass(frozen=True)
class Candidate:
    """A way to do a contraction: a list for micro-tiles of shape `name`, expected to have `entries`, or `dense`.

    `expected` has what each of the phases `analysis.cover.PHASES` was expected to take: milliseconds of one thread.
    """

    name: str
    entries: int
    expected: tuple[float, ...]

    @property
    def is_dense(self) -> bool:
        """Whether no list is followed."""
        return self.name == DENSE

    @property
    def places(self) -> int:
        """The places that the entries stand for: micro-tiles are rows by steps of the depth."""
        return self.entries * math.prod(map(int, self.name.split("x")))

    @property
    def total(self) -> float:
        """What all was expected to take: milliseconds of one thread."""
        return sum(self.expected)


@dataclass(frozen=True)
class Choice:
    """How a contraction chose among its `candidates`: number `picked` was followed.

    `costs` says whose they are, `unit` what they are counted in.
    """

    location: str
    candidates: tuple[Candidate, ...]
    picked: int
    costs: str
    unit: str = MILLISECONDS

    @property
    def followed(self) -> Candidate:
        """The candidate that was followed."""
        return self.candidates[self.picked]

    def done(self, work: "Work", unlisted: int) -> "Work":
        """What the candidate that was followed does, where `work` is what the last of the lists would do, and
        `unlisted` what no list would: the dense model's, or that of the live rows."""
        *lists, dense = self.candidates
        if self.followed is dense:
            return replace(work, done=unlisted)
        share = self.followed.places / lists[-1].places if lists[-1].places else 0.0
        return replace(work, done=min(unlisted, round(work.done * share)))


@dataclass(frozen=True)
class Sample:
    """What one call did."""

    patterns: tuple[Pattern, ...]
    work: tuple[Work, ...]
    choices: tuple[Choice, ...] = ()

    @property
    def done(self) -> int:
        """Multiply-adds of the call."""
        return sum(work.done for work in self.work)

    @property
    def dense(self) -> int:
        """Multiply-adds of the dense model."""
        return sum(work.dense for work in self.work)

    @property
    def share(self) -> float:
        """The share of the dense model's multiply-adds that was done; 1 where there are none."""
        return self.done / self.dense if self.dense else 1.0


@dataclass(frozen=True)
class Lists:
    """The lists of an index as it was in the call; `extents` are the sizes of its group, segments in blocks."""

    exposed: ExposedIndex
    begin: Array
    count: Array
    entries: Array
    extents: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many entries there are."""
        return int(self.count.sum())

    @property
    def coordinates(self) -> int:
        """How many entries there could be."""
        return math.prod(self.extents)

    def segment(self, number: int) -> "Lists":
        """One segment as an index without segments."""
        one = slice(number, number + 1)
        axis = self.extents[self.exposed.segments :]
        return Lists(self.exposed, self.begin[one], self.count[one], self.entries, axis)

    def owned(self) -> tuple[Array, Array]:
        """Segment and coordinate of every entry."""
        segment = numpy.repeat(numpy.arange(len(self.count)), self.count)
        first = numpy.repeat(numpy.cumsum(self.count) - self.count, self.count)
        place = numpy.repeat(self.begin, self.count) + numpy.arange(len(segment)) - first
        return segment, self.entries[place]


def sample_of(exposure: Exposure, results: Sequence[Array], costs: str = "") -> Sample:
    """Reads the `results` of a program that `exposure` describes; `costs` says where those of its steps are from."""
    numbers = [int(number) for number in results[-1]]
    lists: list[Lists] = []
    for exposed in exposure.indices:
        begin, count, entries, extents = results[exposed.result : exposed.result + 4]
        lists.append(Lists(exposed, begin, count, entries, tuple(map(int, extents))))
    patterns = tuple(pattern_of(one, numbers) for one in lists)
    lists += [lists[index].segment(number) for index, number in exposure.segments]
    # What runs on a segment is restricted by the pattern of the index that it is of.
    pattern_numbers = [*range(len(patterns)), *(index for index, _ in exposure.segments)]
    work = [work_of(work, lists, numbers) for work in exposure.work]
    choices = tuple(choice_of(one, results[one.result], costs) for one in exposure.choices)
    of_device = tuple(device_choice_of(one, exposure, lists, costs) for one in exposure.device_choices)
    for exposed, choice in zip(
        (*exposure.choices, *exposure.device_choices), (*choices, *of_device), strict=True
    ):
        done, _ = extents_of(exposure.work[exposed.work], lists, numbers)
        work[exposed.work] = choice.done(work[exposed.work], math.prod(done))
    return Sample(
        patterns,
        tuple(one if one.index is None else replace(one, index=pattern_numbers[one.index]) for one in work),
        (*choices, *of_device),
    )


def choice_of(exposed: ExposedChoice, result: Array, costs: str) -> Choice:
    """Reads what `pit.choice` has said."""
    picked, *rest = map(int, result)
    size = 1 + len(PHASES)
    said = [rest[first : first + size] for first in range(0, len(rest), size)]
    candidates = tuple(
        Candidate(name, entries, tuple(cost / PICOSECONDS for cost in expected))
        for name, (entries, *expected) in zip(exposed.candidates, said, strict=True)
    )
    return Choice(exposed.location, candidates, picked, costs)


def device_choice_of(exposed: DeviceChoice, exposure: Exposure, lists: Sequence[Lists], costs: str) -> Choice:
    """What kernels of a GPU choose, each for itself: see `codegen/gpu/contract_choice.py`."""
    number = exposure.work[exposed.work].index
    assert number is not None, "a choice is about a list"
    listed, every = lists[number].rows, lists[number].coordinates

    def candidate(name: str, entries: int, steps: float) -> Candidate:
        return Candidate(name, entries, tuple(steps if phase == "products" else 0.0 for phase in PHASES))

    candidates = (
        candidate(exposed.candidate, listed, listed * exposed.cost / 100),
        candidate(DENSE, 0, float(every)),
    )
    picked = 0 if listed * exposed.cost < every * 100 else 1
    return Choice(exposed.location, candidates, picked, costs, STEPS)


def pattern_of(lists: Lists, numbers: Sequence[int]) -> Pattern:
    """What `lists` show."""
    exposed = lists.exposed
    segments = math.prod(lists.extents[: exposed.segments])
    capacity = math.prod(lists.extents[exposed.segments :])
    block = max(exposed.block, default=1)
    segment, coordinate = lists.owned()
    found = [(length, numbers[place]) for length, place in exposed.finer]
    heat = (segment, coordinate, segments)
    if exposed.is_pairs:
        kind, coverage = "pairs", pair_coverage(lists, found)
        # One picture of all heads and sequences.
        queries = lists.extents[exposed.segments - 1]
        heat = (segment % max(1, queries), coordinate, queries)
    elif found:
        kind, coverage = "list", finer_coverage(lists, found)
    else:
        kind, coverage = "rows", row_coverage(segment, coordinate, segments, capacity)
    return Pattern(
        exposed.location,
        exposed.source,
        kind,
        segments,
        capacity,
        lists.rows,
        block,
        averages(lists.count, LOADS),
        heat_map(*heat, capacity, segments // heat[2] if heat[2] else 1),
        coverage,
    )


def pair_coverage(lists: Lists, found: Sequence[tuple[int, int]]) -> tuple[Coverage, ...]:
    """Of pairs: how many square blocks of each size are listed."""
    *outer, queries, keys = lists.extents
    of_queries, of_keys = lists.exposed.block
    single: float | None = None
    coverage: list[Coverage] = []
    for length, live in found:
        tiles = math.ceil(queries * of_queries / length) * math.ceil(keys * of_keys / length)
        total = math.prod(outer) * tiles
        share = live / total if total else 0.0
        single = share if single is None else single
        scattered = 1 - (1 - single) ** ((length / found[0][0]) ** 2)
        coverage.append(Coverage(length, live, total, scattered))
    return tuple(coverage)


def finer_coverage(lists: Lists, found: Sequence[tuple[int, int]]) -> tuple[Coverage, ...]:
    """Of lists that blocks share: how many micro-tiles of each length are live, as counted in the call."""
    exposed = lists.exposed
    capacity = math.prod(lists.extents[exposed.segments :])
    single: float | None = None
    coverage: list[Coverage] = []
    for length, live in found:
        pairs = zip(lists.extents, exposed.block, strict=False)
        # The last block may be ragged: as many places as all blocks hold is the most there can be.
        tiles = (math.ceil(count * size / length) if size > 1 else count for count, size in pairs)
        total = math.prod(tiles) * capacity
        share = live / total if total else 0.0
        single = share if single is None else single
        coverage.append(Coverage(length, live, total, 1 - (1 - single) ** length))
    return tuple(coverage)


def row_coverage(segment: Array, coordinate: Array, segments: int, capacity: int) -> tuple[Coverage, ...]:
    """Of rows: how many tiles of neighbouring coordinates hold a live one, tiles as a dense kernel has them."""
    single = len(segment) / (segments * capacity) if segments * capacity else 0.0
    coverage: list[Coverage] = []
    for length in LENGTHS:
        if length > max(1, capacity):
            break
        tiles = math.ceil(capacity / length)
        live = len(numpy.unique(segment * tiles + coordinate // length))
        coverage.append(Coverage(length, live, segments * tiles, 1 - (1 - single) ** length))
    return tuple(coverage)


def averages(values: Array, most: int) -> tuple[float, ...]:
    """`values`, or at most so many averages of neighbours."""
    parts = numpy.array_split(values, min(most, len(values))) if len(values) else []
    return tuple(round(float(part.mean()), 3) for part in parts)


def heat_map(
    segment: Array, coordinate: Array, segments: int, capacity: int, layers: int = 1
) -> tuple[tuple[float, ...], ...]:
    """The share of live entries in each cell of a grid over (segment, coordinate), of so many `layers` together.

    One list alone is folded into several rows of the grid.
    """
    if not segments * capacity:
        return ()
    if segments == 1 and layers == 1 and capacity > HEAT_COLUMNS:
        folded = math.ceil(capacity / HEAT_COLUMNS)
        # As even as it goes: what the last line lacks would look dead.
        across = math.ceil(capacity / folded)
        return heat_map(coordinate // across, coordinate % across, folded, across)
    rows, columns = min(segments, HEAT_ROWS), min(capacity, HEAT_COLUMNS)
    cells = (
        segment.astype(numpy.int64) * rows // segments * columns
        + coordinate.astype(numpy.int64) * columns // capacity
    )
    live = numpy.bincount(cells, minlength=rows * columns).reshape(rows, columns)
    high = numpy.bincount(numpy.arange(segments) * rows // segments, minlength=rows)
    wide = numpy.bincount(numpy.arange(capacity) * columns // capacity, minlength=columns)
    shares = live / (high[:, None] * wide[None] * layers)
    return tuple(tuple(round(float(share), 3) for share in row) for row in shares)


def extents_of(
    work: ExposedWork, lists: Sequence[Lists], numbers: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The extents of the iterators of `work`, as it runs without its own list, and in the dense model."""
    index = None if work.index is None else lists[work.index]
    listed = dict[int, int]()
    if index is not None and work.kind == "contraction":
        blocks = (*work.block, *(1 for _ in range(len(work.group))))
        listed = {p: e * max(1, b) for p, e, b in zip(work.group, index.extents, blocks, strict=False)}
    done: list[int] = []
    dense: list[int] = []
    for position, extent in enumerate(work.extents):
        if isinstance(extent, Rows):
            done.append(lists[extent.index].rows)
            dense.append(lists[extent.index].coordinates)
        else:
            size = numbers[extent.place] if isinstance(extent, Number) else extent
            done.append(listed.get(position, 0) if size is None else size)
            dense.append(done[-1])
    return done, dense


def work_of(work: ExposedWork, lists: Sequence[Lists], numbers: Sequence[int]) -> Work:
    """The multiply-adds of `work`, from the extents of its iterators and the lengths of its lists."""
    index = None if work.index is None else lists[work.index]
    done, dense = extents_of(work, lists, numbers)
    if work.kind == "attention":
        return attention_work(work, lists, done, dense)
    total = math.prod(dense)
    if index is None:
        return Work(work.location, work.kind, math.prod(done), total, None)
    rest = math.prod(size for position, size in enumerate(done) if position not in work.group)
    return Work(work.location, work.kind, listed_points(index, work, done) * rest, total, work.index)


def listed_points(index: Lists, work: ExposedWork, sizes: Sequence[int]) -> int:
    """How many points of the iterators of the group the index lists: entries times the places that share them."""
    if max(work.block, default=1) <= 1:
        return index.rows
    weights = numpy.ones(1, dtype=numpy.int64)
    for position, blocks, length in zip(work.group, index.extents, work.block, strict=False):
        numbers = numpy.arange(blocks) * max(1, length)
        held = numpy.minimum(max(1, length), numpy.maximum(sizes[position] - numbers, 0))
        weights = (weights[:, None] * held[None]).reshape(-1)
    return int((weights * index.count.astype(numpy.int64)).sum())


def attention_work(work: ExposedWork, lists: Sequence[Lists], done: list[int], dense: list[int]) -> Work:
    """Scores and weighted sums: one multiply-add for each of batch, query, key and width of a score or a value."""
    batch, (queries, keys), widths = done[:-4], dense[-4:-2], sum(dense[-2:])
    index = None if work.index is None else lists[work.index]
    if index is not None:
        batch = batch_of(work, index, batch)
        queries = keys = index.extents[-1]
    whole = math.prod(batch) * queries * keys * widths
    if work.pairs is not None:
        of_pairs = lists[work.pairs]
        others = math.prod(size for position, size in enumerate(batch) if position not in work.pair_group)
        pairs = listed_pairs(of_pairs, lists, queries, keys) * others
    elif index is not None:
        others = math.prod(size for position, size in enumerate(batch) if position not in work.group)
        pairs = int((index.count.astype(numpy.int64) ** 2).sum()) * others
    else:
        pairs = math.prod(batch) * queries * keys
    number = work.index if work.pairs is None else work.pairs
    return Work(work.location, work.kind, pairs * widths, whole, number)


def batch_of(work: ExposedWork, index: Lists, batch: Sequence[int]) -> list[int]:
    """The extents of the batch iterators, those that only the index knows from there."""
    sizes = dict(zip(work.group, index.extents, strict=False))
    return [sizes.get(position, size) for position, size in enumerate(batch)]


def listed_pairs(pairs: Lists, lists: Sequence[Lists], queries: int, keys: int) -> int:
    """How many pairs of a query and a key the listed blocks hold; the last blocks may be ragged."""
    segment, block_of_keys = pairs.owned()
    of_queries, of_keys = pairs.exposed.block
    outer, block_of_queries = segment // pairs.extents[-2], segment % pairs.extents[-2]
    rows = pairs.exposed.rows
    if rows is not None:
        number, selecting = rows
        coordinates = numpy.unravel_index(outer, pairs.extents[:-2]) if len(pairs.extents) > 2 else ()
        extents = [pairs.extents[position] for position in selecting]
        chosen = [coordinates[position] for position in selecting]
        place = numpy.ravel_multi_index(chosen, extents) if chosen else numpy.zeros_like(outer)
        queries_there = keys_there = lists[number].count[place].astype(numpy.int64)
    else:
        queries_there, keys_there = numpy.int64(queries), numpy.int64(keys)
    high = numpy.clip(queries_there - block_of_queries.astype(numpy.int64) * of_queries, 0, of_queries)
    wide = numpy.clip(keys_there - block_of_keys.astype(numpy.int64) * of_keys, 0, of_keys)
    return int((high * wide).sum())

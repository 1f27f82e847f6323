"""What lists cover and cost, and the database that says what steps cost on a machine."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.analysis import tiles
from pit_mlir.analysis.cover import Listed, dead_share, dense_terms, listed_terms, price
from pit_mlir.analysis.tiles import (
    MEASURED,
    SHIPPED,
    UNITS,
    database,
    load,
    machine_name,
    measured_path,
    save,
    shipped,
)
from pit_mlir.codegen.cpu.contract_choice import missed
from pit_mlir.errors import InputError
from pit_mlir.tools.tune import CASES, COMMON, Measured, solve, terms_of

HEIGHTS = (8, 16, 32)
COSTS = {
    **dict.fromkeys(UNITS, 0.01),
    "bit": 100.0,
    "place": 70.0,
    "whole": 160.0,
    "gathered": 600.0,
    "row": 100.0,
    "dense": 10.0,
    "listed_8": 14.0,
    "listed_16": 13.0,
    "listed_32": 12.0,
    "column": 200.0,
    "fetched": 150.0,
}
"""Made up, of the size of what is measured: the higher a micro-tile, the cheaper its steps; all dearer than dense."""


@pytest.mark.parametrize(
    ("granularity", "micro_tile", "zeros", "share"),
    [(2, 32, 0.95, 0.440), (8, 16, 0.9, 0.81), (4, 16, 0.99, 0.961)],
)
def test_share_of_dead_micro_tiles(granularity: int, micro_tile: int, zeros: float, share: float) -> None:
    """The shares that were published, and measured in the published patterns."""
    assert dead_share(zeros, granularity, micro_tile) == pytest.approx(share, abs=1e-3)


def test_shares_that_cannot_be() -> None:
    """Runs that do not fill a micro-tile, and shares that are none."""
    assert dead_share(0.5, 64, 8) == 0.5
    for zeros, granularity in ((0.5, 3), (1.5, 1)):
        with pytest.raises(ValueError, match=r"expected a share|do not fill"):
            dead_share(zeros, granularity, 8)


def cost(choice: int | None, granularity: int, zeros: float, side: int = 4096) -> float:
    """The expected cost of a list for micro-tiles of height `choice`, or of none; columns are packed once."""
    if choice is None:
        return price(dense_terms(side, side, side, 0, pairs=False, turned=False), COSTS)
    live = 1 - dead_share(zeros, granularity, choice)
    elements = side * side
    work = Listed(
        micro_tile=choice,
        left=elements,
        possible=elements / choice,
        whole=elements,
        gathered=0,
        row=0,
        packed=elements,
        fetched=0,
        missed=0,
        multiplied=elements * live * side,
        far=0,
        turned=False,
    )
    return price(listed_terms(work), COSTS)


def chosen(granularity: int, zeros: float) -> int | None:
    """What is cheapest."""
    return min((*HEIGHTS, None), key=lambda choice: cost(choice, granularity, zeros))


def test_selection_has_the_published_shape() -> None:
    """Dense at few zeros, lists at many; the finer the zeros, the later a list wins, and the lower its micro-tiles."""
    grid = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
    firsts = [
        next(zeros for zeros in grid if chosen(granularity, zeros) is not None)
        for granularity in (32, 16, 8, 4, 2, 1)
    ]
    assert firsts == sorted(firsts) and firsts[0] <= 0.3 and firsts[-1] >= 0.7
    assert all(chosen(granularity, 0.0) is None for granularity in (1, 2, 4, 8, 16, 32))
    assert [chosen(granularity, 0.95) for granularity in (32, 16, 8)] == [32, 16, 8]


PUBLISHED = {2: (None, 16, 8), 4: (16, 16, 16), 8: (16, 8, 32)}
"""What was chosen at 90, 95 and 99 % of zeros in runs of so many rows, on a machine with other kernels."""


def test_crossovers_are_in_the_published_order() -> None:
    """At each share of zeros where the published table follows a list, so does the model; coarser zeros come first."""
    for granularity, published in PUBLISHED.items():
        for zeros, there in zip((0.9, 0.95, 0.99), published, strict=True):
            assert (chosen(granularity, zeros) is not None) or there is None
    for zeros in (0.5, 0.7, 0.9, 0.95, 0.99):
        costs = [cost(chosen(granularity, zeros), granularity, zeros) for granularity in (1, 2, 4, 8, 16, 32)]
        assert costs == sorted(costs, reverse=True)


@settings(max_examples=50, deadline=None)
@given(granularity=st.sampled_from((1, 2, 4, 8, 16, 32)), few=st.floats(0, 1), more=st.floats(0, 1))
def test_more_zeros_never_bring_dense_back(granularity: int, few: float, more: float) -> None:
    """A list costs less the more zeros there are, and so what is chosen costs no more."""
    few, more = min(few, more), max(few, more)
    for height in HEIGHTS:
        assert cost(height, granularity, more) <= cost(height, granularity, few) * (1 + 1e-12)
    if chosen(granularity, few) is not None:
        assert chosen(granularity, more) is not None


def test_columns_that_come_from_memory() -> None:
    """None of what a fourth of the cache holds; of more the rest, each element once."""
    cache = 32 << 20
    assert missed(1 << 20, 1 << 21, cache // 4, cache) == 0
    assert missed(1 << 20, 1 << 23, cache, cache) == 3 << 18
    assert missed(1 << 30, 1 << 23, cache, cache) == 3 << 21
    assert missed(0, 0, 0, cache) == 0


def test_costs_are_found_again() -> None:
    """What runs of known costs would take gives these costs, whatever was known before."""
    true = {
        unit: shipped().costs[unit] * factor for unit, factor in zip(UNITS, (1.5, 0.7) * 20, strict=False)
    }
    true |= {
        f"listed_{height}": more * true["dense"]
        for height, more in zip(HEIGHTS, (1.3, 1.2, 1.1), strict=True)
    }
    full = {**true, **COMMON}
    runs = []
    rng = random.Random(0)
    for form, shapes in CASES:
        for shape in shapes:
            terms = terms_of(form, shape)
            runs.append(Measured(terms, price(terms, full) * rng.uniform(0.99, 1.01), 0.0))
    found = {**solve(runs, shipped().costs), **COMMON}
    for run in runs:
        assert price(run.terms, found) == pytest.approx(run.time, rel=0.3)
    assert found["dense"] == pytest.approx(true["dense"], rel=0.2)
    assert all(found[f"listed_{height}"] >= found["dense"] for height in HEIGHTS)


def test_what_was_measured_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the cache directory stands before what is shipped, as soon as it is there."""
    monkeypatch.setenv("PIT_CACHE_DIR", str(tmp_path))
    assert database() == shipped() and "tune" not in shipped().machine
    save(measured_path(), {**shipped().costs, "dense": 77.0})
    assert database().costs["dense"] == 77.0 and "measured here" in database().origin
    assert database().digest != shipped().digest
    assert [path.name for path in tmp_path.iterdir()] == [f"tiles-{machine_name()}.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "has format"),
        ('{"format": 99}', "has format 99, expected 4"),
        ('{"format": 4, "machine": "x", "costs": {"dense": 1}}', "must have for each of"),
        ("nan", "must have for each of"),
        ("other", "is of 'other'"),
    ],
)
def test_files_that_are_of_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """They are told, with what to do, and what is shipped is used."""
    monkeypatch.setenv("PIT_CACHE_DIR", str(tmp_path))
    whole = {"format": 4, "machine": machine_name(), "costs": dict(shipped().costs)}
    if text == "nan":
        text = json.dumps({**whole, "costs": {**shipped().costs, "dense": float("nan")}})
    if text == "other":
        text = json.dumps({**whole, "machine": "other"})
    measured_path().write_text(text)
    with pytest.raises(InputError, match=message):
        load(measured_path())
    with pytest.warns(RuntimeWarning, match="pit-mlir tune"):
        assert database() == shipped()


def test_a_processor_that_nobody_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its costs are derived, and said to be; beside the loop without a list none of following one is cheaper."""
    monkeypatch.setattr(tiles, "machine_name", lambda: "none-512")
    shipped.cache_clear()
    try:
        found, known = shipped(), load(SHIPPED / f"{MEASURED}.json", any_machine=True)
        assert "general" in found.origin and set(found.costs) == set(UNITS)
        for height in HEIGHTS:
            unit = f"listed_{height}"
            assert found.costs[unit] / found.costs["dense"] > known.costs[unit] / known.costs["dense"]
    finally:
        shipped.cache_clear()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """An error that names it, and no file left half written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the tile database"):
        save(tmp_path / "file" / "tiles.json", shipped().costs)

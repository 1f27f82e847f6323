"""What holds for every test: each pass is verified, and none may leave an MLIR context alive."""

import faulthandler
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pit_mlir.bindings import live_contexts
from pit_mlir.cache import SIZE_VARIABLE
from pit_mlir.passes.verification import VARIABLE

os.environ[VARIABLE] = "each"
# Nothing is taken from a cache, and nothing is put into the user's.
os.environ[SIZE_VARIABLE] = "0"

CRASHES = Path(__file__).parent.parent / "build" / "crashes"
"""Where a worker that dies of a signal leaves its stacks, a file for each: its standard error goes nowhere."""


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Makes a crash of a worker leave a trace that `tests/run_all.py` prints; after pytest's own, which it replaces."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        CRASHES.mkdir(parents=True, exist_ok=True)
        # Never closed: it is for the last moment of the process.
        faulthandler.enable((CRASHES / f"{worker}.txt").open("w"))


def pytest_collection_finish() -> None:
    """What was imported by now is never garbage: collections need not look at it, half a million objects with torch."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_live_context() -> Iterator[None]:
    """Fails a test that leaves a live MLIR context, and with it modules and values, behind."""
    before = live_contexts()
    yield
    if live_contexts() > before:
        # Collecting takes a tenth of a second once torch is loaded: only where a cycle may hold a context.
        gc.collect()
    # Not 0: one leak should fail its own test, not every test after it.
    assert live_contexts() <= before, "an MLIR context outlives the test: something keeps a live IR object"

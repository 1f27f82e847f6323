"""The leak gate: no test may leave an MLIR context alive."""

import gc
from collections.abc import Iterator

import pytest

from pit_mlir.bindings import live_contexts


@pytest.fixture(autouse=True)
def no_live_context() -> Iterator[None]:
    """Fails a test that leaves a live MLIR context, and with it modules and values, behind."""
    yield
    if live_contexts():
        # Collecting takes a tenth of a second once torch is loaded: only where a cycle may hold a context.
        gc.collect()
    assert live_contexts() == 0, "an MLIR context outlives the test: something keeps a live IR object"

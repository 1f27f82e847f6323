"""What models are called under, and which tests are about another target than that of `$PIT_TARGET`."""

import logging
from collections.abc import Iterator

import pytest
import torch
from targets import ON_CPU

from pit_mlir.passes.verification import VARIABLE

# pytest listens to every logger that hands nothing on, and for who listens torch writes a trace of each export.
logging.getLogger("torch.__trace").propagate = True

IMPORTS = "test_frontend_"
"""How the names of files begin whose tests import models: an import knows no target."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what is about programs for the CPU, or about none, where others are compiled."""
    for item in [] if ON_CPU else items:
        if item.get_closest_marker("cpu") or item.path.name.startswith(IMPORTS):
            item.add_marker(
                pytest.mark.skip(reason="is about programs for the CPU, and $PIT_TARGET is another")
            )


@pytest.fixture(autouse=True)
def verification(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifies as a program does: after each pass of ours; after MLIR's own too takes a fifth of a compilation."""
    monkeypatch.setenv(VARIABLE, "ours")


@pytest.fixture
def inference() -> Iterator[None]:
    """Without gradients, the same random numbers in every run."""
    torch.manual_seed(0)
    with torch.no_grad():
        yield

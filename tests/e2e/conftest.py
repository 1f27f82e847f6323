"""What models are called under, and which tests are about another target than that of `$PIT_TARGET`."""

import os
from collections.abc import Iterator

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out what is about programs for the CPU where others are compiled."""
    target = os.environ.get("PIT_TARGET", "cpu")
    for item in items if target != "cpu" else []:
        if item.get_closest_marker("cpu"):
            item.add_marker(pytest.mark.skip(reason=f"is about programs for the CPU, PIT_TARGET is {target}"))


@pytest.fixture
def inference() -> Iterator[None]:
    """Without gradients, the same random numbers in every run."""
    torch.manual_seed(0)
    with torch.no_grad():
        yield

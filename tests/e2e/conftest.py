"""What models are called under."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def inference() -> Iterator[None]:
    """Without gradients, the same random numbers in every run."""
    torch.manual_seed(0)
    with torch.no_grad():
        yield

"""What the end-to-end tests compile for, and what depends on it: the GPU is emulated, which takes its time."""

import os
from typing import TypeVar

T = TypeVar("T")

ON_CPU = os.environ.get("PIT_TARGET", "cpu") == "cpu"
"""Whether models are compiled for the CPU unless a test asks for another target."""


def small(usual: T, emulated: T) -> T:
    """A size, or a list of cases: `usual` on the CPU, the smaller `emulated` on a GPU."""
    return usual if ON_CPU else emulated

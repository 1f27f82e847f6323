"""Data for random programs: sparse patterns, values of each element type, poison where nobody may look."""

from collections.abc import Sequence

import numpy as np

from pit_mlir.runtime.memref import ELEMENTS
from tests.fuzz.program_text import Argument, Axis, is_float

PATTERNS = ("empty", "full", "one", "blocks", "half", "few", "most", "last row", "rows", "columns")
"""Where a mask is true."""


def live(pattern: str, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A mask of `shape` with `pattern`."""
    mask = np.zeros(shape, dtype=bool)
    if mask.size == 0 or pattern == "empty":
        return mask
    if pattern == "full":
        return ~mask
    if pattern == "one":
        mask.flat[rng.integers(mask.size)] = True
        return mask
    if pattern == "last row":
        mask[-1:] = True
        return mask
    if pattern in ("rows", "columns"):
        dim = 0 if pattern == "rows" else mask.ndim - 1
        chosen = rng.random(shape[dim]) < 0.5
        return mask | chosen.reshape([-1 if d == dim else 1 for d in range(mask.ndim)])
    if pattern == "blocks":
        coarse = rng.random([-(-size // 8) for size in shape]) < 0.4
        for dim in range(mask.ndim):
            coarse = coarse.repeat(8, axis=dim)
        return coarse[tuple(slice(0, size) for size in shape)]
    return rng.random(shape) < {"half": 0.5, "few": 0.1, "most": 0.9}[pattern]


def make(argument: Argument, axes: dict[str, Axis], rng: np.random.Generator) -> np.ndarray:
    """The data of `argument`.

    Patterns: one of PATTERNS (for floats: zero elsewhere), "normal", "prefix" (a mask of the first tokens of each
    row), "index L" (places along axis L), "causal" (lower triangle).
    """
    shape = [axes[axis].size for axis in argument.value.axes]
    element = argument.value.element
    dtype = ELEMENTS[element].numpy
    words = argument.pattern.split()
    if words[0] == "index":
        return rng.integers(0, max(axes[words[1]].size, 1), shape).astype(dtype)
    if argument.pattern == "prefix":
        lengths = rng.integers(0, shape[-1] + 1, shape[:-1])
        mask = np.arange(shape[-1]) < lengths[..., None]
    elif argument.pattern == "normal":
        mask = np.ones(shape, dtype=bool)
    else:
        mask = live(argument.pattern, shape, rng)
    if element == "i1":
        return mask
    if is_float(element):
        # Quarters, so that sums are often exact and equal values meet.
        values = rng.normal(size=shape) if rng.random() < 0.5 else rng.integers(-8, 9, shape) / 4
    else:
        values = rng.integers(1, 5, shape) * rng.choice([-1, 1], shape)
        values = np.ones(shape) if argument.pattern != "normal" and rng.random() < 0.5 else values
    return np.where(mask, values, 0).astype(dtype)

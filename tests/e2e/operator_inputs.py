"""A case of `test_operators`: a function of tensors, and how its inputs are made when it is used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Inputs = Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Case:
    """A function of tensors and its inputs; `tolerance` is relative to the largest magnitude of the answer."""

    function: Callable[..., Any]
    inputs: Inputs
    tolerance: float = 1e-5


def reals(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Inputs:
    """Normal random tensors."""
    return lambda: tuple(torch.randn(shape).to(dtype) for shape in shapes)


def positives(*shapes: tuple[int, ...]) -> Inputs:
    """Random tensors in [0.1, 3.1)."""
    return lambda: tuple(torch.rand(shape) * 3 + 0.1 for shape in shapes)


def integers(low: int, high: int, *shapes: tuple[int, ...], dtype: torch.dtype = torch.int64) -> Inputs:
    """Random integers in [low, high)."""
    return lambda: tuple(torch.randint(low, high, shape).to(dtype) for shape in shapes)


def truths(*shapes: tuple[int, ...]) -> Inputs:
    """Random truth values."""
    return lambda: tuple(torch.rand(shape) > 0.5 for shape in shapes)


def both(*parts: Inputs) -> Inputs:
    """The inputs of all parts one after another."""
    return lambda: tuple(tensor for part in parts for tensor in part())


def given(*tensors: Any) -> Inputs:
    """Tensors of these values."""
    return lambda: tuple(torch.tensor(value) for value in tensors)


Group = dict[str, Case]

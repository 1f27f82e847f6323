"""Weights of a program that was read from a file: those in it, or others that its caller gives."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pit_mlir.errors import InputError
from pit_mlir.frontend.signature import WeightSource
from pit_mlir.frontend.weights import LiveWeights


class StoredTensors:
    """The tensors that were read from a file; None for one that is not in it."""

    def __init__(self, tensors: list[Tensor | None], unnamed: set[int]) -> None:
        self._tensors = tensors
        self._unnamed = unnamed

    def read(self) -> list[Any]:
        """The tensors; raises `InputError` where the file has not all of them."""
        if any(tensor is None for tensor in self._tensors):
            raise InputError(
                "the file of this program does not have the model's weights: give them to load(path, weights=...)"
            )
        return self._tensors

    def let_go(self) -> None:
        """Nothing: there is no model."""

    def unnamed(self) -> set[int]:
        """See `WeightSource`."""
        return self._unnamed


class NamedWeights:
    """The tensors of a state dict, looked up at each call."""

    def __init__(self, state: Mapping[str, Any], names: list[str], held: dict[int, Tensor]) -> None:
        self._state = state
        self._names = names
        self._held = held
        self.read()

    def read(self) -> list[Any]:
        """The current tensor of each weight; raises `InputError` where one is missing."""
        missing = [
            name
            for number, name in enumerate(self._names)
            if not (number in self._held or name in self._state)
        ]
        if missing:
            shown = ", ".join(f"'{name}'" for name in missing[:5])
            raise InputError(
                f"{len(missing)} of the program's {len(self._names)} weights are missing in what was given: {shown}"
                f"{', ...' if len(missing) > 5 else ''}"
            )
        return [
            self._held[number] if number in self._held else self._state[name]
            for number, name in enumerate(self._names)
        ]

    def let_go(self) -> None:
        """Nothing: the caller's dictionary is small beside its tensors."""

    def unnamed(self) -> set[int]:
        """See `WeightSource`."""
        return set(self._held)


def given_weights(given: Any, names: list[str], held: dict[int, Tensor]) -> WeightSource:
    """Reads the weights `names` from `given`, a module or a state dict; those of `held`, by number, from there."""
    if isinstance(given, nn.Module):
        missing = [name for number, name in enumerate(names) if number not in held and not _has(given, name)]
        if missing:
            raise InputError(
                f"the {type(given).__name__} that was given has no '{missing[0]}', which the program reads"
            )
        return LiveWeights(given, names, held)
    if isinstance(given, Mapping):
        return NamedWeights(given, names, held)
    raise InputError(
        f"weights = a {type(given).__name__}, expected a module, or a state dict: tensors by the names of weights"
    )


def _has(model: nn.Module, path: str) -> bool:
    """Whether `path` leads to a tensor of `model`."""
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name, None)
    return isinstance(value, torch.Tensor)

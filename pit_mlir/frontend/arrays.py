"""Calls of a program in MLIR, with arrays. Imports neither torch nor MLIR."""

from collections.abc import Mapping
from typing import Any

from pit_mlir.errors import InputError


class ArrayCall:
    """A call with arrays by position or by name; the answer is one array, or a tuple of several."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The arrays in the order of the arguments; raises `InputError` for missing and surplus ones."""
        names = self.names
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names):
            raise InputError(f"got {len(args)} arguments, the program takes {len(names)}: {names}")
        for name, value in kwargs.items():
            if name not in names:
                raise InputError(f"the program has no argument '{name}'; its arguments are {names}")
            if name in given:
                raise InputError(f"argument '{name}' is given twice, by position and by name")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise InputError(f"arguments {missing} are missing; the program takes {names}")
        return [given[name] for name in names]

    def with_values(self, named: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call with the arrays `named`; `flatten` says which are wrong."""
        return (), dict(named)

    def unflatten(self, outputs: list[Any]) -> Any:
        """The only output itself, or a tuple of none or several."""
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


class NoWeights:
    """A program from text has no weights: all its arguments are inputs."""

    def read(self) -> list[Any]:
        """Nothing."""
        return []

    def let_go(self) -> None:
        """Nothing."""

    def unnamed(self) -> set[int]:
        """None."""
        return set()

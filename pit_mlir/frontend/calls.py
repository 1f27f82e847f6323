"""Calls of a model: its arguments in the order of the program's inputs, its answer in the model's structure."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch.utils import _pytree as pytree

from pit_mlir.errors import InputError
from pit_mlir.frontend.signature import ConstantInput, value_text

Leaf = str | ConstantInput


@dataclass(frozen=True)
class Opaque:
    """A default of a parameter of which only the text is known: no value is the same."""

    text: str

    def __repr__(self) -> str:
        return self.text


class ModelCall:
    """How a call with the signature of `forward` becomes a list of tensors, and outputs an answer.

    `leaves` describes the flattened (args, kwargs) the model was compiled with: the name of a tensor, or a value
    that was compiled in; `signature` is that of `forward`, where it has one. A call may pass arguments by position or
    by name, whichever way the model was compiled.
    """

    def __init__(
        self,
        signature: inspect.Signature | None,
        in_spec: pytree.TreeSpec,
        leaves: list[Leaf],
        out_spec: pytree.TreeSpec,
    ) -> None:
        self.signature = signature
        self.in_spec = in_spec
        self.leaves = leaves
        self.out_spec = out_spec
        args_spec, kwargs_spec = in_spec.children()
        self._positional = args_spec.num_children
        self._keywords: list[str] = list(kwargs_spec.context)
        self._flat = all(spec.is_leaf() for spec in (*args_spec.children(), *kwargs_spec.children()))
        self._names = self._positional_names()

    def flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The tensors of a call in the order of the inputs.

        Raises `InputError` for another structure than compiled for, for a value that is no tensor where one is
        expected, and for a compiled-in value that differs.
        """
        if len(args) != self._positional or list(kwargs) != self._keywords:
            args, kwargs = self._arrange(args, kwargs)
        if self._flat:
            values = [*args, *kwargs.values()]
        else:
            values, spec = pytree.tree_flatten((args, kwargs))
            if spec != self.in_spec:
                values = self._reordered(args, kwargs, spec)
        tensors: list[Any] = []
        for leaf, value in zip(self.leaves, values, strict=True):
            if isinstance(leaf, ConstantInput):
                _require_same(leaf, value)
            else:
                tensors.append(value)
                if not isinstance(value, torch.Tensor):
                    how = ": torch.from_numpy makes one of it" if isinstance(value, numpy.ndarray) else ""
                    raise InputError(f"'{leaf}' is {_describe(value)}, compiled for a tensor{how}")
        return tensors

    def unflatten(self, outputs: list[Any]) -> Any:
        """The answer, in the structure the model returns."""
        return pytree.tree_unflatten(outputs, self.out_spec)

    def with_values(self, named: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call with the tensors `named`; raises `InputError` for other names."""
        names = [leaf for leaf in self.leaves if isinstance(leaf, str)]
        if set(names) != set(named):
            raise InputError(f"got the arguments {sorted(named)}, the program takes {names}")
        values = [named[leaf] if isinstance(leaf, str) else leaf.value for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(values, self.in_spec)
        return tuple(args), dict(kwargs)

    def _reordered(self, args: tuple[Any, ...], kwargs: dict[str, Any], spec: pytree.TreeSpec) -> list[Any]:
        """The leaves of a call whose dictionaries have the keys compiled for in another order."""
        try:
            return self.in_spec.flatten_up_to((args, kwargs))
        except ValueError as error:
            raise InputError(
                f"the arguments have the structure {spec}, compiled for {self.in_spec}: {error}"
            ) from None

    def _positional_names(self) -> list[str] | None:
        """The parameters of `forward` that were passed by position; None where they have no names of their own."""
        if self.signature is None:
            return None
        parameters = list(self.signature.parameters.values())[: self._positional]
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        named = len(parameters) == self._positional and all(p.kind in kinds for p in parameters)
        return [p.name for p in parameters] if named else None

    def _arrange(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The same call, with each argument passed the way the model was compiled; leaves out defaults."""
        if self.signature is None or self._names is None:
            raise InputError(
                f"got {len(args)} positional arguments and {sorted(kwargs)} by name, compiled for "
                f"{self._positional} positional ones and {sorted(self._keywords)} by name"
            )
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(
                f"the arguments do not fit the model: {self._unknown(kwargs) or error}"
            ) from error
        given: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                given.update(value)
            else:
                given[name] = value
        expected = [*self._names, *self._keywords]
        missing = [name for name in expected if name not in given]
        for name in missing:
            given[name] = self._default(name)
        for name in given.keys() - set(expected):
            if name not in self.signature.parameters:
                raise InputError(f"'{name}' is {_describe(given[name])}; the model was compiled without it")
            if not _same(given[name], self._default(name)):
                raise InputError(
                    f"'{name}' is {_describe(given[name])}; the model was compiled without it "
                    f"(its default is {self._default(name)!r})"
                )
        return tuple(given[name] for name in self._names), {name: given[name] for name in self._keywords}

    def _unknown(self, names: Iterable[str]) -> str:
        """Which of `names` `forward` does not have, for a message; empty where it has them all."""
        assert self.signature is not None
        parameters = list(self.signature.parameters)
        unknown = [name for name in names if name not in parameters]
        return (
            f"it has no {', '.join(map(repr, unknown))}, it takes {', '.join(parameters)}" if unknown else ""
        )

    def _default(self, name: str) -> Any:
        """The default of the parameter `name` of `forward`."""
        assert self.signature is not None
        parameter = self.signature.parameters.get(name)
        if parameter is None or parameter.default is inspect.Parameter.empty:
            raise InputError(f"argument '{name}' is missing; the model was compiled with it")
        return parameter.default


def _require_same(leaf: ConstantInput, value: Any) -> None:
    if not _same(value, leaf.value):
        raise InputError(
            f"'{leaf.name}' is {_describe(value)}, compiled for {leaf.value!r}; arguments that are no tensors are "
            "compiled in: compile again for another value"
        )


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and not isinstance(a, torch.Tensor) and a == b)


def _describe(value: Any) -> str:
    """A value for a message: tensors by type and shape."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of {value.dtype} and shape {list(value.shape)}"
    return value_text(value)

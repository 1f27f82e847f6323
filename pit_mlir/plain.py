"""Plain data as JSON: dataclasses, tuples, dictionaries by text, numbers, text, and bytes, which become parts.

What a value is read back as is said by the type hints of the dataclass that holds it, and dataclasses are written with
the names of their classes. A field of type `Any` has a constant: see `constant`.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pit_mlir.errors import UnsupportedError

T = TypeVar("T")
_SCALARS = (bool, int, float, str)


class Plain:
    """Turns values into JSON; `parts` are the bytes in them, by the place at which they were found."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    def of(self, value: Any, place: str) -> Any:
        """`value` in JSON."""
        if value is None or isinstance(value, _SCALARS):
            return value
        if isinstance(value, bytes):
            self.parts[place] = value
            return {"part": place}
        if isinstance(value, tuple | list):
            return [self.of(item, f"{place}.{number}") for number, item in enumerate(value)]
        if isinstance(value, dict):
            return {str(key): self.of(item, f"{place}.{key}") for key, item in value.items()}
        assert is_dataclass(value), f"{place} is a {type(value).__name__}, which is no plain data"
        hints, content = _hints(type(value)), {"class": type(value).__name__}
        for field in fields(value):
            item = getattr(value, field.name)
            if hints[field.name] is Any:
                content[field.name] = constant(item)
            else:
                content[field.name] = self.of(item, f"{place}.{field.name}")
        return content


def restored(wanted: type[T], data: Any, part: Callable[[str], bytes]) -> T:
    """The value of type `wanted` that `data` was made of; `part` reads a part.

    Raises `ValueError`, `KeyError` or `TypeError` for data of another type.
    """
    return _restored(wanted, data, part)


def _restored(wanted: Any, data: Any, part: Callable[[str], bytes]) -> Any:
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted is bytes:
        return part(data["part"])
    if is_dataclass(wanted):
        return _dataclass(wanted, data, part)
    if origin is tuple:
        kinds = [inner[0]] * len(data) if inner[1:] == (Ellipsis,) else inner
        return tuple(_restored(kind, item, part) for kind, item in zip(kinds, data, strict=True))
    if origin is list:
        return [_restored(inner[0], item, part) for item in data]
    if origin in (dict, Mapping):
        return {key: _restored(inner[1], item, part) for key, item in data.items()}
    if origin in (Union, types.UnionType):
        return _restored(_member(inner, data), data, part)
    if origin is Literal:
        return _require(data in inner, data)
    if wanted is float:
        return float(_require(isinstance(data, int | float), data))
    if wanted is Any:
        return constant_of(data)
    assert wanted in (*_SCALARS, type(None)), f"{wanted} is no plain data"
    return _require(data is None if wanted is type(None) else type(data) is wanted, data)


def constant(value: Any) -> Any:
    """A constant of Python's own types in JSON; raises `UnsupportedError` for one of another."""
    if value is None or type(value) in _SCALARS:
        return value
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if type(value) in (tuple, list):
        return {type(value).__name__: [constant(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[constant(key), constant(item)] for key, item in value.items()]}
    raise UnsupportedError(
        f"{value!r} is a {type(value).__name__}, which cannot be written to a file: only None, numbers, text, and "
        "tuples, lists and dictionaries of them can"
    )


def constant_of(data: Any) -> Any:
    """The constant that `data` was made of; raises `ValueError` for other data."""
    if not isinstance(data, dict):
        return _require(data is None or type(data) in _SCALARS, data)
    ((kind, content),) = data.items()
    if kind == "complex":
        return complex(*content)
    if kind == "dict":
        return {constant_of(key): constant_of(item) for key, item in content}
    _require(kind in ("tuple", "list"), data)
    items = [constant_of(item) for item in content]
    return tuple(items) if kind == "tuple" else items


def _dataclass(wanted: Any, data: Any, part: Callable[[str], bytes]) -> Any:
    hints = _hints(wanted)
    given = dict(data)
    _require(given.pop("class") == wanted.__name__, data)
    return wanted(**{name: _restored(hints[name], item, part) for name, item in given.items()})


def _member(members: tuple[Any, ...], data: Any) -> Any:
    """Which of the `members` of a union `data` is of."""
    name = data.get("class") if isinstance(data, dict) else None
    for member in members:
        if name is not None and getattr(member, "__name__", "") == name:
            return member
        if name is None and not is_dataclass(member) and _fits(member, data):
            return member
    raise ValueError(data)


def _fits(member: Any, data: Any) -> bool:
    kind = get_origin(member) or member
    if kind is type(None):
        return data is None
    if kind in (tuple, list):
        return isinstance(data, list)
    if kind is Literal:
        return data in get_args(member)
    if kind is bytes:
        return isinstance(data, dict)
    return type(data) is kind


def _require(condition: bool, data: Any) -> Any:
    if not condition:
        raise ValueError(data)
    return data


@cache
def _hints(wanted: type[Any]) -> dict[str, Any]:
    return get_type_hints(wanted)

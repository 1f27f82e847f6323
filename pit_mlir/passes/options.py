"""Options of a pass as text: the fields of its dataclass, `name=value` separated by spaces."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pit_mlir.errors import PassError

_OPTION = re.compile(
    r"""\s*(?P<key>[\w.-]+)(?:=(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|\{(?P<braced>[^}]*)\}|(?P<plain>[^\s'"{}]*)))?"""
)


INT64 = range(-(2**63), 2**63)
"""The integers that MLIR takes."""


class OptionError(PassError):
    """An option that a pass does not take; `offset` is where it stands in the text of the options."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def options_text(given: Any) -> str:
    """The fields of the pass `given` that differ from their defaults, as `{a=1 some-name=2}`; empty if none does."""
    options = [
        f"{_option_name(field)}={_value_text(value)}"
        for field in fields(given)
        if (value := getattr(given, field.name)) != _default(field)
    ]
    return "{" + " ".join(options) + "}" if options else ""


def parse_options(cls: type, text: str) -> dict[str, Any]:
    """The keyword arguments for the pass class `cls` that `text` (without its braces) gives.

    Raises `OptionError` for an option that `cls` does not have and for a value of the wrong type, `PassError` for a
    missing option.
    """
    hints = get_type_hints(cls)
    known = {_option_name(field): field for field in fields(cls)}
    values: dict[str, Any] = {}
    for offset, key, value in _split(text):
        if key not in known:
            names = ", ".join(known) or "it has none"
            raise OptionError(f"pass '{cls.name}' has no option '{key}'; options: {names}", offset)
        field = known[key]
        try:
            values[field.name] = parse_value(
                hints[field.name], key, value, field.metadata.get("range", INT64)
            )
        except PassError as error:
            raise OptionError(error.message, offset) from None
    missing = [
        name for name, field in known.items() if _default(field) is MISSING and field.name not in values
    ]
    if missing:
        raise PassError(f"pass '{cls.name}' requires option '{missing[0]}': {cls.name}{{{missing[0]}=...}}")
    return values


def option_lines(cls: type) -> list[str]:
    """One `name=type (default)` line per option of the pass class `cls`, for listings."""
    hints = get_type_hints(cls)
    return [
        f"{_option_name(field)}={_type_text(hints[field.name])}"
        + ("" if _default(field) in (MISSING, None) else f" (default {_value_text(_default(field))})")
        for field in fields(cls)
    ]


def _option_name(field: Field[Any]) -> str:
    return field.name.replace("_", "-")


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _split(text: str) -> Iterator[tuple[int, str, str | None]]:
    """`(offset, key, value)` of each option; the value is None where only the key stands, as for a flag."""
    end = len(text.rstrip())
    start = 0
    while start < end:
        match = _OPTION.match(text, start)
        if match is None:
            rest = text[start:].lstrip()
            message = f"malformed options '{text.strip()}' at '{rest.rstrip()}': expected name=value"
            raise OptionError(message, len(text) - len(rest))
        groups = match.groupdict()
        given = [groups[kind] for kind in ("single", "double", "braced", "plain") if groups[kind] is not None]
        yield match.start("key"), groups["key"], given[0] if given else None
        start = match.end()


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(map(_value_text, value))
    text = str(value)
    if text and not re.search(r"[\s'\"{}]", text):
        return text
    quote = '"' if "'" in text else "'"
    assert quote not in text, f"option value {text!r} has both kinds of quotes"
    return quote + text + quote


def _type_text(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return f"{_type_text(get_args(hint)[0])},..."
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint)))
    alternatives = [kind for kind in get_args(hint) if kind is not NoneType]
    return _type_text(alternatives[0]) if alternatives else hint.__name__


def parse_value(hint: Any, key: str, value: str | None, allowed: range = INT64) -> Any:
    """`value` as the type `hint`: bool, int in `allowed`, float, str, Literal, `T | None` or `tuple[T, ...]`.

    Raises `PassError` where it is none.
    """
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        return tuple(parse_value(element, key, item, allowed) for item in (value or "").split(",") if item)
    if get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in get_args(hint)}
        if value not in choices:
            raise PassError(f"option '{key}' must be one of {', '.join(choices)}, got '{value}'")
        return choices[value]
    alternatives = [kind for kind in get_args(hint) if kind is not NoneType]
    if alternatives:
        return parse_value(alternatives[0], key, value, allowed)
    if hint is bool:
        return _parse_bool(key, "true" if value is None else value)
    if value is None:
        raise PassError(f"option '{key}' needs a value: {key}={hint.__name__}")
    try:
        parsed = hint(value)
    except ValueError:
        raise PassError(f"option '{key}' must be of type {hint.__name__}, got '{value}'") from None
    if hint is int and parsed not in allowed:
        raise PassError(f"option '{key}' must be from {allowed[0]} to {allowed[-1]}, got '{value}'")
    return parsed


def _parse_bool(key: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise PassError(f"option '{key}' must be true or false, got '{value}'")
    return value.lower() in ("true", "1")

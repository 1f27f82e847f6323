"""Pipelines as text and as data: `builtin.module(pit-normalize, func.func(cse), pit-x{option=3})`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from pit_mlir.errors import PassError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.options import OptionError
from pit_mlir.passes.registry import PASSES, pass_class
from pit_mlir.passes.upstream_names import UPSTREAM_NAMES

_NAME = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*")


@dataclass(frozen=True)
class Place:
    """A position in the text of a pipeline."""

    text: str
    offset: int

    def inside(self, name: str, options: str, offset: int) -> "Place":
        """Where the letter `offset` of `options` stands, which are those of the pass `name` at this place."""
        return Place(self.text, self.text.index(options, self.offset + len(name)) + offset)

    def error(self, message: str) -> PassError:
        """`message` with the line of the pipeline and a caret under the position."""
        before = self.text[: self.offset]
        line, column = before.count("\n") + 1, self.offset - (before.rfind("\n") + 1) + 1
        source = (self.text.splitlines() or [""])[min(line, len(self.text.splitlines()) or 1) - 1]
        return PassError(
            f"{message}\n{source}\n{' ' * (column - 1)}^", location=f"pass-pipeline:{line}:{column}"
        )


@dataclass(frozen=True)
class Upstream:
    """A pass or pipeline that MLIR knows by name, with its options as text (without braces)."""

    name: str
    options: str = ""
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name}{{{self.options}}}" if self.options else self.name


@dataclass(frozen=True)
class Nested:
    """Steps to run on each operation called `anchor` that stands directly in the operation at hand."""

    anchor: str
    steps: tuple["Step", ...]
    place: Place | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.anchor}({','.join(map(str, self.steps))})"


Step = Pass | Upstream | Nested


def pipeline_text(steps: Sequence[Step], anchor: str = "builtin.module") -> str:
    """`steps` on operations called `anchor` as the text that `parse_pipeline` reads back."""
    return f"{anchor}({','.join(map(str, steps))})"


def pipeline_listing(steps: Sequence[Step], indent: str = "  ") -> str:
    """`steps` line by line, one more level of indentation for each operation, as MLIR prints a pass manager."""
    lines = [
        f"{indent}{step.anchor}(\n{pipeline_listing(step.steps, indent + '  ')}\n{indent})"
        if isinstance(step, Nested)
        else f"{indent}{step}"
        for step in steps
    ]
    return ",\n".join(lines)


def suggestion(name: str, others: Sequence[str] = ()) -> str:
    """`; did you mean ...?` with the pass, or the one of `others`, whose name is nearest; empty if none is near."""
    near = get_close_matches(name, [*PASSES, *others, *UPSTREAM_NAMES], 1, 0.75)
    return f"; did you mean '{near[0]}'?" if near else ""


def pipeline_steps(pipeline: "str | Sequence[Step | str]") -> tuple[Step, ...]:
    """`pipeline` as steps to run on a module; a text in a sequence is a pipeline of its own.

    Raises `PassError` with the place in the text that is malformed or names an unknown pass of ours.
    """
    if isinstance(pipeline, str):
        return parse_pipeline(pipeline)
    return tuple(
        step for item in pipeline for step in (parse_pipeline(item) if isinstance(item, str) else (item,))
    )


def parse_pipeline(text: str) -> tuple[Step, ...]:
    """The steps on a module that `text` describes; an unanchored list stands inside `builtin.module`."""
    try:
        steps = _Parser(text).pipeline()
    except RecursionError:
        raise PassError("the pipeline is nested too deeply") from None
    match steps:
        case (Nested(anchor="builtin.module" | "any", steps=inner),):
            return inner
        case _:
            return steps


def parse_flag(name: str, options: str) -> Step:
    """The step on a module that a command line names in a flag of its own."""
    text = f"{name}{{{options}}}" if options else name
    return _Parser.make(name, options, "builtin.module", Place(text, 0))


class _Parser:
    """Recursive descent over `list := step (',' step)*`, `step := name ('(' list ')' | '{' options '}')?`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset = 0

    def pipeline(self) -> tuple[Step, ...]:
        steps = self.steps("builtin.module", end="")
        if self.offset < len(self.text):
            raise self.error(f"expected ',' or the end of the pipeline, got '{self.text[self.offset]}'")
        return steps

    def steps(self, anchor: str, *, end: str) -> tuple[Step, ...]:
        """A list for operations called `anchor` up to `end`, which is left in place; the list may be empty."""
        self.skip_space()
        if self.text[self.offset : self.offset + 1] == end:
            return ()
        steps = [self.step(anchor)]
        while self.accept(","):
            steps.append(self.step(anchor))
        return tuple(steps)

    def step(self, anchor: str) -> Step:
        match = _NAME.match(self.text, self.offset)
        if match is None:
            self.skip_space()
            got = f"'{self.text[self.offset]}'" if self.offset < len(self.text) else "the end"
            raise self.error(f"expected the name of a pass or an operation, got {got}")
        name, place = match.group(1), Place(self.text, match.start(1))
        self.offset = match.end()
        if self.accept("("):
            steps = self.steps(name, end=")")
            if not self.accept(")"):
                raise self.error(f"expected ',' or ')' to close '{name}('")
            return Nested(name, steps, place)
        return self.make(name, self.options() if self.accept("{") else "", anchor, place)

    def options(self) -> str:
        """The text up to the brace that closes the options, which may hold braces and quotes themselves."""
        start, depth, quote = self.offset, 1, ""
        for offset in range(start, len(self.text)):
            letter = self.text[offset]
            if quote or letter in "'\"":
                quote = ("" if letter == quote else quote) if quote else letter
            else:
                depth += (letter == "{") - (letter == "}")
            if depth == 0:
                self.offset = offset + 1
                self.skip_space()
                return self.text[start:offset].strip()
        self.offset = start - 1
        raise self.error("missing '}' after these options")

    @staticmethod
    def make(name: str, options: str, anchor: str, place: Place) -> Step:
        """Our pass called `name`, or an upstream one; names that begin with `pit-` are ours."""
        if name not in PASSES and not name.startswith("pit-"):
            return Upstream(name, options, place)
        if name not in PASSES:
            hint = suggestion(name) or "; see pit-mlir-opt --list-passes"
            raise place.error(f"unknown pass '{name}'{hint}")
        cls = pass_class(name)
        if not cls.runs_on(anchor):
            raise place.error(cls.anchor_fault(anchor))
        try:
            return cls.from_options(options)
        except OptionError as error:
            fault = place.inside(name, options, error.offset).error(error.message)
        except PassError as error:
            fault = place.error(error.message)
        raise fault

    def accept(self, token: str) -> bool:
        self.skip_space()
        found = self.text.startswith(token, self.offset)
        self.offset += len(token) if found else 0
        return found

    def skip_space(self) -> None:
        while self.offset < len(self.text) and self.text[self.offset].isspace():
            self.offset += 1

    def error(self, message: str) -> PassError:
        return Place(self.text, self.offset).error(message)

"""Upstream passes: MLIR's pass managers for them, where they may run, and what is wrong with their names or options."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from pit_mlir.bindings import PassManager, ir
from pit_mlir.errors import PassError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pipeline_text import Nested, Step, Upstream, parse_pipeline, suggestion

_RESTRICTED = re.compile(r"restricted to '([\w.]+)' on a PassManager intended to run on '([\w.]+)'")
_UNKNOWN = "does not refer to a registered"
_NO_OPTION = re.compile(r"no such option (?P<option>[^\s=]+)")
_BAD_VALUE = re.compile(r"^: for the --(?P<option>\S+) option: (?P<reason>.*?)!?$", re.MULTILINE)

_STDERR = threading.Lock()
"""Held by whoever has turned standard error elsewhere."""


class Managers:
    """The pass managers of one context, each made once: one for a pass on operations of one name."""

    def __init__(self, context: ir.Context) -> None:
        self.context = context
        self._made: dict[tuple[str, str], PassManager] = {}

    def manager(self, step: Upstream, anchor: str) -> PassManager:
        """The manager for `step` on operations called `anchor`; ValueError where MLIR rejects it."""
        key = (str(step), anchor)
        if key not in self._made:
            self._made[key] = _made(step, anchor, self.context)
        return self._made[key]

    def knows(self, name: str) -> bool:
        """Whether there is an upstream pass or pipeline called `name`."""
        return _UNKNOWN not in (self._fault(Upstream(name), "any") or "")

    def fits(self, step: Step, anchor: str) -> bool:
        """Whether `step` may run on operations called `anchor`, which decides what `any(...)` runs on."""
        if isinstance(step, Upstream):
            return self._fault(step, anchor) is None
        return isinstance(step, Nested) or step.runs_on(anchor)

    def nested_where_needed(self, step: Step) -> Step:
        """`step`, put inside the operation it is restricted to if that is not the module: mlir-opt's flags do so."""
        if isinstance(step, Upstream):
            restricted = _RESTRICTED.search(self._fault(step, "builtin.module") or "")
            if restricted is not None:
                return Nested(restricted[1], (step,), step.place)
        return step

    def resolve(self, steps: Sequence[Step], anchor: str) -> tuple[Step, ...]:
        """`steps` on operations called `anchor`, with the passes of upstream's pipelines in their stead.

        A step in which nothing changes stays the same object. Raises `PassError` for a pass that is not known, not
        with its options, or not on this operation.
        """
        return tuple(inner for step in steps for inner in self._resolved(step, anchor))

    def _resolved(self, step: Step, anchor: str) -> tuple[Step, ...]:
        if isinstance(step, Nested):
            inner = self.resolve(step.steps, step.anchor)
            same = len(inner) == len(step.steps) and all(map(lambda a, b: a is b, inner, step.steps))
            return (step if same else replace(step, steps=inner),)
        if isinstance(step, Pass):
            if not step.runs_on(anchor):
                raise PassError(step.anchor_fault(anchor))
            return (step,)
        fault = self._fault(step, anchor)
        if fault is not None:
            raise _error(step, fault)
        return self._expanded(step, anchor)

    def _expanded(self, step: Upstream, anchor: str) -> tuple[Step, ...]:
        """What `step` stands for if it is a pipeline; a pass, or a pipeline that MLIR prints unreadably, is itself."""
        text = str(self.manager(step, anchor)).removeprefix(f"{anchor}(").removesuffix(")")
        if re.match(rf"{re.escape(step.name)}(\{{|$)", text):
            return (step,)
        try:
            expanded = parse_pipeline(text)
            return (step,) if step in expanded else self.resolve(expanded, anchor)
        except PassError:
            return (step,)

    def _fault(self, step: Upstream, anchor: str) -> str | None:
        try:
            self.manager(step, anchor)
        except ValueError as error:
            return str(error)
        return None


def _made(step: Upstream, anchor: str, context: ir.Context) -> PassManager:
    """The manager for `step`; ValueError, with what MLIR writes about values of options, where MLIR rejects it."""
    text = f"{anchor}({step})"
    if not step.options:
        return PassManager.parse(text, context)
    said: list[str] = []
    try:
        with _value_faults(said):
            return PassManager.parse(text, context)
    except ValueError as error:
        fault = str(error)
    raise ValueError("\n".join([*said, fault]))


@contextmanager
def _value_faults(said: list[str]) -> Iterator[None]:
    """Adds to `said` what LLVM's parser of options, which knows no diagnostics, writes to standard error meanwhile."""
    with _STDERR:
        try:
            stderr = os.dup(2)
        except OSError:
            # It is closed: nothing can be written.
            yield
            return
        with os.fdopen(stderr, "wb") as real, tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(stderr, 2)
                file.seek(0)
                for line in file:
                    text = line.decode(errors="replace").rstrip("\n")
                    if _BAD_VALUE.match(text):
                        said.append(text)
                    else:
                        # Another thread wrote it.
                        real.write(line)


def _error(step: Upstream, fault: str) -> PassError:
    """What is wrong with `step`, from the text of MLIR's ValueError, at the option or the pass that is at fault."""
    place, option = step.place, None
    if _UNKNOWN in fault:
        message = f"unknown pass '{step.name}'{suggestion(step.name)}"
    elif restricted := _RESTRICTED.search(fault):
        needed, given = restricted.groups()
        message = f"pass '{step.name}' runs on '{needed}', not on '{given}': write {needed}({step})"
    elif option := _BAD_VALUE.search(fault):
        message = (
            f"pass '{step.name}' does not take this value of option '{option['option']}': {option['reason']}"
        )
    elif option := _NO_OPTION.search(fault):
        message = f"pass '{step.name}' has no option '{option['option']}'"
    else:
        reason = re.sub(r"^<.*?>:\s*", "", fault.strip().splitlines()[0])
        message = f"pass '{step.name}' does not take the options '{step.options}': {reason}"
    if place is None:
        return PassError(message)
    if option is not None:
        found = re.search(rf"(?<![\w.-]){re.escape(option['option'])}(?![\w.-])", step.options)
        place = place.inside(step.name, step.options, found.start() if found else 0)
    return place.error(message)

"""What a pass is: one file, one frozen dataclass, one kebab-case name; its options are its fields."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.options import options_text, parse_options


@dataclass(frozen=True)
class Pass(ABC):
    """A rewrite or an analysis of one operation, usually the module.

    `name` is the public name; the first line of the class's docstring is its line in `--list-passes`. Field
    names with `_` are written with `-` in a pipeline: `pit-x{some-option=3}`. Fields are bool, int, float, str,
    `Literal`, `T | None` or `tuple[T, ...]`.
    """

    name: ClassVar[str]
    anchors: ClassVar[tuple[str, ...]] = ()
    """The operations it runs on, by name; with none given, any operation that is isolated from above."""
    statistics: ClassVar[Mapping[str, str]] = {}
    """What it counts with `report.count(name)`: names and what they mean, for `--mlir-pass-statistics`."""

    @abstractmethod
    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites `op` in place; what is worth saying goes to `report`. Raises `PitError` where it cannot."""

    @classmethod
    def runs_on(cls, anchor: str) -> bool:
        """Whether `anchor` names an operation that the pass runs on; `any` leaves it open."""
        return not cls.anchors or anchor in (*cls.anchors, "any")

    @classmethod
    def anchor_fault(cls, anchor: str) -> str:
        """What to say where the pass stands in the pipeline of an operation that it does not run on."""
        return f"pass '{cls.name}' runs on {' or '.join(map(repr, cls.anchors))}, not on '{anchor}'"

    @classmethod
    def from_options(cls, text: str) -> Self:
        """The pass with the options `text` (`a=1 b=x`); raises `PassError` for one that does not fit."""
        return cls(**parse_options(cls, text))

    def __str__(self) -> str:
        """The pass as pipeline text, options that differ from their defaults included."""
        return self.name + options_text(self)

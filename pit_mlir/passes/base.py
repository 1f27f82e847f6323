"""What a pass is: one file, one frozen dataclass, one kebab-case name; its options are its fields."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report


@dataclass(frozen=True)
class Pass(ABC):
    """A rewrite or an analysis of one operation, usually the module.

    `name` is the public name; the first line of the class's docstring is its line in `--list-passes`. Field
    names with `_` are written with `-` in a pipeline: `pit-x{some-option=3}`.
    """

    name: ClassVar[str]

    @abstractmethod
    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites `op` in place; what is worth saying goes to `report`. Raises `PitError` where it cannot."""

"""`pit-expose-indices`: a program that also returns its indices, for a report on one of its calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.base import Pass
from pit_mlir.passes.exposure import expose
from pit_mlir.passes.rules.functions import functions_of


@dataclass(frozen=True)
class ExposeIndices(Pass):
    """Makes indices, their sizes for other micro-tiles, and the extents of the work further results of `entry`.

    The results are begin, count, entries and extents of each `pit.detect` (see `pit.lists`), in order, and at the end
    one tensor of numbers: for each index whose segments share blocks its number of entries for each of `micro-tiles`,
    then for each contraction and attention the extents of its iterators that only the call tells. In between, what each
    contraction expected of each list that it could follow (see `pit.choice`).
    """

    name: ClassVar[str] = "pit-expose-indices"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {
        "num-indices": "Indices that are returned",
        "num-numbers": "Numbers that are returned",
    }

    entry: str = "main"
    micro_tiles: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)

    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites the function `entry`; one that returns its indices already stays as it is."""
        with op.context:
            for function in functions_of(op):
                if ir.StringAttr(function.attributes["sym_name"]).value == self.entry:
                    exposure = expose(function, self.micro_tiles)
                    report.count("num-indices", len(exposure.indices))
                    report.count("num-numbers", exposure.numbers)

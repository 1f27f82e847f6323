"""`pit-lower-loops`: linear algebra on buffers becomes loops."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.loops import emit
from pit_mlir.codegen.cpu.row_fusion import emit_rows
from pit_mlir.codegen.nest import collapsed
from pit_mlir.codegen.row_groups import Group, groups_of, rows_in_common
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class LowerLoops(Pass):
    """Turns each `linalg.generic` on buffers into parallel chunks of loops that LLVM vectorises.

    Neighbours that work row by row share one loop over the rows.
    """

    name: ClassVar[str] = "pit-lower-loops"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-lowered": "linalg.generic operations that became loops",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Operations on tensors are left alone."""
        with op.context:
            generics = [generic for generic in operations(op, "linalg.generic") if not generic.results]
            report.count("num-lowered", len(generics))
            for block in dict.fromkeys(generic.block for generic in generics):
                for group in groups_of(block, rows_in_common):
                    lower_group(group)


def lower_group(group: Group) -> None:
    """Builds the loops of a group where its last operation stands; the others touch nothing in between."""
    last = group[-1][0]
    nests = [nest for _, nest in group]
    with ir.InsertionPoint(last), last.location:
        if len(nests) == 1:
            emit(collapsed(nests[0]))
        else:
            emit_rows(nests, rows_in_common(nests), [op for op, _ in group])
    for op, _ in group:
        op.erase()

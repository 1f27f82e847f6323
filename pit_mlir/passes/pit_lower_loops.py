"""`pit-lower-loops`: linear algebra on buffers becomes loops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.loops import emit
from pit_mlir.codegen.cpu.row_fusion import emit_rows
from pit_mlir.codegen.cpu.stencil import Stencil
from pit_mlir.codegen.nest import Nest, collapsed
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
                for group in groups_of(block, rows_together):
                    lower_group(group)


def rows_together(nests: Sequence[Nest]) -> int:
    """As `rows_in_common`; windowed sums with few terms have a form of their own and stand alone."""
    is_one_stencil = len(nests) > 1 and any(Stencil.of(nest) is not None for nest in nests)
    return 0 if is_one_stencil else rows_in_common(nests)


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

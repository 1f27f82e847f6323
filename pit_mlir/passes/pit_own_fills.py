"""`pit-own-fills`: what is written into a filled tensor has a fill of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.structured import Structured, owner
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class OwnFills(Pass):
    """Repeats a fill for each operation that writes over it, such as two sums that start from the same zeros.

    Bufferization fills one buffer and copies it to the others; a copy stands between loops over the same rows, and
    keeps them from being one.
    """

    name: ClassVar[str] = "pit-own-fills"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-repeated": "Fills that are repeated",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Fills of a fresh tensor are repeated, those that write over another one are not."""
        with op.context:
            for fill in filter(is_fill, operations(op, "linalg.fill", "linalg.generic")):
                target = len(fill.operands) - 1
                empty = owner(fill.operands[target])
                if empty is None or empty.name != "tensor.empty":
                    continue
                written = [use for use in fill.results[0].uses if is_written(use)]
                is_shared = len(list(fill.results[0].uses)) > 1
                for use in written if is_shared else []:
                    with ir.InsertionPoint(fill), fill.location:
                        fresh, again = empty.clone().operation, fill.clone().operation
                    again.operands[target] = fresh.results[0]
                    use.owner.operation.operands[use.operand_number] = again.results[0]
                    report.count("num-repeated")


def is_written(use: ir.OpOperand) -> bool:
    """Whether `use` is a destination, such as that of a reduction."""
    view = Structured.of(use.owner.operation)
    return view is not None and use.operand_number >= len(view.inputs)


def is_fill(op: ir.Operation) -> bool:
    """Whether `op` makes a tensor of one value: a `linalg.fill`, or what is left of one."""
    if len(op.results) != 1:
        return False
    return op.name == "linalg.fill" or (
        len(op.operands) == 1 and len(op.regions[0].blocks[0].operations) == 1
    )

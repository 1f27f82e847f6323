"""`pit-join-siblings`: contractions of the same rows become one, such as the gate and the up projection of experts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass
from pit_mlir.passes.contractions.siblings import joined, sibling_of


@dataclass(frozen=True)
class JoinSiblings(Pass):
    """Makes one `pit.contract` of two that share their rows, their list and their iterators, where one reads the other.

    What the epilogue of the one reads of the other's result is then the other's sum, in its epilogue: the rows are
    gathered and packed once, and the result in between never reaches memory. The second factors may differ in what
    they read, and in nothing else.
    """

    name: ClassVar[str] = "pit-join-siblings"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {"num-joined": "Contractions that became part of another one"}

    def run(self, op: ir.Operation, report: Report) -> None:
        """See `Pass`."""
        with op.context:
            for operation in list(operations(op, "pit.contract")):
                contract: ContractOp | None = operation.opview
                while contract is not None:
                    sibling = sibling_of(contract)
                    if sibling is not None:
                        report.count("num-joined")
                        where = location_text(sibling.operation.location)
                        report.remark(
                            where, "computed with its sibling, which reads its result", topic="kernel"
                        )
                    contract = None if sibling is None else joined(sibling, contract)

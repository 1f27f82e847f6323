"""`pit-erase-launches`: a kernel without a block is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import gpu, ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class EraseLaunches(Pass):
    """Erases each `gpu.launch` that is known to have no block: what it would write has no elements.

    A grid whose size the host computes may turn out empty too; the runtime then launches nothing.
    """

    name: ClassVar[str] = "pit-erase-launches"
    statistics: ClassVar[Mapping[str, str]] = {"num-empty": "Launches of no block"}

    def run(self, op: ir.Operation, report: Report) -> None:
        """Looks at grids whose sizes are constants."""
        with op.context:
            for launch in operations(op, gpu.LaunchOp.OPERATION_NAME):
                view = launch.opview
                assert isinstance(view, gpu.LaunchOp)
                if any(is_zero(size) for size in (view.gridSizeX, view.gridSizeY, view.gridSizeZ)):
                    launch.erase()
                    report.count("num-empty")


def is_zero(size: ir.Value) -> bool:
    """Whether `size` is the constant 0."""
    maker = size.owner
    if isinstance(maker, ir.Block) or maker.operation.name != "arith.constant":
        return False
    return ir.IntegerAttr(maker.operation.attributes["value"]).value == 0

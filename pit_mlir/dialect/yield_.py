"""`pit.yield`: the terminator of the regions of the dialect's operations."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation


class YieldOp(PitOperation, name="yield", traits=[ext.Pure, ir.IsTerminatorTrait]):
    """Ends a region and hands `values` to the operation around it."""

    values: Sequence[ext.Operand[Any]]


def yield_(values: Sequence[ir.Value]) -> None:
    """Ends the region being built with `values`."""
    YieldOp(list(values))


def yielded(block: ir.Block) -> list[ir.Value]:
    """What the terminator of `block` yields; empty where the block has no terminator yet."""
    operations = list(block.operations)
    return list(operations[-1].operation.operands) if operations else []

"""`pit.size`: how many rows an index has."""

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import IndexType, PitOperation


class SizeOp(PitOperation, name="size", traits=[ext.Pure]):
    """The number of rows of `index`, over all segments.

    ```mlir
    %n = "pit.size"(%I) : (!pit.index) -> index
    ```
    """

    index: ext.Operand[IndexType]
    rows: ext.Result[ir.IndexType]


def size(index: ir.Value) -> ir.Value:
    """The number of rows of `index` over all its segments, an `index`."""
    return SizeOp(index, ir.IndexType.get()).rows

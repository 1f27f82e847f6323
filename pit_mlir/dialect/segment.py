"""`pit.segment`: one segment of an index, as an index of its own."""

from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import IndexType, PitOperation, integer, require


class SegmentOp(PitOperation, name="segment", traits=[ext.Pure]):
    """The entries of segment `number` of `index`, without segments: its group is the axis of `index` alone.

    So several operations, each for one value of a key, share the one pass that lists all of them.

    ```mlir
    %E = "pit.detect"(%chosen) {values = 8 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>,
                                micro_tile = 1 : i64} : (tensor<?xi64>) -> !pit.index
    %third = "pit.segment"(%E) {number = 3 : i64} : (!pit.index) -> !pit.index
    ```
    """

    index: ext.Operand[IndexType]
    result: ext.Result[IndexType]
    number: Any

    def verify_op(self) -> None:
        """The number is one of the segments, where these are known."""
        number = integer(self, "number")
        require(number >= 0, "attribute 'number' = {} must not be negative", number)
        maker = self.index.owner
        if isinstance(maker, ir.Block) or "values" not in maker.operation.attributes:
            return
        values = maker.operation.attributes["values"].value
        require(number < values, "attribute 'number' = {} is none of {} segments", number, values)


def segment(index: ir.Value, number: int) -> ir.Value:
    """Segment `number` of `index` as an index."""
    i64 = ir.IntegerType.get_signless(64)
    return SegmentOp(index, IndexType.get(), ir.IntegerAttr.get(i64, number)).result

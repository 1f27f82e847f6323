"""`pit.sread`: gather the rows of an index into a compact tensor."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.group import compact_type, verify_group
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, require


class SReadOp(PitOperation, name="sread", traits=[ext.Pure]):
    """Reads `source` at the rows of `index`; the rows of all segments follow one another.

    Dimension `axis[i]` of `source` is addressed by coordinate `group[i]` of the index's group (segments, then
    axis, in the order of its `pit.detect`). An operand that carries only part of the group names only that part:
    it is read through the projection of the row. In the result the dimensions `axis` are gone and one dynamic
    dimension, the rows, stands where the first of them (the smallest) stood.

    ```mlir
    %rows = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
        : (tensor<4x128x768xf32>, !pit.index) -> tensor<?x768xf32>
    %pos  = "pit.sread"(%table, %I) {axis = array<i64: 0>, group = array<i64: 1>}
        : (tensor<128x768xf32>, !pit.index) -> tensor<?x768xf32>
    ```
    """

    source: ext.Operand[ir.RankedTensorType]
    index: ext.Operand[IndexType]
    result: ext.Result[ir.RankedTensorType]
    axis: Any
    group: Any

    def verify_op(self) -> None:
        """The result must be the source with `axis` replaced by one dynamic dimension of rows."""
        axis, group = int_array(self, "axis"), int_array(self, "group")
        verify_group(self, axis, group, ir.RankedTensorType(self.source.type).rank)
        expected = compact_type(self.source.type, axis)
        require(
            self.result.type == expected,
            "reads {} along {}: expected result {}, got {}",
            self.source.type,
            axis,
            expected,
            self.result.type,
        )


def sread(
    source: ir.Value, index: ir.Value, *, axis: Sequence[int], group: Sequence[int] | None = None
) -> ir.Value:
    """The rows of `source` that `index` lists, compact; `group` defaults to the whole group in order."""
    coordinates = list(range(len(axis))) if group is None else list(group)
    return SReadOp(
        source,
        index,
        compact_type(source.type, axis),
        ir.DenseI64ArrayAttr.get(list(axis)),
        ir.DenseI64ArrayAttr.get(coordinates),
    ).result

"""`pit.sread`: gather the rows of an index into a compact tensor."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.detect import DetectOp
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, require, require_dims


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


def verify_group(op: Any, axis: Sequence[int], group: Sequence[int], rank: int) -> None:
    """Checks `axis` against a tensor's `rank` and `group` against the `pit.detect` that made the index."""
    require_dims("axis", axis, rank)
    require(bool(axis), "attribute 'axis' must name at least one dimension")
    require(
        len(axis) == len(group),
        "attribute 'axis' has {} dimensions but 'group' has {} coordinates",
        len(axis),
        len(group),
    )
    size = group_size(op.index)
    require_dims("group", group, len(group) + max(group, default=0) + 1 if size is None else size)


def group_size(index: ir.Value) -> int | None:
    """How many coordinates the group of `index` has (segments and axis), None where its maker is not visible."""
    owner = index.owner
    if isinstance(owner, ir.Block) or not isinstance(owner.opview, DetectOp):
        return None
    maker = owner.opview
    return len(int_array(maker, "segments")) + len(int_array(maker, "axis"))


def compact_type(source: ir.Type, axis: Sequence[int]) -> ir.RankedTensorType:
    """The type of `source` with the dimensions `axis` replaced by one dynamic dimension of rows."""
    tensor = ir.RankedTensorType(source)
    dynamic = ir.ShapedType.get_dynamic_size()
    shape = [
        dynamic if dim == min(axis) else size
        for dim, size in enumerate(tensor.shape)
        if dim == min(axis) or dim not in axis
    ]
    return ir.RankedTensorType.get(shape, tensor.element_type)


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

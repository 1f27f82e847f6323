"""`pit.swrite`: scatter compact rows back to their places."""

from collections.abc import Sequence
from typing import Any, Literal

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.group import compact_type, detection, group_size, tells_rows_apart, verify_group
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, require

Combine = Literal["store", "add", "max", "min"]
COMBINES: tuple[Combine, ...] = ("store", "add", "max", "min")


class SWriteOp(PitOperation, name="swrite", traits=[ext.Pure]):
    """`init` with the rows of `value` written, or combined, at the places that `index` lists.

    `axis` and `group` read as in `pit.sread`. With `combine = "store"` no place may be listed twice, so `group`
    must be the whole group of the index, or all of its axis where a place has one key; another projection may list
    a place once per segment and needs another `combine`.

    ```mlir
    %y = "pit.swrite"(%rows, %init, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
        : (tensor<?x768xf32>, tensor<4x128x768xf32>, !pit.index) -> tensor<4x128x768xf32>
    ```
    """

    value: ext.Operand[ir.RankedTensorType]
    init: ext.Operand[ir.RankedTensorType]
    index: ext.Operand[IndexType]
    result: ext.Result[ir.RankedTensorType]
    axis: Any
    group: Any
    combine: Any

    def verify_op(self) -> None:
        """The value must be the init with `axis` compact, the result like the init, a store injective."""
        axis, group = int_array(self, "axis"), int_array(self, "group")
        verify_group(self, axis, group, ir.RankedTensorType(self.init.type).rank)
        expected = compact_type(self.init.type, axis)
        require(
            self.value.type == expected,
            "writes {} along {} of {}: expected value {}",
            self.value.type,
            axis,
            self.init.type,
            expected,
        )
        require(
            self.result.type == self.init.type,
            "result {} must have the type of init {}",
            self.result.type,
            self.init.type,
        )
        combine = combine_of(self)
        if combine == "store":
            verify_store(self, group)


def combine_of(op: Any) -> str:
    """The `combine` attribute of a `pit.swrite`; raises `InvalidOp` if it is not one of `COMBINES`."""
    attributes = op.operation.attributes
    require("combine" in attributes, "requires attribute 'combine'")
    attribute = attributes["combine"]
    known = isinstance(attribute, ir.StringAttr) and attribute.value in COMBINES
    require(known, "attribute 'combine' must be one of {}, got {}", list(COMBINES), attribute)
    return attribute.value


def verify_store(op: Any, group: Sequence[int]) -> None:
    """A plain store needs coordinates that tell rows apart, else one place may be listed twice."""
    require(
        detection(op.index) is None or tells_rows_apart(op.index, group),
        "stores through coordinates {} of a group of {}: a place may be listed twice, use combine = add, max or min",
        list(group),
        group_size(op.index),
    )


def swrite(
    value: ir.Value,
    init: ir.Value,
    index: ir.Value,
    *,
    axis: Sequence[int],
    group: Sequence[int] | None = None,
    combine: Combine = "store",
) -> ir.Value:
    """`init` with the compact rows `value` written along `axis` where `index` says."""
    coordinates = list(range(len(axis))) if group is None else list(group)
    return SWriteOp(
        value,
        init,
        index,
        init.type,
        ir.DenseI64ArrayAttr.get(list(axis)),
        ir.DenseI64ArrayAttr.get(coordinates),
        ir.StringAttr.get(combine),
    ).result

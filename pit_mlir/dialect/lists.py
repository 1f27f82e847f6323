"""`pit.lists`: what an index holds, as tensors, for somebody who wants to look at it."""

from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import IndexType, PitOperation, require


class ListsOp(PitOperation, name="lists", traits=[ext.Pure]):
    """The lists of `index`: segment s owns `entries[begin[s] .. begin[s] + count[s]]`.

    An entry is the linear coordinate of a live micro-tile in the space of the axis. `extents` are the sizes of the
    group: how many segments there are along each of its segment dimensions, then the sizes of its axis. What of
    `entries` no segment owns is not defined.

    ```mlir
    %begin, %count, %entries, %extents = "pit.lists"(%I)
        : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
    ```
    """

    index: ext.Operand[IndexType]
    begin: ext.Result[ir.RankedTensorType]
    count: ext.Result[ir.RankedTensorType]
    entries: ext.Result[ir.RankedTensorType]
    extents: ext.Result[ir.RankedTensorType]

    def verify_op(self) -> None:
        """The lists are i32, the extents i64, all of rank 1 and of a size that is known when the index is."""
        given = [str(result.type) for result in self.operation.results]
        expected = [str(type_) for type_ in list_types()]
        require(given == expected, "gives {}, expected {}", given, expected)


def list_types() -> list[ir.Type]:
    """The types of begin, count, entries and extents."""
    dynamic = ir.ShapedType.get_dynamic_size()
    return [
        ir.RankedTensorType.get([dynamic], ir.IntegerType.get_signless(width)) for width in (32, 32, 32, 64)
    ]


def lists(index: ir.Value) -> list[ir.Value]:
    """begin, count, entries and extents of `index`; see `ListsOp`."""
    op: Any = ListsOp(index, *list_types())
    return list(op.operation.results)

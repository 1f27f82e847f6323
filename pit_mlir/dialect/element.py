"""`pit.element`: what the body of a structured `pit` operation reads of a tensor outside, at each point."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation, require
from pit_mlir.dialect.structured import projection


class ElementOp(PitOperation, name="element", traits=[ext.Pure]):
    """The element of `source` at the point of the iteration space that the body around is computing.

    `map` takes the iterators of the operation around (`pit.generic`, `pit.attend`, `pit.contract`) to the
    coordinates of the element. With `compact` true, `source` holds rows: one dimension of rows, which the map
    writes as the first iterator of the index's group, stands in place of the whole group.

    Operands are read here instead of being operands of the operation around, because IRDL, in which the dialect
    is defined, holds all values of one variadic operand to one and the same type.

    ```mlir
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x64xf32>) -> f32
    ```
    """

    source: ext.Operand[Any]
    result: ext.Result[Any]
    map: Any
    compact: Any

    def verify_op(self) -> None:
        """The source is a ranked tensor, the map has one result a dimension, the result is its element."""
        source = self.source.type
        require(isinstance(source, ir.RankedTensorType), "source must be a ranked tensor, got {}", source)
        attributes = self.operation.attributes
        for name, kind in (("map", ir.AffineMapAttr), ("compact", ir.BoolAttr)):
            require(name in attributes, "requires attribute '{}'", name)
            require(
                isinstance(attributes[name], kind),
                "attribute '{}' has the wrong kind: {}",
                name,
                attributes[name],
            )
        tensor = ir.RankedTensorType(source)
        map_ = attributes["map"].value
        require(
            map_.n_symbols == 0 and len(map_.results) == tensor.rank,
            "map {} has {} results for {}",
            map_,
            len(map_.results),
            tensor,
        )
        require(
            self.result.type == tensor.element_type,
            "result must be {}, the element of {}, got {}",
            tensor.element_type,
            tensor,
            self.result.type,
        )


def element(source: ir.Value, map_: ir.AffineMap, *, compact: bool = False) -> ir.Value:
    """The element of `source` that `map_` selects; `compact` says that `source` holds rows."""
    return ElementOp(
        source,
        ir.RankedTensorType(source.type).element_type,
        ir.AffineMapAttr.get(map_),
        ir.BoolAttr.get(compact),
    ).result


def operand_element(source: ir.Value, map_: ir.AffineMap, *, compact: bool = False) -> ir.Value:
    """As `element`; a number, which `linalg.generic` takes as an operand too, is its own element."""
    is_tensor = isinstance(source.type, ir.RankedTensorType)
    return element(source, map_, compact=compact) if is_tensor else source


def elements(block: ir.Block) -> list[ElementOp]:
    """The `pit.element` operations of a body, in order."""
    return [op for op in block.operations if isinstance(op.operation.opview, ElementOp)]


def verify_elements(block: ir.Block, iterators: int, group: Sequence[int]) -> None:
    """Each element's map is over `iterators`; a compact one writes its rows as the first iterator of `group`."""
    for op in elements(block):
        map_ = op.operation.attributes["map"].value
        require(
            map_.n_dims == iterators,
            "reads {} through a map over {} of {} iterators: {}",
            op.source.type,
            map_.n_dims,
            iterators,
            map_,
        )
        if op.operation.attributes["compact"].value:
            verify_rows(map_, group)


def verify_rows(map_: ir.AffineMap, group: Sequence[int]) -> None:
    """The map of compact rows names the first iterator of the group once, and no other of it."""
    positions = projection(map_)
    require(positions is not None, "map {} of compact rows must select iterators", map_)
    require(bool(group), "map {} is of compact rows, but there is no index", map_)
    named = [position for position in positions or () if position in group]
    require(
        named == [group[0]],
        "map {} of compact rows must name them as iterator d{} and no other of group {}",
        map_,
        group[0],
        list(group),
    )

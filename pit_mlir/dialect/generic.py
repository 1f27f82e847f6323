"""`pit.generic`: a structured operation over the part of its iteration space that an index lists."""

from collections.abc import Callable, Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.element import element, verify_elements, verify_rows
from pit_mlir.dialect.group import verify_iterators
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, require
from pit_mlir.dialect.structured import Iterator, iterator_attribute
from pit_mlir.dialect.yield_ import yield_, yielded


class GenericOp(PitOperation, name="generic", traits=[ext.Pure]):
    """`linalg.generic` restricted to the points whose coordinates along `group` are listed by `index`.

    The body reads its inputs by `pit.element` and gets one scalar per output. `group` names the iterators that
    the coordinates of the index's group (segments, then axis) run over; a segment of several coordinates
    (`block` > 1 in its `pit.detect`) lists the entries for all of them. Elements of an output that no listed
    point reaches keep the value of `outputs`. All outputs have one type.

    `indexing_maps` gives the maps of the outputs. With `compact` true the outputs hold rows: one dimension of
    rows, which the map writes as the first iterator of the group, stands in place of the whole group.

    Live columns k for each block of rows m; nothing else is read of A and B:

    ```mlir
    %c = "pit.generic"(%init, %K) ({
    ^bb0(%acc: f32):
      %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x64xf32>) -> f32
      %w = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<64x?xf32>) -> f32
      %p = arith.mulf %x, %w : f32
      %s = arith.addf %acc, %p : f32
      "pit.yield"(%s) : (f32) -> ()
    }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
        iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                          #linalg.iterator_type<reduction>],
        group = array<i64: 0, 2>, compact = false}
        : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
    ```
    """

    outputs: Sequence[ext.Operand[Any]]
    index: ext.Operand[IndexType]
    results_: Sequence[ext.Result[Any]]
    indexing_maps: Any
    iterator_types: Any
    group: Any
    compact: Any
    body: ext.Region

    def verify_op(self) -> None:
        """Maps fit outputs and iterators, the group fits the index, the body fits all of them."""
        outputs = list(self.operation.operands)[:-1]
        iterators = iterator_count(self)
        maps = affine_maps(self, len(outputs))
        group = int_array(self, "group")
        verify_iterators(group, self.operation.operands[len(outputs)], iterators)
        compact = boolean(self, "compact")
        for output, map_ in zip(outputs, maps, strict=True):
            verify_map(output.type, map_, iterators)
            if compact:
                verify_rows(map_, group)
        types = [output.type for output in outputs]
        results = [result.type for result in self.operation.results]
        require(
            results == types,
            "results {} must have the types of the outputs {}",
            [str(t) for t in results],
            [str(t) for t in types],
        )
        scalars = [ir.RankedTensorType(type_).element_type for type_ in types]
        verify_body(self.operation.regions[0], scalars, scalars)
        verify_elements(self.operation.regions[0].blocks[0], iterators, group)


def boolean(op: Any, name: str) -> bool:
    """The value of the boolean attribute `name` of `op`; raises `InvalidOp` when it is not one."""
    attributes = op.operation.attributes
    require(name in attributes, "requires attribute '{}'", name)
    attribute = attributes[name]
    require(isinstance(attribute, ir.BoolAttr), "attribute '{}' must be a boolean, got {}", name, attribute)
    return attribute.value


def iterator_count(op: Any) -> int:
    """The number of entries of `iterator_types`."""
    attributes = op.operation.attributes
    require("iterator_types" in attributes, "requires attribute 'iterator_types'")
    kinds = attributes["iterator_types"]
    require(isinstance(kinds, ir.ArrayAttr), "attribute 'iterator_types' must be an array, got {}", kinds)
    return len(kinds)


def affine_maps(op: Any, count: int) -> list[ir.AffineMap]:
    """The `count` maps of `indexing_maps`; raises `InvalidOp` when there are more or fewer."""
    attributes = op.operation.attributes
    require("indexing_maps" in attributes, "requires attribute 'indexing_maps'")
    maps = attributes["indexing_maps"]
    require(
        isinstance(maps, ir.ArrayAttr) and all(isinstance(map_, ir.AffineMapAttr) for map_ in maps),
        "attribute 'indexing_maps' must be an array of affine maps, got {}",
        maps,
    )
    require(len(maps) == count, "has {} indexing maps for {} tensors", len(maps), count)
    return [map_.value for map_ in maps]


def verify_map(type_: ir.Type, map_: ir.AffineMap, iterators: int) -> None:
    """The map is over `iterators` and has one result for each dimension of `type_`, a ranked tensor."""
    require(isinstance(type_, ir.RankedTensorType), "must be a ranked tensor, got {}", type_)
    require(
        map_.n_dims == iterators,
        "map {} of {} is over {} of {} iterators",
        map_,
        type_,
        map_.n_dims,
        iterators,
    )
    require(
        map_.n_symbols == 0 and len(map_.results) == ir.RankedTensorType(type_).rank,
        "map {} has {} results for {}",
        map_,
        len(map_.results),
        type_,
    )


def verify_body(region: ir.Region, arguments: Sequence[ir.Type], yields: Sequence[ir.Type]) -> None:
    """The region is one block over scalars of type `arguments` that yields `yields`."""
    blocks = list(region.blocks)
    require(len(blocks) == 1, "body must be one block, got {}", len(blocks))
    given = [argument.type for argument in blocks[0].arguments]
    require(
        given == list(arguments),
        "body takes {}, expected {}",
        [str(t) for t in given],
        [str(t) for t in arguments],
    )
    values = [value.type for value in yielded(blocks[0])]
    require(
        values == list(yields),
        "body yields {}, expected {}",
        [str(t) for t in values],
        [str(t) for t in yields],
    )


def pit_generic(
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    index: ir.Value,
    maps: Sequence[ir.AffineMap],
    iterators: Sequence[Iterator],
    *,
    group: Sequence[int],
    compact: Sequence[int] = (),
    body: Callable[..., Sequence[ir.Value]],
) -> GenericOp:
    """A `pit.generic` at the insertion point, written like a `linalg.generic`.

    `maps` are those of the inputs and then of the outputs; `compact` numbers, in the same order, what holds rows
    (of the outputs all or none). `body` gets one scalar per input and then per output.
    """
    count = len(inputs)
    op = GenericOp(
        list(outputs),
        index,
        [output.type for output in outputs],
        ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps[count:]]),
        iterator_attribute(iterators),
        ir.DenseI64ArrayAttr.get(list(group)),
        ir.BoolAttr.get(any(number >= count for number in compact)),
    )
    types = [ir.RankedTensorType(output.type).element_type for output in outputs]
    block = op.operation.regions[0].blocks.append(*types)
    with ir.InsertionPoint(block):
        scalars = [
            element(source, map_, compact=number in compact)
            for number, (source, map_) in enumerate(zip(inputs, maps[:count], strict=True))
        ]
        yield_(body(*scalars, *block.arguments))
    return op

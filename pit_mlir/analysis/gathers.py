"""Gathers: operations whose elements are those of a table, at one computed coordinate, the key."""

from dataclasses import dataclass

from pit_mlir.analysis.extents import extent_source, has_extent
from pit_mlir.bindings import ir
from pit_mlir.dialect.bodies import maker_of, needed
from pit_mlir.dialect.structured import Structured, owner, projection


@dataclass(frozen=True)
class Gather:
    """A `linalg.generic` that reads one element of `table` for each of its own.

    Dimension `dim` of the table is read at `key`, a value of the body; dimension d is read at the position along
    iterator `positions[d]` (None for `dim`), over its whole extent. What is yielded is computed from that element.
    """

    view: Structured
    extract: ir.Operation
    dim: int
    positions: tuple[int | None, ...]

    @property
    def table(self) -> ir.Value:
        """What is read."""
        return self.extract.operands[0]

    @property
    def key(self) -> ir.Value:
        """The computed coordinate, an `index` in the body."""
        return self.extract.operands[1 + self.dim]

    @property
    def size(self) -> int:
        """How many values the key may have."""
        return ir.RankedTensorType(self.table.type).shape[self.dim]

    @property
    def key_inputs(self) -> list[int]:
        """The inputs that the key is computed from."""
        read = needed([self.key], self.view.body)
        return [number for number in range(len(self.view.inputs)) if self.view.scalars[number] in read]

    @property
    def key_iterators(self) -> set[int]:
        """The iterators that the key depends on."""
        return {i for number in self.key_inputs for i in projection(self.view.maps[number]) or ()}

    @staticmethod
    def of(value: ir.Value) -> "Gather | None":
        """The gather that makes `value`, if one does, with a table of a known number of parts."""
        maker = owner(value)
        view = None if maker is None else Structured.on_tensors(maker)
        if view is None or not is_elementwise(view):
            return None
        extracts = [op.operation for op in view.body.operations if op.operation.name == "tensor.extract"]
        if len(extracts) != 1 or not yields_element(view, extracts[0]):
            return None
        table, *coordinates = extracts[0].operands
        positions = tuple(position_of(view, coordinate) for coordinate in coordinates)
        keys = [dim for dim, position in enumerate(positions) if position is None]
        named = [position for position in positions if position is not None]
        if len(keys) != 1 or len(set(named)) != len(named):
            return None
        whole = all(is_whole(view, p, table, dim) for dim, p in enumerate(positions) if p is not None)
        known = not ir.RankedTensorType(table.type).is_dynamic_dim(keys[0])
        return Gather(view, extracts[0], keys[0], positions) if whole and known else None


def is_elementwise(view: Structured) -> bool:
    """Whether each element of the one result is computed from elements of the inputs, at selected iterators."""
    output = None if len(view.outputs) != 1 else projection(view.output_maps[0])
    if output is None or view.index is not None or "reduction" in view.iterators:
        return False
    return sorted(output) == list(range(len(view.iterators))) and None not in map(projection, view.maps)


def is_arithmetic(view: Structured) -> bool:
    """Whether the body of `view` is arithmetic on its inputs alone, which may be done again where it is wanted."""
    names = [op.operation.name for op in view.body.operations][:-1]
    reads_output = any(True for _ in view.scalars[-1].uses)
    return all(name.startswith("arith.") for name in names) and bool(view.inputs) and not reads_output


def yields_element(view: Structured, extract: ir.Operation) -> bool:
    """Whether `view` yields what is computed from the element that `extract` reads, and from nothing else."""
    read = extract.results[0]
    behind = needed(view.yields, view.body, [read])
    positions = any(owner_name(value) == "linalg.index" for value in behind)
    return read in behind and not positions and not any(scalar in behind for scalar in view.scalars)


def owner_name(value: ir.Value) -> str:
    """The name of the operation that makes `value`; empty for a block argument."""
    maker = owner(value)
    return "" if maker is None else maker.name


def position_of(view: Structured, coordinate: ir.Value) -> int | None:
    """The iterator of `view` whose position `coordinate` is; None if it is another number."""
    maker = maker_of(coordinate, view.body)
    while maker is not None and maker.name == "arith.index_cast":
        coordinate = maker.operands[0]
        maker = maker_of(coordinate, view.body)
    if maker is not None:
        return maker.attributes["dim"].value if maker.name == "linalg.index" else None
    for scalar, value, map_ in zip(view.scalars, view.inputs, view.maps, strict=False):
        positions = projection(map_) or ()
        if scalar == coordinate and len(positions) == 1 and counts_up(value):
            return positions[0]
    return None


def counts_up(value: ir.Value) -> bool:
    """Whether `value` is the tensor 0, 1, 2, .."""
    maker = owner(value)
    if maker is None or maker.name != "linalg.generic" or ir.RankedTensorType(value.type).rank != 1:
        return False
    names = [op.operation.name for op in maker.regions[0].blocks[0].operations]
    return names in (["linalg.index", "linalg.yield"], ["linalg.index", "arith.index_cast", "linalg.yield"])


def is_whole(view: Structured, iterator: int, table: ir.Value, dim: int) -> bool:
    """Whether `iterator`, which the result of `view` carries, runs over all of dimension `dim` of `table`."""
    place = (projection(view.output_maps[0]) or ()).index(iterator)
    size = extent_source(view.outputs[0], place)
    type_ = ir.RankedTensorType(table.type)
    if isinstance(size, int):
        return not type_.is_dynamic_dim(dim) and type_.shape[dim] == size
    return isinstance(size, ir.Value) and type_.is_dynamic_dim(dim) and has_extent(size, table, dim)

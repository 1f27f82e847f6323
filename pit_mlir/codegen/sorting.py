"""`tm_tensor.sort` on buffers: one row, and what its comparator says of two places."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.build import Index, value
from pit_mlir.dialect.bodies import inlined


@dataclass(frozen=True)
class Row:
    """One row of all buffers that are sorted together: what comes first is decided by `comparator`."""

    comparator: ir.Block
    buffers: tuple[ir.Value, ...]
    point: tuple[Index, ...]
    dimension: int

    def at(self, position: Index) -> list[ir.Value]:
        """The coordinates of `position` in the row."""
        point = (*self.point[: self.dimension], position, *self.point[self.dimension + 1 :])
        return [value(coordinate) for coordinate in point]

    def load(self, position: Index) -> list[ir.Value]:
        """What stands at `position`, one value a buffer."""
        return [memref.load(buffer, self.at(position)) for buffer in self.buffers]

    def store(self, elements: Sequence[ir.Value], position: Index) -> None:
        """Puts `elements` at `position`."""
        for element, buffer in zip(elements, self.buffers, strict=True):
            memref.store(element, buffer, self.at(position))

    def is_ordered(self, first: Sequence[ir.Value], second: Sequence[ir.Value]) -> ir.Value:
        """Whether `first` may stand before `second`."""
        pairs = [element for pair in zip(first, second, strict=True) for element in pair]
        return inlined(self.comparator, pairs)[0]

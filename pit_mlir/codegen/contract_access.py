"""What a contraction reads and writes of tensors: which iterators their dimensions run over, and how these lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pit_mlir.bindings import ir
from pit_mlir.codegen.slices import is_even
from pit_mlir.dialect.panels import PanelMap, element_positions
from pit_mlir.dialect.window import is_window


@dataclass(frozen=True)
class Access:
    """A tensor and the iterators its dimensions run over; `compact` tensors hold rows of the index.

    Of a tensor of `panels`, `positions` are in the order in which they lie; the first dimensions are the leading ones.
    """

    source: ir.Value
    positions: tuple[int, ...]
    compact: bool
    panels: PanelMap | None = None

    @property
    def element(self) -> ir.Type:
        """The type of one element."""
        return ir.ShapedType(self.source.type).element_type

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The iterators that are a dimension each, from the first one on: of panels the leading ones."""
        return self.positions if self.panels is None else self.panels.leading

    @property
    def extents(self) -> dict[int, int]:
        """How far its iterators run, as far as its type tells."""
        shape = ir.ShapedType(self.source.type).shape
        return {position: size for position, size in zip(self.dimensions, shape, strict=False) if size >= 0}

    @property
    def has_windows(self) -> bool:
        """Whether the tensor is one of windows: its dimensions lie in memory as the map of the windows says."""
        return is_window(self.source)

    @staticmethod
    def of(op: ir.OpView) -> "Access | None":
        """What a `pit.element` reads; None if its map does more than select iterators."""
        map_ = op.operation.attributes["map"].value
        positions = element_positions(map_)
        if positions is None or len(set(positions)) != len(positions):
            return None
        compact = op.operation.attributes["compact"].value
        return Access(op.operation.operands[0], positions, compact, PanelMap.of(map_))


def carried_by(accesses: Sequence[Access], group: Sequence[int]) -> set[int]:
    """The iterators some access moves along; one that holds rows moves along the whole group."""
    result: set[int] = set()
    for access in accesses:
        result |= set(access.positions) | (set(group) if access.compact else set())
    return result


def are_neighbours(first: int, second: int, accesses: Sequence[Access]) -> bool:
    """Whether every access carries both iterators, one dimension after the other, or neither."""
    for access in accesses:
        has = (first in access.positions, second in access.positions)
        if any(has) and not lies_evenly((first, second), access):
            return False
    return True


def lies_evenly(iterators: Sequence[int], access: Access) -> bool:
    """Whether `access` carries all `iterators`, one dimension after the other, and together they have one stride."""
    if access.has_windows or any(position not in access.positions for position in iterators):
        return False
    dims = [access.positions.index(position) for position in iterators]
    return all(second == first + 1 and is_even(access.source, first) for first, second in pairwise(dims))

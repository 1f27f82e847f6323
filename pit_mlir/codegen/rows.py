"""`pit.sread` and `pit.swrite` on buffers: where the listed rows of a tensor lie, and how rows are combined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import sizes
from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.index_buffers import IndexBuffers

COMBINERS: dict[str, tuple[Callable[..., ir.Value], Callable[..., ir.Value]]] = {
    "add": (arith.addf, arith.addi),
    "max": (arith.maximumf, arith.maxsi),
    "min": (arith.minimumf, arith.minsi),
}
Move = Callable[[Sequence[ir.Value], Sequence[ir.Value]], None]
"""Gets the coordinates of an element, or of the first of several neighbours, in the tensor and among compact rows."""


@dataclass(frozen=True)
class Rows:
    """The `total` rows that `index` lists of a tensor of `extents`.

    Its dimensions `axis` are addressed by the coordinates `group` of the index; compact rows stand in the place of the
    first of them.
    """

    index: IndexBuffers
    total: Index
    extents: Sequence[Index]
    axis: Sequence[int]
    group: Sequence[int]

    @staticmethod
    def of(op: ir.Operation, whole: ir.Value, index: IndexBuffers) -> "Rows":
        """The rows that `op` reads or writes of the tensor `whole`.

        None, and a failed check, where the coordinates of `index` do not fit its sizes.
        """
        axis, group, extents = list(op.attributes["axis"]), list(op.attributes["group"]), sizes(whole)
        pairs = [(extents[dim], index.extents[place]) for dim, place in zip(axis, group, strict=True)]
        fits = [build.compare("eq", size, expected) for size, expected in pairs if size != expected]
        message = "an index is used for a tensor of another size than that it was made for"
        [total] = where_all(fits, [index.total], message, op)
        return Rows(index, total, extents, axis, group)

    @property
    def first(self) -> int:
        """The dimension that compact rows stand at."""
        return min(self.axis)

    @property
    def others(self) -> list[int]:
        """The dimensions that rows have."""
        return [dim for dim in range(len(self.extents)) if dim not in self.axis]

    @property
    def compact_extents(self) -> list[Index]:
        """The sizes of all rows of the index, compact."""
        return [
            self.index.total if dim == self.first else size
            for dim, size in enumerate(self.extents)
            if dim == self.first or dim in self.others
        ]

    def held_by(self, compact: ir.Value, op: ir.Operation) -> "Rows":
        """The rows, if the buffer `compact` has as many; else none, and a failed check."""
        fits = build.compare("eq", memref.dim(compact, value(self.first)), self.total)
        message = "the compact rows are not those of the index they are written through"
        return replace(self, total=where_all([fits], [self.total], message, op)[0])

    def coordinates(self, row: ir.Value) -> list[Index]:
        """The coordinates of `row` in the group of the index."""
        return build.delinearize(load_index(self.index.rows, row), self.index.extents)

    def places(
        self, row: Index, coordinates: Sequence[Index], inner: Sequence[Index]
    ) -> tuple[list[ir.Value], list[ir.Value]]:
        """Where the element at `inner`, a coordinate for each of `others`, of `row` is, in the tensor and compact."""
        wide: list[Index] = [0] * len(self.extents)
        for dim, coordinate in zip(self.axis, self.group, strict=True):
            wide[dim] = coordinates[coordinate]
        for dim, place in zip(self.others, inner, strict=True):
            wide[dim] = place
        narrow = [
            row if dim == self.first else place
            for dim, place in enumerate(wide)
            if dim == self.first or dim in self.others
        ]
        return list(map(value, wide)), list(map(value, narrow))


def combined(combine: str, left: ir.Value, right: ir.Value) -> ir.Value:
    """`left` and `right` by add, max or min; of truth values, or and and."""
    if left.type == ir.IntegerType.get_signless(1):
        return arith.andi(left, right) if combine == "min" else arith.ori(left, right)
    floats, integers = COMBINERS[combine]
    return floats(left, right) if isinstance(left.type, ir.FloatType) else integers(left, right)

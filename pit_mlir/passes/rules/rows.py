"""Rows: what a rule says of one value, and what it plans for one operation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.dialect.group import compact_type, tells_rows_apart


@dataclass(frozen=True)
class Rows:
    """The rows of a tensor that `index` lists: dimension `axis[i]` is addressed by coordinate `group[i]`.

    In the compact tensor the dimensions `axis` are gone; the rows stand where the first of them stood. The
    pairs are kept in the order of the group, so that equal rows compare equal.
    """

    index: ir.Value
    axis: tuple[int, ...]
    group: tuple[int, ...]

    @staticmethod
    def of(index: ir.Value, axis: Sequence[int], group: Sequence[int]) -> "Rows":
        """`Rows` with the pairs (axis, group) put in the order of the group."""
        pairs = sorted(zip(group, axis, strict=True))
        return Rows(index, tuple(dim for _, dim in pairs), tuple(coordinate for coordinate, _ in pairs))

    @staticmethod
    def of_op(op: ir.Operation, index: ir.Value) -> "Rows":
        """The rows that a `pit.sread` or a `pit.swrite` names by its attributes."""
        return Rows.of(index, list(op.attributes["axis"]), list(op.attributes["group"]))

    @property
    def is_whole(self) -> bool:
        """Whether no two rows are at one place, so that nothing is read twice."""
        return tells_rows_apart(self.index, self.group)

    @property
    def place(self) -> int:
        """The dimension of the rows in the compact tensor."""
        return min(self.axis)

    def compact(self, type_: ir.Type) -> ir.RankedTensorType:
        """The type of a tensor of `type_` once compact."""
        return compact_type(type_, self.axis)

    def dim(self, dim: int) -> int:
        """Where dimension `dim` of the dense tensor stands in the compact one."""
        if dim in self.axis:
            return self.place
        return dim - sum(gone < dim for gone in self.axis if gone != self.place)


@dataclass(frozen=True)
class Plan:
    """How an operation is made compact.

    `reads[i]` are the rows it reads of operand i, None where it takes the operand as it is. `build` makes the
    compact operation at the insertion point from the operands so read, and returns its results.
    """

    reads: tuple[Rows | None, ...]
    build: Callable[[Sequence[ir.Value]], Sequence[ir.Value]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Why an operation stays dense."""

    reason: str


Demanded = dict[int, Rows]
"""Result number -> the rows that all its users read."""

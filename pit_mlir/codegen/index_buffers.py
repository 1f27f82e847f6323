"""What a `!pit.index` is on buffers, and what is known of it before it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    minimum,
    mul,
    select,
    sub,
    value,
)

WORD = 64
"""Elements that share a word of bits."""


class MicroTile(NamedTuple):
    """What an entry of a list stands for: this many rows, by this many steps of the depth."""

    rows: int
    steps: int


class IndexShape(Protocol):
    """What is known of an index before it is made: the `extents` of its group, and its `total` rows if it has any."""

    @property
    def total(self) -> Index:
        """How many rows there are."""
        ...

    @property
    def extents(self) -> tuple[Index, ...]:
        """The extents of the group, those of segments in blocks."""
        ...


@dataclass(frozen=True)
class IndexBuffers:
    """A lowered `!pit.index`, as one-dimensional memrefs of i32.

    Segment s owns `entries[begin[s] .. begin[s] + count[s])`; `rows` lists for each of the `total` rows its linear
    coordinate in the space of the whole group, whose `extents` are given (those of segments in blocks). Of lists along
    one dimension `bits` may be kept, a memref of a line of words for each segment: bit b of word w says whether
    64 w + b is listed.
    """

    begin: ir.Value
    count: ir.Value
    entries: ir.Value
    rows: ir.Value
    total: Index
    extents: tuple[Index, ...]
    bits: ir.Value | None = None


def as_i32(index: Index) -> ir.Value:
    """An index as i32, which buffers hold: coordinates fit."""
    return arith.index_cast(ir.IntegerType.get_signless(32), value(index))


@dataclass(frozen=True)
class RowBits:
    """Bit b of word `buffer[row * pitch + w]`: whether element 64 w + b of `row` is live; 0 behind the last one.

    The rows are those of `outer` matrices, `rows` each, with `steps` elements.
    """

    buffer: ir.Value
    pitch: Index
    outer: tuple[Index, ...]
    rows: Index
    steps: Index

    def segments(self, block: int) -> tuple[Index, ...]:
        """How many blocks of `block` rows there are: for each outer dimension, and in a matrix."""
        return (*self.outer, ceil_div(self.rows, block))

    def place(self, segment: Index, block: int) -> tuple[Index, Index]:
        """The first row of `segment`, counted over all matrices, and how many it has."""
        per_matrix = ceil_div(self.rows, block)
        matrix = floor_of(segment, per_matrix)
        first = mul(sub(segment, mul(matrix, per_matrix)), block)
        return add(mul(matrix, self.rows), first), minimum(block, sub(self.rows, first))


@dataclass(frozen=True)
class Sample:
    """What is expected of the tensor `source`: so many live micro-tiles of each shape in `counts`.

    `bits` are all of its bits if `is_all`, which may be a truth value that only the program knows; else none.
    """

    source: ir.Value
    bits: RowBits
    counts: Mapping[MicroTile, Index]
    is_all: bool | ir.Value

    def if_not_all(self, number: Index, otherwise: Index) -> Index:
        """`number`, or `otherwise` where nothing was left out."""
        if isinstance(self.is_all, bool):
            return otherwise if self.is_all else number
        return select(self.is_all, otherwise, number)


def floor_of(number: Index, divisor: Index) -> Index:
    """`number / divisor`, rounded down; a divisor of 0 counts as 1."""
    if isinstance(number, int) and isinstance(divisor, int):
        return number // max(1, divisor)
    at_least_one = divisor if isinstance(divisor, int) else arith.maxui(divisor, value(1))
    return arith.divui(value(number), value(at_least_one))

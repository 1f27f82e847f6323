"""What a `!pit.index` is on buffers."""

from dataclasses import dataclass

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.cpu.build import Index, value


@dataclass(frozen=True)
class IndexBuffers:
    """A lowered `!pit.index`, as one-dimensional memrefs of i32.

    Segment s owns `entries[begin[s] .. begin[s] + count[s])`; `rows` lists for each of the `total` rows its linear
    coordinate in the space of the whole group, whose `extents` are given (those of segments in blocks).
    """

    begin: ir.Value
    count: ir.Value
    entries: ir.Value
    rows: ir.Value
    total: Index
    extents: tuple[Index, ...]


def as_i32(index: Index) -> ir.Value:
    """An index as i32, which buffers hold: coordinates fit."""
    return arith.index_cast(ir.IntegerType.get_signless(32), value(index))

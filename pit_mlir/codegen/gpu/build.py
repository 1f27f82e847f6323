"""Small builders that only kernels need, beside those for loops and index arithmetic."""

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.codegen.build import Index, add, bytes_of, floor_div, mul, remainder, value
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES, SharedTile


def xor(left: Index, right: Index) -> Index:
    """`left xor right`."""
    if isinstance(left, int) and isinstance(right, int):
        return left ^ right
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int) and one == 0:
            return other
    return arith.xori(value(left), value(right))


def place_in(tile: SharedTile, line: Index, element: Index) -> Index:
    """`tile.offset(line, element)` of values."""
    phase = remainder(floor_div(line, tile.period), tile.phases)
    if tile.blocks > 1:
        line = add(line, mul(floor_div(element, tile.width), tile.lines))
        element = remainder(element, tile.width)
    chunk, inside = floor_div(element, tile.per_chunk), remainder(element, tile.per_chunk)
    place = add(mul(xor(chunk, phase), tile.per_chunk), inside)
    return add(mul(line, tile.width), place)


def load_chunk(buffer: ir.Value, at: Index, count: int) -> ir.Value:
    """`count` neighbours from `at` on, at an address that `count` elements divide."""
    type_ = ir.VectorType.get([count], ir.MemRefType(buffer.type).element_type)
    return vector.load(type_, buffer, [value(at)], alignment=alignment_of(buffer, count))


def store_chunk(values: ir.Value, buffer: ir.Value, at: Index) -> None:
    """Writes the neighbours `values` from `at` on, at an address that as many elements divide."""
    count = ir.VectorType(values.type).shape[0]
    vector.store(values, buffer, [value(at)], alignment=alignment_of(buffer, count))


def alignment_of(buffer: ir.Value, count: int) -> int:
    """The bytes of `count` elements of `buffer`, at most those of a chunk."""
    return min(CHUNK_BYTES, count * bytes_of(ir.MemRefType(buffer.type).element_type))

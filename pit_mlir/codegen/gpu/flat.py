"""Buffers as kernels address them where they do it themselves: flat, with a base and strides, in steps of 16 bytes."""

from collections.abc import Sequence

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.buffers import flattened
from pit_mlir.codegen.build import Index, bytes_of, value
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES


def flat_buffer(buffer: ir.Value) -> tuple[ir.Value, list[Index]]:
    """`buffer`, whose first element is that of its memory, as a flat one, and its strides."""
    whole, offset, strides = flattened(buffer)
    assert isinstance(offset, int) and offset == 0, "a tensor's buffer begins with its first element"
    return whole, strides


def is_aligned(lanes: int, element: ir.Type, offsets: Sequence[Index]) -> bool:
    """Whether vectors of `lanes` elements at any sum of multiples of `offsets` can be moved as a whole.

    They are then a multiple or a part of 16 bytes, and begin at a multiple of their size, as buffers do of 16 bytes.
    """
    size = bytes_of(element)
    step = min(CHUNK_BYTES, lanes * size)
    return all(isinstance(offset, int) and offset * size % step == 0 for offset in offsets)


def load_vector(buffer: ir.Value, at: Sequence[Index], lanes: int) -> ir.Value:
    """`lanes` neighbouring elements from `at` on, which is aligned as `is_aligned` says."""
    element = ir.MemRefType(buffer.type).element_type
    alignment = min(CHUNK_BYTES, lanes * bytes_of(element))
    places = [value(place) for place in at]
    return vector.load(ir.VectorType.get([lanes], element), buffer, places, alignment=alignment)


def store_vector(given: ir.Value, buffer: ir.Value, at: Sequence[Index]) -> None:
    """Writes neighbouring elements from `at` on, which is aligned as `is_aligned` says."""
    type_ = ir.VectorType(given.type)
    alignment = min(CHUNK_BYTES, type_.shape[0] * bytes_of(type_.element_type))
    vector.store(given, buffer, [value(place) for place in at], alignment=alignment)

"""How many bytes types of the LLVM dialect take in memory, and how they are aligned there."""

import math
from typing import Any

from pit_mlir.bindings import ir, llvm

_FLOATS = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}
_POINTER = 8


def bytes_of(type_: ir.Type) -> int:
    """The bytes that a load or store of `type_` touches."""
    # The classes of this dialect's types have no stubs.
    of: Any = type_
    if isinstance(type_, ir.VectorType):
        element = type_.element_type
        bits = element.width if isinstance(element, ir.IntegerType) else 8 * bytes_of(element)
        return -(-bits * math.prod(type_.shape) // 8)
    if isinstance(type_, ir.IntegerType):
        return -(-type_.width // 8)
    if isinstance(type_, llvm.PointerType):
        return _POINTER
    if isinstance(type_, llvm.ArrayType):
        return of.num_elements * _aligned(bytes_of(of.element_type), alignment_of(of.element_type))
    if isinstance(type_, llvm.StructType):
        end = 0
        for member in of.body or ():
            end = _aligned(end, 1 if of.packed else alignment_of(member)) + bytes_of(member)
        return end
    return _FLOATS[str(type_)]


def alignment_of(type_: ir.Type) -> int:
    """The alignment of `type_` where nothing says otherwise: that of its size, or of its parts."""
    of: Any = type_
    if isinstance(type_, llvm.ArrayType):
        return alignment_of(of.element_type)
    if isinstance(type_, llvm.StructType):
        return 1 if of.packed else max((alignment_of(member) for member in of.body or ()), default=1)
    size = bytes_of(type_)
    return 1 << (size - 1).bit_length() if size else 1


def _aligned(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment

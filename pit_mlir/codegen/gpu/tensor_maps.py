"""Tensor maps: what the copy engine must know of a tensor in memory, to bring boxes of it.

The host makes one by the driver when it launches a kernel, with the addresses of the call, and the kernel takes it by
value, so that graphs that were captured keep theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import func, ir, memref
from pit_mlir.codegen.build import Index, mul, value
from pit_mlir.codegen.checks import enclosing_module
from pit_mlir.codegen.gpu.build import bytes_of

FUNCTION = "pit_gpu_tensor_map"
"""The runtime's function that makes a tensor map; it is good for the next launch."""
MOST_DIMENSIONS = 5
BOXED = 2
"""Dimensions of boxes; they are 1 along the others."""
PARAMETERS = 4 + 2 * MOST_DIMENSIONS - 1 + BOXED


@dataclass(frozen=True)
class Dimension:
    """A dimension of a tensor: how many elements it has, and how far neighbours lie apart, in elements."""

    size: Index
    stride: Index


@dataclass(frozen=True)
class TensorMap:
    """`buffer[base ..]` in `dimensions`, the innermost first, whose stride is 1, and the `box` of the first two.

    Base and strides are multiples of 16 bytes. Boxes are swizzled by 128 bytes in shared memory (`layout.SharedTile`).
    """

    buffer: ir.Value
    base: Index
    dimensions: Sequence[Dimension]
    box: tuple[int, int]

    def make(self, near: ir.Operation) -> ir.Value:
        """At the insertion point, on the host: a pointer to the map, which a launch may take; `near` is in the
        module."""
        declare(enclosing_module(near))
        element = bytes_of(ir.MemRefType(self.buffer.type).element_type)
        unused = MOST_DIMENSIONS - len(self.dimensions)
        assert unused >= 0, f"a tensor map has at most {MOST_DIMENSIONS} dimensions"
        sizes = [dimension.size for dimension in self.dimensions] + [1] * unused
        strides = [mul(dimension.stride, element) for dimension in self.dimensions[1:]] + [0] * unused
        given = [mul(self.base, element), element, len(self.dimensions), *sizes, *strides, *self.box]
        # The address itself, so that the passes see that whoever has the map uses the buffer.
        address = memref.extract_aligned_pointer_as_index(self.buffer)
        pointer = ir.Type.parse("!llvm.ptr")
        arguments = [address, *map(value, given)]
        return func.CallOp([pointer], ir.FlatSymbolRefAttr.get(FUNCTION), arguments).results[0]


def declare(module: ir.Operation) -> None:
    """Declares the runtime's function in `module` unless it is."""
    if FUNCTION in ir.SymbolTable(module):
        return
    index, pointer = ir.IndexType.get(), ir.Type.parse("!llvm.ptr")
    with ir.InsertionPoint.at_block_begin(module.regions[0].blocks[0]), ir.Location.unknown():
        func.FuncOp(FUNCTION, ir.FunctionType.get([index] * PARAMETERS, [pointer]), visibility="private")

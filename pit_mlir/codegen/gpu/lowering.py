"""What the lowering of one function to kernels knows."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pit_mlir.bindings import ir
from pit_mlir.codegen.index_buffers import IndexBuffers


@dataclass
class GpuLowering:
    """The chip that kernels are for, whether equal inputs must give equal bits, whether factors of f32 may be rounded
    to tf32, and the buffers of each `!pit.index`.

    Buffers lie in the memory of the device. `total` of an index is a value that only kernels may load, in the form
    `minui(load, bound)`: what the host needs for sizes of buffers and grids is the bound, which it knows.
    """

    chip: str
    deterministic: bool = False
    tf32: bool = False
    indices: dict[ir.Value, IndexBuffers] = field(default_factory=dict[ir.Value, IndexBuffers])


Rule = Callable[[ir.Operation, GpuLowering], None]
"""Code at the insertion point in the place of an operation, whose results it replaces."""

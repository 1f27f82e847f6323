"""What the lowering of one function to kernels knows."""

from collections.abc import Callable
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen.lowering import Lowering


@dataclass
class GpuLowering(Lowering):
    """The chip that kernels are for, whether equal inputs must give equal bits, whether factors of f32 may be rounded
    to tf32.

    Buffers of indices lie in the memory of the device. `total` of an index is a value that only kernels may load, in
    the form `minui(load, bound)`: what the host needs for sizes of buffers and grids is the bound, which it knows.
    """

    chip: str
    deterministic: bool = False
    tf32: bool = False


Rule = Callable[[ir.Operation, GpuLowering], None]
"""Code at the insertion point in the place of an operation, whose results it replaces."""

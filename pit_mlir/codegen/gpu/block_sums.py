"""Numbers of all threads of a block combined, by way of shared memory."""

from collections.abc import Sequence

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.build import is_less, value, when
from pit_mlir.codegen.gpu.bodies import Combination
from pit_mlir.codegen.gpu.launch import Grid, across_warp, barrier
from pit_mlir.codegen.nest import Nest

LONGEST_OF_WARP = 1024
"""Elements of a row that one warp takes; a longer one is for all warps of a block."""


def partial_buffers(grid: Grid, nests: Sequence[Nest]) -> dict[ir.Type, ir.Value]:
    """Shared memory for a number of each warp, for every type that is summed up."""
    types = dict.fromkeys(
        ir.MemRefType(operand.type).element_type
        for nest in nests
        if len(nest.parallels()) < len(nest.extents)
        for operand in nest.operands[nest.inputs :]
    )
    return {type_: grid.shared([grid.warps], type_) for type_ in types}


def across_block(grid: Grid, number: ir.Value, combination: Combination, partial: ir.Value) -> ir.Value:
    """`number` of all threads of the block combined, in each of them; `partial` has room for one of each warp."""
    number = across_warp(number, combination.apply)
    # The block may still read what was there before.
    barrier()
    with when(is_less(grid.lane, 1)):
        memref.store(number, partial, [grid.warp])
    barrier()
    whole = memref.load(partial, [value(0)])
    for warp in range(1, grid.warps):
        whole = combination.apply(whole, memref.load(partial, [value(warp)]))
    return whole

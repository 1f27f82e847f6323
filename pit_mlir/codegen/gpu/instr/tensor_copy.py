"""`cp.async.bulk.tensor`: a box of a tensor that the copy engine (TMA) brings to shared memory for one thread (sm_90).

The tensor is described by a *tensor map*, which the host makes (`tensor_maps.TensorMap`). What a box has outside of the
tensor is 0.
"""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, llvm, nvvm
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.gpu.instr.mbarrier import Barriers, shared_pointer

ALIGNMENT = 128
"""Of a box in shared memory; with a swizzle, where its pattern repeats."""


def load_box(to: Index, tensor_map: ir.Value, at: Sequence[Index], barriers: Barriers, number: Index) -> None:
    """Starts to bring the box at the coordinates `at`, the innermost first, to the address `to`; its bytes arrive at
    barrier `number`."""
    i32 = ir.IntegerType.get_signless(32)
    target = llvm.addrspacecast(ir.Type.parse("!llvm.ptr<7>"), shared_pointer(to))
    places = [arith.index_cast(i32, value(place)) for place in at]
    nvvm.CpAsyncBulkTensorGlobalToSharedClusterOp(target, tensor_map, places, barriers.pointer(number), [])

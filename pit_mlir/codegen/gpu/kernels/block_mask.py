"""`pit.block_mask`: a thread evaluates the body on intervals for eight blocks of keys, whose bits are then listed."""

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.block_mask import block_mask_of, liveness, places_of
from pit_mlir.codegen.gpu.kernels.detect import index_of, new_lists, with_room
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.listing import make_lists
from pit_mlir.codegen.gpu.live import BYTE, Bits, byte_of
from pit_mlir.codegen.gpu.lowering import GpuLowering


def lower_block_mask(operation: ir.Operation, lowering: GpuLowering) -> None:
    """Computes the buffers of the index of live blocks."""
    mask = block_mask_of(operation, lowering.indices, in_vectors=False)
    outer, across, capacity = places_of(mask, operation)
    segments = build.product(outer)
    bits = with_room(Bits(build.value(0), segments, 1, across))
    with each(bits.count) as number:
        *point, block, byte = build.delinearize(number, [*outer, bits.bytes_of_line])
        met, is_live = liveness(mask, point, block, bits.line)
        live = byte_of(build.mul(byte, BYTE), met, is_live)
        memref.store(live, bits.buffer, [number])
    lists = new_lists(operation, segments, across, capacity)
    make_lists(bits, lists)
    lowering.indices[operation.results[0]] = index_of(operation, lists, segments, capacity, (*outer, across))

"""`ldmatrix` and `mma.sync`: a warp multiplies 16 x 16 by 16 x 8 elements of 16 bits, or half as deep ones of f32 that
are rounded to tf32 (sm_80 and later)."""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, nvgpu, nvvm, vector
from pit_mlir.codegen.build import Index, value, zero
from pit_mlir.codegen.gpu.build import bytes_of
from pit_mlir.codegen.gpu.layout import BANK_BYTES, CHUNK_BYTES, MMA_COLUMNS, MMA_ROWS

MATRICES = 4
"""Matrices of 8 x 8 elements that one `ldmatrix` loads."""


def has_mma(element: ir.Type) -> bool:
    """Whether factors of `element` are multiplied by tensor cores, exactly, and summed in f32."""
    return isinstance(element, ir.BF16Type | ir.F16Type)


def sums_type() -> ir.VectorType:
    """The sums of a lane: two neighbours of a row, and two of the eighth row after it."""
    return ir.VectorType.get([2, 2], ir.F32Type.get())


def no_sums() -> ir.Value:
    """Sums of nothing."""
    return zero(sums_type())


def load_matrices(buffer: ir.Value, at: Index, *, transpose: bool) -> ir.Value:
    """Four matrices of 8 lines of 16 bytes; lane 8 m + i gives with `at` where line i of matrix m lies.

    Only those of elements of 16 bits can be transposed.
    """
    element = ir.MemRefType(buffer.type).element_type
    type_ = ir.VectorType.get([MATRICES, BANK_BYTES // bytes_of(element)], element)
    return nvgpu.ldmatrix(type_, buffer, [value(at)], transpose, MATRICES)


def half_of(matrices: ir.Value, first: int) -> ir.Value:
    """Matrices `first` and `first + 1` of four."""
    given = ir.VectorType(matrices.type)
    shape = [2, given.shape[1]]
    type_ = ir.VectorType.get(shape, given.element_type)
    return vector.extract_strided_slice(type_, matrices, [first, 0], shape, [1, 1])


def as_tf32(matrices: ir.Value) -> ir.Value:
    """The f32 of `matrices` rounded to the nearest tf32, what lies in the middle away from 0: `cvt.rna`."""
    type_, i32 = ir.VectorType(matrices.type), ir.IntegerType.get_signless(32)
    rounding = ir.Attribute.parse("#nvvm.fp_rnd_mode<rna>")
    rounded: list[ir.Value] = []
    for number in range(type_.shape[0]):
        given = vector.extract(matrices, [], [number, 0])
        bits = nvvm.ConvertFloatToTF32Op(given, rnd=rounding, results=[i32]).res
        rounded.append(arith.bitcast(type_.element_type, bits))
    return vector.from_elements(type_, rounded)


def multiply_add(rows: ir.Value, columns: ir.Value, sums: ir.Value) -> ir.Value:
    """`sums + rows * columns` of fragments: four registers of the first factor, two of the second."""
    element = ir.VectorType(rows.type).element_type
    shape = [MMA_ROWS, MMA_COLUMNS, depth_of(element)]
    return nvgpu.MmaSyncOp(
        sums_type(), rows, columns, sums, shape, tf32Enabled=isinstance(element, ir.F32Type) or None
    ).result


def depth_of(element: ir.Type) -> int:
    """The steps of a product: two chunks of factors of `element`."""
    return 2 * CHUNK_BYTES // bytes_of(element)


def sums_of(sums: ir.Value, half: int) -> Sequence[ir.Value]:
    """The two sums of a lane in the upper (`half` 0) or the lower eight rows."""
    return [vector.extract(sums, [], [half, number]) for number in range(2)]

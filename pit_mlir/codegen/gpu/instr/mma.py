"""`ldmatrix` and `mma.sync`: a warp multiplies 16 x 16 by 16 x 8 elements (sm_80 and later)."""

from collections.abc import Sequence

from pit_mlir.bindings import ir, nvgpu, vector
from pit_mlir.codegen.build import Index, value, zero
from pit_mlir.codegen.gpu.layout import MMA_COLUMNS, MMA_DEPTH, MMA_ROWS

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
    """Four matrices of 8 x 8 elements of 16 bits; lane 8 m + i gives with `at` where line i of matrix m lies."""
    element = ir.MemRefType(buffer.type).element_type
    type_ = ir.VectorType.get([MATRICES, 2], element)
    return nvgpu.ldmatrix(type_, buffer, [value(at)], transpose, MATRICES)


def half_of(matrices: ir.Value, first: int) -> ir.Value:
    """Matrices `first` and `first + 1` of four."""
    element = ir.VectorType(matrices.type).element_type
    type_ = ir.VectorType.get([2, 2], element)
    return vector.extract_strided_slice(type_, matrices, [first, 0], [2, 2], [1, 1])


def multiply_add(rows: ir.Value, columns: ir.Value, sums: ir.Value) -> ir.Value:
    """`sums + rows * columns` of fragments: four registers of the first factor, two of the second."""
    return nvgpu.MmaSyncOp(sums_type(), rows, columns, sums, [MMA_ROWS, MMA_COLUMNS, MMA_DEPTH]).result


def sums_of(sums: ir.Value, half: int) -> Sequence[ir.Value]:
    """The two sums of a lane in the upper (`half` 0) or the lower eight rows."""
    return [vector.extract(sums, [], [half, number]) for number in range(2)]

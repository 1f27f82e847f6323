"""ldmatrix, stmatrix and mma.sync in the emulator, on random fragments, by the layouts of the PTX manual."""

import ml_dtypes
import numpy as np
import pytest
from emulated import kernel, members, results, words

from pit_mlir.runtime.emulator import Pointer

LANES = np.arange(32)
GROUP, IN_GROUP = LANES // 4, LANES % 4

LOAD = """
  %n = llvm.mlir.constant(16 : i32) : i32
  %at = llvm.mul %tid, %n : i32
  %target = llvm.getelementptr %shared[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
  %source = llvm.getelementptr %in[%at] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  %row = llvm.load %source {alignment = 16 : i64} : !llvm.ptr -> vector<4xi32>
  llvm.store %row, %target {alignment = 16 : i64} : vector<4xi32>, !llvm.ptr<3>
  nvvm.barrier
"""
MATRIX = "shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = #nvvm.ld_st_matrix_elt_type<b16>"


@pytest.mark.parametrize("layout", ["row", "col"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix(count: int, layout: str) -> None:
    result = "i32" if count == 1 else f"!llvm.struct<({', '.join(['i32'] * count)})>"
    names = ["%x"] if count == 1 else [f"%m{i}" for i in range(count)]
    taken = "" if count == 1 else members("%x", count, "i32")
    code = kernel(
        f"""{LOAD}
        %x = nvvm.ldmatrix %target {{num = {count} : i32, layout = #nvvm.mma_layout<{layout}>, {MATRIX}}} : (!llvm.ptr<3>) -> {result}
        {taken}
        {results(names)}""",
        shared=512,
    )
    rows = np.arange(32 * 8, dtype=np.uint16).reshape(32, 8)
    out = np.zeros((32, count), np.uint32)
    code.launch("f", [1], [32], 0, [Pointer(rows), Pointer(out)])
    for i in range(count):
        matrix = rows[8 * i : 8 * i + 8]
        matrix = matrix.T if layout == "col" else matrix
        wanted = matrix[GROUP, 2 * IN_GROUP] | matrix[GROUP, 2 * IN_GROUP + 1].astype(np.uint32) << 16
        np.testing.assert_array_equal(out[:, i], wanted)


@pytest.mark.parametrize("layout", ["row", "col"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_stmatrix_is_the_inverse(count: int, layout: str) -> None:
    sources = ", ".join(f"%w{i}" for i in range(count))
    kinds = ", ".join(["i32"] * count)
    code = kernel(
        f"""%n = llvm.mlir.constant(16 : i32) : i32
        %at = llvm.mul %tid, %n : i32
        %row = llvm.getelementptr %shared[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
        {words(count)}
        nvvm.stmatrix %row, {sources} {{layout = #nvvm.mma_layout<{layout}>, {MATRIX}}} : !llvm.ptr<3>, {kinds}
        nvvm.barrier
        %mine = llvm.mlir.constant({8 * count} : i32) : i32
        %is = llvm.icmp "ult" %tid, %mine : i32
        llvm.cond_br %is, ^copy, ^end
        ^copy:
        %value = llvm.load %row {{alignment = 16 : i64}} : !llvm.ptr<3> -> vector<4xi32>
        %to = llvm.getelementptr %out[%at] : (!llvm.ptr, i32) -> !llvm.ptr, i8
        llvm.store %value, %to {{alignment = 16 : i64}} : vector<4xi32>, !llvm.ptr
        llvm.br ^end
        ^end:""",
        shared=512,
    )
    registers = np.arange(32 * count * 2, dtype=np.uint16)
    out = np.zeros((8 * count, 8), np.uint16)
    code.launch("f", [1], [32], 0, [Pointer(registers), Pointer(out)])
    halves = registers.reshape(32, count, 2)
    for i in range(count):
        matrix = out[8 * i : 8 * i + 8]
        matrix = matrix.T if layout == "col" else matrix
        for half in range(2):
            np.testing.assert_array_equal(matrix[GROUP, 2 * IN_GROUP + half], halves[:, i, half])


def place_a(m: int, k: int, kind: str, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of element `i` of A in all lanes, case by case as the manual lists them."""
    row_of = {"upper": GROUP, "lower": GROUP + 8}
    if kind == "f64":
        return LANES // 4, LANES % 4
    if kind == "tf32":
        return row_of["upper" if i in (0, 2) else "lower"], IN_GROUP + (4 if i >= 2 else 0)
    if kind in ("s8", "u8"):
        if k == 16:
            return row_of["upper" if i < 4 else "lower"], IN_GROUP * 4 + (i & 3)
        upper = i < 4 or 8 <= i < 12
        return row_of["upper" if upper else "lower"], IN_GROUP * 4 + (i & 3) + (0 if i < 8 else 16)
    if k == 8:
        return row_of["upper" if i < 2 else "lower"], IN_GROUP * 2 + (i & 1)
    upper = i < 2 or 4 <= i < 6
    return row_of["upper" if upper else "lower"], IN_GROUP * 2 + (i & 1) + (0 if i < 4 else 8)


def place_b(k: int, kind: str, i: int) -> tuple[np.ndarray, np.ndarray]:
    if kind == "f64":
        return LANES % 4, LANES // 4
    if kind == "tf32":
        return IN_GROUP + 4 * i, GROUP
    if kind in ("s8", "u8"):
        return IN_GROUP * 4 + (i & 3) + (0 if i < 4 else 16), GROUP
    return IN_GROUP * 2 + (i & 1) + (0 if i < 2 else 8), GROUP


def place_c(i: int) -> tuple[np.ndarray, np.ndarray]:
    return GROUP + (0 if i < 2 else 8), 2 * IN_GROUP + (i & 1)


KINDS = {
    "f16": (np.float16, "vector<2xf16>"),
    "bf16": (ml_dtypes.bfloat16, "i32"),
    "tf32": (np.float32, "i32"),
    "f64": (np.float64, "f64"),
    "s8": (np.int8, "i32"),
    "u8": (np.uint8, "i32"),
}
CASES = [
    (16, 8, 16, "bf16", "f32"),
    (16, 8, 8, "bf16", "f32"),
    (16, 8, 16, "f16", "f32"),
    (16, 8, 16, "f16", "f16"),
    (16, 8, 8, "f16", "f32"),
    (16, 8, 8, "tf32", "f32"),
    (16, 8, 4, "tf32", "f32"),
    (8, 8, 4, "f64", "f64"),
    (16, 8, 32, "s8", "s32"),
    (16, 8, 16, "u8", "s32"),
]


def fragments(matrix: np.ndarray, places: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return np.stack([matrix[place] for place in places], axis=1)


@pytest.mark.parametrize(("m", "n", "k", "kind", "accumulator"), CASES)
def test_mma(m: int, n: int, k: int, kind: str, accumulator: str) -> None:
    dtype, register = KINDS[kind]
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        if kind in ("s8", "u8"):
            return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)
        # Numbers of a few bits, so that the sums are exact in any order.
        return (rng.integers(-15, 16, shape) / 4).astype(dtype)

    sum_type, sum_register, per = {
        "f32": (np.float32, "f32", 1),
        "f64": (np.float64, "f64", 1),
        "s32": (np.int32, "i32", 1),
        "f16": (np.float16, "vector<2xf16>", 2),
    }[accumulator]
    a, b, c = draw(m, k), draw(k, n), draw(m, n).astype(sum_type)
    places_a = [place_a(m, k, kind, i) for i in range(m * k // 32)]
    places_b = [place_b(k, kind, i) for i in range(k * n // 32)]
    places_c = [place_c(i) for i in range(m * n // 32)]
    size = max(np.dtype(dtype).itemsize, 4)
    count_a, count_b = (count * np.dtype(dtype).itemsize // size for count in (len(places_a), len(places_b)))
    count_c = len(places_c) // per
    listed = {
        side: ", ".join(f"%{side}{i}" for i in range(count))
        for side, count in zip("abc", (count_a, count_b, count_c), strict=True)
    }
    inferred = kind in ("f16", "f64")
    types = (
        ""
        if inferred
        else f"multiplicandAPtxType = #nvvm.mma_type<{kind}>, multiplicandBPtxType = #nvvm.mma_type<{kind}>, "
    )
    overflow = "intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>, " if accumulator == "s32" else ""
    struct = f"!llvm.struct<({', '.join([sum_register] * count_c)})>"
    code = kernel(
        f"""{words(count_a, "%pa", register, "a")}
        {words(count_b, "%pb", register, "b")}
        {words(count_c, "%pc", sum_register, "c")}
        %x = nvvm.mma.sync A[{listed["a"]}] B[{listed["b"]}] C[{listed["c"]}] {{layoutA = #nvvm.mma_layout<row>,
          layoutB = #nvvm.mma_layout<col>, {types}{overflow}shape = #nvvm.shape<m = {m}, n = {n}, k = {k}>}}
          : ({register}, {register}, {sum_register}) -> {struct}
        {members("%x", count_c, sum_register)}
        {results([f"%m{i}" for i in range(count_c)], sum_register, "%out")}""",
        "%pa: !llvm.ptr, %pb: !llvm.ptr, %pc: !llvm.ptr, %out: !llvm.ptr",
    )
    out = np.zeros((32, len(places_c)), sum_type)
    operands = [fragments(x, places) for x, places in ((a, places_a), (b, places_b), (c, places_c))]
    code.launch("f", [1], [32], 0, [Pointer(x) for x in (*operands, out)])
    got = np.zeros((m, n), sum_type)
    for i, place in enumerate(places_c):
        got[place] = out[:, i]
    wanted = a.astype(np.float64) @ b.astype(np.float64) + c
    np.testing.assert_array_equal(got, wanted.astype(sum_type))

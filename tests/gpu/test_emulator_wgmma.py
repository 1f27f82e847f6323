"""wgmma in the emulator: matrices in shared memory by descriptors, laid out as the PTX manual says."""

import ml_dtypes
import numpy as np
import pytest
from emulated import kernel

from pit_mlir.errors import KernelError
from pit_mlir.runtime.emulator import Pointer

ROWS = {0: 1, 1: 8, 2: 4, 3: 2}
"""Units of 16 bytes that a swizzle mixes, by its number in the descriptor."""
UNIT = 8
"""Elements of 16 bits to a unit."""


def laid_out(matrix: np.ndarray, swizzle: int, transposed: bool) -> tuple[np.ndarray, int, int]:
    """`matrix` (M or N, by K) in shared memory, and the leading and the stride offset in bytes.

    Tiles of 8 rows by `width` units follow each other; a row is along K, or along M where it is transposed.
    """
    width = ROWS[swizzle]
    rows = matrix.T if transposed else matrix
    units = rows.reshape(rows.shape[0], -1, UNIT)
    tiles = units.reshape(rows.shape[0] // 8, 8, units.shape[1] // width, width, UNIT)
    swizzled = np.empty_like(tiles)
    for row in range(8):
        for unit in range(width):
            mixed = unit ^ (row * width * 16 >> 7) & (width - 1)
            swizzled[:, row, :, mixed] = tiles[:, row, :, unit]
    # Tile by tile along K first.
    memory = np.ascontiguousarray(swizzled.transpose(0, 2, 1, 3, 4))
    tile = 8 * width * 16
    along_row, along_column = tile, tile * tiles.shape[2]
    if not transposed:
        return memory.reshape(-1), along_row, along_column
    # Without a swizzle, the two change their meaning where the matrix is transposed.
    return memory.reshape(-1), *((along_column, along_row) if swizzle == 0 else (along_row, along_column))


def descriptor(start: int, leading: int, stride: int, swizzle: int) -> int:
    return (start >> 4) | (leading >> 4) << 16 | (stride >> 4) << 32 | swizzle << 62


BODY = """
  %base = llvm.ptrtoint %shared : !llvm.ptr<3> to i64
  %n = llvm.mlir.constant({words} : i32) : i32
  llvm.br ^head(%tid : i32)
  ^head(%i: i32):
  %more = llvm.icmp "ult" %i, %n : i32
  llvm.cond_br %more, ^copy, ^done
  ^copy:
  %from = llvm.getelementptr %in[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %to = llvm.getelementptr %shared[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %x = llvm.load %from : !llvm.ptr -> i32
  llvm.store %x, %to : i32, !llvm.ptr<3>
  %step = llvm.mlir.constant(128 : i32) : i32
  %next = llvm.add %i, %step : i32
  llvm.br ^head(%next : i32)
  ^done:
  {fence}
  nvvm.barrier
  %begin = llvm.mlir.constant(4 : i64) : i64
  %units = llvm.lshr %base, %begin : i64
  %da = llvm.add %a, %units : i64
  %db = llvm.add %b, %units : i64
  %z = llvm.mlir.constant(1.0 : f32) : f32
  %zero_struct = llvm.mlir.poison : {struct}
  {filled}
  {order}
  %r = nvvm.wgmma.mma_async %da, %db, %filled, #nvvm.shape<m = 64, n = {n}, k = 16>, D [<f32>, #nvvm.wgmma_scale_out<{scale}>],
    A [<bf16>, #nvvm.wgmma_scale_in<one>, <{la}>], B [<bf16>, #nvvm.wgmma_scale_in<neg>, <{lb}>] : {struct} -> {struct}
  nvvm.wgmma.commit.group.sync.aligned
  nvvm.wgmma.wait.group.sync.aligned 0
  %rn = llvm.mlir.constant({count} : i32) : i32
  %rat = llvm.mul %tid, %rn : i32
  %rp = llvm.getelementptr %out[%rat] : (!llvm.ptr, i32) -> !llvm.ptr, f32
  {stores}
"""


def product(words: int, n: int, la: str, lb: str, scale: str = "one", fence: bool = True, order: bool = True):
    count = n // 2
    struct = f"!llvm.struct<({', '.join(['f32'] * count)})>"
    filled, last = [], "%zero_struct"
    for i in range(count):
        name = "%filled" if i == count - 1 else f"%f{i}"
        filled.append(f"{name} = llvm.insertvalue %z, {last}[{i}] : {struct}")
        last = name
    stores = [
        f"%e{i} = llvm.extractvalue %r[{i}] : {struct}\n"
        f"%p{i} = llvm.getelementptr %rp[{i}] : (!llvm.ptr) -> !llvm.ptr, f32\nllvm.store %e{i}, %p{i} : f32, !llvm.ptr"
        for i in range(count)
    ]
    body = BODY.format(
        words=words,
        n=n,
        la=la,
        lb=lb,
        scale=scale,
        count=count,
        struct=struct,
        filled="\n".join(filled),
        stores="\n".join(stores),
        fence="nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}"
        if fence
        else "",
        order="nvvm.wgmma.fence.aligned" if order else "",
    )
    return kernel(body, "%in: !llvm.ptr, %out: !llvm.ptr, %a: i64, %b: i64", shared=4 * words)


@pytest.mark.parametrize(
    ("swizzle", "la", "lb", "n"),
    [
        (1, "row", "col", 64),
        (0, "row", "col", 8),
        (2, "col", "row", 64),
        (3, "row", "row", 32),
        (1, "col", "row", 128),
        (0, "col", "row", 16),
    ],
)
def test_wgmma(swizzle: int, la: str, lb: str, n: int) -> None:
    rng = np.random.default_rng(0)
    # As deep as a row of the swizzle, so that one product takes a part of it.
    depth = 64
    a, b = ((rng.integers(-8, 9, (size, depth)) / 4).astype(ml_dtypes.bfloat16) for size in (64, n))
    memory_a, *offsets_a = laid_out(a, swizzle, la == "col")
    memory_b, *offsets_b = laid_out(b, swizzle, lb == "row")
    memory = np.concatenate([memory_a, memory_b])
    # The second product along K: units 2 and 3 of a row, or rows 16 to 31.
    second = {
        False: lambda leading, stride: 2 * leading if swizzle == 0 else (32 if swizzle != 3 else leading),
        True: lambda leading, stride: 2 * (leading if swizzle == 0 else stride),
    }
    start_a = second[la == "col"](*offsets_a)
    start_b = memory_a.nbytes + second[lb == "row"](*offsets_b)
    code = product(memory.nbytes // 4, n, la, lb)
    out = np.zeros((128, n // 2), np.float32)
    code.launch(
        "f",
        [1],
        [128],
        0,
        [
            Pointer(memory),
            Pointer(out),
            descriptor(start_a, *offsets_a, swizzle) - (1 << 64 if swizzle > 1 else 0),
            descriptor(start_b, *offsets_b, swizzle) - (1 << 64 if swizzle > 1 else 0),
        ],
    )
    got = np.zeros((64, n), np.float32)
    thread = np.arange(128)
    for i in range(n // 2):
        got[thread // 32 * 16 + thread % 32 // 4 + 8 * (i // 2 % 2), i // 4 * 8 + thread % 4 * 2 + i % 2] = (
            out[:, i]
        )
    wanted = 1 - a[:, 16:32].astype(np.float64) @ b[:, 16:32].astype(np.float64).T
    np.testing.assert_array_equal(got, wanted)


MISSING = {
    "fence": "not known to the engine: it reads byte 0 of shared memory",
    "order": "no wgmma.fence stands between its registers' last use and this product",
}
"""What a kernel lacks, by the arguments of `product`, and the report."""


@pytest.mark.parametrize("missing", MISSING)
def test_a_product_without_its_fences(missing: str) -> None:
    memory, *_ = laid_out(np.zeros((64 + 8, 16), ml_dtypes.bfloat16), 0, False)
    code = product(memory.nbytes // 4, 8, "row", "col", fence=missing != "fence", order=missing != "order")
    out = np.zeros((128, 4), np.float32)
    at = descriptor(0, 128, 256, 0)
    with pytest.raises(KernelError, match=MISSING[missing]):
        code.launch("f", [1], [128], 0, [Pointer(memory), Pointer(out), at, at])

"""Copies that are under way while threads go on, in the emulator: cp.async, and the copy engine (TMA)."""

import ctypes

import numpy as np
import pytest
from emulated import kernel

from pit_mlir.errors import KernelError
from pit_mlir.runtime.emulator import Pointer
from pit_mlir.runtime.library import library

KERNEL = """
  %n = llvm.mlir.constant({size} : i32) : i32
  %at = llvm.mul %tid, %n : i32
  %to = llvm.getelementptr %shared[%at] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
  %from = llvm.getelementptr %in[%at] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  %source = llvm.addrspacecast %from : !llvm.ptr to !llvm.ptr<1>
  nvvm.cp.async.shared.global %to, %source, {size}, cache = {cache}, %given : !llvm.ptr<3>, !llvm.ptr<1>, i32
  nvvm.cp.async.commit.group
  nvvm.cp.async.wait.group 0
  {copies}
"""


@pytest.mark.parametrize("given", [0, 1, 2, 4, 7, 16])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_cp_async_fills_with_zeros(size: int, given: int) -> None:
    copies = "\n".join(
        f"""%s{i} = llvm.getelementptr %to[{i}] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
        %x{i} = llvm.load %s{i} : !llvm.ptr<3> -> i32
        %o{i} = llvm.getelementptr %out[%at] : (!llvm.ptr, i32) -> !llvm.ptr, i8
        %p{i} = llvm.getelementptr %o{i}[{i}] : (!llvm.ptr) -> !llvm.ptr, i32
        llvm.store %x{i}, %p{i} : i32, !llvm.ptr"""
        for i in range(size // 4)
    )
    body = KERNEL.format(size=size, cache="cg" if size == 16 else "ca", copies=copies)
    code = kernel(body, "%in: !llvm.ptr, %out: !llvm.ptr, %given: i32", shared=32 * size)
    data = np.random.default_rng(0).integers(1, 256, (32, size)).astype(np.uint8)
    out = np.full((32, size), 7, np.uint8)
    code.launch("f", [1], [32], 0, [Pointer(data), Pointer(out), given])
    np.testing.assert_array_equal(out, np.where(np.arange(size) < given, data, 0))


def tensor_map(tensor: np.ndarray, box: tuple[int, ...], swizzle: int = 0) -> np.ndarray:
    """A map of `tensor` for boxes of `box` elements, outermost dimension first."""
    room = np.zeros(128 + 64, np.uint8)
    start = -room.ctypes.data % 64
    made = room[start : start + 128]
    encode = library().pit_emulator_encode_tensor_map
    encode.restype = ctypes.c_bool
    rank = tensor.ndim
    sizes = (ctypes.c_uint64 * rank)(*tensor.shape[::-1])
    strides = (ctypes.c_uint64 * rank)(*tensor.strides[-2::-1] if rank > 1 else ())
    boxes = (ctypes.c_uint32 * rank)(*box[::-1])
    address = ctypes.c_void_p(tensor.ctypes.data)
    fits = encode(
        ctypes.c_void_p(made.ctypes.data), tensor.itemsize, rank, address, sizes, strides, boxes, swizzle
    )
    if not fits:
        raise ValueError("the tensor cannot be described")
    return made


LOAD = """
  %words = llvm.mlir.constant({words} : i32) : i32
  %bytes = llvm.mlir.constant({bytes} : i32) : i32
  %barrier = llvm.getelementptr %shared[{bytes}] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
  %first = llvm.icmp "eq" %tid, %zero : i32
  llvm.cond_br %first, ^begin, ^ready
  ^begin:
  nvvm.mbarrier.init %barrier, %one : !llvm.ptr<3>, i32
  nvvm.mbarrier.arrive.expect_tx %barrier, %bytes : !llvm.ptr<3>, i32
  %box = llvm.addrspacecast %shared : !llvm.ptr<3> to !llvm.ptr<7>
  {load}
  llvm.br ^ready
  ^ready:
  nvvm.barrier
  {wait}
  llvm.br ^head(%tid : i32)
  ^head(%i: i32):
  %more = llvm.icmp "ult" %i, %words : i32
  llvm.cond_br %more, ^copy, ^done
  ^copy:
  %from = llvm.getelementptr %shared[%i] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %to = llvm.getelementptr %out[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %x = llvm.load %from : !llvm.ptr<3> -> i32
  llvm.store %x, %to : i32, !llvm.ptr
  %next = llvm.add %i, %thirtytwo : i32
  llvm.br ^head(%next : i32)
  ^done:
"""
TILE = (
    "nvvm.cp.async.bulk.tensor.shared.cluster.global %box, %map, %barrier, box[{}] : !llvm.ptr<7>, !llvm.ptr"
)
WAIT = "nvvm.mbarrier.try_wait.parity %barrier, %zero, %thirtytwo : !llvm.ptr<3>, i32, i32"


def load_box(
    tensor: np.ndarray, box: tuple[int, ...], at: tuple[int, ...], swizzle: int = 0, wait: str = WAIT
) -> np.ndarray:
    size = int(np.prod(box)) * tensor.itemsize
    coordinates = ", ".join(f"%i{d}" for d in range(len(at)))
    values = "\n".join(f"%i{d} = llvm.mlir.constant({c} : i32) : i32" for d, c in enumerate(at[::-1]))
    body = LOAD.format(words=size // 4, bytes=size, load=values + "\n" + TILE.format(coordinates), wait=wait)
    out = np.zeros(box, tensor.dtype)
    code = kernel(body, "%map: !llvm.ptr, %out: !llvm.ptr, %tensor: !llvm.ptr", shared=size + 8)
    made = tensor_map(tensor, box, swizzle)
    code.launch("f", [1], [32], 0, [Pointer(made), Pointer(out), Pointer(tensor)])
    return out


def part(tensor: np.ndarray, box: tuple[int, ...], at: tuple[int, ...]) -> np.ndarray:
    """The box, with zeros outside of the tensor."""
    wanted = np.zeros(box, tensor.dtype)
    for index in np.ndindex(*box):
        place = tuple(np.add(index, at))
        if all(0 <= c < size for c, size in zip(place, tensor.shape, strict=True)):
            wanted[index] = tensor[place]
    return wanted


@pytest.mark.parametrize(
    ("shape", "box", "at"),
    [
        ((16, 32), (8, 16), (4, 8)),
        ((7, 24), (8, 16), (3, 16)),
        ((7, 24), (8, 16), (-2, -8)),
        ((33,) * 1 + (8,), (64, 8), (0, 0)),
        ((3, 5, 16), (2, 4, 8), (2, 3, 8)),
        ((64,), (32,), (48,)),
    ],
)
def test_boxes_of_tensors(shape: tuple[int, ...], box: tuple[int, ...], at: tuple[int, ...]) -> None:
    tensor = np.random.default_rng(0).integers(1, 2**15, shape).astype(np.int16)
    np.testing.assert_array_equal(load_box(tensor, box, at), part(tensor, box, at))


@pytest.mark.parametrize("swizzle", [32, 64, 128])
def test_boxes_are_swizzled(swizzle: int) -> None:
    row = swizzle // 2
    tensor = np.arange(32 * row, dtype=np.int16).reshape(32, row)
    got = load_box(tensor, (16, row), (8, 0), swizzle).reshape(-1, 8)
    wanted = part(tensor, (16, row), (8, 0)).reshape(-1, 8)
    unit = np.arange(len(wanted))
    np.testing.assert_array_equal(got[unit ^ (unit >> 3 & (swizzle // 16 - 1))], wanted)


def test_a_box_read_before_its_bytes_arrived() -> None:
    tensor = np.zeros((16, 32), np.int16)
    with pytest.raises(
        KernelError,
        match=r"not arrived: it reads byte 0 of shared memory, where data is under way \(nvvm.cp.async.bulk",
    ):
        load_box(tensor, (8, 16), (0, 0), wait="")


@pytest.mark.parametrize(
    ("shape", "box", "swizzle"), [((16, 20), (8, 16), 0), ((16, 32), (8, 4), 0), ((16, 64), (8, 64), 64)]
)
def test_tensors_that_cannot_be_described(shape: tuple[int, ...], box: tuple[int, ...], swizzle: int) -> None:
    with pytest.raises(ValueError, match="cannot be described"):
        tensor_map(np.zeros(shape, np.int16), box, swizzle)


def test_bytes_by_the_copy_engine() -> None:
    """There and back: 256 bytes to shared memory, then from there to global memory."""
    load = """%source = llvm.addrspacecast %in : !llvm.ptr to !llvm.ptr<1>
      nvvm.cp.async.bulk.shared.cluster.global %box, %source, %barrier, %bytes : !llvm.ptr<7>, !llvm.ptr<1>"""
    body = LOAD.format(words=64, bytes=256, load=load, wait=WAIT)
    store = """
      {fence}
      nvvm.barrier
      llvm.cond_br %first, ^back, ^end
      ^back:
      %target = llvm.addrspacecast %again : !llvm.ptr to !llvm.ptr<1>
      nvvm.cp.async.bulk.global.shared.cta %target, %shared, %bytes : !llvm.ptr<1>, !llvm.ptr<3>
      nvvm.cp.async.bulk.commit.group
      {before}
      nvvm.cp.async.bulk.wait_group 0
      llvm.br ^end
      ^end:"""
    arguments = "%in: !llvm.ptr, %out: !llvm.ptr, %again: !llvm.ptr"
    data = np.arange(64, dtype=np.int32)

    def run(store: str) -> tuple[np.ndarray, np.ndarray]:
        out, again = np.zeros_like(data), np.zeros_like(data)
        code = kernel(body + store, arguments, shared=264)
        code.launch("f", [1], [32], 0, [Pointer(data), Pointer(out), Pointer(again)])
        return out, again

    for result in run(store.format(fence="", before="")):
        np.testing.assert_array_equal(result, data)
    # What a thread wrote must be made known to the engine.
    mine = "llvm.store %tid, %mine : i32, !llvm.ptr<3>"
    write = f"%mine = llvm.getelementptr %shared[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32\nnvvm.barrier\n{mine}"
    fence = "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}"
    assert (run(store.format(fence=f"{write}\n{fence}", before=""))[1][:32] == np.arange(32)).all()
    with pytest.raises(
        KernelError, match=r"cp.async.bulk.global.shared.cta: race: while it was reading byte 0 of shared"
    ):
        run(store.format(fence="", before="llvm.store %one, %shared : i32, !llvm.ptr<3>"))
    with pytest.raises(
        KernelError,
        match=r"not known to the engine: it reads byte 0 of shared memory, which thread \(0, 0, 0\) wrote",
    ):
        run(store.format(fence=write, before=""))

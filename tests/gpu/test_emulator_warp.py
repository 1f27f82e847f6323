"""What threads do together in the emulator: shuffles, votes, matches, reductions, barriers."""

from functools import cache

import numpy as np
import pytest
from emulated import kernel, results, words

from pit_mlir.runtime.emulator import EmulatedKernels, Pointer

LANES = np.arange(32)


@pytest.mark.parametrize("offset", [0, 1, 5, 16, 31])
@pytest.mark.parametrize("clamp", [0x1F, 0x0, 0x181F, 0x1800, 7])
@pytest.mark.parametrize("kind", ["bfly", "up", "down", "idx"])
def test_shuffle(kind: str, clamp: int, offset: int) -> None:
    code = shuffles(kind)
    values = np.random.default_rng(0).integers(0, 2**31, 32).astype(np.int32)
    out = np.zeros((32, 2), np.int32)
    code.launch("f", [1], [32], 0, [Pointer(values), Pointer(out), offset, clamp])
    segment, bound = clamp >> 8 & 31, clamp & 31
    least = LANES & segment
    most = least | (bound & ~segment)
    source, in_range = {
        "bfly": (LANES ^ offset, (LANES ^ offset) <= most),
        "up": (LANES - offset, LANES - offset >= most),
        "down": (LANES + offset, LANES + offset <= most),
        "idx": (least | (offset & ~segment), (least | (offset & ~segment)) <= most),
    }[kind]
    np.testing.assert_array_equal(out[:, 1], in_range)
    np.testing.assert_array_equal(out[:, 0], values[np.where(in_range, source, LANES)])


@cache
def shuffles(kind: str) -> EmulatedKernels:
    return kernel(
        f"""{words(1)}
        %x = nvvm.shfl.sync {kind} %all, %w0, %offset, %clamp {{return_value_and_is_valid}} : i32 -> !llvm.struct<(i32, i1)>
        %value = llvm.extractvalue %x[0] : !llvm.struct<(i32, i1)>
        %valid = llvm.extractvalue %x[1] : !llvm.struct<(i32, i1)>
        %flag = llvm.zext %valid : i1 to i32
        {results(["%value", "%flag"])}""",
        "%in: !llvm.ptr, %out: !llvm.ptr, %offset: i32, %clamp: i32",
    )


def run(body: str, values: np.ndarray, count: int = 1, threads: int = 32) -> np.ndarray:
    code = kernel(f"{words(1)}\n{body}\n{results([f'%r{i}' for i in range(count)])}")
    out = np.zeros((threads, count), np.uint32)
    code.launch("f", [1], [threads], 0, [Pointer(values), Pointer(out)])
    return out


@pytest.mark.parametrize("holding", [0, 5, 0xFFFFFFFF, 0x80000001])
def test_votes(holding: int) -> None:
    values = (holding >> LANES & 1).astype(np.uint32)
    got = run(
        """%p = llvm.icmp "ne" %w0, %zero : i32
        %v0 = nvvm.vote.sync any %all, %p -> i1
        %v1 = nvvm.vote.sync all %all, %p -> i1
        %v2 = nvvm.vote.sync uni %all, %p -> i1
        %r0 = llvm.zext %v0 : i1 to i32
        %r1 = llvm.zext %v1 : i1 to i32
        %r2 = llvm.zext %v2 : i1 to i32
        %r3 = nvvm.vote.sync ballot %all, %p -> i32""",
        values,
        4,
    )
    every = holding == 0xFFFFFFFF
    np.testing.assert_array_equal(
        got, np.tile([holding != 0, every, every or holding == 0, holding], (32, 1))
    )


def test_match_and_elect() -> None:
    values = (LANES % 3).astype(np.uint32)
    got = run(
        """%r0 = nvvm.match.sync any %all, %w0 : i32 -> i32
        %x = nvvm.match.sync all %all, %w0 : i32 -> !llvm.struct<(i32, i1)>
        %r1 = llvm.extractvalue %x[0] : !llvm.struct<(i32, i1)>
        %p = llvm.extractvalue %x[1] : !llvm.struct<(i32, i1)>
        %r2 = llvm.zext %p : i1 to i32
        %e = nvvm.elect.sync -> i1
        %r3 = llvm.zext %e : i1 to i32""",
        values,
        4,
    )
    same = [sum(1 << int(k) for k in LANES if values[k] == values[lane]) for lane in LANES]
    np.testing.assert_array_equal(got[:, 0], same)
    assert not got[:, 1:3].any()
    np.testing.assert_array_equal(got[:, 3], LANES == 0)


REDUCTIONS = {
    "add": np.add,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "max": np.maximum,
    "min": np.minimum,
    "umax": np.maximum,
    "umin": np.minimum,
}


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_redux(kind: str) -> None:
    values = np.random.default_rng(1).integers(-(2**31), 2**31, 32).astype(np.int32)
    got = run(f"%r0 = nvvm.redux.sync {kind} %w0, %all : i32 -> i32", values)
    typed = values.view(np.uint32) if kind[0] == "u" else values
    assert (got.view(typed.dtype) == REDUCTIONS[kind].reduce(typed)).all()


def test_part_of_a_warp() -> None:
    """Lanes of a mask go on without the others, in any order."""
    values = np.arange(32, dtype=np.uint32)
    got = run(
        """%half = llvm.icmp "ult" %tid, %sixteen : i32
        %low = llvm.mlir.constant(65535 : i32) : i32
        %high = llvm.mlir.constant(-65536 : i32) : i32
        llvm.cond_br %half, ^a, ^b
        ^a:
        %x = nvvm.redux.sync add %w0, %low : i32 -> i32
        llvm.br ^end(%x : i32)
        ^b:
        %y = nvvm.redux.sync add %w0, %high : i32 -> i32
        llvm.br ^end(%y : i32)
        ^end(%r0: i32):""",
        values,
    )
    np.testing.assert_array_equal(got[:, 0], np.repeat([values[:16].sum(), values[16:].sum()], 16))


@pytest.mark.parametrize(("kind", "wanted"), [("popc", 21), ("and", 0), ("or", 1)])
def test_barrier_reduction(kind: str, wanted: int) -> None:
    values = (np.arange(64) % 3 == 1).astype(np.uint32)
    got = run(f"%r0 = nvvm.barrier.reduction #nvvm.reduction<{kind}> %w0 -> i32", values, threads=64)
    assert (got == wanted).all()


def test_named_barriers_order_two_warps() -> None:
    """The second warp writes and arrives without waiting; the first waits, and reads."""
    code = kernel(
        f"""%first = llvm.icmp "ult" %tid, %thirtytwo : i32
        llvm.cond_br %first, ^read, ^write
        ^write:
        %to = llvm.getelementptr %shared[%lane] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        llvm.store %tid, %to : i32, !llvm.ptr<3>
        nvvm.barrier.arrive id = %one number_of_threads = %sixtyfour
        llvm.br ^end
        ^read:
        nvvm.barrier id = %one number_of_threads = %sixtyfour
        %mirror = llvm.sub %thirtyone, %lane : i32
        %from = llvm.getelementptr %shared[%mirror] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
        %x = llvm.load %from : !llvm.ptr<3> -> i32
        {results(["%x"])}
        llvm.br ^end
        ^end:""",
        "%out: !llvm.ptr",
        shared=128,
    )
    out = np.zeros(32, np.int32)
    code.launch("f", [1], [64], 0, [Pointer(out)])
    np.testing.assert_array_equal(out, 63 - LANES)


def test_registers() -> None:
    code = kernel(
        """%x = nvvm.read.ptx.sreg.tid.y : i32
        %nx = nvvm.read.ptx.sreg.ntid.x : i32
        %ny = nvvm.read.ptx.sreg.ntid.y : i32
        %gx = nvvm.read.ptx.sreg.nctaid.x : i32
        %by = nvvm.read.ptx.sreg.ctaid.y : i32
        %0 = llvm.mul %by, %gx : i32
        %1 = llvm.add %0, %block : i32
        %2 = llvm.mul %1, %ny : i32
        %3 = llvm.add %2, %x : i32
        %4 = llvm.mul %3, %nx : i32
        %5 = llvm.add %4, %tid : i32
        %to = llvm.getelementptr %out[%5] : (!llvm.ptr, i32) -> !llvm.ptr, i32
        llvm.store %5, %to : i32, !llvm.ptr""",
        "%out: !llvm.ptr",
    )
    out = np.zeros(2 * 3 * 5 * 7, np.int32)
    code.launch("f", [2, 3], [5, 7], 0, [Pointer(out)])
    np.testing.assert_array_equal(out, np.arange(210))

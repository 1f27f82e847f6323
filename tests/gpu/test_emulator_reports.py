"""Each fault that the emulator reports, in a kernel that has it; and kernels near by that have none."""

import re

import numpy as np
import pytest
from emulated import kernel

from pit_mlir.errors import InputError, KernelError, UnsupportedError
from pit_mlir.runtime import emulator
from pit_mlir.runtime.emulator import Pointer

MINE = "%mine = llvm.getelementptr %shared[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32"
OTHER = """%mirror = llvm.sub %last, %tid : i32
  %other = llvm.getelementptr %shared[%mirror] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32"""
GLOBAL = "%place = llvm.getelementptr %out[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, i32"


def last(threads: int) -> str:
    return f"%last = llvm.mlir.constant({threads - 1} : i32) : i32"


def run(
    body: str, *, threads: int = 64, blocks: int = 1, shared: int = 256, size: int = 64, dynamic: int = 0
) -> np.ndarray:
    out = np.zeros(size, np.int32)
    code = kernel(body, "%out: !llvm.ptr", shared)
    code.launch("f", [blocks], [threads], dynamic, [Pointer(out)])
    return out


def fails(body: str, pattern: str, **shape: int) -> KernelError:
    with pytest.raises(KernelError, match=pattern) as caught:
        run(body, **shape)
    return caught.value


EXCHANGE = f"""
  {last(64)}
  {MINE}
  {OTHER}
  llvm.store %tid, %mine : i32, !llvm.ptr<3>
  {{between}}
  %x = llvm.load %other : !llvm.ptr<3> -> i32
  {{after}}
  {GLOBAL}
  llvm.store %x, %place : i32, !llvm.ptr
"""


def test_an_exchange_between_barriers_is_fine() -> None:
    np.testing.assert_array_equal(run(EXCHANGE.format(between="nvvm.barrier", after="")), 63 - np.arange(64))


def test_a_report_names_kernel_block_thread_and_operation() -> None:
    error = fails(EXCHANGE.format(between="", after=""), "not written: it reads byte 252 of shared memory")
    assert re.match(r"kernel @f, block \(0, 0, 0\), thread \(0, 0, 0\), llvm\.load: ", error.message)
    assert error.location is not None and re.match(r".*:\d+:\d+$", error.location)


def test_read_after_write_without_a_barrier() -> None:
    body = EXCHANGE.format(between="", after="").replace(
        "%mirror = llvm.sub %last, %tid", "%mirror = llvm.and %tid, %zero"
    )
    fails(
        body,
        r"race: it reads byte 0 of shared memory that thread \(0, 0, 0\) wrote \(llvm.store at .*nothing orders",
    )


def test_write_after_read_without_a_barrier() -> None:
    next_one = "%next = llvm.add %tid, %one : i32\n  %mirror = llvm.and %next, %last : i32"
    shifted = EXCHANGE.replace("%mirror = llvm.sub %last, %tid : i32", next_one)
    body = shifted.format(between="nvvm.barrier", after="llvm.store %x, %mine : i32, !llvm.ptr<3>")
    fails(
        body,
        r"thread \(1, 0, 0\), llvm.store: race: it writes byte 4 of shared memory that thread \(0, 0, 0\) read",
    )
    run(
        shifted.format(between="nvvm.barrier", after="nvvm.barrier\nllvm.store %x, %mine : i32, !llvm.ptr<3>")
    )


def test_write_after_write_without_a_barrier() -> None:
    fails(
        "llvm.store %tid, %shared : i32, !llvm.ptr<3>",
        r"thread \(1, 0, 0\), llvm.store: race: it writes byte 0 of shared memory that thread \(0, 0, 0\) wrote",
    )


def test_many_readers_are_all_waited_for() -> None:
    """Every thread reads one word; the barrier before it is written again lacks one of two warps."""
    body = """
      %first = llvm.icmp "eq" %tid, %zero : i32
      llvm.cond_br %first, ^write, ^read
      ^write:
      llvm.store %tid, %shared : i32, !llvm.ptr<3>
      llvm.br ^read
      ^read:
      nvvm.barrier
      %x = llvm.load %shared : !llvm.ptr<3> -> i32
      nvvm.bar.warp.sync %all : i32
      llvm.cond_br %first, ^again, ^end
      ^again:
      {wait}
      llvm.store %x, %shared : i32, !llvm.ptr<3>
      llvm.br ^end
      ^end:
    """
    # The first warp alone is fine, the second is not waited for.
    run(body.format(wait=""), threads=32)
    waits = body.format(wait="").replace("nvvm.bar.warp.sync %all : i32", "nvvm.barrier")
    run(waits)
    # The second warp may read before or after: either is reported.
    fails(body.format(wait=""), r"race: it (writes|reads) byte 0 of shared memory")


def test_lanes_exchange_only_over_a_warp_barrier() -> None:
    body = EXCHANGE.replace(last(64), last(32))
    run(body.format(between="nvvm.bar.warp.sync %all : i32", after=""), threads=32)
    shuffle = "%s = nvvm.shfl.sync bfly %all, %tid, %one, %thirtyone : i32 -> i32"
    fails(body.format(between=shuffle, after=""), "race: it reads", threads=32)


def test_race_on_global_memory_in_a_block() -> None:
    body = f"""{GLOBAL}
      llvm.store %tid, %place : i32, !llvm.ptr
      {{between}}
      %x = llvm.load %out : !llvm.ptr -> i32"""
    run(body.format(between="nvvm.barrier"))
    fails(
        body.format(between="%s = nvvm.shfl.sync bfly %all, %tid, %one, %thirtyone : i32 -> i32"),
        r"race: it reads byte 0 of a buffer of 256 bytes in global memory that thread \(0, 0, 0\) wrote",
    )


def test_race_between_blocks() -> None:
    body = """%flag = llvm.icmp "eq" %tid, %zero : i32
      llvm.cond_br %flag, ^one, ^end
      ^one:
      {body}
      llvm.br ^end
      ^end:"""
    store = "llvm.store %block, %out : i32, !llvm.ptr"
    add = "%x = llvm.atomicrmw add %out, %one monotonic : !llvm.ptr, i32"
    message = r"race: it {} byte 0 of a buffer .* that thread \(0, 0, 0\) of block \(0, 0, 0\) {}"
    fails(body.format(body=store), message.format("writes", "wrote"), blocks=2)
    fails(
        body.format(body="%x = llvm.load %out : !llvm.ptr -> i32\n" + store),
        message.format("reads", "wrote"),
        blocks=2,
    )
    assert run(body.format(body=add), blocks=5)[0] == 5
    fails(
        body.format(body=add + "\n%y = llvm.load %out : !llvm.ptr -> i32"),
        message.format("changes", "read"),
        blocks=2,
    )


def test_the_last_block_may_read_what_the_others_wrote() -> None:
    """Each block writes, makes it known, and counts itself; the last one to count adds up."""
    body = """
      %flag = llvm.icmp "eq" %tid, %zero : i32
      llvm.cond_br %flag, ^one, ^end
      ^one:
      %next = llvm.add %block, %one : i32
      %place = llvm.getelementptr %out[%next] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      llvm.store %next, %place : i32, !llvm.ptr
      {fence}
      %before = llvm.atomicrmw add %out, %one monotonic : !llvm.ptr, i32
      %three = llvm.mlir.constant(3 : i32) : i32
      %last = llvm.icmp "eq" %before, %three : i32
      llvm.cond_br %last, ^sum(%zero, %one : i32, i32), ^end
      ^sum(%total: i32, %i: i32):
      %from = llvm.getelementptr %out[%i] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %x = llvm.load %from : !llvm.ptr -> i32
      %more = llvm.add %total, %x : i32
      %j = llvm.add %i, %one : i32
      %go = llvm.icmp "ule" %j, %four : i32
      llvm.cond_br %go, ^sum(%more, %j : i32, i32), ^done
      ^done:
      %at = llvm.getelementptr %out[5] : (!llvm.ptr) -> !llvm.ptr, i32
      llvm.store %more, %at : i32, !llvm.ptr
      llvm.br ^end
      ^end:"""
    assert run(body.format(fence="nvvm.memory.barrier #nvvm.mem_scope<gpu>"), blocks=4)[5] == 10
    fails(body.format(fence=""), r"race: it reads .* of block \(0, 0, 0\) wrote", blocks=4)


def test_out_of_bounds() -> None:
    fails(
        f"{GLOBAL}\nllvm.store %tid, %place : i32, !llvm.ptr",
        r"thread \(64, 0, 0\), llvm.store: out of bounds: it writes 4 bytes .* 256 bytes behind the begin",
        threads=65,
    )
    far = "%at = llvm.getelementptr %out[-1] : (!llvm.ptr) -> !llvm.ptr, i32\n%x = llvm.load %at : !llvm.ptr -> i32"
    fails(far, "out of bounds: it reads 4 bytes .* 4 bytes before the begin")
    fails(
        f"{MINE}\nllvm.store %tid, %mine : i32, !llvm.ptr<3>",
        r"out of bounds: it writes byte 256 of shared memory",
        threads=96,
    )
    run(f"{MINE}\nllvm.store %tid, %mine : i32, !llvm.ptr<3>")


def test_misaligned() -> None:
    at = "%at = llvm.getelementptr {0}[{1}] : ({2}) -> {2}, i32"
    load = "%x = llvm.load %at {{alignment = {} : i64}} : {} -> vector<4xi32>"
    fails(
        at.format("%out", 1, "!llvm.ptr") + "\n" + load.format(16, "!llvm.ptr"),
        "misaligned: it reads byte 4 of a buffer .* multiple of 16",
    )
    run(at.format("%out", 1, "!llvm.ptr") + "\n" + load.format(4, "!llvm.ptr"), threads=1)
    fails(
        at.format("%shared", 2, "!llvm.ptr<3>") + "\n" + load.format(16, "!llvm.ptr<3>"),
        "misaligned: it reads byte 8 of shared memory",
    )


COPY = """
  %to = llvm.getelementptr %shared[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %from = llvm.getelementptr %out[%tid] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %source = llvm.addrspacecast %from : !llvm.ptr to !llvm.ptr<1>
  nvvm.cp.async.shared.global %to, %source, 4, cache = ca : !llvm.ptr<3>, !llvm.ptr<1>
  nvvm.cp.async.commit.group
"""


def test_a_copy_read_before_its_wait() -> None:
    read = "%x = llvm.load %to : !llvm.ptr<3> -> i32"
    message = r"not arrived: it reads byte 0 of shared memory, where data is under way \(nvvm.cp.async"
    fails(f"{COPY}{read}", message)
    fails(f"{COPY}nvvm.barrier\n{read}", message)
    # The second group may still be under way.
    more = (
        COPY.replace("%tid]", "%tid]")
        .replace("%to", "%to2")
        .replace("%from", "%from2")
        .replace("%source", "%source2")
    )
    far = more.replace("%shared[%tid]", "%shared[%far]").replace(
        "  %to2", "  %far = llvm.add %tid, %thirtytwo : i32\n  %to2", 1
    )
    wait = "nvvm.cp.async.wait.group {}\n"
    run(f"{COPY}{far}{wait.format(1)}{read}", threads=32)
    fails(
        f"{COPY}{far}{wait.format(1)}{read.replace('%to', '%to2')}",
        "not arrived: it reads byte 128",
        threads=32,
    )


def test_a_copy_is_known_to_others_after_a_barrier() -> None:
    wait = "nvvm.cp.async.wait.group 0\n"
    read = f"{last(64)}\n{OTHER}\n%x = llvm.load %other : !llvm.ptr<3> -> i32"
    run(f"{COPY}{wait}nvvm.barrier\n{read}")
    fails(f"{COPY}{wait}{read}", "race: it reads|not arrived|not written")


def test_a_barrier_that_some_threads_miss() -> None:
    body = """%half = llvm.icmp "ult" %tid, %thirtytwo : i32
      llvm.cond_br %half, ^wait, ^end
      ^wait:
      nvvm.barrier
      llvm.br ^end
      ^end:"""
    fails(
        body,
        r"divergent: no thread of the block can go on; 32 threads from \(0, 0, 0\) on wait at nvvm.barrier .* where 32 of 64 have arrived; 32 threads have exited",
    )


def test_two_barriers_that_wait_for_each_other() -> None:
    body = """%half = llvm.icmp "ult" %tid, %thirtytwo : i32
      llvm.cond_br %half, ^a, ^b
      ^a:
      nvvm.barrier id = %one number_of_threads = %sixtyfour
      llvm.br ^end
      ^b:
      nvvm.barrier
      llvm.br ^end
      ^end:"""
    fails(body, "for barrier 1, where 32 of 64 have arrived; 32 threads .* for barrier 0, where 32 of 64")


def test_lanes_that_are_missing() -> None:
    body = """%half = llvm.icmp "ult" %tid, %sixteen : i32
      llvm.cond_br %half, ^a, ^b
      ^a:
      %x = nvvm.shfl.sync bfly %all, %tid, %one, %thirtyone : i32 -> i32
      llvm.br ^end
      ^b:
      {other}
      llvm.br ^end
      ^end:"""
    fails(
        body.format(other=""),
        r"divergent: .*16 threads from \(0, 0, 0\) on wait at nvvm.shfl.sync .* for the lanes 0xffffffff; 16 threads have exited",
        threads=32,
    )
    fails(
        body.format(other="nvvm.bar.warp.sync %all : i32"),
        r"divergent: it is for the lanes 0xffffffff, but lanes of them wait for 0xffffffff at nvvm.shfl.sync",
        threads=32,
    )


def test_a_barrier_at_two_places_in_a_warp() -> None:
    body = """%half = llvm.icmp "ult" %tid, %sixteen : i32
      llvm.cond_br %half, ^a, ^b
      ^a:
      nvvm.barrier
      llvm.br ^end
      ^b:
      nvvm.barrier
      llvm.br ^end
      ^end:"""
    fails(body, "divergent: lane 0 of its warp waits at another operation", threads=32)


def test_division_by_zero() -> None:
    fails(
        "%x = llvm.udiv %one, %tid : i32\nllvm.store %x, %out : i32, !llvm.ptr", "division by zero", threads=1
    )


MBARRIER = """
  %first = llvm.icmp "eq" %tid, %zero : i32
  llvm.cond_br %first, ^init, ^ready
  ^init:
  nvvm.mbarrier.init %shared, {count} : !llvm.ptr<3>, i32
  llvm.br ^ready
  ^ready:
  {between}
  %data = llvm.getelementptr %shared[4] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i32
  %low = llvm.icmp "ult" %tid, %thirtytwo : i32
  llvm.cond_br %low, ^produce, ^consume
  ^produce:
  %mine = llvm.getelementptr %data[%tid] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  llvm.store %tid, %mine : i32, !llvm.ptr<3>
  %state = nvvm.mbarrier.arrive %shared : !llvm.ptr<3> -> i64
  llvm.br ^end
  ^consume:
  nvvm.mbarrier.try_wait.parity %shared, {parity}, %thirtytwo : !llvm.ptr<3>, i32, i32
  %mirror = llvm.sub %thirtyone, %lane : i32
  %from = llvm.getelementptr %data[%mirror] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i32
  %x = llvm.load %from : !llvm.ptr<3> -> i32
  %place = llvm.getelementptr %out[%lane] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  llvm.store %x, %place : i32, !llvm.ptr
  llvm.br ^end
  ^end:
"""


def test_mbarriers() -> None:
    good = MBARRIER.format(count="%thirtytwo", between="nvvm.barrier", parity="%zero")
    np.testing.assert_array_equal(run(good)[:32], 31 - np.arange(32))
    # Those who wait come first.
    waiting = good.replace('%low = llvm.icmp "ult"', '%low = llvm.icmp "uge"')
    waiting = waiting.replace("%data[%tid]", "%data[%lane]").replace(
        "store %tid, %mine", "store %lane, %mine"
    )
    np.testing.assert_array_equal(run(waiting)[:32], 31 - np.arange(32))
    fails(MBARRIER.format(count="%thirtytwo", between="", parity="%zero"), "race|not written")
    fails(
        MBARRIER.format(count="%sixtyfour", between="nvvm.barrier", parity="%zero"),
        r"divergent: .*nvvm.mbarrier.try_wait.parity .* for the mbarrier at byte 0 of shared memory, which waits for 32 more to arrive",
    )
    # The second phase never ends.
    fails(
        MBARRIER.format(count="%thirtytwo", between="nvvm.barrier", parity="%one"),
        "divergent: .*try_wait.parity",
    )
    fails(
        MBARRIER.format(count="%one", between="nvvm.barrier", parity="%zero").replace(
            "%state",
            "%s1 = nvvm.mbarrier.arrive.nocomplete %shared, %four : !llvm.ptr<3>, i32 -> i64\n%state",
        ),
        "more arrive at the mbarrier",
    )


SPIN = """
  %isone = llvm.icmp "eq" %tid, %one : i32
  %{who} = llvm.icmp "eq" %tid, %zero : i32
  llvm.cond_br %{who}, ^spin, ^other
  ^spin:
  %x = llvm.load volatile %out : !llvm.ptr -> i32
  %there = llvm.icmp "ne" %x, %zero : i32
  llvm.cond_br %there, ^end, ^spin
  ^other:
  llvm.cond_br %isone, ^write, ^end
  ^write:
  {write}
  llvm.br ^end
  ^end:
  nvvm.bar.warp.sync %all : i32
"""


def test_a_thread_that_waits_by_asking() -> None:
    tell = "llvm.store volatile %one, %out : i32, !llvm.ptr"
    assert run(SPIN.format(who="who", write=tell), threads=32)[0] == 1
    fails(
        SPIN.format(who="who", write=""),
        "divergent: it asks again and again, and nobody else can go on",
        threads=32,
    )


def test_memory_that_nobody_wrote() -> None:
    out = np.zeros(64, np.int32)
    code = kernel(f"{GLOBAL}\n%x = llvm.load %place : !llvm.ptr -> i32", "%out: !llvm.ptr")
    native = emulator._native()
    native.pit_emulator_add_memory(out.ctypes.data, out.nbytes, False)
    try:
        # An argument counts as written, fresh memory does not.
        with pytest.raises(
            KernelError, match="not written: it reads byte 0 of a buffer of 256 bytes in global memory"
        ):
            code.launch("f", [1], [64], 0, [out.ctypes.data])
        code.launch("f", [1], [64], 0, [Pointer(out)])
    finally:
        native.pit_emulator_remove_memory(out.ctypes.data)


def test_checks_can_be_switched_off() -> None:
    before = emulator.set_checks(False)
    try:
        run("llvm.store %tid, %shared : i32, !llvm.ptr<3>")
        fails(f"{GLOBAL}\nllvm.store %tid, %place : i32, !llvm.ptr", "out of bounds", threads=65)
    finally:
        emulator.set_checks(before)


def test_launches_that_do_not_fit() -> None:
    fails("", r"a block of \(2048, 1, 1\) threads: 1 to 1024", threads=2048)
    fails("", "232448 bytes are possible|bytes of shared memory: a block has 232448", dynamic=300000)
    code = kernel("", "%out: !llvm.ptr, %n: i64")
    with pytest.raises(InputError, match="no kernel @g; there are f"):
        code.launch("g", [1], [1])
    with pytest.raises(InputError, match=r"kernel @f takes 2 parameters .* got 1"):
        code.launch("f", [1], [1], 0, [3])


def test_what_the_emulator_does_not_know() -> None:
    with pytest.raises(
        UnsupportedError, match=r"does not know the operation 'nvvm\.tcgen05.relinquish_alloc_permit'"
    ):
        kernel("nvvm.tcgen05.relinquish_alloc_permit")
    with pytest.raises(UnsupportedError, match='inline PTX "nonsense;"'):
        kernel('llvm.inline_asm has_side_effects "nonsense;", "" : () -> ()')

"""libpit_runtime on its own: the allocator and the team of threads."""

import ctypes
import threading
from itertools import pairwise

import pytest

from pit_mlir.errors import PlatformError
from pit_mlir.runtime.library import PATH_VARIABLE, library, library_path
from pit_mlir.runtime.threads import thread_count

WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 4095, 4097, 3 << 20, (1 << 23) + 1])
def test_blocks_are_aligned_and_come_back(size: int) -> None:
    """A freed block serves the next request of its size."""
    native = library()
    first = native.pit_alloc(size)
    assert first % 64 == 0
    ctypes.memset(first, 0x5A, size)
    native.pit_free(first)
    second = native.pit_alloc(size)
    assert second == first
    native.pit_free(second)


def test_live_blocks_do_not_overlap() -> None:
    """Sizes around the borders of size classes."""
    native = library()
    sizes = [n + d for n in (64, 80, 96, 128, 1 << 12, 5 << 10) for d in (-1, 0, 1)]
    blocks = sorted((native.pit_alloc(size), size) for size in sizes)
    for (address, size), (following, _) in pairwise(blocks):
        assert address + size <= following
    for address, _ in blocks:
        native.pit_free(address)


def test_cache_is_bounded() -> None:
    """Nothing is kept beyond the limit."""
    native = library()
    before = native.pit_set_cache_limit(1 << 20)
    try:
        assert native.pit_cached_bytes() <= 1 << 20
        blocks = [native.pit_alloc(1 << 19) for _ in range(8)]
        for block in blocks:
            native.pit_free(block)
        assert native.pit_cached_bytes() <= 1 << 20
    finally:
        native.pit_set_cache_limit(before)


def test_allocator_from_several_threads() -> None:
    """Every block belongs to one thread at a time."""
    native = library()
    wrong: list[int] = []

    def work(mark: int) -> None:
        for turn in range(200):
            block = native.pit_alloc(100 + turn)
            ctypes.memset(block, mark, 100 + turn)
            if set(ctypes.string_at(block, 100 + turn)) != {mark}:
                wrong.append(mark)
            native.pit_free(block)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_team_runs_each_member_once(threads: int) -> None:
    """Each number below the size of the team comes once."""
    seen: list[int] = []
    lock = threading.Lock()

    @WORK
    def work(context: int, number: int) -> None:
        with lock:
            seen.append(number)

    for _ in range(20):
        seen.clear()
        size = library().pit_run_team(threads, ctypes.cast(work, ctypes.c_void_p), None)
        assert 1 <= size <= threads
        assert sorted(seen) == list(range(size))


def test_nested_team_has_one_member() -> None:
    """A region inside a region runs on the thread that met it."""
    sizes: list[int] = []

    @WORK
    def inner(context: int, number: int) -> None:
        pass

    @WORK
    def outer(context: int, number: int) -> None:
        sizes.append(library().pit_run_team(4, ctypes.cast(inner, ctypes.c_void_p), None))

    library().pit_run_team(2, ctypes.cast(outer, ctypes.c_void_p), None)
    assert set(sizes) == {1}


def test_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where it looked and how to build."""
    monkeypatch.setenv(PATH_VARIABLE, "/nowhere/libpit_runtime.so")
    with pytest.raises(PlatformError, match=r"/nowhere/libpit_runtime\.so.*cmake"):
        library_path()


def test_thread_count_is_positive() -> None:
    """At least the thread that asks."""
    assert thread_count() >= 1

"""How much memory compiled programs use, and the giving back of what compiling took."""

import ctypes
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from pit_mlir import bindings
from pit_mlir.runtime.library import library

MAPS = Path("/proc/self/maps")
_DO_NOT_NEED = 4
"""MADV_DONTNEED: pages of a file are read again when they are needed again."""


def live_bytes() -> int:
    """Bytes that compiled programs hold now, results that their callers keep among them."""
    return library().pit_live_bytes()


def peak_bytes(run: Callable[[], object]) -> int:
    """The most bytes that programs held at a time during `run()`, beyond what they held before.

    Results count, arguments do not; what programs on other threads do counts too. Blocks count with their full size,
    which is up to a quarter more than what a buffer needs.
    """
    native = library()
    before = native.pit_live_bytes()
    native.pit_reset_peak_bytes()
    run()
    return native.pit_peak_bytes() - before


def give_back() -> None:
    """Gives back to the system what a compilation leaves behind, and the next one would take again.

    That is freed memory that the allocators keep, and the pages of the compiler's own code: 100 MiB and more, which
    would stay with a process that compiles once and then only calls (measured with a model of BERT's form).
    """
    native, system = library(), _c_library()
    native.pit_set_cache_limit(native.pit_set_cache_limit(0))
    system.malloc_trim(0)
    for begin, end in _code_spans():
        system.madvise(begin, end - begin, _DO_NOT_NEED)


def _code_spans() -> Iterator[tuple[int, int]]:
    """Where the compiler's code lies that nobody has written to."""
    for line in MAPS.read_text().splitlines():
        span, access, *_, name = line.split()
        if access == "r-xp" and any(library in name for library in bindings.libraries()):
            begin, end = span.split("-")
            yield int(begin, 16), int(end, 16)


@cache
def _c_library() -> ctypes.CDLL:
    system = ctypes.CDLL(None)
    system.malloc_trim.argtypes = [ctypes.c_size_t]
    system.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return system

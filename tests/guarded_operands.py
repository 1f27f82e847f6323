"""A plugin of pytest: operands that tests give to compiled programs end at a page that nobody may touch, or begin at one.

The runtime's own buffers do so where it is built with `PIT_GUARD_PAGES`; `tests/sanitize.py guard` uses both.
"""

import ctypes
import mmap
import random
from typing import Any

import numpy
from _pytest.config import Config

from pit_mlir.runtime.program import Program

RANDOM = random.Random(0)


def guarded(array: numpy.ndarray, *, at_begin: bool) -> numpy.ndarray:
    """A copy of `array` in pages of its own, at their begin or at their end, between two without access."""
    pages = max(1, -(-array.nbytes // mmap.PAGESIZE)) * mmap.PAGESIZE
    memory = numpy.frombuffer(mmap.mmap(-1, pages + 2 * mmap.PAGESIZE), numpy.uint8)
    start = mmap.PAGESIZE + (0 if at_begin else pages - array.nbytes)
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for page in (memory.ctypes.data, memory.ctypes.data + mmap.PAGESIZE + pages):
        if protect(page, mmap.PAGESIZE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return copy


def pytest_configure(config: Config) -> None:
    """Puts `guarded` before each call of a program with arrays."""
    del config
    run_numpy = Program.run_numpy

    def run_guarded(self: Program, *arguments: Any, threads: int | None = None) -> list[numpy.ndarray]:
        at_begin = RANDOM.random() < 0.4
        kept = [
            guarded(argument, at_begin=at_begin)
            if isinstance(argument, numpy.ndarray) and argument.nbytes
            else argument
            for argument in arguments
        ]
        return run_numpy(self, *kept, threads=threads)

    Program.run_numpy = run_guarded

"""Memory in huge pages, for what is read in every call: weights stream faster when few pages hold them."""

import ctypes
import mmap

HUGE_PAGE = 2 << 20


def huge_pages(size: int) -> tuple[mmap.mmap, int]:
    """Zeroed memory that holds `size` bytes from an offset on, which is that of a huge page; freed with its last user.

    A system without huge pages gives it small ones.
    """
    memory = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return memory, -start % HUGE_PAGE

"""`pit-mlir cache`: what is kept of compiled programs, and where."""

import sys
import time

from pit_mlir.cache import KINDS, PROGRAMS, SIZE_VARIABLE, Cache, size_limit
from pit_mlir.tools.terminal import show


def run(*, clear: bool) -> int:
    """Shows the cache, or removes what it holds; the status of the process."""
    store = Cache(PROGRAMS)
    try:
        entries = store.entries()
        freed = sum(Cache(kind).clear() for kind in KINDS) if clear else 0
    except OSError as error:
        print(f"pit-mlir: error: {error.filename or store.folder}: {error.strerror}", file=sys.stderr)
        return 1
    if clear:
        return show(f"removed {count_text(len(entries))}, {megabytes(freed)}, from {store.folder}\n")
    limit = size_limit()
    kept = f"at most {megabytes(limit)}" if limit else f"off, {SIZE_VARIABLE} is 0"
    lines = [
        f"{store.folder}",
        f"{count_text(len(entries))}, {megabytes(sum(e.bytes for e in entries))}; {kept}",
    ]
    if entries:
        hours = (time.time() - min(entry.used for entry in entries)) / 3600
        lines.append(f"the one not used for the longest time was used {hours:.1f} hours ago")
    return show("\n".join(lines) + "\n")


def count_text(count: int) -> str:
    """`1 program`, `2 programs`."""
    return f"{count} program" + ("" if count == 1 else "s")


def megabytes(size: int) -> str:
    """`size` bytes for a reader."""
    return f"{size / 2**20:,.1f} MiB"

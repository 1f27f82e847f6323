"""Ctrl-C while MLIR calls back into Python."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Meanwhile, Ctrl-C waits; it takes effect at the end.

    A `KeyboardInterrupt` inside a callback from MLIR (a walk, the verifier of an operation) would come out as another
    exception, and leave the IR as it stood.
    """
    before = signal.getsignal(signal.SIGINT)
    # Only the main thread may set handlers, and only it is interrupted.
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    waiting: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: waiting.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            before(*waiting[0])

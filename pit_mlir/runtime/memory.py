"""How much memory compiled programs use."""

from collections.abc import Callable

from pit_mlir.runtime.library import library


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

"""The console scripts: what holds from the first moment on, before anything that takes time is loaded."""

import signal
import sys


def pit_mlir() -> None:
    """`pit-mlir`."""
    _end_at_interrupt()
    from pit_mlir.tools.pit_mlir import main

    main()


def pit_mlir_opt() -> None:
    """`pit-mlir-opt`."""
    _end_at_interrupt()
    from pit_mlir.tools.pit_mlir_opt import main

    sys.exit(main())


def _end_at_interrupt() -> None:
    """Makes Ctrl-C end the process at once, without a traceback of whatever is being imported."""
    # A job in the background ignores it, and goes on doing so.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

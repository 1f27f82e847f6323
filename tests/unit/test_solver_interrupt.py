"""Ctrl-C while the solver works: it interrupts the program, and is no answer."""

import os
import signal
import threading

import pytest

from pit_mlir.analysis import smt


def test_ctrl_c_is_not_an_answer() -> None:
    x, y, z = (smt.bits_variable(name, 64) for name in "xyz")
    square = x * y == z * z + 7
    claim = smt.negate(smt.both(square, x * z == y * y * 3 + 1, x * x * x == y + z * z * z))
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        smt.ask(claim, [], 20_000)
    timer.join()

"""A process that is forked while another thread proves can prove as well."""

import os
import signal
import threading
import time
import warnings

from structured_text import generic, with_op

from pit_mlir.analysis import permutation
from pit_mlir.analysis.permutation import prove

BODY = "%k = arith.constant 5.5 : f32\n%p = arith.mulf %x0, %k : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32"


def proved() -> bool:
    proof = with_op(generic([("d0, d1", "f32")], [("d0", "f32")], BODY, iterators=2), prove)
    return proof is not None and proof.verdicts == ("parallel", "reduction")


def test_fork_while_another_thread_proves() -> None:
    is_proving = threading.Event()

    def work() -> None:
        with permutation._asking(1000):  # pyright: ignore[reportPrivateUsage]
            is_proving.set()
            time.sleep(0.3)

    worker = threading.Thread(target=work)
    worker.start()
    is_proving.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that threads and forks do not go together
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the end of a child that waits for ever
        signal.alarm(20)
        os._exit(0 if proved() else 1)
    worker.join()
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert proved()

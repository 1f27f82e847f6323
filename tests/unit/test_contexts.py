"""Contexts are made by several threads at once."""

import subprocess
import sys

THREADS = """
import sys, threading
from pit_mlir.dialect import make_context

sys.setswitchinterval(1e-5)

def work():
    for _ in range(6):
        make_context()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_contexts_of_several_threads() -> None:
    """In a process of its own: two that load the dialect at once end it."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

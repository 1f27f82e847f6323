"""Compiled models where processes fork, are interrupted, and end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy
import pytest
import torch
from targets import ON_CPU, small
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import pit_mlir as pit

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 64)).eval()


X = torch.randn(small(512, 32), 256)


@pytest.fixture(scope="module")
def fast(model: nn.Sequential) -> pit.CompiledModule:
    compiled = pit.compile(model, (X,))
    compiled(X)
    return compiled


def is_right(given: Tensor, expected: Tensor) -> bool:
    """By numpy: in a forked child, torch's own operators on two threads hang."""
    return numpy.allclose(given.numpy(), expected.numpy(), atol=1e-4)


def in_child(work: Callable[[], bool], seconds: float = 30) -> None:
    """Runs `work` in a forked child, which must say True in time."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def test_calls_in_a_forked_child(fast: pit.CompiledModule, model: nn.Module) -> None:
    """The pool of threads that the parent used is gone."""
    expected = model(X)
    in_child(lambda: all(is_right(fast(X), expected) for _ in range(10)))
    in_child(lambda: torch.set_num_threads(1) is None and is_right(fast(X), expected))
    assert is_right(fast(X), expected)


def test_compiles_in_a_forked_child(fast: pit.CompiledModule, model: nn.Module) -> None:
    expected = model(X)
    in_child(lambda: is_right(pit.compile(model, (X,))(X), expected), 60)


@pytest.mark.skipif(
    not ON_CPU, reason="a GPU does not survive a fork while others use it, nor does the emulator"
)
def test_forks_while_others_call(fast: pit.CompiledModule, model: nn.Module) -> None:
    expected, stop = model(X), threading.Event()

    def call() -> None:
        with torch.no_grad():
            while not stop.is_set():
                fast(X)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            in_child(lambda: is_right(fast(X), expected))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Answers(Dataset[Tensor]):
    def __init__(self, compiled: pit.CompiledModule) -> None:
        self.compiled = compiled

    def __len__(self) -> int:
        return 4

    def __getitem__(self, place: int) -> Tensor:
        with torch.no_grad():
            return self.compiled(X)


def test_workers_of_a_data_loader(fast: pit.CompiledModule, model: nn.Module) -> None:
    batches = list(DataLoader(Answers(fast), batch_size=2, num_workers=2, timeout=60))
    assert len(batches) == 2 and all(is_right(answer, model(X)) for batch in batches for answer in batch)


def test_spawned_process_is_refused(fast: pit.CompiledModule) -> None:
    process = multiprocessing.get_context("spawn").Process(target=print, args=(fast,))
    with pytest.raises(pit.UnsupportedError, match="spawned process"):
        process.start()


HEAD = """
import gc, os, signal, sys, threading, time
import torch
from torch import nn
import pit_mlir as pit
from pit_mlir.bindings import live_contexts
from pit_mlir.runtime.library import library

torch.set_grad_enabled(False)
# A job in the background starts with this signal ignored, and its children too.
signal.signal(signal.SIGINT, signal.default_int_handler)

def mlp(width, depth):
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(depth))).eval()

def interrupt_after(seconds, work):
    def interrupt():
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        work()
        thread.join()
        time.sleep(1)
    except KeyboardInterrupt:
        thread.join()
        return True
    return False
"""

PROGRAMS = {
    "Ctrl-C in calls": f"""
width = {small(1024, 128)}
model, x = mlp(width, 4), torch.randn(4 * width, width)
fast = pit.compile(model, (x,))
fast(x)
start = time.perf_counter(); fast(x); seconds = time.perf_counter() - start
gc.collect()
live = library().pit_live_bytes()
for _ in range(3):
    assert interrupt_after(seconds / 3, lambda: fast(x))
    gc.collect()
    assert library().pit_live_bytes() == live
torch.testing.assert_close(fast(x), model(x), rtol=1e-3, atol=1e-4)
""",
    "Ctrl-C while compiling": """
model, x = mlp(16, 2), torch.randn(8, 16)
pit.compile(model, (x,))
start = time.perf_counter(); pit.compile(model, (x,)); seconds = time.perf_counter() - start
sys.unraisablehook = lambda _: None  # an interrupt that comes in a __del__ of torch's is lost
interrupted = [interrupt_after(seconds * part / 8, lambda: pit.compile(model, (x,))) for part in range(1, 8)]
assert sum(interrupted) > 3
gc.collect()
assert live_contexts() == 0
torch.testing.assert_close(pit.compile(model, (x,))(x), model(x))
""",
    "end while daemon threads call": """
model, x = mlp(512, 4), torch.randn(1024, 512)
fast = pit.compile(model, (x,))
# On numpy: the destructor of a torch tensor takes the interpreter's lock, which aborts a daemon thread at the end.
arrays = [tensor.detach().numpy() for tensor in fast._bind((x,), {}).passed]
def call():
    while True:
        fast._program.run_numpy(*arrays)
for _ in range(2):
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.3)
""",
    "calls at the end": """
import atexit
model, x = mlp(16, 2), torch.randn(8, 16)
fast = pit.compile(model, (x,))
kept = [fast(x)]
atexit.register(lambda: torch.testing.assert_close(fast(x), model(x)))
class Late:
    def __del__(self):
        kept.append(fast(x))
sys.modules["late"] = Late()
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs(program: str) -> None:
    """Each in an interpreter of its own, which must end well and say nothing."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""The driver of `stub_driver.cpp`: compiled when it is first asked for, and what tests tell it."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAUNCHED = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p))


def build(folder: Path) -> Path | None:
    """Compiles the driver into `folder`; None without a compiler."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return None
    library = folder / "libcuda_stub.so"
    source = Path(__file__).with_name("stub_driver.cpp")
    subprocess.run(
        [compiler, "-std=c++20", "-O1", "-shared", "-fPIC", str(source), "-o", str(library)],
        check=True,
        timeout=120,
    )
    return library


class StubDriver:
    """The driver in this process."""

    def __init__(self, library: Path) -> None:
        self.native = ctypes.CDLL(str(library))
        self.native.stub_log.restype = ctypes.c_char_p
        self.native.stub_limit.argtypes = [ctypes.c_long]
        self._callback: Any = None

    def reset(self) -> None:
        """As it was when it was opened, except for its memory."""
        self.native.stub_reset()

    def log(self) -> list[str]:
        """What happened since the last time."""
        return [line.strip() for line in self.native.stub_log().decode().splitlines()]

    def fail(self, function: str, code: int, after: int = 0) -> None:
        """`function` answers `code`, from its next call on or so many calls later."""
        self.native.stub_fail(function.encode(), code, after)

    def on_launch(self, run: Callable[[str, list[int]], None], parameters: int) -> None:
        """Kernels are `run`, which gets the name and that many parameters, all of 64 bits."""

        def callback(name: bytes, addresses: Any) -> None:
            values = [ctypes.c_int64.from_address(addresses[i]).value for i in range(parameters)]
            run(name.decode(), values)

        self._callback = LAUNCHED(callback)
        self.native.stub_on_launch(self._callback)

"""A compiler for deep learning whose sparsity is known only at run time."""

import platform
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pit_mlir.errors import InputError, KernelError, PassError, PitError, PlatformError, UnsupportedError
from pit_mlir.log import configure as _configure_log

if TYPE_CHECKING:
    from pit_mlir.compile import compile
    from pit_mlir.compiled_module import CompiledModule
    from pit_mlir.frontend.marks import mark, threshold
    from pit_mlir.frontend.padding import Padding
    from pit_mlir.options import CompileOptions
    from pit_mlir.program_file import load

__version__ = "0.1.0"

__all__ = [
    "CompileOptions",
    "CompiledModule",
    "InputError",
    "KernelError",
    "Padding",
    "PassError",
    "PitError",
    "PlatformError",
    "UnsupportedError",
    "compile",
    "load",
    "mark",
    "threshold",
]

# Loaded when they are first asked for: they import torch, which takes seconds and which our tools do not need.
_LAZY = {
    "CompileOptions": "pit_mlir.options",
    "CompiledModule": "pit_mlir.compiled_module",
    "Padding": "pit_mlir.frontend.padding",
    "compile": "pit_mlir.compile",
    "load": "pit_mlir.program_file",
    "mark": "pit_mlir.frontend.marks",
    "threshold": "pit_mlir.frontend.marks",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pit_mlir' has no attribute '{name}'")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This module's class: `compile` stays the function, though importing the submodule of that name sets it."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _LAZY and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def _require_platform() -> None:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ("x86_64", "aarch64"):
        raise PlatformError(f"pit_mlir runs on Linux x86-64 and aarch64, got {platform.system()} {machine}")
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise PlatformError(f"pit_mlir runs on Python 3.11 to 3.13, got {platform.python_version()}")


_require_platform()
_configure_log()

"""libpit_runtime: where it is found, and its C functions with their types."""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

from pit_mlir.errors import PlatformError

VERSION = 1
"""Of what compiled code calls in the library: another number where a function of it does another thing."""
FILE_NAME = "libpit_runtime.so"
PATH_VARIABLE = "PIT_RUNTIME_LIBRARY"


def library_path() -> Path:
    """The library's file: `$PIT_RUNTIME_LIBRARY`, else in the installed package, else in the tree's build folder.

    Raises `PlatformError` where there is none.
    """
    chosen = os.environ.get(PATH_VARIABLE)
    package = Path(__file__).parent
    # An editable install keeps the Python files in the source tree and the library in site-packages.
    candidates = (
        [Path(chosen)]
        if chosen
        else [
            package / FILE_NAME,
            *(Path(entry) / "pit_mlir" / "runtime" / FILE_NAME for entry in sys.path if entry),
            package.parent.parent / "build" / "native" / FILE_NAME,
        ]
    )
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise PlatformError(
        f"{FILE_NAME} is not built; looked for {', '.join(map(str, candidates))}. "
        "In a source tree: cmake -S . -B build/native && cmake --build build/native"
    )


@cache
def library() -> ctypes.CDLL:
    """The loaded library; its functions release the interpreter's lock while they run."""
    loaded = ctypes.CDLL(str(library_path()), mode=ctypes.RTLD_GLOBAL)
    pointer, i32, u64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint64
    signatures: dict[str, tuple[object, list[object]]] = {
        "pit_alloc": (pointer, [u64]),
        "pit_free": (None, [pointer]),
        "pit_make_lasting": (None, [pointer]),
        "pit_cached_bytes": (u64, []),
        "pit_live_bytes": (u64, []),
        "pit_peak_bytes": (u64, []),
        "pit_reset_peak_bytes": (None, []),
        "pit_set_cache_limit": (u64, [u64]),
        "pit_use_openmp_runtime": (ctypes.c_bool, []),
        "pit_publish_code": (None, [pointer, pointer]),
        "pit_run_team": (i32, [i32, pointer, pointer]),
    }
    _declare(loaded, signatures)
    return loaded


@cache
def python_library() -> ctypes.PyDLL:
    """The functions that make Python objects; they are called with the interpreter's lock."""
    loaded = ctypes.PyDLL(str(library_path()))
    loaded.pit_call.restype = loaded.pit_call_on.restype = ctypes.py_object
    loaded.pit_call.argtypes = [*[ctypes.c_void_p] * 4, ctypes.c_int32]
    loaded.pit_call_on.argtypes = [ctypes.c_void_p] * 7
    return loaded


@cache
def device_library() -> ctypes.CDLL:
    """The functions of devices; handles are addresses."""
    loaded = library()
    pointer, i32, i64, u64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64
    signatures: dict[str, tuple[object, list[object]]] = {
        "pit_cuda_device": (pointer, [i32]),
        "pit_cuda_device_count": (i32, []),
        "pit_cuda_describe": (ctypes.c_bool, [i32, pointer, pointer, i32]),
        "pit_device_failure": (ctypes.c_char_p, []),
        "pit_device_set_allocator": (None, [pointer, pointer, pointer]),
        "pit_device_trim": (None, [pointer]),
        "pit_device_live_bytes": (u64, [pointer]),
        "pit_device_cached_bytes": (u64, [pointer]),
        "pit_device_load": (pointer, [pointer, pointer, u64, pointer, i32]),
        "pit_device_unload": (None, [pointer]),
        "pit_device_synchronize": (i64, [pointer, pointer]),
    }
    _declare(loaded, signatures)
    return loaded


@cache
def emulator_library() -> ctypes.CDLL:
    """The functions of the emulated GPU."""
    loaded = library()
    pointer, text, truth = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_bool
    signatures: dict[str, tuple[object, list[object]]] = {
        "pit_emulator_device": (pointer, []),
        "pit_emulator_add_memory": (truth, [pointer, ctypes.c_uint64, truth]),
        "pit_emulator_remove_memory": (None, [pointer]),
        "pit_emulator_launch": (truth, [pointer, pointer, pointer]),
        "pit_emulator_message": (text, []),
        "pit_emulator_location": (text, []),
        "pit_emulator_set_checks": (truth, [truth]),
    }
    _declare(loaded, signatures)
    return loaded


def _declare(loaded: ctypes.CDLL, signatures: dict[str, tuple[object, list[object]]]) -> None:
    for name, (result, arguments) in signatures.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments

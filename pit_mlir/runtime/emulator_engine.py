"""From kernels in the NVVM dialect to what the emulator loads, by LLVM's engine."""

import ctypes
import json
import struct
from dataclasses import astuple
from typing import Any

from pit_mlir.bindings import ExecutionEngine, ir
from pit_mlir.codegen.emulator.host import HostKernels, to_host
from pit_mlir.errors import UnsupportedError
from pit_mlir.runtime.emulator import EmulatedKernels
from pit_mlir.runtime.engine import object_file_of
from pit_mlir.runtime.library import library, library_path
from pit_mlir.runtime.machine_code import is_loadable

_OPTIMIZATION = 1


def build(gpu_module: ir.Operation) -> EmulatedKernels:
    """Compiles the kernels of `gpu_module`, which is in the NVVM dialect, for the emulator.

    Raises `UnsupportedError` for an operation that the emulator does not know.
    """
    return EmulatedKernels(build_image(gpu_module))


def build_image(gpu_module: ir.Operation) -> bytes:
    """The kernels of `gpu_module` as `EmulatedKernels` loads them: what is known of them, and an object file."""
    host = to_host(gpu_module)
    _check_links(host)
    if not host.kernels:
        # The engine has no object file of nothing.
        return _packed({"kernels": [], "sites": [], "constants": []}, b"")
    engine = ExecutionEngine(host.module, opt_level=_OPTIMIZATION, shared_libs=[str(library_path())])
    for kernel in host.kernels:
        engine.raw_lookup(kernel.name)
    content = object_file_of(engine)
    if not is_loadable(content):
        raise UnsupportedError("the emulator's machine code cannot be loaded on this machine")
    about = {
        "kernels": [astuple(kernel) for kernel in host.kernels],
        "sites": host.sites,
        "constants": host.constants,
    }
    return _packed(about, content)


def _packed(about: dict[str, Any], content: bytes) -> bytes:
    """`about` the kernels, before the object file `content`."""
    header = json.dumps(about).encode()
    return struct.pack("<Q", len(header)) + header + content


def _check_links(host: HostKernels) -> None:
    """Raises `UnsupportedError` for a function that kernels call and neither the runtime nor the C library has."""
    for op in host.module.body.operations:
        if op.operation.name == "llvm.func" and not op.operation.regions[0].blocks:
            name = ir.StringAttr(op.operation.attributes["sym_name"]).value
            if not any(_has(loaded, name) for loaded in (library(), ctypes.CDLL(None))):
                raise UnsupportedError(
                    f"kernels call '{name}', which neither the emulator nor the C library has"
                )


def _has(loaded: ctypes.CDLL, name: str) -> bool:
    try:
        loaded[name]
    except AttributeError:
        return False
    return True

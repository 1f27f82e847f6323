"""The emulated GPU: a device of programs, and kernels launched alone on arrays of numpy. No MLIR in here.

The emulator runs each thread of a block as a fiber of the host, and reports what the programming model of CUDA does
not allow: see docs/emulator.md. `emulator_engine.py` makes the kernels from a `gpu.module`.
"""

import ctypes
import json
import os
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy

from pit_mlir.codegen.emulator.about import KernelInfo
from pit_mlir.errors import InputError, KernelError, PitError
from pit_mlir.runtime.device import Device, Kernels, LoadedKernels, best_image, last_failure
from pit_mlir.runtime.library import emulator_library
from pit_mlir.runtime.machine_code import MachineCode

CHECKS_VARIABLE = "PIT_EMULATE_CHECKS"
"""Set to 0, accesses are not compared with those before them; bounds and barriers are always checked."""

_SCALARS = {
    "i1": "?", "i8": "b", "i16": "h", "i32": "i", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip


class _Site(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_char_p), ("location", ctypes.c_char_p))


class _Kernel(ctypes.Structure):
    """`Kernel` of native/emulator/machine.h."""

    _fields_ = (
        ("entry", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("sites", ctypes.POINTER(_Site)),
        ("static_shared", ctypes.c_uint32),
        ("meets", ctypes.c_uint32),
        ("max_threads", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class _Image(ctypes.Structure):
    """`Image` of native/emulator/device.cpp."""

    _fields_ = (("kernels", ctypes.POINTER(_Kernel)), ("count", ctypes.c_uint64))


class _Grid(ctypes.Structure):
    """`Grid` of native/device.h."""

    _fields_ = (
        ("blocks", ctypes.c_uint32 * 3),
        ("threads", ctypes.c_uint32 * 3),
        ("shared_bytes", ctypes.c_uint32),
    )


class Pointer(NamedTuple):
    """An argument of `launch` that is one pointer to the elements of `array`, not the descriptor of a memref."""

    array: "numpy.ndarray[Any, Any]"


class EmulatedKernels:
    """Kernels in machine code of the host, which run one thread each; calls may come from several threads at once."""

    def __init__(self, content: bytes) -> None:
        """Loads what `build_image` made; raises `UnsupportedError` where it calls a function that nobody has."""
        (length,) = struct.unpack_from("<Q", content)
        about = json.loads(content[8 : 8 + length])
        code = content[8 + length :]
        # A program may launch nothing.
        self._code = MachineCode(code) if code else None
        self.kernels = {
            name: KernelInfo(name, tuple(parameters), shared_bytes, meets, max_threads)
            for name, parameters, shared_bytes, meets, max_threads in about["kernels"]
        }
        self._sites = (_Site * max(len(about["sites"]), 1))(
            *(_Site(op.encode(), location.encode()) for op, location in about["sites"])
        )
        self._table = (_Kernel * max(len(self.kernels), 1))(*map(self._entry, self.kernels.values()))
        self._places = {name: place for place, name in enumerate(self.kernels)}
        self.image = _Image(self._table, len(self.kernels))
        """What the emulator loads as a device; it is good for as long as this object is."""
        self._constants = [(self._address(name), size) for name, size in about["constants"]]
        for address, size in self._constants:
            _native().pit_emulator_add_memory(address, size, True)

    def __del__(self) -> None:
        for address, _ in getattr(self, "_constants", ()):
            _native().pit_emulator_remove_memory(address)

    def _address(self, name: str) -> int:
        assert self._code is not None, f"{name} in no code"
        return self._code.address(name)

    def _entry(self, info: KernelInfo) -> _Kernel:
        address = self._address(f"_mlir_{info.name}")
        return _Kernel(
            address, info.name.encode(), self._sites, info.shared_bytes, info.meets, info.max_threads, 0
        )

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        shared_bytes: int = 0,
        arguments: Sequence[Any] = (),
    ) -> None:
        """Runs kernel `name` on `grid` blocks of `block` threads, and waits for its end.

        `arguments` are arrays (memrefs: pointers, offset, sizes, strides), `Pointer`s, and numbers. `shared_bytes` is
        the size of shared memory that the kernel does not declare. Raises `InputError` where arguments do not fit,
        and `KernelError` where the kernel did what it must not.
        """
        if name not in self.kernels:
            raise InputError(f"there is no kernel @{name}; there are {', '.join(sorted(self.kernels))}")
        parameters = _parameters(self.kernels[name], arguments)
        pointers = (ctypes.c_void_p * max(len(parameters), 1))(
            *(ctypes.addressof(cell) for cell in parameters)
        )
        shape = _Grid(_three(grid), _three(block), shared_bytes)
        memory = [(a.array if isinstance(a, Pointer) else a) for a in arguments]
        native = _native()
        spans = [_span(array) for array in memory if isinstance(array, numpy.ndarray)]
        for begin, size in spans:
            native.pit_emulator_add_memory(begin, size, True)
        try:
            kernel = ctypes.byref(self._table[self._places[name]])
            if not native.pit_emulator_launch(kernel, ctypes.byref(shape), pointers):
                message, location = native.pit_emulator_message(), native.pit_emulator_location()
                raise KernelError(message.decode(), location=location.decode() or None)
        finally:
            for begin, _ in spans:
                native.pit_emulator_remove_memory(begin)


class EmulatorDevice(Device):
    """The emulated GPU as a device: its tensors are those of the host."""

    def __init__(self, chip: str) -> None:
        """An emulated GPU that takes code for `chip`; there is one memory for all of them."""
        super().__init__(_native().pit_emulator_device(), 0, "emulator", chip)
        self.place = "cpu"

    def __str__(self) -> str:
        return f"the emulator of {self.chip}"

    def stream(self) -> int:
        """There is one; work is done when it was asked for."""
        return 0

    def load(self, kernels: Kernels) -> LoadedKernels:
        """Loads `kernels`; raises `PlatformError` where none of their images fits."""
        image = best_image(kernels.images, self.chip, str(self))
        emulated = EmulatedKernels(image.content)
        loaded = self.load_image(bytes(emulated.image), kernels.names)
        loaded.code = emulated
        return loaded

    def failure(self) -> PitError:
        """The error for what a kernel did last on this thread."""
        return KernelError(last_failure())


@cache
def emulator_device(chip: str = "sm_80") -> EmulatorDevice:
    """The emulated GPU of the kind `chip`."""
    return EmulatorDevice(chip)


@cache
def _native() -> ctypes.CDLL:
    """The emulator's functions; `$PIT_EMULATE_CHECKS` is read at the first use."""
    native = emulator_library()
    native.pit_emulator_set_checks(os.environ.get(CHECKS_VARIABLE, "1") != "0")
    return native


def set_checks(checks: bool) -> bool:
    """Says whether accesses are compared with those before them from now on; returns what held before."""
    return _native().pit_emulator_set_checks(checks)


def _three(sizes: Sequence[int]) -> Any:
    return (ctypes.c_uint32 * 3)(*(*sizes, 1, 1, 1)[:3])


def _span(array: "numpy.ndarray[Any, Any]") -> tuple[int, int]:
    """The memory of `array`, from its first element to its last."""
    low, high = numpy.lib.array_utils.byte_bounds(array)
    return low, high - low


def _parameters(info: KernelInfo, arguments: Sequence[Any]) -> list[Any]:
    """`arguments` as C values, in the order of the kernel's parameters."""
    values: list[Any] = []
    for argument in arguments:
        if isinstance(argument, Pointer):
            values.append(argument.array.ctypes.data)
        elif isinstance(argument, numpy.ndarray) and argument.ndim >= 0:
            strides = [stride // argument.itemsize for stride in argument.strides]
            values += [argument.ctypes.data, argument.ctypes.data, 0, *argument.shape, *strides]
        else:
            values.append(argument)
    if len(values) != len(info.parameters):
        raise InputError(
            f"kernel @{info.name} takes {len(info.parameters)} parameters ({', '.join(info.parameters)}), "
            f"got {len(values)}; an array makes 3 + 2 x rank, a Pointer one"
        )
    return [_cell(value, type_) for value, type_ in zip(values, info.parameters, strict=True)]


def _cell(value: Any, type_: str) -> Any:
    """Memory that holds `value` as `type_`."""
    if type_.startswith("!llvm.ptr"):
        return ctypes.c_uint64(int(value))
    if type_ not in _SCALARS:
        raise InputError(f"a parameter of type {type_} cannot be given from Python")
    return ctypes.create_string_buffer(struct.pack(f"<{_SCALARS[type_]}", value), 8)

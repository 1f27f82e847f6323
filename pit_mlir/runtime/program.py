"""A compiled program: machine code and its type, called with pointers and sizes or with numpy arrays; without MLIR."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from pit_mlir.errors import InputError, PitError, PlatformError
from pit_mlir.runtime.device import Device, Image, Kernels
from pit_mlir.runtime.library import device_library, library, python_library
from pit_mlir.runtime.machine_code import MachineCode
from pit_mlir.runtime.memref import RESULTS_START, Signature, describe_mismatch
from pit_mlir.runtime.threads import thread_count

INTERFACE = "_mlir_ciface_main"
"""The function that takes the arguments of @main as C has them: pointers to descriptors."""
ALIGNMENT = 16
"""Kernels of a device read tensors in so many bytes at a time: the first lies at a multiple of it."""
_DONE, _OUT_OF_MEMORY, _DEVICE_FAILED = -1, -2, -3


class Results(NamedTuple):
    """The results of a call: for each a DLPack capsule, which owns its memory, and where in `words` it is described
    (block, data pointer, sizes)."""

    capsules: tuple[Any, ...]
    words: "array[int]"


@dataclass(frozen=True)
class Code:
    """@main in machine code, of type `signature`; `checks` are the messages of its `pit.check`, by number.

    Where we cannot load `object_file`, `engine` did, and the code cannot be stored. A program for a device has
    `kernels`, which @main launches; all its tensors lie on the device. Where only one chip runs these, `general` is the
    same program for any other.
    """

    signature: Signature
    checks: tuple[str, ...]
    object_file: bytes
    engine: Any = None
    kernels: Kernels | None = None
    general: "Code | None" = None

    @property
    def images(self) -> tuple[Image, ...]:
        """All images of kernels that a program for a device carries."""
        own = () if self.kernels is None else self.kernels.images
        return own if self.general is None else (*own, *self.general.images)

    def for_chip(self, chip: str) -> "Code":
        """What a device that is a `chip` runs: the general code where it can load none of the kernels."""
        fits = self.kernels is not None and any(image.runs_on(chip) for image in self.kernels.images)
        return self if fits or self.general is None else self.general


class Program:
    """Machine code, ready to run.

    It keeps no MLIR context. Calls may come from several threads at once; the interpreter's lock is free while
    the program runs.
    """

    def __init__(self, code: Code, device: Device | None = None) -> None:
        """Loads `code`, its kernels on `device`.

        Raises `UnsupportedError` where it calls a function that nobody has, and `PlatformError` where the device
        cannot run the kernels.
        """
        assert (code.kernels is None) == (device is None)
        library().pit_use_openmp_runtime()
        if device is not None:
            code = code.for_chip(device.chip)
        self.device = device
        self._kernels = None if device is None or code.kernels is None else device.load(code.kernels)
        self.code = code
        self.signature = signature = code.signature
        self._machine_code: Any = code.engine
        if code.engine is None:
            self._machine_code = MachineCode(code.object_file)
            # The function that the engine adds, and looks up for the name without its prefix: it takes one array of
            # pointers to all arguments.
            self._entry = self._machine_code.address(f"_mlir_{INTERFACE}")
        else:
            self._entry = code.engine.raw_lookup(INTERFACE)
        self._native = python_library()
        self._signature_words = signature.words()
        self._signature_address = self._signature_words.buffer_info()[0]
        self._item_bytes = array("q", (argument.element.bytes for argument in signature.arguments))
        self._result_words = signature.result_words()
        end = self._result_words[-1].stop if self._result_words else RESULTS_START
        self._out_template = array("q", bytes(8 * end))

    def call(
        self, pointers: Sequence[int], sizes: Sequence[int] = (), *, threads: int | None = None
    ) -> Results:
        """Runs the program on contiguous memory that is large enough; nothing is checked here.

        `pointers` has the address of each argument (a scalar argument: its bits), `sizes` the dynamic sizes of
        all arguments in order. Raises `InputError` when a check of the program fails, and `PlatformError` when memory
        runs out or the device fails.

        On a device this returns when the work is put on its stream; a check that fails there is raised by a later call
        or by `synchronize`.
        """
        values = array("q", pointers)
        values.extend(sizes)
        out = self._out_template[:]
        words = self._entry, self._signature_address, values.buffer_info()[0], out.buffer_info()[0]
        if self._kernels is None or self.device is None:
            capsules = self._native.pit_call(*words, thread_count() if threads is None else threads)
        else:
            item_bytes = self._item_bytes.buffer_info()[0]
            capsules = self._native.pit_call_on(
                *words, item_bytes, self._kernels.handle, self.device.stream()
            )
        if out[0] != _DONE:
            raise self._failure(*out[:2])
        return Results(capsules, out)

    def synchronize(self) -> None:
        """Waits for all calls on the current stream; raises `InputError` where a check of one has failed."""
        if self._kernels is None or self.device is None:
            return
        status = device_library().pit_device_synchronize(self._kernels.handle, self.device.stream())
        if status != _DONE:
            raise self._failure(status, 0)

    def make_lasting(self, results: Results) -> None:
        """Tells that `results` live long: their memory goes back to the system with them, not to later calls.

        Memory of a device is its allocator's own affair.
        """
        if self.device is not None:
            return
        for place in self._result_words:
            library().pit_make_lasting(results.words[place.start])

    def _failure(self, status: int, detail: int) -> PitError:
        """The error for a call that ended with `status`; `detail` has the bytes that were missing, or says that the
        check failed in an earlier call."""
        if status == _OUT_OF_MEMORY:
            if self.device is not None:
                return self.device.out_of_memory(detail)
            size = detail % 2**64 / 2**20
            return PlatformError(f"out of memory: the program needs a buffer of {size:,.1f} MiB more")
        if status == _DEVICE_FAILED:
            assert self.device is not None
            return self.device.failure()
        message = self.code.checks[status]
        if self.device is not None and detail:
            message = (
                f"{message} (in an earlier call, whose results are not to be used: this is seen when the device has "
                "come so far; synchronize() after a call waits for it)"
            )
        return InputError(message)

    def arrays(self, results: Results) -> list[numpy.ndarray[Any, Any]]:
        """`results` as numpy arrays."""
        return [
            owned_array(capsule, results.words[place], result.element.numpy)
            for capsule, place, result in zip(
                results.capsules, self._result_words, self.signature.results, strict=True
            )
        ]

    def run_numpy(self, *arguments: Any, threads: int | None = None) -> list[numpy.ndarray[Any, Any]]:
        """Runs the program on numpy arrays (copied only if not contiguous) and returns new arrays.

        Raises `InputError` for a wrong count, dtype or shape.
        """
        wanted = self.signature.arguments
        if len(arguments) != len(wanted):
            raise InputError(f"the program takes {len(wanted)} arguments, got {len(arguments)}")
        kept: list[numpy.ndarray[Any, Any]] = []
        pointers: list[int] = []
        sizes: list[int] = []
        for number, (given, expected) in enumerate(zip(arguments, wanted, strict=True)):
            tensor = numpy.asarray(given)
            reason = describe_mismatch(expected, tensor.dtype, tensor.shape)
            if reason is not None:
                raise InputError(f"argument {number} {reason}")
            # Not ascontiguousarray: it makes rank 1 of rank 0.
            is_plain = tensor.flags.c_contiguous and (
                self.device is None or tensor.ctypes.data % ALIGNMENT == 0
            )
            tensor = tensor if is_plain else tensor.copy(order="C")
            kept.append(tensor)
            if expected.shape is None:
                pointers.append(int.from_bytes(tensor.tobytes().ljust(8, b"\0"), "little", signed=True))
                continue
            pointers.append(tensor.ctypes.data)
            sizes.extend(
                size for size, static in zip(tensor.shape, expected.shape, strict=True) if static is None
            )
        return self.arrays(self.call(pointers, sizes, threads=threads))


class _Block:
    """The memory of a result, kept by its capsule, as numpy wants to see it."""

    def __init__(self, capsule: Any, words: Sequence[int], item_bytes: int) -> None:
        self._capsule = capsule
        shape, data = tuple(words[2:]), (words[1], False)
        self.__array_interface__ = {"shape": shape, "typestr": f"|V{item_bytes}", "data": data, "version": 3}


def owned_array(capsule: Any, words: Sequence[int], dtype: numpy.dtype[Any]) -> numpy.ndarray[Any, Any]:
    """The result that `words` (block, data pointer, sizes) describe, as an array that keeps `capsule`."""
    return numpy.asarray(_Block(capsule, words, dtype.itemsize)).view(dtype)

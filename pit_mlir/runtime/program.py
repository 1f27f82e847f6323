"""A compiled program: machine code and its type, called with pointers and sizes or with numpy arrays; without MLIR."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from pit_mlir.errors import InputError, PitError, PlatformError
from pit_mlir.runtime.library import library, python_library
from pit_mlir.runtime.machine_code import MachineCode
from pit_mlir.runtime.memref import RESULTS_START, Signature, describe_mismatch
from pit_mlir.runtime.threads import thread_count

INTERFACE = "_mlir_ciface_main"
"""The function that takes the arguments of @main as C has them: pointers to descriptors."""
_DONE, _OUT_OF_MEMORY = -1, -2


class Results(NamedTuple):
    """The results of a call: for each a DLPack capsule, which owns its memory, and where in `words` it is described
    (block, data pointer, sizes)."""

    capsules: tuple[Any, ...]
    words: "array[int]"


@dataclass(frozen=True)
class Code:
    """@main in machine code, of type `signature`; `checks` are the messages of its `pit.check`, by number.

    Where we cannot load `object_file`, `engine` did, and the code cannot be stored.
    """

    signature: Signature
    checks: tuple[str, ...]
    object_file: bytes
    engine: Any = None


class Program:
    """Machine code, ready to run.

    It keeps no MLIR context. Calls may come from several threads at once; the interpreter's lock is free while
    the program runs.
    """

    def __init__(self, code: Code) -> None:
        """Loads `code`; raises `UnsupportedError` where it calls a function that nobody has."""
        library().pit_use_openmp_runtime()
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
        self._call = python_library().pit_call
        self._signature_words = signature.words()
        self._signature_address = self._signature_words.buffer_info()[0]
        self._result_words = signature.result_words()
        end = self._result_words[-1].stop if self._result_words else RESULTS_START
        self._out_template = array("q", bytes(8 * end))

    def call(
        self, pointers: Sequence[int], sizes: Sequence[int] = (), *, threads: int | None = None
    ) -> Results:
        """Runs the program on contiguous memory that is large enough; nothing is checked here.

        `pointers` has the address of each argument (a scalar argument: its bits), `sizes` the dynamic sizes of
        all arguments in order. Raises `InputError` when a check of the program fails, and `PlatformError` when memory
        runs out.
        """
        values = array("q", pointers)
        values.extend(sizes)
        out = self._out_template[:]
        capsules = self._call(
            self._entry,
            self._signature_address,
            values.buffer_info()[0],
            out.buffer_info()[0],
            thread_count() if threads is None else threads,
        )
        if out[0] != _DONE:
            raise self._failure(*out[:2])
        return Results(capsules, out)

    def _failure(self, status: int, missing_bytes: int) -> PitError:
        if status == _OUT_OF_MEMORY:
            size = missing_bytes % 2**64 / 2**20
            return PlatformError(f"out of memory: the program needs a buffer of {size:,.1f} MiB more")
        return InputError(self.code.checks[status])

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
            tensor = tensor if tensor.flags.c_contiguous else tensor.copy(order="C")
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

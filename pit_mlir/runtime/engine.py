"""A compiled program: JIT-compiled once, called with pointers and sizes or with numpy arrays."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy

from pit_mlir.bindings import ExecutionEngine, ir
from pit_mlir.diagnostics import Report
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.passes.pipelines import CPU_PIPELINE
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.library import library, library_path, python_library
from pit_mlir.runtime.memref import Signature, describe_mismatch
from pit_mlir.runtime.threads import thread_count

CHECKS_ATTRIBUTE = "pit.checks"


class Program:
    """A function of a module, compiled to machine code.

    It keeps no MLIR context. Calls may come from several threads at once; the interpreter's lock is free while
    the program runs.
    """

    def __init__(
        self, module: ir.Module, signature: Signature, *, entry: str = "main", opt_level: int = 3
    ) -> None:
        """Compiles `module`, which is in the LLVM dialect, and takes its function `entry` of type `signature`.

        The module attribute `pit.checks` holds the message of each `pit.check`, in the order of their numbers.
        """
        self.signature = signature
        attributes = module.operation.attributes
        self.checks: tuple[str, ...] = (
            tuple(message.value for message in attributes[CHECKS_ATTRIBUTE])
            if CHECKS_ATTRIBUTE in attributes
            else ()
        )
        native = library()
        native.pit_use_openmp_runtime()
        self._engine = ExecutionEngine(module, opt_level=opt_level, shared_libs=[str(library_path())])
        self._engine.initialize()
        self._entry: int = self._engine.raw_lookup(f"_mlir_ciface_{entry}")
        if not self._entry:
            raise UnsupportedError(
                f"the machine code of '{entry}' does not link: it calls a function that neither the runtime nor the C "
                "library has; its name is printed above"
            )
        self._invoke = native.pit_invoke
        self._signature_words = signature.words()
        self._signature_address = self._signature_words.buffer_info()[0]
        self._result_words = signature.result_words()
        end = self._result_words[-1].stop if self._result_words else 0
        self._out_template = array("q", bytes(8 * end))

    def call(
        self, pointers: Sequence[int], sizes: Sequence[int] = (), *, threads: int | None = None
    ) -> "array[int]":
        """Runs the program on contiguous memory that is large enough; nothing is checked here.

        `pointers` has the address of each argument (a scalar argument: its bits), `sizes` the dynamic sizes of
        all arguments in order. Returns, result after result, the block that owns it, its data pointer and its
        sizes: the caller owns the blocks and gives each to `capsule`, `owned_array` or native `pit_free` once.
        Raises `InputError` when a check of the program fails.
        """
        values = array("q", pointers)
        values.extend(sizes)
        out = self._out_template[:]
        failed: int = self._invoke(
            self._entry,
            self._signature_address,
            values.buffer_info()[0],
            out.buffer_info()[0],
            thread_count() if threads is None else threads,
        )
        if failed >= 0:
            raise InputError(self.checks[failed])
        return out

    def capsules(self, out: "array[int]") -> list[Any]:
        """The results of `call` as DLPack capsules, each of which owns its block."""
        make = python_library().pit_capsule
        base = out.buffer_info()[0]
        return [
            make(
                base + 8 * words.start,
                len(result.shape or ()),
                result.element.dlpack_code,
                result.element.dlpack_bits,
            )
            for words, result in zip(self._result_words, self.signature.results, strict=True)
        ]

    def arrays(self, out: "array[int]") -> list[numpy.ndarray[Any, Any]]:
        """The results of `call` as numpy arrays, each of which owns its block."""
        return [
            owned_array(out[words], result.element.numpy)
            for words, result in zip(self._result_words, self.signature.results, strict=True)
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
    """Owns one block of the runtime's allocator and shows it to numpy."""

    def __init__(self, owner: int, data: int, shape: tuple[int, ...], item_bytes: int) -> None:
        self._owner = owner
        self._free = library().pit_free
        kind = f"|V{item_bytes}"
        self.__array_interface__ = {"shape": shape, "typestr": kind, "data": (data, False), "version": 3}

    def __del__(self) -> None:
        self._free(self._owner)


def owned_array(words: Sequence[int], dtype: numpy.dtype[Any]) -> numpy.ndarray[Any, Any]:
    """The result `words` (block, data pointer, sizes) as an array that frees the block when it dies."""
    block = _Block(words[0], words[1], tuple(words[2:]), dtype.itemsize)
    return numpy.asarray(block).view(dtype)


def build_program(module: ir.Module, report: Report | None = None, *, entry: str = "main") -> Program:
    """Lowers `module`, whose function `entry` is on tensors, for the CPU in place, and compiles it."""
    function = next(
        op.operation
        for op in module.body.operations
        if op.operation.name == "func.func"
        and ir.StringAttr(op.operation.attributes["sym_name"]).value == entry
    )
    signature = Signature.of(ir.TypeAttr(function.attributes["function_type"]).value)
    run_pipeline(module, CPU_PIPELINE, report)
    return Program(module, signature, entry=entry)

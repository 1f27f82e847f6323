"""`pit-mlir run`: calls a compiled model from a file."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

from pit_mlir.compiled_module import CompiledModule
from pit_mlir.errors import InputError, PitError
from pit_mlir.frontend.signature import shape_text
from pit_mlir.program_file import Contents, contents, load
from pit_mlir.tools.model_file import read_arrays
from pit_mlir.tools.terminal import print_error, show


def run(file: str, inputs: str | None, output: str | None, repeat: int) -> int:
    """Calls the program in `file` with the arrays in `inputs`, or says what it takes; the exit status."""
    try:
        if inputs is None:
            if output is not None:
                raise InputError("there is no answer to write without --inputs")
            return show(description(file, contents(file)))
        program = load(file)
        answer, seconds = called(program, read_arrays(Path(inputs)), repeat)
        if output is not None:
            written(Path(output), answer)
    except PitError as error:
        print_error(error)
        return 1
    lines = [summary(name, value) for name, value in answer.items()]
    return show("\n".join([*lines, f"{seconds * 1e3:.3f} ms, the fastest of {repeat}", ""]))


def description(file: str, program: Contents) -> str:
    """What the program takes and gives, and on what it runs."""
    interface = program.interface
    lines = [f"{file}: {program.title} for {program.target}"]
    lines += [f"  has {program.images}"] if program.images and program.obstacle is None else []
    lines += [f"  takes {a.name}: {a.dtype} {shape_text(a.shape)}" for a in interface.inputs]
    lines += [f"    {name} in {allowed}" for name, allowed in interface.symbols.items()]
    lines.append(f"  gives {len(interface.outputs)} values")
    if program.obstacle is not None:
        return "\n".join([*lines, f"  does not run here: {program.obstacle}", ""])
    names = ", ".join(f"{a.name}=..." for a in interface.inputs)
    lines += ["", f"numpy.savez('call.npz', {names})", f"pit-mlir run {file} --inputs call.npz", ""]
    return "\n".join(lines)


def called(program: CompiledModule, arrays: Mapping[str, Any], repeat: int) -> tuple[dict[str, Any], float]:
    """The leaves of the answer by name, and how long the fastest of `repeat` calls took."""
    args, kwargs = program.call_with(arrays)
    best, answer = float("inf"), None
    for _ in range(repeat):
        begin = time.perf_counter()
        answer = program(*args, **kwargs)
        program.synchronize()
        best = min(best, time.perf_counter() - begin)
    return program.leaves(answer), best


def written(path: Path, answer: Mapping[str, Any]) -> None:
    """Writes the arrays of an answer."""
    if path.suffix != ".npz":
        raise InputError(f"'{path}': expected a name that ends in .npz")
    try:
        arrays: Any = {name: numpy.asarray(value) for name, value in answer.items()}
        numpy.savez(path, **arrays)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", location=str(path)) from None


def summary(name: str, value: Any) -> str:
    """A leaf of an answer in a line."""
    if not isinstance(value, numpy.ndarray):
        return f"{name}: {value!r}"
    text = f"{name}: {value.dtype} {list(value.shape)}"
    if not value.size:
        return text
    return f"{text}, {value.min():.6g} to {value.max():.6g}, mean {value.mean(dtype=numpy.float64):.6g}"

"""A model as `pit-mlir explain` is given it: a Python file, an exported program, or MLIR."""

import importlib.util
import sys
import traceback
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy

from pit_mlir.errors import InputError, PitError

KINDS = (".py", ".pt2", ".mlir")


@dataclass(frozen=True)
class Subject:
    """What `pit_mlir.compile` is called with, and the arguments of a call; `call` is None where none are known."""

    model: Any
    call: tuple[tuple[Any, ...], Mapping[str, Any]] | None
    sparsity: Sequence[Any] = ()
    dynamic_shapes: Any = None
    has_example: bool = True
    """Whether the compiler takes the call's arguments as its example: MLIR and exported programs have their types."""
    title: str = field(default="")


def load(file: str, inputs: str | None) -> Subject:
    """The model in `file`; raises `InputError` where there is none.

    `inputs` names an `.npz` file with the arguments of a call by name.
    """
    path, _, name = file.partition(".py:")
    path = Path(f"{path}.py" if name else file)
    if path.suffix not in KINDS:
        raise InputError(f"'{path}' is no model: expected a file that ends in {', '.join(KINDS)}")
    if not path.is_file():
        raise InputError(f"cannot read '{path}': no such file")
    arrays = None if inputs is None else read_arrays(Path(inputs))
    if path.suffix == ".py":
        if arrays is not None:
            raise InputError(f"'{path}' says itself what a call is, by the name 'inputs': leave out --inputs")
        return from_python(path, name or "model")
    if path.suffix == ".mlir":
        return Subject(path, None if arrays is None else ((), arrays), has_example=False, title=path.name)
    from pit_mlir.frontend.saved import call_of, example_call, load_exported

    program = load_exported(path)
    call = example_call(program) if arrays is None else call_of(program, arrays)
    return Subject(program, call, has_example=False, title=path.name)


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an `.npz` file by name."""
    how = "numpy.savez('call.npz', x=...) writes one, with an array for each input by its name"
    if path.is_file() and not zipfile.is_zipfile(path):
        kind = "a single array without a name" if path.suffix == ".npy" else "none"
        raise InputError(f"cannot read '{path}' as an .npz file, it is {kind}: {how}")
    try:
        with numpy.load(path) as found:
            return {name: array_of(path, found, name) for name in found.files}
    except (OSError, AttributeError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"cannot read '{path}' as an .npz file: {reason}") from None


def array_of(path: Path, found: Any, name: str) -> Any:
    """One of the arrays that were `found` in a file; raises `InputError` for one that is not of numbers."""
    try:
        return found[name]
    except ValueError:
        raise InputError(
            f"cannot read '{name}' of '{path}': it is an array of Python objects, or damaged; expected numbers"
        ) from None


def from_python(path: Path, name: str) -> Subject:
    """The model that a Python file calls `name`, with its `inputs`; either may be a function that makes it."""
    module = execute(path)
    model = given(module, path, name)
    inputs = given(module, path, "inputs")
    call = (
        ((), inputs) if isinstance(inputs, Mapping) else (tuple(inputs), {}) if is_sequence(inputs) else None
    )
    if call is None:
        raise InputError(
            f"'inputs' is a {type(inputs).__name__}, expected the arguments of a call: a tuple, or a dictionary",
            location=str(path),
        )
    sparsity = getattr(module, "sparsity", ())
    return Subject(model, call, sparsity, getattr(module, "dynamic_shapes", None))


def is_sequence(value: Any) -> bool:
    """Whether `value` lists arguments."""
    return isinstance(value, tuple | list)


def execute(path: Path) -> ModuleType:
    """Runs a Python file as a module of its own; what it raises is an `InputError` with the line."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None, "it ends in .py"
    module = importlib.util.module_from_spec(spec)
    # As `python FILE` has it: what lies beside the file can be imported, and classes find their module.
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except PitError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises is the user's
        raise fault(path, error) from None
    return module


def given(module: ModuleType, path: Path, name: str) -> Any:
    """What `module` calls `name`, or what the function of that name makes; raises `InputError` where it is missing."""
    if not hasattr(module, name):
        raise InputError(
            f"has no '{name}': name the model 'model' (or give FILE.py:NAME) and the arguments of a call 'inputs'",
            location=str(path),
        )
    value = getattr(module, name)
    # A module of torch can be called too; what makes one is a function or a class.
    if not isinstance(value, type) and not hasattr(value, "__code__"):
        return value
    try:
        return value()
    except Exception as error:  # noqa: BLE001 - as above
        raise fault(path, error) from None


def fault(path: Path, error: Exception) -> InputError:
    """The error of a user's file, at the line of that file."""
    if isinstance(error, SyntaxError) and error.filename is not None and Path(error.filename).samefile(path):
        return InputError(
            f"{type(error).__name__}: {error.msg}", location=f"{path}:{error.lineno}:{error.offset}"
        )
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    where = f"{path}:{lines[-1]}:1" if lines else str(path)
    return InputError(f"{type(error).__name__}: {error}", location=where)

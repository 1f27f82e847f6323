"""Models in files of `torch.export.save`."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from pit_mlir.errors import InputError


def load_exported(path: Path) -> ExportedProgram:
    """The program in a `.pt2` file; raises `InputError` for a file that is none.

    Files of `torch.export` can hold pickled code: load them only from where you would run a program from.
    """
    # torch logs a traceback before it says so.
    if not zipfile.is_zipfile(path):
        raise InputError("not a program of torch.export.save: not a zip archive", location=str(path))
    try:
        return torch.export.load(path)
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"not a program of torch.export.save: {reason}", location=str(path)) from None


def example_call(program: ExportedProgram) -> tuple[tuple[Any, ...], Mapping[str, Any]] | None:
    """The arguments that `program` was exported with, if it keeps them."""
    example = program.example_inputs
    return None if example is None else (tuple(example[0]), example[1])


def call_of(program: ExportedProgram, arrays: Mapping[str, Any]) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """The call of `program` with numpy `arrays` by the names of its inputs; raises `InputError` for other names."""
    names = list(program.graph_signature.user_inputs)
    if set(names) != set(arrays):
        raise InputError(f"got the arguments {sorted(arrays)}, the program takes {names}")
    spec = program.call_spec.in_spec
    assert spec is not None, "what was exported has a call"
    args, kwargs = spec.unflatten([torch.from_numpy(arrays[str(name)]) for name in names])
    return tuple(args), kwargs

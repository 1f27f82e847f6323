"""Which artifacts the cache has, and what decides that one can be used again."""

import hashlib
import io
import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TypeVar

from pit_mlir import bindings
from pit_mlir.analysis.tiles import database
from pit_mlir.artifact import Artifact, Known, from_bytes, to_bytes
from pit_mlir.bindings import ir
from pit_mlir.cache import MODELS, PROGRAMS, Cache
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.runtime.library import library_path
from pit_mlir.target import host, processor

T = TypeVar("T", Artifact, Known)

logger = logging.getLogger("pit_mlir.cache")


def stored(key: str) -> Artifact | None:
    """The artifact that was kept as `key`, if there is one."""
    return _read(Artifact, PROGRAMS, key)


def store(key: str, artifact: Artifact) -> None:
    """Keeps `artifact` as `key`, if it is of use to another process."""
    if artifact.is_portable:
        _write(PROGRAMS, key, artifact)


def known(key: str) -> Known | None:
    """What the exported model with this key was imported as, if it is known."""
    return _read(Known, MODELS, key)


def remember(key: str, import_: Known) -> None:
    """Keeps what the exported model with this key was imported as."""
    _write(MODELS, key, import_)


def _read(kind: type[T], folder: str, key: str) -> T | None:
    data = Cache(folder).read(key)
    try:
        return None if data is None else from_bytes(kind, data)
    except InputError as error:
        logger.warning("%s: compiling again", error)
        return None


def _write(folder: str, key: str, value: Artifact | Known) -> None:
    try:
        Cache(folder).write(key, to_bytes(value))
    except UnsupportedError as error:
        logger.info("not kept: %s", error)


def key_of(program: bytes, steps: Sequence[str]) -> str:
    """The key of what the pipeline `steps` makes of `program`: it holds all that decides it.

    That is the program with its constants and the lines of the model that `explain()` names, the passes with their
    options, the processor, and the compiler itself.
    """
    machine = host()
    # Not the host as a whole: a set is printed in another order by each process.
    numbers = {
        field.name: getattr(machine, field.name) for field in fields(machine) if field.name != "features"
    }
    settings = (
        compiler_digest(),
        processor(),
        sorted(machine.features),
        numbers,
        database().digest,
        list(steps),
    )
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(program)
    return digest.hexdigest()


def bytecode(module: ir.Module) -> bytes:
    """`module` to be read again, in another context: locations and large constants included."""
    buffer = io.BytesIO()
    module.operation.write_bytecode(buffer)
    return buffer.getvalue()


@cache
def compiler_digest() -> str:
    """What tells this compiler from any other: its sources, its run-time library, its MLIR and its Python."""
    digest = hashlib.sha256(f"{bindings.version()} {sys.version}".encode())
    package = Path(__file__).parent
    for path in (*sorted(package.rglob("*.py")), library_path()):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()

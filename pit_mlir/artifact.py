"""What compiling a model gives, apart from the model's own tensors: it can be kept, and be used by another process."""

import hashlib
import io
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from pit_mlir import bindings
from pit_mlir.analysis.tiles import database
from pit_mlir.bindings import ir
from pit_mlir.cache import MODELS, PROGRAMS, Cache
from pit_mlir.explanation import Explanation
from pit_mlir.frontend.signature import Interface
from pit_mlir.runtime.library import library_path
from pit_mlir.runtime.program import Code
from pit_mlir.target import host, processor


@dataclass(frozen=True)
class Artifact:
    """The code of a program, and what its `CompiledModule` says about it.

    `prepare` computes what frozen weights are prepared to, `used` numbers those that the program also reads as they
    are; `ir` is the text of the sparse program, `sparse` its bytecode.
    """

    main: Code
    prepare: Code | None
    used: tuple[int, ...]
    explanation: Explanation
    ir: str
    sparse: bytes

    @property
    def is_portable(self) -> bool:
        """Whether another process can load the code."""
        return all(code is None or code.engine is None for code in (self.main, self.prepare))


@dataclass(frozen=True)
class Known:
    """What an exported model was imported as before: its interface, and the key of its artifact."""

    interface: Interface
    key: str


def stored(key: str) -> Artifact | None:
    """The artifact that was kept as `key`, if there is one."""
    data = Cache(PROGRAMS).read(key)
    return None if data is None else pickle.loads(data)


def store(key: str, artifact: Artifact) -> None:
    """Keeps `artifact` as `key`, if it is of use to another process."""
    if artifact.is_portable:
        Cache(PROGRAMS).write(key, pickle.dumps(artifact))


def known(key: str) -> Known | None:
    """What the exported model with this key was imported as, if it is known."""
    data = Cache(MODELS).read(key)
    return None if data is None else pickle.loads(data)


def remember(key: str, import_: Known) -> None:
    """Keeps what the exported model with this key was imported as."""
    Cache(MODELS).write(key, pickle.dumps(import_))


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

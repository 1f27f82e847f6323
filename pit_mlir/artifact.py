"""What compiling a model gives, apart from the model's own tensors: it can be kept, and be used by another process."""

from dataclasses import dataclass
from typing import TypeVar

from pit_mlir.container import packed, unpacked
from pit_mlir.errors import InputError
from pit_mlir.explanation import Explanation
from pit_mlir.frontend.signature import Interface
from pit_mlir.plain import Plain, restored
from pit_mlir.runtime.program import Code

T = TypeVar("T")


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


def to_bytes(value: Artifact | Known) -> bytes:
    """`value` as a container; raises `UnsupportedError` where it has a constant that cannot be written."""
    plain = Plain()
    data = plain.of(value, "value")
    return packed(data, plain.parts)


def from_bytes(kind: type[T], content: bytes) -> T:
    """The value that was made `content`; raises `InputError` where that is none."""
    container = unpacked(content, "an entry of the cache")
    try:
        return restored(kind, container.data, container.read)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"an entry of the cache is no {kind.__name__}: {error}") from None

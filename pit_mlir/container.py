"""Files of ours that hold programs: a header in JSON and parts of bytes, all of which is checked when it is read.

A file begins with `_MAGIC`, the version of the format, how long the header is and the header's digest. The header has
the `data` that the file is about, and of each part its name, where it begins behind the header, its size and digest.
Nothing in a file is executed by reading it, and nothing is unpickled.
"""

import contextlib
import hashlib
import io
import json
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pit_mlir.errors import InputError

Buffer = bytes | bytearray | memoryview
FORMAT = 1
"""The version of the format that is written; later ones are refused."""

_MAGIC = b"\x93pit_mlir file\r\n"
_FIXED = struct.Struct("<16sQQ32s")
"""Magic, version, bytes of the header, its digest."""
_ALIGNMENT = 64
_LONGEST_HEADER = 1 << 30
_CHUNK = 1 << 22


def _umask() -> int:
    """The permissions that new files lack; the system tells only whoever sets others."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_UMASK = _umask()
"""As it was when this module was imported: asking for it later would change it for a moment in all threads."""


def write_container(file: IO[bytes], data: Any, parts: Mapping[str, Buffer]) -> None:
    """Writes `data`, which JSON can hold, and `parts`."""
    views = {name: memoryview(part).cast("B") for name, part in parts.items()}
    table: dict[str, tuple[int, int, str]] = {}
    end = 0
    for name, view in views.items():
        table[name] = (end, len(view), hashlib.sha256(view).hexdigest())
        end = _aligned(end + len(view))
    header = json.dumps({"data": data, "parts": table}, separators=(",", ":")).encode()
    header = header.ljust(_aligned(_FIXED.size + len(header)) - _FIXED.size)
    file.write(_FIXED.pack(_MAGIC, FORMAT, len(header), hashlib.sha256(header).digest()))
    file.write(header)
    for view in views.values():
        file.write(view)
        file.write(bytes(_aligned(len(view)) - len(view)))


class Container:
    """A container that is being read; `data` is what it is about, `name` what messages call it."""

    def __init__(self, file: io.BufferedIOBase, name: str) -> None:
        """Reads the header of `file`; raises `InputError` for what is no container."""
        self._file = file
        self.name = name
        fixed = file.read(_FIXED.size)
        if not fixed.startswith(_MAGIC):
            raise self._refusal(_foreign(fixed))
        if len(fixed) < _FIXED.size:
            raise self._refusal(_CUT_OFF)
        _, version, size, digest = _FIXED.unpack(fixed)
        if version != FORMAT:
            raise self._refusal(
                f"has version {version} of the format, this release reads version {FORMAT}; "
                + ("update pit_mlir" if version > FORMAT else "write it again with this release")
            )
        header = file.read(size) if size <= _LONGEST_HEADER else b""
        if hashlib.sha256(header).digest() != digest:
            raise self._refusal(_CUT_OFF if len(header) < min(size, _LONGEST_HEADER) else _DAMAGED)
        self._begin = _FIXED.size + size
        content = json.loads(header)
        self.data: Any = content["data"]
        self._parts: dict[str, tuple[int, int, str]] = content["parts"]
        end = max((self._begin + offset + length for offset, length, _ in self._parts.values()), default=0)
        if file.seek(0, io.SEEK_END) < end:
            raise self._refusal(_CUT_OFF)

    @property
    def parts(self) -> dict[str, int]:
        """The names of the parts and their sizes in bytes."""
        return {name: size for name, (_, size, _) in self._parts.items()}

    def read(self, name: str) -> bytes:
        """The part `name`; raises `InputError` where it is not what was written."""
        content = bytearray(self._parts[name][1])
        self.read_into(name, content)
        return bytes(content)

    def read_into(self, name: str, target: Buffer) -> None:
        """Reads the part `name` into `target`, which has its size; raises `InputError` as `read` does."""
        offset, size, digest = self._parts[name]
        view = memoryview(target).cast("B")
        assert len(view) == size
        hashed = hashlib.sha256()
        self._file.seek(self._begin + offset)
        for begin in range(0, size, _CHUNK):
            chunk = view[begin : begin + _CHUNK]
            done = self._file.readinto(chunk)
            if done < len(chunk):
                raise self._refusal(_CUT_OFF)
            hashed.update(chunk)
        if hashed.hexdigest() != digest:
            raise self._refusal(f"{_DAMAGED} (in '{name}')")

    def _refusal(self, reason: str) -> InputError:
        return InputError(reason, location=self.name)


_CUT_OFF = "is cut off: it ends before all of its parts; copy or write it again"
_DAMAGED = "is damaged: it is not what was written; copy or write it again"


def _foreign(begin: bytes) -> str:
    """Why a file that begins so is none of ours."""
    if not begin:
        return "is empty, expected a file that save() or `pit-mlir compile` has written"
    if _MAGIC.startswith(begin):
        return _CUT_OFF
    kind = ""
    if begin.startswith(b"PK"):
        kind = (
            " (it is a zip archive: a program of torch.export.save is compiled by `pit-mlir compile` first)"
        )
    elif begin.startswith(b"\x7fELF"):
        kind = " (it is an object file or a library)"
    return f"is no file of pit_mlir{kind}; expected one that save() or `pit-mlir compile` has written"


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def packed(data: Any, parts: Mapping[str, Buffer]) -> bytes:
    """A container in memory."""
    file = io.BytesIO()
    write_container(file, data, parts)
    return file.getvalue()


def unpacked(content: bytes, name: str) -> Container:
    """The container that `content` is; raises `InputError`."""
    return Container(io.BytesIO(content), name)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when all of it is written, and goes if it is not; raises `OSError`.

    A device or a pipe is no file whose place could be taken: what is written goes into it. A link stays one.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            yield file
            # What the user lets others read of new files, they may read of this one.
            os.fchmod(descriptor, 0o666 & ~_UMASK)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise

"""The cache: what was compiled once is found again, by any process of this user.

Each entry is a file of its own below `cache_directory()`, named by a key that holds everything it depends on. Processes
share it without locks: a file appears whole or not at all. What cannot be read, was damaged or cannot be written costs
a compilation, never an error.
"""

import contextlib
import hashlib
import logging
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pit_mlir.container import written_whole

DIRECTORY_VARIABLE = "PIT_CACHE_DIR"
SIZE_VARIABLE = "PIT_CACHE_SIZE"
DEFAULT_SIZE = 1 << 30
PROGRAMS = "programs"
"""The kind of entries that are compiled programs."""
MODELS = "models"
"""The kind of entries that tell which program an exported model is, some kilobytes each."""
KINDS = (PROGRAMS, MODELS)

_MAGIC = b"pit_mlir cache 1"
_DIGEST_BYTES = hashlib.sha256().digest_size
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_ABANDONED_SECONDS = 3600.0
"""A file that a process began to write this long ago will not be finished."""

logger = logging.getLogger("pit_mlir.cache")


def cache_directory() -> Path:
    """`$PIT_CACHE_DIR`, else `pit_mlir` in the user's cache directory (`$XDG_CACHE_HOME`, by default `~/.cache`).

    It need not exist. Where the user has no home it is in the directory for temporary files.
    """
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    with contextlib.suppress(RuntimeError):
        home = home.expanduser()
    # The standard says that a relative path there is to be ignored.
    return (
        home / "pit_mlir" if home.is_absolute() else Path(tempfile.gettempdir(), f"pit_mlir-{os.geteuid()}")
    )


def size_limit() -> int:
    """The most bytes of entries of a kind that are kept: `$PIT_CACHE_SIZE`, such as `512M`; by default 1 GiB.

    0 is no cache.
    """
    text = os.environ.get(SIZE_VARIABLE) or str(DEFAULT_SIZE)
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        _warn(f"{SIZE_VARIABLE}={text}: expected a number of bytes such as 512M or 2G; taking 1G")
        return DEFAULT_SIZE
    return int(match[1]) * _UNITS[match[2].upper()]


@dataclass(frozen=True)
class Entry:
    """A file of the cache; `used` is the time of its last use, in seconds since the epoch."""

    path: Path
    bytes: int
    used: float


class Cache:
    """The entries of one kind, in a folder of the cache directory. Reads and writes never raise for the disk's sake."""

    def __init__(self, kind: str) -> None:
        self.folder = cache_directory() / kind

    def read(self, key: str) -> bytes | None:
        """The entry `key`, which counts as used now; None where there is none or it is damaged."""
        if size_limit() == 0 or not self._is_safe():
            return None
        path = self.folder / key
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(f"cannot read the cache {self.folder}: {error.strerror}; compiling without it")
            return None
        data = _unsealed(content)
        if data is None:
            logger.warning("%s is damaged: compiling again", path)
            self.drop(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data

    def write(self, key: str, data: bytes) -> None:
        """Keeps `data` as `key`; the entries that were not used for the longest time make room for it."""
        limit = size_limit()
        sealed = _sealed(data)
        if len(sealed) > limit:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_safe():
                return
            with written_whole(self.folder / key) as file:
                file.write(sealed)
            self._shrink(limit)
        except OSError as error:
            _warn(f"cannot write to the cache {self.folder}: {error.strerror}; going on without it")

    def drop(self, key: str) -> None:
        """Removes the entry `key`, if it is there and can be removed."""
        with contextlib.suppress(OSError):
            (self.folder / key).unlink()

    def entries(self) -> list[Entry]:
        """All entries; raises `OSError` where the folder cannot be read."""
        return [entry for entry in self._files() if not _is_unfinished(entry)]

    def clear(self) -> int:
        """Removes all entries; the number of bytes that were freed. Raises `OSError` where that cannot be done."""
        freed = 0
        for entry in self._files():
            entry.path.unlink(missing_ok=True)
            freed += entry.bytes
        return freed

    def _files(self) -> Iterator[Entry]:
        try:
            found = list(os.scandir(self.folder))
        except FileNotFoundError:
            return
        for file in found:
            # Another process may remove it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                status = file.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield Entry(Path(file.path), status.st_size, status.st_mtime)

    def _shrink(self, limit: int) -> None:
        """Removes the entries not used for the longest time until the others fit into `limit`, and abandoned files."""
        now, total = time.time(), 0
        for entry in sorted(self._files(), key=lambda entry: entry.used, reverse=True):
            total += entry.bytes
            abandoned = _is_unfinished(entry) and now - entry.used > _ABANDONED_SECONDS
            if abandoned or (total > limit and not _is_unfinished(entry)):
                entry.path.unlink(missing_ok=True)

    def _is_safe(self) -> bool:
        """Whether nobody else can write to the folder, if there is one: its entries are code that will run."""
        try:
            status = self.folder.stat()
        except OSError:
            return True
        user = os.geteuid()
        if status.st_uid in (user, 0) and not status.st_mode & stat.S_IWOTH:
            return True
        _warn(f"others may write to the cache {self.folder}: going on without it")
        return False


def _is_unfinished(entry: Entry) -> bool:
    return entry.path.name.startswith(".")


def _sealed(data: bytes) -> bytes:
    """`data` behind what tells that it is whole."""
    return _MAGIC + hashlib.sha256(data).digest() + data


def _unsealed(content: bytes) -> bytes | None:
    """What was sealed; None where `content` is not what was written."""
    begin = len(_MAGIC) + _DIGEST_BYTES
    data = content[begin:]
    return data if content[:begin] == _sealed(data)[:begin] else None


@cache
def _warn(message: str) -> None:
    """Logs a warning, once."""
    logger.warning(message)

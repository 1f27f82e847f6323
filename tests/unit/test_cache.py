"""The cache directory: entries come back whole or not at all, and nothing about the disk is an error."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pit_mlir import cache
from pit_mlir.cache import DEFAULT_SIZE, DIRECTORY_VARIABLE, SIZE_VARIABLE, Cache, cache_directory, size_limit


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test, and warnings anew."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(SIZE_VARIABLE)
    cache._warn.cache_clear()
    return tmp_path / "cache"


def ages(store: Cache) -> None:
    """Makes the entries `a`, `b`, ... so old that the order of their last use is that of their names."""
    for number, entry in enumerate(sorted(store.entries(), key=lambda entry: entry.path.name)):
        os.utime(entry.path, (1000.0 + number, 1000.0 + number))


def test_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, "~/mine")
    assert cache_directory() == Path.home() / "mine"
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "pit_mlir"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_directory() == Path.home() / ".cache" / "pit_mlir"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_directory().is_absolute()


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("", DEFAULT_SIZE), ("0", 0), ("123", 123), ("4k", 4096), ("3 MiB", 3 << 20), ("2GB", 2 << 30)],
)
def test_size_limit(text: str, bytes_: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIZE_VARIABLE, text)
    assert size_limit() == bytes_


def test_a_size_that_is_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv(SIZE_VARIABLE, "much")
    assert size_limit() == size_limit() == DEFAULT_SIZE
    assert [r.getMessage() for r in caplog.records] == [
        "PIT_CACHE_SIZE=much: expected a number of bytes such as 512M or 2G; taking 1G"
    ]


@pytest.mark.parametrize("data", [b"", b"x", os.urandom(5000)])
def test_what_is_written_is_read(data: bytes, place: Path) -> None:
    Cache("kind").write("key", data)
    assert Cache("kind").read("key") == data
    assert Cache("kind").read("other") is None
    assert Cache("other").read("key") is None
    assert [path.name for path in place.rglob("*")] == ["kind", "key"], "something is left behind"
    assert (place / "kind").stat().st_mode & 0o077 == 0, "others can see it"


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "longer", "foreign"])
def test_damage_is_found(damage: str, place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The entry goes, with a line in the log, and can be written again."""
    store = Cache("kind")
    store.write("key", b"machine code")
    path = place / "kind" / "key"
    good = path.read_bytes()
    path.write_bytes(
        {
            "cut": good[:-1],
            "flipped": good[:-3] + bytes([good[-3] ^ 1]) + good[-2:],
            "empty": b"",
            "longer": good + b"\0",
            "foreign": b"\x7fELF" + good,
        }[damage]
    )
    assert store.read("key") is None
    assert not path.exists()
    assert "is damaged" in caplog.text
    store.write("key", b"again")
    assert store.read("key") == b"again"


def test_the_least_recently_used_go(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Cache("kind")
    for key in "abc":
        store.write(key, bytes(1000))
    ages(store)
    assert store.read("a") is not None  # now it is the last one used
    monkeypatch.setenv(SIZE_VARIABLE, str(3 * store.entries()[0].bytes))
    store.write("d", bytes(1000))
    assert {key for key in "abcd" if store.read(key) is not None} == {"a", "c", "d"}


def test_what_is_larger_than_the_cache_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Cache("kind")
    store.write("a", bytes(100))
    monkeypatch.setenv(SIZE_VARIABLE, "1000")
    store.write("b", bytes(1000))
    assert store.read("a") is not None
    assert store.read("b") is None


def test_no_cache(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    Cache("kind").write("before", b"data")
    monkeypatch.setenv(SIZE_VARIABLE, "0")
    Cache("kind").write("key", b"data")
    assert Cache("kind").read("before") is None
    assert [path.name for path in (place / "kind").iterdir()] == ["before"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_cannot_be_written(
    error: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: Path
) -> None:
    """One warning, nothing left behind, and what is there can still be read."""
    store = Cache("kind")
    store.write("before", b"data")

    def fails(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "replace", fails)
    store.write("key", b"data")
    store.write("other", b"data")
    assert len(caplog.records) == 1
    assert os.strerror(error) in caplog.text
    assert store.read("before") == b"data"
    assert [path.name for path in (place / "kind").iterdir()] == ["before"]


def test_a_directory_that_cannot_be_one(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    place.write_text("a file")
    for _ in range(2):
        Cache("kind").write("key", b"data")
        assert Cache("kind").read("key") is None
    assert {r.levelno for r in caplog.records} == {logging.WARNING}
    assert len(caplog.records) == 2, "one for reading, one for writing"


def test_others_may_not_write_to_it(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its entries are code."""
    store = Cache("kind")
    store.write("key", b"data")
    (place / "kind").chmod(0o777)
    assert store.read("key") is None
    store.write("other", b"data")
    assert "others may write" in caplog.text
    (place / "kind").chmod(0o700)
    assert store.read("key") == b"data"
    assert store.read("other") is None


def test_abandoned_files_are_removed(place: Path) -> None:
    """Those of a process that ended while it wrote; not those of one that is writing."""
    store = Cache("kind")
    store.write("key", b"data")
    for name, age in ((".old", 1000.0), (".new", None)):
        (place / "kind" / name).write_bytes(b"part")
        if age is not None:
            os.utime(place / "kind" / name, (age, age))
    assert [entry.path.name for entry in store.entries()] == ["key"]
    store.write("other", b"data")
    assert sorted(path.name for path in (place / "kind").iterdir()) == [".new", "key", "other"]


def test_clear() -> None:
    store = Cache("kind")
    assert store.clear() == 0
    store.write("a", b"data")
    size = store.entries()[0].bytes
    assert store.clear() == size
    assert store.entries() == []


WRITER = """
import sys
from pit_mlir.cache import Cache
store = Cache("kind")
for turn in range(200):
    key = str(turn % 5)
    store.write(key, (key * 1000 + sys.argv[1] * 1000).encode())
    found = store.read(key)
    assert found is None or found[:1000].decode() == key * 1000 and len(set(found[1000:])) == 1, found
"""


def test_processes_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes write and evict the same entries: nobody ever sees a part of one, or an error."""
    monkeypatch.setenv(SIZE_VARIABLE, "9000")
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, name], stderr=subprocess.PIPE, text=True)
        for name in "xyz"
    ]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
        assert "damaged" not in errors

"""Containers: what is written is read, and whatever else a file is, it is an `InputError` that says what."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.container import FORMAT, Container, packed, unpacked, written_whole
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.plain import Plain, constant, constant_of, restored
from pit_mlir.runtime.memref import ELEMENTS, Signature, TensorType

DATA = {"name": "été", "numbers": [1, 2.5, None, True]}
PARTS = {"empty": b"", "short": b"abc", "long": bytes(range(256)) * 5}
WHOLE = packed(DATA, PARTS)


def read_all(content: bytes) -> dict[str, bytes]:
    container = unpacked(content, "x.pit")
    assert container.data == DATA
    return {name: container.read(name) for name in container.parts}


def test_what_is_written_is_read() -> None:
    assert read_all(WHOLE) == PARTS
    assert unpacked(packed([], {}), "x").parts == {}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_byte_that_differs_is_found(place: int, change: int) -> None:
    content = bytearray(WHOLE)
    content[place] ^= change
    try:
        assert read_all(bytes(content)) == PARTS, "only what fills up may differ"
    except InputError as error:
        assert str(error).startswith("x.pit: ")


@pytest.mark.parametrize("kept", [1, 15, 16, 40, 63, 64, 80, len(WHOLE) // 2, len(WHOLE) - 65])
def test_files_that_are_cut_off(kept: int) -> None:
    with pytest.raises(InputError, match=r"x\.pit: is cut off: it ends before all of its parts"):
        read_all(WHOLE[:kept])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (
            b"PK\3\4" + bytes(100),
            "is no file of pit_mlir .*zip archive: a program of torch.export.save is compiled",
        ),
        (b"\x7fELF" + bytes(100), "is no file of pit_mlir .*an object file or a library"),
        (b"hello, world", "is no file of pit_mlir; expected"),
    ],
)
def test_foreign_files(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_all(content)


@pytest.mark.parametrize(("version", "advice"), [(FORMAT + 1, "update pit_mlir"), (0, "write it again")])
def test_other_versions(version: int, advice: str) -> None:
    content = bytearray(WHOLE)
    content[16:24] = version.to_bytes(8, "little")
    with pytest.raises(
        InputError, match=f"has version {version} of the format, this release reads version 1; {advice}"
    ):
        read_all(bytes(content))


def test_a_damaged_part_is_named() -> None:
    content = bytearray(WHOLE)
    content[WHOLE.index(PARTS["long"])] ^= 1
    container = Container(io.BytesIO(content), "x.pit")
    assert container.read("short") == b"abc"
    with pytest.raises(InputError, match=r"is damaged: .* \(in 'long'\)"):
        container.read("long")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    with written_whole(path) as file:
        file.write(b"new")
    assert [found.read_bytes() for found in tmp_path.iterdir()] == [b"new"]


def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with written_whole(pipe) as written:
        written.write(b"through")
    assert os.read(reader, 100) == b"through" and pipe.is_fifo()
    os.close(reader)
    link.symlink_to(file)
    with written_whole(link) as written:
        written.write(b"behind")
    assert link.is_symlink() and file.read_bytes() == b"behind"
    with pytest.raises(IsADirectoryError), written_whole(tmp_path):
        pass


def test_plain_data() -> None:
    signature = Signature((TensorType((None, 3), ELEMENTS["bf16"]), TensorType(None, ELEMENTS["i64"])), ())
    plain = Plain()
    assert restored(Signature, plain.of(signature, "x"), plain.parts.__getitem__) == signature
    assert not plain.parts
    for wrong in ({"class": "Other"}, {"class": "Signature", "arguments": [3], "results": []}, 5, None):
        with pytest.raises((ValueError, KeyError, TypeError)):
            restored(Signature, wrong, plain.parts.__getitem__)


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "a", 1 - 2j, (1, (2,)), [1, [2]], {"a": (1,), 3: {}}])
def test_constants(value: object) -> None:
    again = constant_of(constant(value))
    assert again == value
    assert type(again) is type(value)


def test_constants_of_other_types() -> None:
    with pytest.raises(UnsupportedError, match="is a slice, which cannot be written to a file"):
        constant((1, slice(3)))

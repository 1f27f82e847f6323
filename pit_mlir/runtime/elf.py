"""The tables of a 64-bit ELF file, little-endian, as the system's manual page elf(5) has them."""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy

RELOCATABLE = 1
"""The kind of a file that is not linked yet."""
X86_64, AARCH64 = 62, 183
"""Numbers of machines."""
WRITABLE, EXECUTABLE = 1, 4
"""What the pages of a section are for, beside being read."""
UNDEFINED, ABSOLUTE, RESERVED = 0, 0xFFF1, 0xFF00
"""Numbers of sections that are none: of a symbol of another file, of a constant, and the first of these."""
NO_BITS = 8
"""The kind of a section that the file has no bytes of: zeros."""

_SYMBOLS, _RELOCATIONS = 2, 4
_ALLOCATED, _THREAD_LOCAL = 2, 0x400
_RELOCATION = numpy.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])


class Section(NamedTuple):
    """A section header, its name resolved."""

    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int

    @property
    def is_placed(self) -> bool:
        """Whether it is part of the program. Tables for unwinding are not: no exception passes through our code."""
        return bool(self.flags & _ALLOCATED) and self.size > 0 and self.name != ".eh_frame"

    @property
    def is_thread_local(self) -> bool:
        """Whether each thread has its own."""
        return bool(self.flags & _THREAD_LOCAL)

    @property
    def access(self) -> int:
        """What its pages are for: of `WRITABLE` and `EXECUTABLE`."""
        return self.flags & (WRITABLE | EXECUTABLE)


class Symbol(NamedTuple):
    """A name and the place it stands for: `value` bytes into the section of this number."""

    name: str
    section: int
    value: int


class ObjectFile:
    """The tables of the file `content`."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        # e_type, e_machine, then e_shoff, e_shnum, e_shstrndx.
        self.kind, self.machine = struct.unpack_from("<HH", content, 16)
        (start,) = struct.unpack_from("<Q", content, 40)
        count, names = struct.unpack_from("<HH", content, 60)
        headers = [struct.unpack_from("<IIQQQQIIQQ", content, start + 64 * i) for i in range(count)]
        self.sections = [
            Section(
                self._text(headers[names][4], name), kind, flags, offset, size, link, info, max(alignment, 1)
            )
            for name, kind, flags, _, offset, size, link, info, alignment, _ in headers
        ]

    def _text(self, table: int, offset: int) -> str:
        end = self.content.index(b"\0", table + offset)
        return self.content[table + offset : end].decode()

    def symbols(self) -> list[Symbol]:
        """The symbol table, in order."""
        for table in self.sections:
            if table.kind == _SYMBOLS:
                names = self.sections[table.link].offset
                rows = struct.iter_unpack("<IBBHQQ", self.content[table.offset : table.offset + table.size])
                return [
                    Symbol(self._text(names, name), section, value) for name, _, _, section, value, _ in rows
                ]
        return []

    def relocations(self) -> Iterator[tuple[int, Any]]:
        """For each section that is placed and has relocations: its number, and they as an array of records with
        `offset`, `kind`, `symbol` and `addend`."""
        for table in self.sections:
            if table.kind == _RELOCATIONS and self.sections[table.info].is_placed:
                count = table.size // _RELOCATION.itemsize
                yield table.info, numpy.frombuffer(self.content, _RELOCATION, count, table.offset)

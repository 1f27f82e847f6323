"""Machine code from an object file: placed in memory, relocated, and called by name.

LLVM's engine compiles a module in the process that runs it and keeps its own tables for as long as the code lives. Its
object files are simple: code of the large model refers to everything by 64-bit addresses, so that sections may lie
anywhere. What these files use of ELF for x86-64 is read here; of anything else `is_loadable` says no.
"""

import ctypes
import mmap
import platform
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy

from pit_mlir.errors import PlatformError, UnsupportedError
from pit_mlir.runtime.library import library

_X86_64 = 62
_RELOCATABLE = 1
_SYMBOLS, _RELOCATIONS, _NO_BITS = 2, 4, 8
_ALLOCATED, _WRITABLE, _EXECUTABLE, _THREAD_LOCAL = 2, 1, 4, 0x400
_UNDEFINED, _ABSOLUTE, _RESERVED = 0, 0xFFF1, 0xFF00
_ADDRESS, _DISTANCE = 1, 24
"""R_X86_64_64 and R_X86_64_PC64: 64 bits, the address of a symbol, or how far it lies from the place."""

_RELOCATION = numpy.dtype([("offset", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_PROTECTIONS = {
    _EXECUTABLE: mmap.PROT_READ | mmap.PROT_EXEC,
    0: mmap.PROT_READ,
    _WRITABLE: mmap.PROT_READ | mmap.PROT_WRITE,
}


class _Section(NamedTuple):
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
    def access(self) -> int:
        """What its pages are for: a key of `_PROTECTIONS`."""
        return self.flags & (_WRITABLE | _EXECUTABLE)


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


class _ObjectFile:
    """The tables of an ELF file."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        # e_type, e_machine, then e_shoff, e_shnum, e_shstrndx.
        self.kind, self.machine = struct.unpack_from("<HH", content, 16)
        (start,) = struct.unpack_from("<Q", content, 40)
        count, names = struct.unpack_from("<HH", content, 60)
        headers = [struct.unpack_from("<IIQQQQIIQQ", content, start + 64 * i) for i in range(count)]
        self.sections = [
            _Section(
                self._text(headers[names][4], name), kind, flags, offset, size, link, info, max(alignment, 1)
            )
            for name, kind, flags, _, offset, size, link, info, alignment, _ in headers
        ]

    def _text(self, table: int, offset: int) -> str:
        end = self.content.index(b"\0", table + offset)
        return self.content[table + offset : end].decode()

    def symbols(self) -> list[_Symbol]:
        """The symbol table, in order."""
        for table in self.sections:
            if table.kind == _SYMBOLS:
                names = self.sections[table.link].offset
                rows = struct.iter_unpack("<IBBHQQ", self.content[table.offset : table.offset + table.size])
                return [
                    _Symbol(self._text(names, name), section, value) for name, _, _, section, value, _ in rows
                ]
        return []

    def relocations(self) -> Iterator[tuple[int, Any]]:
        """For each section that is placed and has relocations: its number, and they as an array of `_RELOCATION`."""
        for table in self.sections:
            if table.kind == _RELOCATIONS and self.sections[table.info].is_placed:
                count = table.size // _RELOCATION.itemsize
                yield table.info, numpy.frombuffer(self.content, _RELOCATION, count, table.offset)


def is_loadable(content: bytes) -> bool:
    """Whether `MachineCode` can load the object file `content` on this machine."""
    file = _ObjectFile(content)
    if platform.machine() != "x86_64" or (file.kind, file.machine) != (_RELOCATABLE, _X86_64):
        return False
    return (
        all(numpy.isin(table["kind"], (_ADDRESS, _DISTANCE)).all() for _, table in file.relocations())
        and all(
            s.access in _PROTECTIONS and not s.flags & _THREAD_LOCAL for s in file.sections if s.is_placed
        )
        and all(s.section < _RESERVED or s.section == _ABSOLUTE for s in file.symbols())
    )


class MachineCode:
    """The code of an object file; its memory is given back with this object, so no call may be under way then."""

    def __init__(self, content: bytes) -> None:
        """Loads `content`; raises `UnsupportedError` where it needs a function that nobody has."""
        file = _ObjectFile(content)
        places, size = _layout(file.sections)
        self._memory = mmap.mmap(
            -1,
            max(size, mmap.PAGESIZE),
            flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
        view = numpy.frombuffer(self._memory, numpy.uint8)
        base = view.ctypes.data
        for number, place in places.items():
            section = file.sections[number]
            if section.kind != _NO_BITS:
                self._memory[place : place + section.size] = content[
                    section.offset : section.offset + section.size
                ]
        symbols = file.symbols()
        addresses = numpy.array([_address(symbol, places, base) for symbol in symbols], numpy.uint64)
        for number, table in file.relocations():
            _relocate(view, places[number], base, addresses, table)
        self._named = {
            symbol.name: int(address)
            for symbol, address in zip(symbols, addresses, strict=True)
            if symbol.name and symbol.section in places
        }
        _protect(base, file.sections, places)

    def address(self, name: str) -> int:
        """The address of the function `name`; raises `KeyError`."""
        return self._named[name]


def _layout(sections: list[_Section]) -> tuple[dict[int, int], int]:
    """Where each section that is placed goes, by its number, and the size of all; pages have one access each."""
    places: dict[int, int] = {}
    end = 0
    for access in _PROTECTIONS:
        end = -(-end // mmap.PAGESIZE) * mmap.PAGESIZE
        for number, section in enumerate(sections):
            if section.is_placed and section.access == access:
                places[number] = -(-end // section.alignment) * section.alignment
                end = places[number] + section.size
    return places, -(-end // mmap.PAGESIZE) * mmap.PAGESIZE


def _address(symbol: _Symbol, places: dict[int, int], base: int) -> int:
    """Where `symbol` is; one of another library is looked up in ours first, as torch's has functions of OpenMP too."""
    if symbol.section in places:
        return base + places[symbol.section] + symbol.value
    if symbol.section != _UNDEFINED or not symbol.name:
        # A constant, or in a section that is not placed, where nothing that is placed refers to.
        return symbol.value
    for loaded in (library(), ctypes.CDLL(None)):
        try:
            function = loaded[symbol.name]
        except AttributeError:
            continue
        address = ctypes.cast(function, ctypes.c_void_p).value
        assert address is not None
        return address
    raise UnsupportedError(
        f"the machine code does not link: it calls '{symbol.name}', which neither the runtime nor the C library has"
    )


def _relocate(view: Any, place: int, base: int, addresses: Any, table: Any) -> None:
    """Writes the addresses that `table` asks for into the section at `place` of `view`."""
    offsets = table["offset"] + numpy.uint64(place)
    values = addresses[table["symbol"]] + table["addend"].view(numpy.uint64)
    values -= numpy.where(table["kind"] == _DISTANCE, offsets + numpy.uint64(base), numpy.uint64(0))
    view[offsets[:, None] + numpy.arange(8, dtype=numpy.uint64)] = values.view(numpy.uint8).reshape(-1, 8)


def _protect(base: int, sections: list[_Section], places: dict[int, int]) -> None:
    """Gives the pages of each access their protection; raises `PlatformError` where the system forbids it."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for access, protection in _PROTECTIONS.items():
        spans = [(p, p + sections[n].size) for n, p in places.items() if sections[n].access == access]
        if spans:
            begin = min(start for start, _ in spans) // mmap.PAGESIZE * mmap.PAGESIZE
            if protect(base + begin, max(end for _, end in spans) - begin, protection):
                raise PlatformError(
                    f"the system forbids memory for machine code: {ctypes.get_errno()} from mprotect"
                )

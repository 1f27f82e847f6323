"""Machine code from an object file: placed in memory, linked, and called by name.

LLVM's engine compiles a module in the process that runs it and keeps its own tables for as long as the code lives. Its
object files are simple: code of the large model lies anywhere. What these files use of ELF for x86-64 and AArch64 is
read here; of anything else `is_loadable` says no.
"""

import ctypes
import mmap
import platform
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy

from pit_mlir.errors import PlatformError, UnsupportedError
from pit_mlir.runtime import elf
from pit_mlir.runtime.elf import ObjectFile, Symbol
from pit_mlir.runtime.library import library
from pit_mlir.runtime.relocations import BRANCHES, STUB_BYTES, are_known, relocate, stub

_MACHINES = {"x86_64": elf.X86_64, "aarch64": elf.AARCH64}
_PROTECTIONS = {
    elf.EXECUTABLE: mmap.PROT_READ | mmap.PROT_EXEC,
    0: mmap.PROT_READ,
    elf.WRITABLE: mmap.PROT_READ | mmap.PROT_WRITE,
}


def is_loadable(content: bytes) -> bool:
    """Whether `MachineCode` can load the object file `content` on this machine."""
    file = ObjectFile(content)
    if (file.kind, file.machine) != (elf.RELOCATABLE, _MACHINES.get(platform.machine())):
        return False
    placed = [section for section in file.sections if section.is_placed]
    return (
        all(are_known(file.machine, table["kind"]) for _, table in file.relocations())
        and all(s.access in _PROTECTIONS and not s.is_thread_local for s in placed)
        and all(s.section < elf.RESERVED or s.section == elf.ABSOLUTE for s in file.symbols())
    )


class Layout(NamedTuple):
    """Where the parts of an object file go, in bytes from the begin.

    `places` has the sections by number, `stubs` those of the symbols by number that branches leave the file for, and
    `pages` by access the begin and the end of whole pages.
    """

    places: dict[int, int]
    stubs: dict[int, int]
    pages: dict[int, tuple[int, int]]

    @property
    def size(self) -> int:
        """How many bytes all parts take."""
        return max(end for _, end in self.pages.values())

    @classmethod
    def of(cls, file: ObjectFile, symbols: Sequence[Symbol]) -> "Layout":
        """Sections of one access after one another, the stubs behind those that are executed."""
        places: dict[int, int] = {}
        stubs: dict[int, int] = {}
        pages: dict[int, tuple[int, int]] = {}
        end = 0
        for access in _PROTECTIONS:
            begin = end
            for number, section in enumerate(file.sections):
                if section.is_placed and section.access == access:
                    places[number] = _rounded(end, section.alignment)
                    end = places[number] + section.size
            if access == elf.EXECUTABLE:
                for symbol in _branches_away(file, symbols):
                    stubs[symbol] = _rounded(end, STUB_BYTES)
                    end = stubs[symbol] + STUB_BYTES
            end = _rounded(end, mmap.PAGESIZE)
            pages[access] = begin, end
        return cls(places, stubs, pages)


def _rounded(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _branches_away(file: ObjectFile, symbols: Sequence[Symbol]) -> list[int]:
    """The symbols of other files that instructions of this one branch to, and reach by stubs alone."""
    kinds = BRANCHES[file.machine]
    targets = {
        int(row["symbol"])
        for _, table in file.relocations()
        for row in table[numpy.isin(table["kind"], kinds)]
    }
    return sorted(number for number in targets if symbols[number].section == elf.UNDEFINED)


def link(
    file: ObjectFile, layout: Layout, view: Any, base: int, resolve: Callable[[str], int]
) -> dict[str, int]:
    """Writes the program to the zeros `view`, which is to run at the address `base`; returns its names' addresses.

    `resolve` gives the address of a name of another file.
    """
    for number, place in layout.places.items():
        section = file.sections[number]
        if section.kind != elf.NO_BITS:
            view[place : place + section.size] = numpy.frombuffer(
                file.content, numpy.uint8, section.size, section.offset
            )
    symbols = file.symbols()
    addresses = numpy.zeros(len(symbols), numpy.uint64)
    for number, symbol in enumerate(symbols):
        if symbol.section in layout.places:
            addresses[number] = base + layout.places[symbol.section] + symbol.value
        elif symbol.section == elf.UNDEFINED and symbol.name:
            addresses[number] = resolve(symbol.name)
        else:
            # A constant, or in a section that is not placed, where nothing that is placed refers to.
            addresses[number] = symbol.value
    for number, place in layout.stubs.items():
        view[place : place + STUB_BYTES] = numpy.frombuffer(stub(int(addresses[number])), numpy.uint8)
        addresses[number] = base + place
    for number, table in file.relocations():
        relocate(file.machine, view, layout.places[number], base, addresses, table)
    return {
        symbol.name: int(address)
        for symbol, address in zip(symbols, addresses, strict=True)
        if symbol.name and symbol.section in layout.places
    }


class MachineCode:
    """The code of an object file; its memory is given back with this object, so no call may be under way then."""

    def __init__(self, content: bytes) -> None:
        """Loads `content`; raises `UnsupportedError` where it needs a function that nobody has."""
        file = ObjectFile(content)
        layout = Layout.of(file, file.symbols())
        self._memory = mmap.mmap(
            -1,
            max(layout.size, mmap.PAGESIZE),
            flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
        view = numpy.frombuffer(self._memory, numpy.uint8)
        base = view.ctypes.data
        self._named = link(file, layout, view, base, _address_elsewhere)
        library().pit_publish_code(base, base + layout.size)
        _protect(base, layout)

    def address(self, name: str) -> int:
        """The address of the function `name`; raises `KeyError`."""
        return self._named[name]


def _address_elsewhere(name: str) -> int:
    """Where the function `name` is: in our library first, as torch's has functions of OpenMP too."""
    for loaded in (library(), ctypes.CDLL(None)):
        try:
            function = loaded[name]
        except AttributeError:
            continue
        address = ctypes.cast(function, ctypes.c_void_p).value
        assert address is not None
        return address
    raise UnsupportedError(
        f"the machine code does not link: it calls '{name}', which neither the runtime nor the C library has"
    )


def _protect(base: int, layout: Layout) -> None:
    """Gives the pages of each access their protection; raises `PlatformError` where the system forbids it."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for access, (begin, end) in layout.pages.items():
        if end > begin and protect(base + begin, end - begin, _PROTECTIONS[access]):
            raise PlatformError(
                f"the system forbids memory for machine code: {ctypes.get_errno()} from mprotect"
            )

"""What the code of the large model asks a loader to fill in, by the ELF supplements for x86-64 and for AArch64.

Everything is referred to by 64-bit addresses, so sections may lie anywhere. Only the calls of AArch64 reach no
farther than 128 MiB: those that leave the file go by a *stub*, which jumps to an address that stands beside it.
"""

import struct
from collections.abc import Callable
from typing import Any

import numpy

from pit_mlir.runtime import elf

Write = Callable[[Any, Any, Any], None]
"""Writes to bytes, at offsets, 64-bit numbers: of symbols, or how far they lie from the place."""

STUB_BYTES = 16
_STUB = struct.Struct("<IIQ")
_LOAD_X16, _JUMP_TO_X16 = 0x58000050, 0xD61F0200
"""`ldr x16, .+8` and `br x16`; calls may change this register."""


def _write(view: Any, offsets: Any, values: Any, length: int) -> None:
    places = offsets[:, None] + numpy.arange(length, dtype=numpy.uint64)
    view[places] = values.astype("<u8").view(numpy.uint8).reshape(-1, 8)[:, :length]


def _write_word(view: Any, offsets: Any, values: Any) -> None:
    _write(view, offsets, values, 8)


def _write_half_word(view: Any, offsets: Any, values: Any) -> None:
    _write(view, offsets, values, 4)


def _replace_bits(view: Any, offsets: Any, values: Any, first: int, count: int) -> None:
    """Puts the low `count` bits of `values` into instructions, from bit `first` on."""
    places = offsets[:, None] + numpy.arange(4, dtype=numpy.uint64)
    given = numpy.ascontiguousarray(view[places]).view("<u4")[:, 0].astype(numpy.uint64)
    mask = numpy.uint64((1 << count) - 1)
    bits = (given & ~(mask << numpy.uint64(first))) | ((values & mask) << numpy.uint64(first))
    _write(view, offsets, bits, 4)


def _part_of_address(part: int) -> Write:
    """The 16 bits of number `part` as the operand of MOVZ or MOVK."""

    def write(view: Any, offsets: Any, values: Any) -> None:
        _replace_bits(view, offsets, values >> numpy.uint64(16 * part), 5, 16)

    return write


def _branch(view: Any, offsets: Any, values: Any) -> None:
    """How many instructions B or BL jumps."""
    assert (numpy.abs(values.view(numpy.int64)) < 1 << 27).all(), "functions lie too far apart"
    _replace_bits(view, offsets, values >> numpy.uint64(2), 0, 26)


ADDRESSES: dict[int, dict[int, Write]] = {
    elf.X86_64: {1: _write_word},  # R_X86_64_64
    elf.AARCH64: {
        257: _write_word,  # R_AARCH64_ABS64
        264: _part_of_address(0),  # R_AARCH64_MOVW_UABS_G0_NC
        266: _part_of_address(1),  # .._G1_NC
        268: _part_of_address(2),  # .._G2_NC
        269: _part_of_address(3),  # .._G3
    },
}
"""By machine and kind, how an address is written."""

DISTANCES: dict[int, dict[int, Write]] = {
    elf.X86_64: {24: _write_word},  # R_X86_64_PC64
    elf.AARCH64: {
        260: _write_word,  # R_AARCH64_PREL64
        261: _write_half_word,  # R_AARCH64_PREL32
        282: _branch,  # R_AARCH64_JUMP26
        283: _branch,  # R_AARCH64_CALL26
    },
}
"""By machine and kind, how is written how far a symbol lies from the place."""

BRANCHES = {elf.X86_64: (), elf.AARCH64: (282, 283)}
"""Kinds whose symbols are reached by stubs where they are in another file."""


def are_known(machine: int, kinds: Any) -> bool:
    """Whether all of `kinds` can be written for `machine`."""
    known = [*ADDRESSES.get(machine, ()), *DISTANCES.get(machine, ())]
    return bool(numpy.isin(kinds, known).all())


def relocate(machine: int, view: Any, place: int, base: int, addresses: Any, table: Any) -> None:
    """Writes what `table` asks for into the section at `place` of the bytes `view`, which will lie at `base`.

    `addresses` has the address of each symbol, as branches reach it where they are branches.
    """
    for writers, is_distance in ((ADDRESSES, False), (DISTANCES, True)):
        for kind, write in writers[machine].items():
            rows = table[table["kind"] == kind]
            if not len(rows):
                continue
            offsets = rows["offset"] + numpy.uint64(place)
            values = addresses[rows["symbol"]] + rows["addend"].view(numpy.uint64)
            write(view, offsets, values - (offsets + numpy.uint64(base)) if is_distance else values)


def stub(address: int) -> bytes:
    """The instructions of AArch64 that jump to `address`."""
    return _STUB.pack(_LOAD_X16, _JUMP_TO_X16, address)

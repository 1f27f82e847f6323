"""LLVM IR as older versions read it: the bindings write constants of floats as LLVM 24 does, llvmlite has LLVM 22.

LLVM 24 writes the shortest decimal number that rounds to the constant, `f0x` and its bits, or `+inf`, `-qnan`,
`+nan(0x1)`; before, f32 was written by the bits of the same number as f64, and the others by their own.
"""

import re
import struct

import ml_dtypes
import numpy

KINDS = re.compile(r"\b(half|bfloat|float|double)\b")
CONSTANT = re.compile(
    r"(?<![\w.%@$\"-])(?:f0x(?P<bits>[0-9A-Fa-f]+)|(?P<sign>[+-]?)(?:(?P<inf>inf)|(?P<nan>q?nan|snan)(?:\(0x(?P<payload>"
    r"[0-9A-Fa-f]+)\))?|(?P<number>\d+\.\d+(?:e[+-]?\d+)?)))(?![\w.])"
)
FORMATS = {"half": (16, 10), "bfloat": (16, 7), "float": (32, 23), "double": (64, 52)}
"""The bits of a number, and those of its fraction."""


def older(text: str) -> str:
    """`text` with constants of floats as LLVM 22 reads them."""
    return "\n".join(map(older_line, text.split("\n")))


def older_line(line: str) -> str:
    """One line, whose constants stand behind their types."""
    kinds = [(match.end(), match[1]) for match in KINDS.finditer(line)]
    if not kinds:
        return line

    def replacement(match: re.Match[str]) -> str:
        before = [kind for end, kind in kinds if end <= match.start()]
        return written(bits_of(match, before[-1]), before[-1]) if before else match[0]

    return CONSTANT.sub(replacement, line)


def bits_of(match: re.Match[str], kind: str) -> int:
    """The bits of a constant of the type `kind`."""
    width, fraction = FORMATS[kind]
    if match["bits"]:
        return int(match["bits"], 16)
    sign = int(match["sign"] == "-") << (width - 1)
    exponent = ((1 << (width - 1)) - 1) >> fraction << fraction
    if match["inf"]:
        return sign | exponent
    if match["nan"]:
        quiet = 0 if match["nan"] == "snan" else 1 << (fraction - 1)
        return sign | exponent | quiet | int(match["payload"] or "0", 16)
    number = float(match["number"])
    if kind == "double":
        return sign | int.from_bytes(struct.pack(">d", number), "big")
    if kind == "float":
        return sign | int.from_bytes(struct.pack(">f", number), "big")
    narrow = numpy.float16(number) if kind == "half" else ml_dtypes.bfloat16(number)
    return sign | int.from_bytes(narrow.tobytes(), "little")


def written(bits: int, kind: str) -> str:
    """How LLVM 22 writes a constant of `bits`."""
    if kind == "half":
        return f"0xH{bits:04X}"
    if kind == "bfloat":
        return f"0xR{bits:04X}"
    if kind == "double":
        return f"0x{bits:016X}"
    sign, exponent, fraction = bits >> 31, bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:
        # Not by way of a number: that makes a signaling NaN quiet.
        return f"0x{sign << 63 | 0x7FF << 52 | fraction << 29:016X}"
    (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))
    return f"0x{struct.pack('>d', number).hex().upper()}"

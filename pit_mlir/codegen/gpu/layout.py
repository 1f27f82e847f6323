"""How tiles lie in shared memory and in the registers of a warp. Pure arithmetic: nothing here knows MLIR.

Sources: PTX ISA 8.x, "Matrix Fragments for mma.m16n8k16", "ldmatrix" and "Shared Memory Matrix Layout"; shared memory
has 32 banks of 4 bytes, and serves 128 bytes of a warp at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

BANKS = 32
BANK_BYTES = 4
CHUNK_BYTES = 16
"""The widest access of a thread, what `ldmatrix` reads as a row of a matrix, and what a swizzle moves as a whole."""
WAVE_BYTES = BANKS * BANK_BYTES
WARP = 32
CHUNKS_OF_WAVE = WAVE_BYTES // CHUNK_BYTES


@dataclass(frozen=True)
class SharedTile:
    """A tile of `lines` x `width` elements of `bytes` bytes each, whose lines lie one after another.

    Where lines are longer, they are cut into `blocks` of `width`, each a tile of its own; these follow one another.

    Chunk c of a line lies at place `c xor phase(line)` of it, so that eight lines that follow each other hold chunk c
    in eight different groups of banks: a matrix of `ldmatrix` is read without conflicts, and so is it written.
    """

    lines: int
    width: int
    bytes: int
    blocks: int = 1

    def __post_init__(self) -> None:
        chunks = self.width * self.bytes // CHUNK_BYTES
        assert self.width * self.bytes % CHUNK_BYTES == 0 and chunks & (chunks - 1) == 0, (
            f"a line of {self.width} x {self.bytes} bytes is no power of 2 of chunks of {CHUNK_BYTES} bytes"
        )

    @property
    def per_chunk(self) -> int:
        """Elements of a chunk."""
        return CHUNK_BYTES // self.bytes

    @property
    def chunks(self) -> int:
        """Chunks of a line."""
        return self.width // self.per_chunk

    @property
    def phases(self) -> int:
        """How many places a chunk may lie at."""
        return min(self.chunks, CHUNKS_OF_WAVE)

    @property
    def period(self) -> int:
        """How many lines share a phase: those that fill the banks once."""
        return max(1, CHUNKS_OF_WAVE // self.chunks)

    @property
    def elements(self) -> int:
        """Elements of the tile."""
        return self.lines * self.width * self.blocks

    def phase(self, line: int) -> int:
        """What the chunks of `line` are moved by."""
        return line // self.period % self.phases

    def offset(self, line: int, element: int) -> int:
        """Where `element` of `line` lies, in elements from the start of the tile."""
        block, element = divmod(element, self.width)
        chunk, inside = divmod(element, self.per_chunk)
        line_of_all = block * self.lines + line
        return line_of_all * self.width + (chunk ^ self.phase(line)) * self.per_chunk + inside


def waves(addresses: Iterable[int], access_bytes: int) -> int:
    """How many times shared memory is asked until each thread of a warp has `access_bytes` bytes at its address.

    Threads that ask for the same word share it; 8 and 16 bytes are served a half and a quarter warp at a time.
    """
    given = list(addresses)
    at_once = WAVE_BYTES // max(access_bytes, BANK_BYTES)
    total = 0
    for first in range(0, len(given), at_once):
        words = {
            (address + byte) // BANK_BYTES
            for address in given[first : first + at_once]
            for byte in range(0, max(access_bytes, 1), BANK_BYTES)
        }
        banks = [word % BANKS for word in words]
        total += max((banks.count(bank) for bank in set(banks)), default=0)
    return total


MMA_ROWS, MMA_COLUMNS, MMA_DEPTH = 16, 8, 16
"""The shape of `mma.m16n8k16`."""


def mma_a(lane: int, register: int, half: int) -> tuple[int, int]:
    """Row and step of the first factor that `half` of `register` (0..3) of `lane` holds."""
    row, step = lane // 4, 2 * (lane % 4) + half
    return row + 8 * (register % 2), step + 8 * (register // 2)


def mma_b(lane: int, register: int, half: int) -> tuple[int, int]:
    """Step and column of the second factor that `half` of `register` (0..1) of `lane` holds."""
    return 2 * (lane % 4) + half + 8 * register, lane // 4


def mma_c(lane: int, register: int) -> tuple[int, int]:
    """Row and column of the sum that `register` (0..3) of `lane` holds."""
    return lane // 4 + 8 * (register // 2), 2 * (lane % 4) + register % 2


def ldmatrix(lane: int, register: int, half: int, *, transposed: bool) -> tuple[int, int, int]:
    """Matrix, line and element of it that `half` of `register` of `lane` holds after `ldmatrix`.

    The address of line i of matrix m is that of lane 8 m + i.
    """
    line, element = lane // 4, 2 * (lane % 4) + half
    return (register, element, line) if transposed else (register, line, element)


@dataclass(frozen=True)
class MatrixAddress:
    """Which line and which chunk lane l gives the address of to `ldmatrix.x4`, in a tile of 16 x 16 elements.

    `line = l % 8 + 8 * bit(line_bit)`, `chunk = bit(1 - line_bit)`, with bit(0) = l / 8 % 2 and bit(1) = l / 16.
    """

    line_bit: int

    def of(self, lane: int) -> tuple[int, int]:
        """Line and chunk of `lane`."""
        bits = (lane // 8 % 2, lane // 16)
        return lane % 8 + 8 * bits[self.line_bit], bits[1 - self.line_bit]


ROWS_ALONG_DEPTH = MatrixAddress(0)
"""The first factor, lines of rows: matrices are (rows, steps), those of the same steps first."""
ROWS_ACROSS = MatrixAddress(1)
"""The first factor, lines of steps, transposed: again those of the same steps come first."""
COLUMNS_ALONG_DEPTH = MatrixAddress(1)
"""The second factor, lines of columns: both matrices of the first eight columns come first."""
COLUMNS_ACROSS = MatrixAddress(0)
"""The second factor, lines of steps, transposed: both matrices of the first eight columns come first."""

"""Packing of rows by the bits of their list: they are read in order, and what is not listed is left out.

Where much is listed this is faster than gathering what the list names: whole vectors are loaded, and one instruction
moves their listed elements together. Of a word without a bit nothing is read, and what is not listed may be anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, memref, scf, vector, x86
from pit_mlir.codegen.build import (
    Index,
    add,
    choose,
    compare,
    floor_div,
    is_less,
    minimum,
    mul,
    remainder,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_views import View
from pit_mlir.codegen.cpu.pack import Factor, Rows
from pit_mlir.codegen.index_buffers import WORD
from pit_mlir.target import Host

ROWS_TOGETHER = 8
"""Rows that are read together; their addresses stay in registers."""


def can_compress(host: Host, type_: ir.Type) -> bool:
    """Whether `host` moves the listed elements of a vector of `type_` together in one instruction."""
    width = ir.IntegerType(type_).width if isinstance(type_, ir.IntegerType) else ir.FloatType(type_).width
    return moves_together(host) and width in (32, 64)


def moves_together(host: Host) -> bool:
    """Whether `host` has an instruction that moves chosen elements of a vector together."""
    return host.architecture == "x86_64" and host.vector_bits == 512


@dataclass(frozen=True)
class Compressor:
    """Packs rows of `factor`, contiguous along axis `depth` of `extent`, into `rows`.

    What is listed has its bit set in the words of `bits` from `first_word` on.
    """

    factor: Factor
    depth: int
    extent: Index
    rows: Rows
    bits: ir.Value
    first_word: Index

    def pack(
        self,
        together: int,
        count: Index,
        row_offset: Callable[[View, Index], Index],
        start: ir.Value,
        most: int,
    ) -> tuple[ir.Value, ir.Value]:
        """Packs what is listed from coordinate `start` on, until more than `most` steps are packed.

        `count` of `together` rows are there. Returns where it stopped, and how many steps were packed.
        """
        at = [
            self.factor.moved(lambda view, row=row: row_offset(view, minimum(row, sub(count, 1))))
            for row in range(together)
        ]
        index = ir.IndexType.get()
        loop_ = scf.WhileOp([index, index], [start, value(0)])
        before = loop_.before.blocks.append(index, index)
        with ir.InsertionPoint(before):
            place, filled = before.arguments
            rest = is_less(place, self.extent)
            scf.condition(arith.andi(rest, compare("sle", filled, most)), [place, filled])
        after = loop_.after.blocks.append(index, index)
        with ir.InsertionPoint(after):
            scf.yield_(self.pack_word(at, *after.arguments))
        return loop_.results[0], loop_.results[1]

    def pack_word(self, rows: Sequence[Factor], place: ir.Value, filled: ir.Value) -> list[ir.Value]:
        """Packs a vector of each of `rows` at `place`, or passes the rest of a word without a bit."""
        index, i64 = ir.IndexType.get(), ir.IntegerType.get_signless(WORD)
        number, inside = floor_div(place, WORD), remainder(place, WORD)
        word = memref.load(self.bits, [value(add(self.first_word, number))])
        rest = arith.shrui(word, arith.index_cast(i64, value(inside)))

        def pack() -> list[ir.Value]:
            listed = arith.trunci(ir.IntegerType.get_signless(self.rows.lanes), rest)
            self.pack_vectors(rows, place, listed, filled)
            packed = arith.index_castui(index, math.ctpop(listed))
            return [value(add(place, self.rows.lanes)), arith.addi(filled, packed)]

        def skip() -> list[ir.Value]:
            return [value(mul(add(number, 1), WORD)), filled]

        has_any = arith.cmpi(arith.CmpIPredicate.ne, rest, arith.constant(i64, 0))
        return choose(has_any, [index, index], pack, skip)

    def pack_vectors(
        self, rows: Sequence[Factor], place: ir.Value, listed: ir.Value, filled: ir.Value
    ) -> None:
        """Packs a vector of each of `rows` at `place`, the lanes whose bits in `listed` are set."""
        lanes = self.rows.lanes
        as_vector = vector.broadcast(ir.VectorType.get([1], listed.type), listed)
        mask = vector.bitcast(ir.VectorType.get([lanes], ir.IntegerType.get_signless(1)), as_vector)

        def load(view: View) -> ir.Value:
            stride = view.strides[self.depth]
            return view.load(mul(place, stride), stride, lanes, mask)

        for number, factor in enumerate(rows):
            packed = x86.avx512_mask_compress(mask, factor.compute(load, lanes))
            target = add(add(self.rows.start, mul(number, self.rows.pitch)), filled)
            vector.store(packed, self.rows.buffer, [value(target)])

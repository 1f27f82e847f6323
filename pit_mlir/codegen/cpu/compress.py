"""Packing of rows by what is live in them: they are read in order, and what is zero in all of them is left out.

Where much is live this is faster than gathering what a list names: whole vectors are loaded, and one instruction
moves their live elements together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, math, scf, vector, x86
from pit_mlir.codegen.cpu.build import Index, add, compare, is_less, minimum, mul, splat, sub, value, zero
from pit_mlir.codegen.cpu.contract_views import View, first_lanes
from pit_mlir.codegen.cpu.pack import Factor, Rows
from pit_mlir.target import Host

MOST_ROWS = 16
"""Rows that are looked at together; their addresses stay in registers, or nearly."""


def can_compress(host: Host, type_: ir.Type) -> bool:
    """Whether `host` moves the live elements of a vector of `type_` together in one instruction."""
    width = ir.IntegerType(type_).width if isinstance(type_, ir.IntegerType) else ir.FloatType(type_).width
    return host.architecture == "x86_64" and host.vector_bits == 512 and width in (32, 64)


@dataclass(frozen=True)
class Compressor:
    """Packs rows of `factor`, contiguous along axis `depth` of `extent`, into `rows`, and lists what it packed."""

    factor: Factor
    depth: int
    extent: Index
    rows: Rows
    entries: ir.Value

    def pack(
        self,
        block: int,
        count: Index,
        row_offset: Callable[[View, Index], Index],
        first_entry: Index,
        start: ir.Value,
        most: int,
    ) -> tuple[ir.Value, ir.Value]:
        """Packs what is live from coordinate `start` on, until there is no room for a vector below `most`.

        `count` rows of a block of `block` are there. Returns where it stopped, and how many steps were packed.
        """
        lanes = self.rows.lanes
        at = [
            self.factor.moved(lambda view, row=row: row_offset(view, minimum(row, sub(count, 1))))
            for row in range(block)
        ]
        index = ir.IndexType.get()
        loop_ = scf.WhileOp([index, index], [start, value(0)])
        before = loop_.before.blocks.append(index, index)
        with ir.InsertionPoint(before):
            place, filled = before.arguments
            rest = is_less(place, self.extent)
            scf.condition(arith.andi(rest, compare("sle", filled, most - lanes)), [place, filled])
        after = loop_.after.blocks.append(index, index)
        with ir.InsertionPoint(after):
            place, filled = after.arguments
            live = self.pack_vectors(at, place, add(first_entry, filled), filled)
            scf.yield_([value(add(place, lanes)), arith.addi(filled, live)])
        return loop_.results[0], loop_.results[1]

    def pack_vectors(
        self, rows: Sequence[Factor], place: ir.Value, entry: Index, filled: ir.Value
    ) -> ir.Value:
        """Packs what is live in a vector of each of `rows` at `place`; returns how many steps that is."""
        lanes = self.rows.lanes
        inside = first_lanes(sub(self.extent, place), lanes)
        lines = [
            factor.compute(
                # What has the same element all along the depth has no vector to load.
                lambda view: view.load(
                    mul(place, view.strides[self.depth]), view.strides[self.depth], lanes, inside
                ),
                lanes,
            )
            for factor in rows
        ]
        live = nonzero(lines[0])
        for line in lines[1:]:
            live = arith.ori(live, nonzero(line))
        live = arith.andi(live, inside)
        for number, line in enumerate(lines):
            target = add(add(self.rows.start, number * self.rows.pitch), filled)
            vector.store(compressed(live, line), self.rows.buffer, [value(target)])
        i32 = ir.IntegerType.get_signless(32)
        numbers = ir.DenseElementsAttr.get(
            [ir.IntegerAttr.get(i32, lane) for lane in range(lanes)], ir.VectorType.get([lanes], i32)
        )
        first = splat(arith.index_cast(i32, place), lanes)
        coordinates = arith.addi(first, arith.constant(numbers.type, numbers))
        narrow = lanes * 32 < 512
        if narrow:
            # There is no instruction for less than a whole register of 32-bit elements.
            coordinates = arith.extsi(
                ir.VectorType.get([lanes], ir.IntegerType.get_signless(64)), coordinates
            )
        packed = compressed(live, coordinates)
        packed = arith.trunci(ir.VectorType.get([lanes], i32), packed) if narrow else packed
        vector.store(packed, self.entries, [value(entry)])
        bits = ir.IntegerType.get_signless(lanes)
        word = vector.extract(vector.bitcast(ir.VectorType.get([1], bits), live), [], [0])
        return arith.index_castui(ir.IndexType.get(), math.ctpop(word))


def nonzero(values: ir.Value) -> ir.Value:
    """Which lanes of `values` are not zero; NaN is not."""
    if isinstance(ir.VectorType(values.type).element_type, ir.FloatType):
        return arith.cmpf(arith.CmpFPredicate.UNE, values, zero(values.type))
    return arith.cmpi(arith.CmpIPredicate.ne, values, zero(values.type))


def compressed(live: ir.Value, values: ir.Value) -> ir.Value:
    """The lanes of `values` that are `live`, moved together."""
    return x86.avx512_mask_compress(live, values)

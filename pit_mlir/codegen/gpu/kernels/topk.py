"""`tm_tensor.topk`: a thread per row inserts each of its elements into the sorted ones that are kept."""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.bodies import inlined


def lower_topk(op: ir.Operation, lowering: GpuLowering) -> None:
    """Of what the inits hold and of each row's elements along `dimension`, keeps those that come first by the body.

    An element comes before one that is kept where the body says so; of two of which neither does, the one that came
    first. The numbers of the elements are the second input, or their places in the row.
    """
    is_numbered = len(op.operands) == 4
    source = read(op.operands[0])
    numbers = read(op.operands[1]) if is_numbered else None
    kept = [private_copy(init) for init in list(op.operands)[-2:]]
    dimension = ir.IntegerAttr(op.attributes["dimension"]).value
    extents, count = sizes(op.operands[0]), sizes(op.results[0])[dimension]
    others = [size for dim, size in enumerate(extents) if dim != dimension]
    types = [ir.MemRefType(buffer.type).element_type for buffer in kept]
    body = op.regions[0].blocks[0]
    with each(build.product(others)) as number, build.loop(0, extents[dimension]) as place:
        row = build.delinearize(number, others)

        def at(position: Index) -> list[ir.Value]:
            return [value(part) for part in (*row[:dimension], position, *row[dimension:])]

        def own_number() -> ir.Value:
            return arith.index_cast(types[1], place) if numbers is None else memref.load(numbers, at(place))

        def step(rank: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            """Puts the better of what is carried and what is kept at `rank` there; carries the other."""
            there = [memref.load(buffer, at(rank)) for buffer in kept]
            comes_first = is_before(body, carried, there)
            for mine, its, buffer in zip(carried, there, kept, strict=True):
                memref.store(arith.select(comes_first, mine, its), buffer, at(rank))
            return [arith.select(comes_first, its, mine) for mine, its in zip(carried, there, strict=True)]

        build.fold(0, count, 1, [memref.load(source, at(place)), own_number()], step)
    for buffer, result in zip(kept, op.results, strict=True):
        give(buffer, result)


def is_before(body: ir.Block, one: Sequence[ir.Value], other: Sequence[ir.Value]) -> ir.Value:
    """Whether an element with its number comes before another: by the body, else by their numbers."""
    bit = ir.IntegerType.get_signless(1)
    better = inlined(body, [one[0], other[0]])[0]
    worse = inlined(body, [other[0], one[0]])[0]
    earlier = arith.cmpi(arith.CmpIPredicate.slt, one[1], other[1])
    is_equal = arith.xori(arith.ori(better, worse), arith.constant(bit, 1))
    return arith.ori(better, arith.andi(is_equal, earlier))

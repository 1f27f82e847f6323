"""`tm_tensor.scatter` on buffers: one update after another, each only if it lies within the result."""

from contextlib import ExitStack

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, compare, loop, truth, value, when
from pit_mlir.codegen.checks import fail
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.dialect.bodies import inlined


def lower_scatter(op: ir.Operation, lowering: CpuLowering) -> None:
    """result[indices[n] + w] = body(updates[n, w], result[indices[n] + w]) for each n in order and each w.

    Dimension i of the indices stands for dimension `dimension_map[i]` of the result; the dimensions of a window w are
    the last ones of the result. An index out of range fails a check and writes nothing.
    """
    updates, indices = read(op.operands[0]), read(op.operands[1])
    result = private_copy(op.operands[2])
    window, extents = sizes(op.operands[0])[1:], sizes(op.operands[2])
    mapped = list(op.attributes["dimension_map"])
    first = len(extents) - len(window)
    with loop(0, sizes(op.operands[0])[0]) as update:
        starts: list[Index] = [0] * len(extents)
        inside = truth(True)
        for number, dim in enumerate(mapped):
            given = memref.load(indices, [update, value(number)])
            starts[dim] = arith.index_cast(ir.IndexType.get(), given)
            width: Index = window[dim - first] if dim >= first else 1
            last = build.sub(extents[dim], width)
            within = arith.andi(compare("sge", starts[dim], 0), compare("sle", starts[dim], last))
            inside = arith.andi(inside, within)
        with when(arith.xori(inside, truth(True))):
            fail("an index of a scatter is out of range", op)
        with when(inside), ExitStack() as stack:
            place = [stack.enter_context(loop(0, extent)) for extent in window]
            at = list(starts)
            for dim, coordinate in enumerate(place, first):
                at[dim] = build.add(starts[dim], coordinate)
            target = [value(coordinate) for coordinate in at]
            element = memref.load(updates, [update, *place])
            combined = inlined(op.regions[0].blocks[0], [element, memref.load(result, target)])
            memref.store(combined[0], result, target)
    give(result, op.results[0])

"""`tm_tensor.scatter`: a thread for each element of the updates where no two meet, or where the memory adds them up.

Else there is one for each place in a window, which walks over the updates in their order.
"""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, bytes_of, compare, truth, value, when
from pit_mlir.codegen.gpu.checks import check_word, fail
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.bodies import inlined


def lower_scatter(op: ir.Operation, lowering: GpuLowering) -> None:
    """result[indices[n] + w] = body(updates[n, w], result[indices[n] + w]) for each n in order and each w.

    Dimension i of the indices stands for dimension `dimension_map[i]` of the result; the dimensions of a window w are
    the last ones of the result. An index out of range fails a check and writes nothing.
    """
    updates, indices = read(op.operands[0]), read(op.operands[1])
    result = private_copy(op.operands[2])
    count, *window = sizes(op.operands[0])
    extents, mapped = sizes(op.operands[2]), list(op.attributes["dimension_map"])
    body = op.regions[0].blocks[0]
    adds = adds_up(body) and not lowering.deterministic
    word = check_word(op)

    def visit(update: Index, place: Sequence[Index]) -> None:
        starts, inside = starts_of(indices, update, mapped, extents, window)
        is_first = truth(True)
        for coordinate in place:
            is_first = arith.andi(is_first, compare("eq", coordinate, 0))
        with when(arith.andi(is_first, arith.xori(inside, truth(True)))):
            fail(word, "an index of a scatter is out of range", op)
        with when(inside):
            first = len(extents) - len(window)
            at = [
                value(build.add(start, place[dim - first]) if dim >= first else start)
                for dim, start in enumerate(starts)
            ]
            element = memref.load(updates, [value(coordinate) for coordinate in (update, *place)])
            if adds:
                is_float = isinstance(element.type, ir.FloatType)
                kind = arith.AtomicRMWKind.addf if is_float else arith.AtomicRMWKind.addi
                memref.atomic_rmw(kind, element, result, at)
            else:
                memref.store(inlined(body, [element, memref.load(result, at)])[0], result, at)

    if adds or ir.BoolAttr(op.attributes["unique_indices"]).value:
        with each(build.product([count, *window])) as number:
            update, *place = build.delinearize(number, [count, *window])
            visit(update, place)
    else:
        with each(build.product(window)) as number, build.loop(0, count) as update:
            visit(update, build.delinearize(number, window))
    give(result, op.results[0])


def starts_of(
    indices: ir.Value, update: Index, mapped: Sequence[int], extents: Sequence[Index], window: Sequence[Index]
) -> tuple[list[Index], ir.Value]:
    """Where the window of `update` begins in the result, and whether all of it lies within."""
    first = len(extents) - len(window)
    starts: list[Index] = [0] * len(extents)
    inside = truth(True)
    for number, dim in enumerate(mapped):
        given = memref.load(indices, [value(update), value(number)])
        starts[dim] = arith.index_cast(ir.IndexType.get(), given)
        width: Index = window[dim - first] if dim >= first else 1
        last = build.sub(extents[dim], width)
        within = arith.andi(compare("sge", starts[dim], 0), compare("sle", starts[dim], last))
        inside = arith.andi(inside, within)
    return starts, inside


def adds_up(body: ir.Block) -> bool:
    """Whether the body adds the update to what is there, numbers of 32 or 64 bits."""
    operations = [op.operation for op in body.operations]
    return (
        len(operations) == 2
        and operations[0].name in ("arith.addf", "arith.addi")
        and set(operations[0].operands) == set(body.arguments)
        and bytes_of(operations[0].results[0].type) >= 4
    )

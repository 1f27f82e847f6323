"""`pit.sread` and `pit.swrite`: rows gathered and scattered, each thread moving what lies next to its neighbour's."""

from collections.abc import Sequence

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate_like, give, private_copy, read
from pit_mlir.codegen.build import Index, bytes_of, value
from pit_mlir.codegen.gpu.flat import load_vector, store_vector
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.rows import Move, Rows, combined


def lower_sread(op: ir.Operation, lowering: GpuLowering) -> None:
    """Copies each listed row to its place among the compact ones."""
    source, index = op.operands
    rows = Rows.of(op, source, lowering.indices[index])
    result = allocate_like(op.results[0].type, rows.compact_extents)
    buffer = read(source)
    lanes = vector_lanes(source.type, rows.axis)

    def copy(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        if lanes > 1:
            store_vector(load_vector(buffer, wide, lanes), result, narrow)
        else:
            memref.store(memref.load(buffer, wide), result, narrow)

    for_each_element(rows, lanes, copy)
    give(result, op.results[0])


def lower_swrite(op: ir.Operation, lowering: GpuLowering) -> None:
    """Stores or combines each compact row at its place in a copy of the init."""
    values, init, index = op.operands
    combine = ir.StringAttr(op.attributes["combine"]).value
    rows, compact = Rows.of(op, init, lowering.indices[index]), read(values)
    rows = rows.held_by(compact, op)
    result = private_copy(init)
    lanes = vector_lanes(init.type, rows.axis) if combine == "store" else 1
    atomic = None if lowering.deterministic else atomic_kind(combine, ir.MemRefType(result.type).element_type)

    def move(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        if lanes > 1:
            store_vector(load_vector(compact, narrow, lanes), result, wide)
            return
        element = memref.load(compact, narrow)
        if combine == "store":
            memref.store(element, result, wide)
        elif atomic is not None:
            memref.atomic_rmw(atomic, element, result, wide)
        else:
            memref.store(combined(combine, memref.load(result, wide), element), result, wide)

    if combine == "store" or atomic is not None:
        for_each_element(rows, lanes, move)
    else:
        for_each_column(rows, move)
    give(result, op.results[0])


ATOMIC = {
    "add": (arith.AtomicRMWKind.addf, arith.AtomicRMWKind.addi),
    "max": (None, arith.AtomicRMWKind.maxs),
    "min": (None, arith.AtomicRMWKind.mins),
}
"""How rows that may meet at one place are combined by the memory: floats, integers."""


def atomic_kind(combine: str, element: ir.Type) -> "arith.AtomicRMWKind | None":
    """The atomic operation that does `combine` on numbers of 32 or 64 bits; None where there is none."""
    if combine == "store" or bytes_of(element) < 4:
        return None
    floats, integers = ATOMIC[combine]
    return floats if isinstance(element, ir.FloatType) else integers


def for_each_element(rows: Rows, lanes: int, move: Move) -> None:
    """Builds a launch with a thread for each element of the rows, or for each `lanes` neighbours of a row."""
    last, first = len(rows.extents) - 1, rows.first
    space: dict[int, Index] = {dim: rows.extents[dim] for dim in rows.others}
    if last in space:
        space[last] = build.floor_div(space[last], lanes)
    space[first] = rows.total
    order = sorted(space)
    bounds = space | {first: build.product(rows.index.extents)}
    count = build.product([space[dim] for dim in order])
    with each(count, build.product([bounds[dim] for dim in order])) as number:
        place = dict(zip(order, build.delinearize(number, [space[dim] for dim in order]), strict=True))
        row = value(place[first])
        if last in rows.others:
            place[last] = build.mul(place[last], lanes)
        move(*rows.places(row, rows.coordinates(row), [place[dim] for dim in rows.others]))


def for_each_column(rows: Rows, move: Move) -> None:
    """Builds a launch with a thread for each place in a row, which walks over all rows in their order."""
    space = [rows.extents[dim] for dim in rows.others]
    with each(build.product(space)) as number, build.loop(0, rows.total) as row:
        move(*rows.places(row, rows.coordinates(row), build.delinearize(number, space)))


def vector_lanes(type_: ir.Type, axis: Sequence[int]) -> int:
    """How many neighbours of a row are moved at once: 16 bytes where rows are multiples of it."""
    tensor = ir.RankedTensorType(type_)
    last = tensor.rank - 1
    element = tensor.element_type
    is_vector = isinstance(element, ir.FloatType) or (
        isinstance(element, ir.IntegerType) and element.width >= 8
    )
    if not is_vector or last in axis or tensor.is_dynamic_dim(last):
        return 1
    size = bytes_of(element)
    return CHUNK_BYTES // size if tensor.shape[last] * size % CHUNK_BYTES == 0 and tensor.shape[last] else 1

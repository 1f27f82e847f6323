"""`pit.sread` and `pit.swrite`: rows gathered and scattered, each thread moving what lies next to its neighbour's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate_like, give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, bytes_of, value
from pit_mlir.codegen.gpu.flat import load_vector, store_vector
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.rows import combined, compact, same_rows, usable_rows


def lower_sread(op: ir.Operation, lowering: GpuLowering) -> None:
    """Copies each listed row to its place among the compact ones."""
    source, index = op.operands[0], lowering.indices[op.operands[1]]
    axis, group = list(op.attributes["axis"]), list(op.attributes["group"])
    extents = sizes(source)
    total = usable_rows(op, index, extents, axis, group)
    result = allocate_like(op.results[0].type, compact(extents, axis, index.total))
    buffer = read(source)
    lanes = vector_lanes(source.type, axis)

    def copy(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        if lanes > 1:
            store_vector(load_vector(buffer, wide, lanes), result, narrow)
        else:
            memref.store(memref.load(buffer, wide), result, narrow)

    for_each_element(Walk(index, total, extents, axis, group, lanes), copy)
    give(result, op.results[0])


def lower_swrite(op: ir.Operation, lowering: GpuLowering) -> None:
    """Stores or combines each compact row at its place in a copy of the init."""
    values, init = op.operands[0], op.operands[1]
    index = lowering.indices[op.operands[2]]
    axis, group = list(op.attributes["axis"]), list(op.attributes["group"])
    combine = ir.StringAttr(op.attributes["combine"]).value
    extents = sizes(init)
    total = usable_rows(op, index, extents, axis, group)
    rows = read(values)
    total = same_rows(op, rows, min(axis), total)
    result = private_copy(init)
    lanes = vector_lanes(init.type, axis) if combine == "store" else 1
    walk = Walk(index, total, extents, axis, group, lanes)
    atomic = None if lowering.deterministic else atomic_kind(combine, ir.MemRefType(result.type).element_type)

    def move(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        if lanes > 1:
            store_vector(load_vector(rows, narrow, lanes), result, wide)
            return
        element = memref.load(rows, narrow)
        if combine == "store":
            memref.store(element, result, wide)
        elif atomic is not None:
            memref.atomic_rmw(atomic, element, result, wide)
        else:
            memref.store(combined(combine, memref.load(result, wide), element), result, wide)

    if combine == "store" or atomic is not None:
        for_each_element(walk, move)
    else:
        for_each_column(walk, move)
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


@dataclass(frozen=True)
class Walk:
    """The `total` rows of an index and where they lie in a tensor of `extents`.

    Its dimensions `axis` are addressed by the coordinates `group` of the index; `lanes` neighbours along the last
    dimension are moved at once.
    """

    index: IndexBuffers
    total: Index
    extents: Sequence[Index]
    axis: Sequence[int]
    group: Sequence[int]
    lanes: int

    @property
    def others(self) -> list[int]:
        """The dimensions that rows have."""
        return [dim for dim in range(len(self.extents)) if dim not in self.axis]

    def steps(self, dim: int) -> Index:
        """How many moves there are along one of `others`."""
        last = dim == len(self.extents) - 1
        return build.floor_div(self.extents[dim], self.lanes) if last else self.extents[dim]

    def places(self, row: Index, inner: Sequence[Index]) -> tuple[list[ir.Value], list[ir.Value]]:
        """Where an element of `row` is, in the tensor and compact; `inner` counts moves along `others`."""
        linear = arith.index_cast(ir.IndexType.get(), memref.load(self.index.rows, [value(row)]))
        place = build.delinearize(linear, self.index.extents)
        wide: list[Index] = [0] * len(self.extents)
        for dim, coordinate in zip(self.axis, self.group, strict=True):
            wide[dim] = place[coordinate]
        for dim, number in zip(self.others, inner, strict=True):
            wide[dim] = build.mul(number, self.lanes) if dim == len(self.extents) - 1 else number
        narrow = [
            row if dim == min(self.axis) else wide[dim]
            for dim in range(len(self.extents))
            if dim == min(self.axis) or dim in self.others
        ]
        return [value(coordinate) for coordinate in wide], [value(coordinate) for coordinate in narrow]


Move = Callable[[Sequence[ir.Value], Sequence[ir.Value]], None]
"""Gets the wide and the compact coordinates of an element, or of the first of several neighbours."""


def for_each_element(walk: Walk, move: Move) -> None:
    """Builds a launch with a thread for each element of the rows, neighbours along the last dimension."""
    first = min(walk.axis)
    space = {dim: walk.steps(dim) for dim in walk.others} | {first: walk.total}
    order = sorted(space)
    bounds = space | {first: build.product(walk.index.extents)}
    count = build.product([space[dim] for dim in order])
    with each(count, build.product([bounds[dim] for dim in order])) as number:
        place = dict(zip(order, build.delinearize(number, [space[dim] for dim in order]), strict=True))
        move(*walk.places(place[first], [place[dim] for dim in walk.others]))


def for_each_column(walk: Walk, move: Move) -> None:
    """Builds a launch with a thread for each place in a row, which walks over all rows in their order."""
    space = [walk.steps(dim) for dim in walk.others]
    with each(build.product(space)) as number, build.loop(0, walk.total) as row:
        move(*walk.places(row, build.delinearize(number, space)))


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

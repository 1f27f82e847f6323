"""`pit.sread` and `pit.swrite` on buffers: rows copied one by one, threads sharing the rows."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import Lowering, allocate_like, give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, loop, value
from pit_mlir.codegen.cpu.deferred_lists import index_of
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.rows import combined, compact, same_rows, usable_rows


def lower_size(op: ir.Operation, lowering: Lowering) -> None:
    """The number of rows is known when the index is made."""
    op.results[0].replace_all_uses_with(value(index_of(op.operands[0], lowering).total))


def lower_sread(op: ir.Operation, lowering: Lowering) -> None:
    """Copies each listed row to its place among the compact ones."""
    source, index = op.operands[0], lowering.indices[op.operands[1]]
    axis, group = list(op.attributes["axis"]), list(op.attributes["group"])
    extents = sizes(source)
    total = usable_rows(op, index, extents, axis, group)
    result = allocate_like(op.results[0].type, compact(extents, axis, index.total))
    buffer = read(source)

    def copy(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        memref.store(memref.load(buffer, wide), result, narrow)

    for_each_element(index, total, extents, axis, group, copy, in_parallel=True)
    give(result, op.results[0])


def lower_swrite(op: ir.Operation, lowering: Lowering) -> None:
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

    def copy(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        element = memref.load(rows, narrow)
        if combine != "store":
            element = combined(combine, memref.load(result, wide), element)
        memref.store(element, result, wide)

    # Rows that are combined may meet at one place: one thread does them all.
    for_each_element(index, total, extents, axis, group, copy, in_parallel=combine == "store")
    give(result, op.results[0])


def for_each_element(
    index: IndexBuffers,
    total: Index,
    extents: Sequence[Index],
    axis: Sequence[int],
    group: Sequence[int],
    body: Callable[[Sequence[ir.Value], Sequence[ir.Value]], None],
    *,
    in_parallel: bool,
) -> None:
    """Loops over the rows and all other dimensions; `body` gets the wide and the compact coordinates."""
    others = [dim for dim in range(len(extents)) if dim not in axis]
    work = build.product([1, *(extents[dim] for dim in others)])
    with ExitStack() as stack:
        low, high = stack.enter_context(chunks(total, rows_at_once(work))) if in_parallel else (0, total)
        row = stack.enter_context(loop(low, high))
        linear = arith.index_cast(ir.IndexType.get(), memref.load(index.rows, [row]))
        place = build.delinearize(linear, index.extents)
        wide: list[Index] = [0] * len(extents)
        for dim, coordinate in zip(axis, group, strict=True):
            wide[dim] = place[coordinate]
        for dim in others:
            wide[dim] = stack.enter_context(loop(0, extents[dim]))
        narrow = [
            row if dim == min(axis) else wide[dim]
            for dim in range(len(extents))
            if dim == min(axis) or dim in others
        ]
        body([value(coordinate) for coordinate in wide], [value(coordinate) for coordinate in narrow])

"""`pit.sread` and `pit.swrite` on buffers: rows copied one by one, threads sharing the rows."""

from collections.abc import Sequence
from contextlib import ExitStack

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate_like, give, private_copy, read
from pit_mlir.codegen.build import loop, value
from pit_mlir.codegen.cpu.deferred_lists import index_of
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.rows import Move, Rows, combined


def lower_size(op: ir.Operation, lowering: CpuLowering) -> None:
    """The number of rows is known when the index is made."""
    op.results[0].replace_all_uses_with(value(index_of(op.operands[0], lowering).total))


def lower_sread(op: ir.Operation, lowering: CpuLowering) -> None:
    """Copies each listed row to its place among the compact ones."""
    source, index = op.operands
    rows = Rows.of(op, source, lowering.indices[index])
    result = allocate_like(op.results[0].type, rows.compact_extents)
    buffer = read(source)

    def copy(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        memref.store(memref.load(buffer, wide), result, narrow)

    for_each_element(rows, copy, in_parallel=True)
    give(result, op.results[0])


def lower_swrite(op: ir.Operation, lowering: CpuLowering) -> None:
    """Stores or combines each compact row at its place in a copy of the init."""
    values, init, index = op.operands
    combine = ir.StringAttr(op.attributes["combine"]).value
    rows, compact = Rows.of(op, init, lowering.indices[index]), read(values)
    rows = rows.held_by(compact, op)
    result = private_copy(init)

    def copy(wide: Sequence[ir.Value], narrow: Sequence[ir.Value]) -> None:
        element = memref.load(compact, narrow)
        if combine != "store":
            element = combined(combine, memref.load(result, wide), element)
        memref.store(element, result, wide)

    # Rows that are combined may meet at one place: one thread does them all.
    for_each_element(rows, copy, in_parallel=combine == "store")
    give(result, op.results[0])


def for_each_element(rows: Rows, move: Move, *, in_parallel: bool) -> None:
    """Loops over the rows and all other dimensions."""
    extents = [rows.extents[dim] for dim in rows.others]
    with ExitStack() as stack:
        at_once = rows_at_once(build.product([1, *extents]))
        low, high = stack.enter_context(chunks(rows.total, at_once)) if in_parallel else (0, rows.total)
        row = stack.enter_context(loop(low, high))
        coordinates = rows.coordinates(row)
        move(*rows.places(row, coordinates, [stack.enter_context(loop(0, extent)) for extent in extents]))

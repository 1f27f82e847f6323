"""The end of a tile of a contraction: sums pass through the epilogue from registers to their places in the result."""

from collections.abc import Callable

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.build import Index, add, compare, value, when
from pit_mlir.codegen.gpu.build import evaluated
from pit_mlir.codegen.gpu.contract_frame import Frame, Task, View
from pit_mlir.codegen.gpu.kernels.contract_cores import Row
from pit_mlir.dialect.yield_ import yielded


def finish(frame: Frame, task: Task, sums: Row) -> None:
    """Passes the sums of a row of `task` through the epilogue to the result."""
    views = frame.views_of(frame.plan.epilogue_elements)
    with when(compare("slt", sums.row, task.rows)):
        row = add(task.row, sums.row)

        def line(view: View) -> Index:
            return add(frame.outer_offset(view, task.outer), frame.row_offset(view, row))

        starts = {view: line(view) for view in (*dict.fromkeys(views.values()), frame.result)}
        for first, run in sums.runs:
            for inside, total in enumerate(run):
                column = add(first, inside)
                with when(compare("slt", column, task.columns)):
                    place = add(task.column, column)

                    def at(view: View, place: Index = place) -> Index:
                        return add(starts[view], frame.column_offset(view, place))

                    store(frame, total, at)


def store(frame: Frame, total: ir.Value, at: Callable[[View], Index]) -> None:
    """Passes a sum through the epilogue to its place; `at` says where each view has it."""
    block = frame.plan.op.regions[1].blocks[0]
    known = {block.arguments[0]: total, **{scalar: scalar for scalar in frame.plan.captured}}
    for scalar, view in frame.views_of(frame.plan.epilogue_elements).items():
        known[scalar] = view.load(at(view))
    final = evaluated(yielded(block)[0], known)
    result = frame.result
    place = value(add(result.base, at(result)))
    if not frame.adds:
        memref.store(final, result.buffer, [place])
        return
    # A place may be listed in several tasks.
    add_to(result.buffer, place, final)


def add_to(buffer: ir.Value, at: Index, amount: ir.Value) -> None:
    """Adds `amount` to an element of `buffer`, whoever else does."""
    is_float = isinstance(amount.type, ir.FloatType)
    kind = arith.AtomicRMWKind.addf if is_float else arith.AtomicRMWKind.addi
    memref.atomic_rmw(kind, amount, buffer, [value(at)])

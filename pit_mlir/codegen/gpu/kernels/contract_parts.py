"""A contraction with a list of rows for each part of the depth: tasks sum over a part and its rows, and add what they
get to sums in memory, which pass through the epilogue when all are there."""

from pit_mlir.analysis.gpu_chips import Chip
from pit_mlir.bindings import linalg, memref
from pit_mlir.codegen.buffers import load_index
from pit_mlir.codegen.build import Index, add, compare, delinearize, flat, mul, product, value, when, zero
from pit_mlir.codegen.gpu.contract_frame import Frame, Task, View
from pit_mlir.codegen.gpu.contract_tiles import tile_of
from pit_mlir.codegen.gpu.kernels.contract import emit_contract
from pit_mlir.codegen.gpu.kernels.contract_cores import Row
from pit_mlir.codegen.gpu.kernels.contract_finish import add_to, store
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.lowering import GpuLowering


def emit_parts(frame: Frame, chip: Chip, lowering: GpuLowering) -> None:
    """Launches that compute what `frame`, which lists rows for parts of its depth, says."""
    type_ = frame.plan.sum_type
    extents = [*(frame.extents[a] for a in frame.outer), frame.rows, frame.columns]
    sums = memref.alloc(flat(type_), [value(product(extents))], [])
    linalg.fill(zero(type_), outs=[sums])

    def end(frame: Frame, task: Task, row: Row) -> None:
        assert frame.index is not None
        with when(compare("slt", row.row, task.rows)):
            place = load_index(frame.index.entries, add(task.row, row.row))
            for first, run in row.runs:
                for inside, total in enumerate(run):
                    column = add(first, inside)
                    with when(compare("slt", column, task.columns)):
                        at = linear([*task.outer, place, add(task.column, column)], extents)
                        add_to(sums, at, total)

    emit_contract(frame, tile_of(frame, tf32=lowering.tf32), chip, lowering, end=end)
    with each(mul(product(extents), frame.fit)) as number:
        *outer, row, column = delinearize(number, extents)

        def at(view: View, _: int) -> Index:
            line = add(frame.outer_offset(view, outer), frame.along(view, frame.row_axes[0], row))
            return add(line, frame.column_offset(view, column))

        store(frame, [memref.load(sums, [number])], at)


def linear(place: list[Index], extents: list[Index]) -> Index:
    """The number of `place` in a space of `extents`."""
    result: Index = 0
    for coordinate, extent in zip(place, extents, strict=True):
        result = add(mul(result, extent), coordinate)
    return result

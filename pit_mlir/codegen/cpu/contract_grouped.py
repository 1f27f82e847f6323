"""The tasks of a contraction whose columns depend on the segment of a row, such as the weights of experts.

Segments are as unequal as the data makes them. What is shared out is a list of blocks of rows, each with blocks of
columns; threads take these tasks as they get free. A block of many rows packs its columns, one of few rows reads
them where they lie.
"""

from pit_mlir.bindings import ir
from pit_mlir.codegen.build import (
    Index,
    ceil_div,
    choose,
    compare,
    delinearize,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    sub,
)
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, rounded
from pit_mlir.codegen.cpu.contract_packed import ROWS_OF_TASK, PackedForm
from pit_mlir.codegen.cpu.contract_segments import keyed, list_blocks, most_rows
from pit_mlir.codegen.cpu.contract_skinny import SkinnyForm


def build_grouped(frame: Frame, packed: PackedForm, few: SkinnyForm | None) -> None:
    """Emits the tasks of a list of rows whose columns depend on the segment, in the form `few` where there are few."""
    tile = frame.tile
    high = minimum(maximum(rounded(most_rows(frame), tile.rows), tile.rows), ROWS_OF_TASK)
    blocks = list_blocks(frame, high)
    free = [frame.extents[a] for a in frame.outer if frame.plan.axes[a].iterators[-1] not in frame.plan.keys]
    # Places that are added to may be listed twice: one task owns all rows of its columns.
    shared = 1 if frame.adds else blocks.count
    wide = packed.width(product([shared, *free]))
    counts = [shared, *free, ceil_div(frame.columns, wide)]
    with parallel(product(counts), dynamic=True) as number:
        first, *coordinates = delinearize(number, counts)
        column = mul(coordinates.pop(), wide)
        columns = minimum(wide, sub(frame.columns, column))
        with loop(0, blocks.count if frame.adds else 1) as pass_:
            segment, row, rows = blocks.at(pass_ if frame.adds else first)
            task = Task(keyed(frame, coordinates, segment), row, rows, column, columns)
            build_task(packed, few, task, high, wide)


def build_task(packed: PackedForm, few: SkinnyForm | None, task: Task, high: Index, wide: Index) -> None:
    """Emits `task` in the form for its number of rows."""

    def packs() -> list[ir.Value]:
        packed.build_task(task, high, wide)
        return []

    def streams() -> list[ir.Value]:
        assert few is not None, "only a form that there is can be chosen"
        few.build_task(task)
        return []

    if few is None:
        packs()
    else:
        choose(compare("sle", task.rows, few.most_rows_of_segment), [], streams, packs)

"""The packed form of a contraction whose blocks of rows have a list along the depth each.

The columns are packed once for all blocks, or read where they lie if little of them is listed. A task takes several
blocks, so that columns that it has brought into the cache serve them all; a block is as many rows as one call of
the micro-kernel multiplies, or few times as many, so that rows share no zeros of others.
"""

from dataclasses import dataclass, replace

from pit_mlir.bindings import arith, func, ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    either,
    floor_div,
    fold,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    remainder,
    select,
    sub,
    sum_over,
    value,
    when,
)
from pit_mlir.codegen.cpu.compress import ROWS_TOGETHER, Compressor, can_compress
from pit_mlir.codegen.cpu.contract_columns import Shared, is_zero, pack_columns
from pit_mlir.codegen.cpu.contract_frame import Frame, Task, is_unit, rounded, scratch
from pit_mlir.codegen.cpu.contract_packed import TASKS_PER_THREAD, Buffers, PackedForm
from pit_mlir.codegen.cpu.contract_segments import segment_count
from pit_mlir.codegen.cpu.contract_views import View, index_at
from pit_mlir.codegen.cpu.micro_kernel import PREFETCH, MicroKernel
from pit_mlir.codegen.cpu.pack import Factor, Rows, lies_across

ROWS_OF_TASK = 128
"""Rows of a task: columns that one block brought into the second-level cache serve 16 blocks of 8."""
COLUMNS_OF_TASK = 1024
"""Columns of a task: the sums of 128 rows are half of a second-level cache of 1 MiB."""
PACKED = 8
ROWS_OF_PACKED = 192
"""One entry of `PACKED` must be listed, for so many rows together, for columns to be packed where they can be read as
they lie. Packed, 2048 x 2048 x 512, 1024 x 4096 x 1024, 4096 x 1024 x 2048, 256 x 4096 x 1024 take so much of the time
where they lie: 1 of 2 listed, 0.7, 0.7, 0.6, 1.0; of 4, 0.75, 0.95, 0.75, 1.5; of 8, 0.9, 1.15, 0.9, 1.8; of 16, 1.0,
1.3, 1.1, 2.0: whether blocks are of 8 rows or of 32."""
STREAMS = 16
"""Steps of columns that are read where they lie, before the next ones: each is a stream of its own, and a processor
foresees no more. 256 x 4096 x 1024, 1 of 10 blocks of 8 rows: 3.9 ms with 32, 5.9 with 64, 2.5 with 16."""
COMPRESSED = 32
"""One entry of this many must be listed for rows to be read whole: twice in a cache line, and it is read anyway."""
MOST_ROWS = 32
"""Rows of a block: of a larger one, rows that are zero throughout are worth looking for."""
FEW_ROWS = 64
"""Rows for which columns that need packing are not packed whole, but as each list asks for them."""


@dataclass(frozen=True)
class Columns:
    """Where columns are read: in `packed` panels if there is no `view` or `is_packed` says so, else where they lie."""

    packed: Shared
    view: View | None
    is_packed: ir.Value | None


class BlocksForm(PackedForm):
    """Builds the tasks in the kernel of `frame`, which has a list along the depth for each block of rows."""

    skips_rows = False

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        assert self.segment_rows is not None and not frame.adds, "each block has a list, and owns its results"
        self.block = self.segment_rows
        pieces = -(-self.block // self.tile.rows)
        self.kernel = MicroKernel(
            self.plan.sum_type,
            -(-self.block // pieces),
            self.tile.vectors,
            self.tile.lanes,
            self.tile.pitch,
            "listed",
        )
        groups = -(-self.block // ROWS_TOGETHER)
        self.together = -(-self.block // groups)
        self.padded = max(pieces * self.kernel.rows, groups * self.together)
        self.shares = True
        # Vectors are compressed whole, so there must be room for one more.
        self.at_once = self.tile.depth - self.tile.lanes

    @staticmethod
    def does(frame: Frame) -> bool:
        """Whether `frame` has one axis of depth and a list along it for each small block of rows, and rows enough."""
        if not 0 < (frame.plan.block_of("row") or 0) <= MOST_ROWS or len(frame.depth_axes) != 1:
            return False
        [depth] = frame.depth_axes
        most, columns = frame.plan.most_rows, frame.factors.columns
        has_rows = most is None or most > FEW_ROWS
        return has_rows or plain_columns(frame) is not None or lies_across(columns, frame.column_axis, depth)

    def build(self) -> None:
        """Emits the packing of the columns, and the tasks."""
        frame = self.frame
        entries = count_entries(frame)
        self.is_dense = reads_whole(frame, entries)
        columns = self.columns(entries)
        self.shared = columns.packed
        blocks = ceil_div(frame.rows, self.block)
        outside = product(frame.outer_extents)
        # Few blocks are shared out one by one, before columns are split: those would gather the rows again.
        enough = floor_div(mul(outside, blocks), TASKS_PER_THREAD * frame.host.threads)
        together = minimum(max(1, ROWS_OF_TASK // self.block), maximum(enough, 1))
        parts = ceil_div(blocks, together)
        wide = self.width(mul(outside, parts))
        counts = [*frame.outer_extents, ceil_div(frame.columns, wide), parts]
        with parallel(product(counts)) as number:
            coordinates = delinearize(number, counts)
            row = mul(coordinates.pop(), mul(together, self.block))
            column = mul(coordinates.pop(), wide)
            rows = minimum(mul(together, self.block), sub(frame.rows, row))
            task = Task(coordinates, row, rows, column, minimum(wide, sub(frame.columns, column)))
            self.build_blocks(task, columns, mul(together, self.padded), wide)

    def width(self, row_blocks: Index) -> Index:
        """Columns of a task where there are `row_blocks` tasks with the same columns."""
        frame, width = self.frame, self.tile.width
        wanted = maximum(
            ceil_div(TASKS_PER_THREAD * frame.host.threads, maximum(row_blocks, 1)),
            ceil_div(frame.columns, COLUMNS_OF_TASK),
        )
        return maximum(rounded(ceil_div(frame.columns, maximum(wanted, 1)), width), width)

    def columns(self, entries: ir.Value) -> Columns:
        """Packs the columns, unless they can be read where they lie and few entries ask for them."""
        frame, view = self.frame, plain_columns(self.frame)
        if view is None:
            return Columns(pack_columns(frame, self.packed_type, 0, frame.columns), None, None)
        is_packed = packs_columns(frame, entries)
        packed = pack_columns(frame, self.packed_type, 0, select(is_packed, frame.columns, 0))
        return Columns(packed, view, is_packed)

    def build_blocks(self, task: Task, columns: Columns, tall: Index, wide: Index) -> None:
        """Packs and multiplies along the lists of the blocks of `task`, some steps of each at a time."""
        tile, rows = self.tile, self.frame.factors_of(task).rows
        # Rows that are read across are packed as many at a time as a vector has lanes.
        packed = scratch(self.packed_type, mul(add(tall, max(tile.rows, tile.lanes)), tile.pitch))
        buffers = Buffers(
            packed, packed, scratch(self.plan.sum_type, mul(tall, wide)), 0, mul(tall, tile.width), task.rows
        )
        blocks = ceil_div(task.rows, self.block)
        packing = self.packing(rows, blocks)

        def longest(number: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            return [arith.maxsi(carried[0], value(self.block_of(task, number).listed))]

        [most] = fold(0, blocks, 1, [value(0)], longest)
        with loop(0, maximum(most, 1), self.at_once) as first:
            with loop(0, blocks) as number:
                block = self.block_of(task, number).steps(first, self.at_once)
                target = Rows(packed, tile.pitch, mul(block.place, tile.pitch), tile.lanes)
                self.pack_block(block, number, rows, target, packing)
            self.multiply_blocks(task, buffers, columns, packing, first)
        self.finish(buffers, task)

    def block_of(self, task: Task, number: Index) -> "Block":
        """Block `number` of `task` with its list."""
        inside = mul(number, self.block)
        rows = minimum(self.block, sub(task.rows, inside))
        alone = replace(task, row=add(task.row, inside), rows=rows)
        entries, listed = self.frame.list_of(alone)
        return Block(alone, mul(number, self.padded), entries, listed)

    def packing(self, factor: Factor, blocks: Index) -> "Packing | None":
        """Where rows are packed by the bits of their list; None where they are gathered in any case."""
        if self.frame.bits is None or not self.may_read_whole(factor):
            return None
        index = ir.IndexType.get()
        places, begins, filled = (scratch(index, blocks) for _ in range(3))
        packing = Packing(places, begins, filled, self.is_dense)
        with loop(0, blocks) as number:
            for buffer in (places, begins, filled):
                memref.store(value(0), buffer, [number])
        return packing

    def may_read_whole(self, factor: Factor) -> bool:
        """Whether `factor`, of the rows, can be packed by the bits of its list, if there are any."""
        axis = self.frame.depth_axes[0]
        along = all(
            is_unit(view.strides[axis]) or is_zero(view.strides[axis]) for view in factor.views.values()
        )
        return along and can_compress(self.frame.host, self.plan.sum_type)

    def pack_block(
        self, block: "Block", number: Index, factor: Factor, target: Rows, packing: "Packing | None"
    ) -> None:
        """Packs the listed steps of the rows of `block`."""
        axis, offset = self.frame.depth_axes[0], self.frame.row_offset_in(block.task)

        def gather() -> None:
            if self.rows_lie_across(factor):
                [row_axis] = self.frame.row_axes
                first = factor.moved(lambda view: mul(block.task.row, view.strides[row_axis]))
                target.pack_listed_transposed(
                    first, block.task.rows, row_axis, axis, block.entries, block.listed
                )
            else:
                target.pack_listed(factor, block.task.rows, offset, axis, block.entries, block.listed)

        def compress() -> None:
            assert packing is not None
            self.compress_block(block, value(number), factor, target, packing)

        if packing is None:
            gather()
        else:
            either(packing.is_dense, compress, gather)

    def compress_block(
        self, block: "Block", number: ir.Value, factor: Factor, target: Rows, packing: "Packing"
    ) -> None:
        """Packs the next listed steps of the rows of `block`, some of these at a time."""
        axis, bits = self.frame.depth_axes[0], self.frame.bits_of(block.task)
        assert bits is not None, "rows are packed by bits where there are such"
        words, first_word = bits
        start = memref.load(packing.places, [number])

        def pack(row: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
            task = replace(block.task, row=add(block.task.row, row))
            rows = replace(target, start=add(target.start, mul(row, target.pitch)))
            compressor = Compressor(factor, axis, self.frame.extents[axis], rows, words, first_word)
            offset = self.frame.row_offset_in(task)
            return list(
                compressor.pack(self.together, sub(block.task.rows, row), offset, start, self.at_once)
            )

        place, filled = fold(0, block.task.rows, self.together, [start, value(0)], pack)
        before = memref.load(packing.filled, [number])
        memref.store(place, packing.places, [number])
        memref.store(arith.addi(memref.load(packing.begins, [number]), before), packing.begins, [number])
        memref.store(filled, packing.filled, [number])

    def multiply_blocks(
        self, task: Task, buffers: Buffers, columns: Columns, packing: "Packing | None", first: Index
    ) -> None:
        """Adds the products of what is packed of the blocks of `task`, their steps from `first` on, to the sums."""
        tile, is_first = self.tile, compare("eq", first, 0)
        blocks, panels = ceil_div(task.rows, self.block), ceil_div(task.columns, tile.width)

        def packed_block(number: Index) -> Block:
            block = self.block_of(task, number).steps(first, self.at_once)
            return block if packing is None else packing.packed(block, number, first)

        def panel_by_panel() -> None:
            # What one block brought into the cache serves the others.
            with loop(0, panels) as panel, loop(0, blocks) as number:
                block = packed_block(number)
                # A block without entries has sums as well, which are 0.
                with when(arith.ori(is_first, compare("sgt", block.listed, 0))):
                    self.multiply_block(block, 0, buffers, panel, is_first, None)

        def block_by_block() -> None:
            # Each block asks for columns of its own, which lie together: a few streams that a processor follows.
            with loop(0, blocks) as number:
                block = packed_block(number)
                steps = maximum(block.listed, select(is_first, 1, 0))
                with loop(0, steps, STREAMS) as step, loop(0, panels) as panel:
                    is_fresh = arith.andi(is_first, compare("eq", step, 0))
                    self.multiply_block(
                        block.steps(step, STREAMS), step, buffers, panel, is_fresh, columns.view
                    )

        if columns.is_packed is None:
            panel_by_panel()
        else:
            either(columns.is_packed, panel_by_panel, block_by_block)

    def multiply_block(
        self,
        block: "Block",
        step: Index,
        buffers: Buffers,
        panel: Index,
        fresh: ir.Value,
        view: View | None,
    ) -> None:
        """Adds the product of `block` and panel `panel` of the columns, shared ones or those of `view`, to the sums.

        The entries of the block are packed from `step` of their lines on.
        """
        tile, kernel = self.tile, self.kernel
        name = ir.FlatSymbolRefAttr.get(kernel.get(self.frame.module))
        if view is None:
            assert self.shared is not None, "columns are packed that are not read where they lie"
            number = add(self.shared.panel_of(block.task), panel)
            columns, first = self.shared.buffer, mul(number, self.shared.panel_pitch)
            distance, ahead = tile.width, (PREFETCH, 0)
        else:
            here = view.moved(self.frame.outer_offset(view, block.task))
            columns, first = here.buffer, add(here.base, add(block.task.column, mul(panel, tile.width)))
            distance, ahead = here.strides[self.frame.depth_axes[0]], (0, tile.width)
        # Rows of a block that are not there are no products.
        with loop(0, minimum(self.padded, rounded(block.task.rows, kernel.rows)), kernel.rows) as row:
            place = add(block.place, row)
            sums = add(mul(panel, buffers.sums_pitch), mul(place, tile.width))
            arguments = [
                buffers.rows,
                value(add(mul(place, tile.pitch), step)),
                columns,
                value(first),
                buffers.sums,
            ]
            arguments += [value(sums), value(block.listed), fresh, block.entries.buffer]
            arguments += [value(block.entries.base), value(distance), *map(value, ahead)]
            func.CallOp([], name, arguments)

    def place_of_sums(self, buffers: Buffers, row: Index, column: Index) -> Index:
        """Where the sum of a row and column of the task lies."""
        inside = add(mul(floor_div(row, self.block), self.padded), remainder(row, self.block))
        return super().place_of_sums(buffers, row if self.padded == self.block else inside, column)


@dataclass(frozen=True)
class Packing:
    """Rows that are packed by the bits of their lists if `is_dense`, for each block of a task.

    `places` has how far along the depth that is done, `filled` how many steps are packed, and `begins` the first of
    their entries.
    """

    places: ir.Value
    begins: ir.Value
    filled: ir.Value
    is_dense: ir.Value

    def packed(self, block: "Block", number: Index, first: Index) -> "Block":
        """`block`, which is number `number` and begins with entry `first`, as it is packed if that was so."""
        begin, filled = (memref.load(buffer, [value(number)]) for buffer in (self.begins, self.filled))
        entries = block.entries.moved(select(self.is_dense, sub(begin, first), 0))
        return replace(block, entries=entries, listed=select(self.is_dense, filled, block.listed))


@dataclass(frozen=True)
class Block:
    """A block of rows, which is packed from row `place` of the buffer on, and `listed` of its `entries`."""

    task: Task
    place: Index
    entries: View
    listed: Index

    def steps(self, first: Index, most: int) -> "Block":
        """The block with at most `most` of its entries, from number `first` on; none if there are no more."""
        rest = maximum(sub(self.listed, first), 0)
        return replace(self, entries=self.entries.moved(first), listed=minimum(rest, most))


def plain_columns(frame: Frame) -> View | None:
    """The one element that columns are, where the micro-kernel could read it as it lies."""
    factor = frame.factors.columns
    view = factor.views.get(factor.result)
    if view is None or frame.is_paired or not is_unit(view.strides[frame.column_axis]):
        return None
    return view if view.element == frame.plan.sum_type and not view.tables else None


def reads_whole(frame: Frame, entries: Index) -> ir.Value:
    """Whether rows with so many `entries` are read whole rather than gathered, where they can be."""
    return compare("sge", mul(entries, COMPRESSED), product(frame.group_extents))


def packs_columns(frame: Frame, entries: Index) -> ir.Value:
    """Whether columns are packed for so many `entries`, where they could be read as they lie."""
    rest = compare("ne", remainder(frame.columns, frame.tile.width), 0)
    many = compare("sge", mul(entries, PACKED), product(frame.group_extents))
    rows = mul(entries, frame.plan.block_of("row") or 1)
    often = compare("sge", rows, mul(ROWS_OF_PACKED, frame.group_extents[-1]))
    return arith.ori(rest, arith.andi(many, often))


def count_entries(frame: Frame) -> ir.Value:
    """The entries of all segments."""
    _, counts, _ = frame.lists
    return sum_over(segment_count(frame), lambda segment: index_at(counts, segment))

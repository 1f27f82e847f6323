"""The body of the kernel of a `pit.contract`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, func, ir, memref, scf, vector
from pit_mlir.codegen.cpu.build import (
    Index,
    add,
    ceil_div,
    compare,
    delinearize,
    dot,
    flat,
    floor_div,
    loop,
    maximum,
    minimum,
    mul,
    parallel,
    product,
    remainder,
    sub,
    value,
)
from pit_mlir.codegen.cpu.contract_plan import Access, ContractPlan
from pit_mlir.codegen.cpu.contract_views import View, first_lanes, view_of
from pit_mlir.codegen.cpu.micro_kernel import MicroKernel
from pit_mlir.codegen.cpu.pack import Factor, Panels, Rows, computed
from pit_mlir.dialect.yield_ import yielded
from pit_mlir.target import Host

ROWS_OF_TASK = 448
"""Rows of a task: 448 packed rows of 256 floats fill less than half of a second-level cache of 1 MiB."""
COLUMNS_OF_TASK = 256
RowOffset = Callable[[View, Index], Index]
TASKS_PER_THREAD = 4
"""Fewer tasks than this for each thread leave some threads idle at the end."""


@dataclass(frozen=True)
class Tile:
    """The register tile: `rows` x (`vectors` * `lanes`) sums, `depth` steps between two packings."""

    rows: int
    vectors: int
    lanes: int
    depth: int

    @property
    def width(self) -> int:
        """Columns of the tile."""
        return self.vectors * self.lanes

    @property
    def pitch(self) -> int:
        """The distance of packed rows; not a multiple of a large power of 2, or all rows would share cache sets."""
        return self.depth + self.lanes

    @property
    def heights(self) -> list[int]:
        """The heights of micro-kernels that are built, largest first: rows left over take the smallest that fits."""
        return [self.rows, *(height for height in (8, 4) if height < self.rows)]


def tile_of(plan: ContractPlan, host: Host) -> Tile:
    """The tile that the op asks for, else the host's: as many sums as registers hold beside the operands."""
    bits = (
        ir.IntegerType(plan.sum_type).width
        if isinstance(plan.sum_type, ir.IntegerType)
        else plan.sum_type.width
    )
    lanes = max(1, host.lanes(max(bits, 8)))
    if "tile" in plan.op.attributes:
        rows, vectors, depth = plan.op.attributes["tile"]
        return Tile(rows, vectors, lanes, depth)
    return Tile(14 if host.registers >= 32 else 6, 2, lanes, 256 * 32 // max(32, bits))


@dataclass(frozen=True)
class Task:
    """A block of rows and a block of columns, and the coordinates of the outer axes."""

    outer: Sequence[Index]
    row: Index
    rows: Index
    column: Index
    columns: Index


class ContractKernel:
    """Builds the kernel of `plan` in the function whose arguments are `arguments` (see `call_arguments`)."""

    def __init__(
        self, plan: ContractPlan, tile: Tile, host: Host, arguments: list[ir.Value], group_size: int
    ) -> None:
        self.plan, self.tile, self.host = plan, tile, host
        self.extents: list[Index] = [arguments.pop(0) for _ in plan.axes]
        views = {access: view_of(plan, access, arguments) for access in plan.read_accesses}
        self.result = view_of(plan, plan.result, arguments)
        scalars = {scalar: arguments.pop(0) for scalar in plan.captured}
        self.scalars = scalars
        self.rows_factor = Factor(plan.factors[0], views_of(plan.row_elements, views), scalars)
        self.columns_factor = Factor(plan.factors[1], views_of(plan.column_elements, views), scalars)
        self.epilogue_views = views_of(plan.epilogue_elements, views)
        self.lists: list[View] = []
        while len(arguments) > group_size:
            buffer, base = arguments.pop(0), arguments.pop(0)
            access = Access(buffer, (0,), False)
            self.lists.append(View(access, buffer, base, (), ()))
        self.group_extents: list[Index] = list(arguments)
        self.outer, self.row_axes = plan.of_role("outer"), plan.of_role("row")
        self.column_axis = plan.of_role("column")[0]
        self.depth_axes = plan.of_role("depth")

        blocks = zip(plan.group, plan.block, strict=False) if plan.listed == "depth" else ()
        rows = {p for a in self.row_axes for p in plan.axes[a].iterators}
        self.segment_rows = next((block for position, block in blocks if position in rows), None)

    def build(self) -> None:
        """Emits the tasks."""
        rows = product([self.extents[a] for a in self.row_axes])
        columns = self.extents[self.column_axis]
        outer = [self.extents[a] for a in self.outer]
        high, wide = self.blocks(rows, columns, product(outer))
        row_blocks, column_blocks = ceil_div(rows, high), ceil_div(columns, wide)
        # Places that are added to may be listed twice: one task owns all rows of its columns.
        owns_rows = self.plan.op.attributes["combine"].value == "add"
        counts = [*outer, column_blocks] if owns_rows else [*outer, column_blocks, row_blocks]
        with (
            parallel(product(counts)) as number,
            loop(0, row_blocks if owns_rows else 1) as pass_,
        ):
            coordinates = delinearize(number, counts)
            row_block = pass_ if owns_rows else coordinates.pop()
            column = mul(coordinates.pop(), wide)
            row = mul(row_block, high)
            task = Task(
                coordinates,
                row,
                minimum(high, sub(rows, row)),
                column,
                minimum(wide, sub(columns, column)),
            )
            self.build_task(task, high, wide)

    def blocks(self, rows: Index, columns: Index, outer: Index) -> tuple[Index, Index]:
        """Rows and columns of a task: few large ones, but enough of them for all threads, and all of one size."""
        height, width = self.tile.rows, self.tile.width
        high = rounded(ceil_div(rows, maximum(ceil_div(rows, ROWS_OF_TASK), 1)), height)
        high = maximum(high, height) if self.segment_rows is None else self.segment_rows
        row_blocks = maximum(mul(ceil_div(rows, high), outer), 1)
        wanted = maximum(
            ceil_div(TASKS_PER_THREAD * self.host.threads, row_blocks), ceil_div(columns, COLUMNS_OF_TASK)
        )
        wide = maximum(rounded(ceil_div(columns, maximum(wanted, 1)), width), width)
        return high, wide

    def build_task(self, task: Task, high: Index, wide: Index) -> None:
        """Packs and multiplies along the depth, then finishes the sums."""
        tile, element = self.tile, self.plan.sum_type
        panels, spare = floor_div(wide, tile.width), max(tile.rows, tile.lanes)
        panel_pitch = (tile.depth + tile.lanes) * tile.width
        buffers = Buffers(
            scratch(element, mul(add(high, spare), tile.pitch)),
            scratch(element, mul(panels, panel_pitch)),
            scratch(element, mul(mul(panels, add(high, spare)), tile.width)),
            panel_pitch,
            mul(add(high, spare), tile.width),
        )
        inside = Factors(
            self.rows_factor.moved(lambda view: self.outer_offset(view, task)),
            self.columns_factor.moved(lambda view: self.outer_offset(view, task)),
        )
        if self.plan.listed == "depth":
            self.build_listed_depth(task, buffers, inside)
        elif len(self.depth_axes) == 1:
            self.build_depth(task, buffers, inside)
        else:
            self.build_nested_depth(task, buffers, inside)
        self.finish(buffers, task)

    def build_depth(self, task: Task, buffers: "Buffers", factors: "Factors") -> None:
        """The steps along a depth of one axis; one step of no length if it is empty."""
        axis = self.depth_axes[0]
        extent = self.extents[axis]
        with loop(0, maximum(extent, 1), self.tile.depth) as first:
            count = minimum(self.tile.depth, sub(extent, first))
            here = factors.moved(lambda view: mul(first, view.strides[axis]))
            self.pack(task, buffers, here, 0, count)
            self.multiply(task, buffers, count, compare("eq", first, 0))

    def build_nested_depth(self, task: Task, buffers: "Buffers", factors: "Factors") -> None:
        """The steps along a depth of several axes: several runs of the last one share a step if they are short."""
        *outside, axis = self.depth_axes
        extents = [self.extents[a] for a in outside]
        extent = self.extents[axis]
        length = maximum(minimum(extent, self.tile.depth), 1)
        runs = floor_div(self.tile.depth, length)
        with loop(0, maximum(product(extents), 1), runs) as run, loop(0, maximum(extent, 1), length) as first:
            count = minimum(length, sub(extent, first))
            together = minimum(runs, sub(product(extents), run))
            with loop(0, together) as number:
                coordinates = delinearize(add(run, number), extents)

                def offset(view: View) -> Index:
                    return add(
                        dot(coordinates, [view.strides[a] for a in outside]), mul(first, view.strides[axis])
                    )

                self.pack(task, buffers, factors.moved(offset), mul(number, count), count)
            self.multiply(task, buffers, mul(together, count), compare("eq", add(run, first), 0))

    def build_listed_depth(self, task: Task, buffers: "Buffers", factors: "Factors") -> None:
        """The steps along the entries of the task's segment."""
        begins, counts, entries = self.lists
        segment = self.segment_of(task)
        extent = index_of(begins_at(counts, segment))
        listed = entries.moved(index_of(begins_at(begins, segment)))
        axis = self.depth_axes[-1]
        with loop(0, maximum(extent, 1), self.tile.depth) as first:
            count = minimum(self.tile.depth, sub(extent, first))
            here = listed.moved(first)
            rows = Rows(buffers.rows, self.tile.pitch, 0, self.tile.lanes)
            rows.pack_listed(factors.rows, task.rows, self.row_offset_in(task), axis, here, count)

            def place(view: View, step: Index) -> Index:
                return mul(index_of(begins_at(here, step)), view.strides[axis])

            columns = factors.columns.moved(lambda view: self.column_offset(view, task.column))
            panels = Panels(buffers.columns, self.tile.width, buffers.panel_pitch, 0, self.tile.lanes)
            panels.pack(columns, self.column_axis, task.columns, count, place)
            self.multiply(task, buffers, count, compare("eq", first, 0))

    def segment_of(self, task: Task) -> Index:
        """The segment of the index that lists the depth for the rows of `task`."""
        coordinates: list[Index] = []
        for position, block in zip(self.plan.group, self.plan.block, strict=False):
            number = next(n for n, axis in enumerate(self.plan.axes) if position in axis.iterators)
            if self.plan.axes[number].role == "row":
                coordinates.append(floor_div(task.row, block))
            else:
                coordinates.append(task.outer[self.outer.index(number)])
        extents = self.group_extents[: len(coordinates)]
        linear: Index = 0
        for coordinate, extent in zip(coordinates, extents, strict=True):
            linear = add(mul(linear, extent), coordinate)
        return linear

    def pack(self, task: Task, buffers: "Buffers", factors: "Factors", start: Index, count: Index) -> None:
        """Packs `count` steps of the rows and columns of `task` from step `start` of the buffers on."""
        lanes, depth = self.tile.lanes, self.depth_axes[-1]
        rows = Rows(buffers.rows, self.tile.pitch, start, lanes)
        if self.rows_lie_across(factors.rows):
            row_axis = self.row_axes[0]
            here = factors.rows.moved(lambda view: mul(task.row, view.strides[row_axis]))
            rows.pack_transposed(here, task.rows, row_axis, depth, count)
        else:
            rows.pack(factors.rows, task.rows, self.row_offset_in(task), depth, count)
        panels = Panels(buffers.columns, self.tile.width, buffers.panel_pitch, start, lanes)
        columns = factors.columns.moved(lambda view: self.column_offset(view, task.column))
        if lies_across(columns, self.column_axis, depth):
            panels.pack_transposed(columns, self.column_axis, task.columns, depth, count)
        else:
            panels.pack(
                columns,
                self.column_axis,
                task.columns,
                count,
                lambda view, step: mul(step, view.strides[depth]),
            )

    def rows_lie_across(self, factor: Factor) -> bool:
        """Whether the rows are contiguous along the rows and not along the depth."""
        return (
            self.plan.listed != "rows"
            and len(self.row_axes) == 1
            and lies_across(factor, self.depth_axes[-1], self.row_axes[0])
        )

    def multiply(self, task: Task, buffers: "Buffers", steps: Index, fresh: ir.Value) -> None:
        """Adds the product of what is packed to the sums; `fresh` sums start from 0."""
        tile = self.tile
        module = self.plan.op
        while module.name != "builtin.module":
            module = module.parent.operation
        names = {
            height: MicroKernel(self.plan.sum_type, height, tile.vectors, tile.lanes, tile.pitch).get(module)
            for height in tile.heights
        }
        with (
            loop(0, ceil_div(task.columns, tile.width)) as panel,
            loop(0, task.rows, tile.rows) as row,
        ):
            arguments = [
                buffers.rows,
                value(mul(row, tile.pitch)),
                buffers.columns,
                value(mul(panel, buffers.panel_pitch)),
                buffers.sums,
                value(add(mul(panel, buffers.sums_pitch), mul(row, tile.width))),
                value(steps),
                fresh,
            ]
            call_smallest(sorted(names.items()), sub(task.rows, row), arguments)

    def finish(self, buffers: "Buffers", task: Task) -> None:
        """Passes the sums of `task` through the epilogue to the result."""
        block = self.plan.op.regions[1].blocks[0]
        lanes, width, axis = self.tile.lanes, self.tile.width, self.column_axis
        adds = self.plan.op.attributes["combine"].value == "add"
        with loop(0, task.rows) as inside:
            row = add(task.row, inside)

            def at_row(view: View) -> View:
                place = add(self.outer_offset(view, task), self.row_offset(view, row))
                return view.moved(add(place, self.column_offset(view, task.column)))

            views = {scalar: at_row(view) for scalar, view in self.epilogue_views.items()}
            result = at_row(self.result)
            with loop(0, task.columns, lanes) as column:
                mask = first_lanes(sub(task.columns, column), lanes)
                place = add(mul(floor_div(column, width), buffers.sums_pitch), remainder(column, width))
                sums = vector.load(
                    ir.VectorType.get([lanes], self.plan.sum_type),
                    buffers.sums,
                    [value(add(place, mul(inside, width)))],
                )
                known: dict[ir.Value, ir.Value] = {block.arguments[0]: sums, **self.scalars}
                for scalar, view in views.items():
                    stride = view.strides[axis]
                    known[scalar] = view.load(mul(column, stride), stride, lanes, mask)
                final = computed(yielded(block)[0], known, lanes)
                stride = result.strides[axis]
                if adds:
                    final = plus(result.load(mul(column, stride), stride, lanes, mask), final)
                result.store(final, mul(column, stride), stride, mask)

    def outer_offset(self, view: View, task: Task) -> Index:
        """Where the outer coordinates of `task` lie."""
        return dot(task.outer, [view.strides[a] for a in self.outer])

    def column_offset(self, view: View, column: Index) -> Index:
        """Where `column` lies."""
        return mul(column, view.strides[self.column_axis])

    def row_offset_in(self, task: Task) -> RowOffset:
        """Where a row lies that is counted from the first one of `task`."""
        return lambda view, row: self.row_offset(view, add(task.row, row))

    def row_offset(self, view: View, row: Index) -> Index:
        """Where `row` lies: at its coordinates, or at those the list gives."""
        if self.plan.listed != "rows":
            extents = [self.extents[a] for a in self.row_axes]
            return dot(delinearize(row, extents), [view.strides[a] for a in self.row_axes])
        if not view.coordinates:
            return mul(row, view.strides[self.row_axes[0]])
        linear = index_of(begins_at(self.lists[0], row))
        return dot(delinearize(linear, self.group_extents), view.coordinates)


@dataclass(frozen=True)
class Buffers:
    """What a task packs into and sums up in, with the distance of panels in both."""

    rows: ir.Value
    columns: ir.Value
    sums: ir.Value
    panel_pitch: Index
    sums_pitch: Index


@dataclass(frozen=True)
class Factors:
    """Both factors."""

    rows: Factor
    columns: Factor

    def moved(self, offset: Callable[[View], Index]) -> "Factors":
        """Both factors with the bases of their views moved."""
        return Factors(self.rows.moved(offset), self.columns.moved(offset))


def views_of(readers: Sequence[ir.OpView], views: Mapping[Access, View]) -> dict[ir.Value, View]:
    """The view of each `pit.element` by the scalar it makes."""
    found: dict[ir.Value, View] = {}
    for reader in readers:
        access = Access.of(reader)
        assert access is not None, "a plan has an access for each element"
        found[reader.operation.results[0]] = views[access]
    return found


def lies_across(factor: Factor, vector_axis: int, other: int) -> bool:
    """Whether the factor is contiguous along `other` and not along `vector_axis`."""
    views = factor.views.values()
    if any(is_unit(view.strides[vector_axis]) for view in views):
        return False
    return any(is_unit(view.strides[other]) for view in views)


def is_unit(stride: Index) -> bool:
    """Whether `stride` is known to be 1."""
    return isinstance(stride, int) and stride == 1


def begins_at(view: View, number: Index) -> ir.Value:
    """Element `number` of a list of i32."""
    return memref.load(view.buffer, [value(add(view.base, number))])


def index_of(number: ir.Value) -> Index:
    """An i32 that is not negative as an index."""
    return arith.index_cast(ir.IndexType.get(), number)


def plus(left: ir.Value, right: ir.Value) -> ir.Value:
    """The sum of two vectors."""
    is_float = isinstance(ir.VectorType(left.type).element_type, ir.FloatType)
    return arith.addf(left, right) if is_float else arith.addi(left, right)


def rounded(number: Index, multiple: int) -> Index:
    """`number` rounded up to a multiple."""
    return mul(ceil_div(number, multiple), multiple)


def scratch(element: ir.Type, size: Index) -> ir.Value:
    """A buffer of `size` elements, aligned to a cache line; `pit-free-buffers` gives it back."""
    alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64)
    return memref.alloc(flat(element), [value(size)], [], alignment=alignment)


def call_smallest(kernels: Sequence[tuple[int, str]], rows: Index, arguments: Sequence[ir.Value]) -> None:
    """Calls the lowest of `kernels` (height, name) that does `rows`; the highest does any number."""
    (height, name), *higher = kernels
    if not higher:
        func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))
        return
    fits = compare("sle", rows, height)
    choice = scf.IfOp(fits, has_else=True)
    with ir.InsertionPoint(choice.then_block):
        func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))
        scf.yield_([])
    with ir.InsertionPoint(choice.else_block):
        call_smallest(higher, rows, arguments)
        scf.yield_([])

"""The frame that all forms of a contraction's kernel share: tiles, tasks, where operands lie, the epilogue."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    dot,
    flat,
    floor_div,
    mul,
    value,
)
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_axes import Axes
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_views import View, first_lanes, index_at, view_of
from pit_mlir.codegen.cpu.pack import Factor, computed
from pit_mlir.codegen.vectorize import plus
from pit_mlir.dialect.yield_ import yielded
from pit_mlir.target import Host


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


RowOffset = Callable[[View, Index], Index]


@dataclass(frozen=True)
class Task:
    """A block of rows and a block of columns, and the coordinates of the outer axes."""

    outer: Sequence[Index]
    row: Index
    rows: Index
    column: Index
    columns: Index


@dataclass(frozen=True)
class Factors:
    """Both factors."""

    rows: Factor
    columns: Factor

    def moved(self, offset: Callable[[View], Index]) -> "Factors":
        """Both factors with the bases of their views moved."""
        return Factors(self.rows.moved(offset), self.columns.moved(offset))


class Frame(Axes):
    """The kernel of `plan` in the function whose arguments are `arguments` (see `call_arguments`)."""

    def __init__(
        self, plan: ContractPlan, tile: Tile, host: Host, arguments: list[ir.Value], group_size: int
    ) -> None:
        self.plan, self.tile, self.host = plan, tile, host
        super().__init__(plan, [arguments.pop(0) for _ in plan.axes])
        views = {access: view_of(plan, access, arguments) for access in plan.read_accesses}
        self.result = view_of(plan, plan.result, arguments)
        self.scalars = {scalar: arguments.pop(0) for scalar in plan.captured}
        rows = Factor(plan.factors[0], views_of(plan.row_elements, views), self.scalars)
        self.factors, *others = (
            Factors(rows, Factor(product.factors[1], views_of(product.column_elements, views), self.scalars))
            for product in plan.products
        )
        self.epilogue_views = views_of(plan.epilogue_elements, views)
        self.lists: list[View] = []
        while len(arguments) > group_size:
            buffer, base = arguments.pop(0), arguments.pop(0)
            self.lists.append(View(Access(buffer, (0,), False), buffer, base, (), ()))
        # The words that a list along the depth was made from, where they were kept, and how many a segment has.
        has_bits = plan.listed == "depth" and len(self.lists) > 3
        self.bits = self.lists.pop() if has_bits else None
        self.group_extents: list[Index] = list(arguments)
        self.is_paired = False
        # Pairs of bf16 that are half full at the end of the depth: none, one, or None where there never are.
        self.last_half: Index | None = None
        # The products of siblings, each in a frame of its own.
        self.siblings: tuple[Frame, ...] = ()
        self.siblings = tuple(self.with_product(*one) for one in zip(plan.products[1:], others, strict=True))

    def with_product(self, plan: ContractPlan, factors: "Factors") -> "Frame":
        """The same kernel for the product of `factors` alone, whose plan is `plan`."""
        frame = copy(self)
        frame.plan, frame.factors = plan, factors
        return frame

    def with_depth(self, depth: int) -> "Frame":
        """The same kernel with `depth` steps between two packings."""
        frame = copy(self)
        frame.tile = replace(self.tile, depth=depth)
        frame.siblings = tuple(sibling.with_depth(depth) for sibling in self.siblings)
        return frame

    @property
    def products(self) -> "tuple[Frame, ...]":
        """The frame of each product: this one and its siblings."""
        return (self, *self.siblings)

    def exchanged(self) -> "Frame":
        """The same kernel with its rows, of one axis, as columns and its columns as rows."""
        frame = copy(self)
        frame.plan = self.plan.exchanged
        frame.factors = Factors(self.factors.columns, self.factors.rows)
        frame.row_axes, [frame.column_axis] = (self.column_axis,), self.row_axes
        return frame

    @property
    def module(self) -> ir.Operation:
        """The module around the contraction."""
        module = self.plan.op
        while module.name != "builtin.module":
            module = module.parent.operation
        return module

    @property
    def steps(self) -> Index:
        """The steps along the last axis of the depth."""
        return add(self.extents[self.depth_axes[-1]], 0 if self.last_half is None else self.last_half)

    @property
    def adds(self) -> bool:
        """Whether results are added to what is there; a place may be listed twice, so one task owns its rows."""
        return self.plan.op.attributes["combine"].value == "add"

    def factors_of(self, task: Task) -> Factors:
        """The factors at the outer coordinates of `task`."""
        return self.factors.moved(lambda view: self.outer_offset(view, task))

    def list_of(self, task: Task) -> tuple[View, Index]:
        """The entries along the depth that the index lists for the rows of `task`, and how many."""
        begins, counts, entries = self.lists
        segment = self.segment_of(task)
        return entries.moved(index_at(begins, segment)), index_at(counts, segment)

    def bits_of(self, task: Task) -> tuple[ir.Value, Index] | None:
        """The words of bits of the list along the depth for the rows of `task`, and the first one; None if not kept."""
        if self.bits is None:
            return None
        return self.bits.buffer, mul(self.segment_of(task), self.bits.base)

    def segment_of(self, task: Task) -> Index:
        """The segment of the index that lists the depth for the rows of `task`."""
        linear: Index = 0
        for number, (position, block) in enumerate(zip(self.plan.group, self.plan.block, strict=False)):
            axis = next(n for n, a in enumerate(self.plan.axes) if position in a.iterators)
            match self.plan.axes[axis].role:
                case "row":
                    coordinate = floor_div(task.row, block)
                case "column":
                    coordinate = floor_div(task.column, block)
                case _:
                    coordinate = task.outer[self.outer.index(axis)]
            linear = add(mul(linear, self.group_extents[number]), coordinate)
        return linear

    def finish_row(self, task: Task, inside: Index) -> "FinishedLine":
        """The epilogue and the result along row `inside` of `task`."""
        return self.finish_line(task, inside, 0, self.column_axis)

    def finish_column(self, task: Task, inside: Index) -> "FinishedLine":
        """The epilogue and the result along column `inside` of `task`."""
        return self.finish_line(task, 0, inside, self.row_axes[0])

    def finish_line(self, task: Task, row: Index, column: Index, axis: int) -> "FinishedLine":
        """The epilogue and the result from a row and column of `task` on, along `axis`."""

        def moved(view: View) -> View:
            place = add(self.outer_offset(view, task), self.row_offset(view, add(task.row, row)))
            return view.moved(add(place, self.column_offset(view, add(task.column, column))))

        views = {scalar: moved(view) for scalar, view in self.epilogue_views.items()}
        return FinishedLine(self, axis, views, moved(self.result))

    @property
    def lies_along_rows(self) -> bool:
        """Whether the result is contiguous from row to row, and not from column to column."""
        if self.plan.listed in ("rows", "strips") or len(self.row_axes) != 1:
            return False
        return self.result.is_contiguous(self.row_axes[0]) and not self.result.is_contiguous(self.column_axis)

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
        if self.plan.listed == "strips":
            return mul(index_at(self.lists[-1], row), view.strides[self.row_axes[0]])
        if self.plan.listed != "rows":
            extents = [self.extents[a] for a in self.row_axes]
            return dot(delinearize(row, extents), [view.strides[a] for a in self.row_axes])
        if not view.coordinates:
            return mul(row, view.strides[self.row_axes[0]])
        linear = index_at(self.lists[0], row)
        return dot(delinearize(linear, self.group_extents), view.coordinates)


@dataclass(frozen=True)
class FinishedLine:
    """A row or a column of the result of a task, along `axis`, where sums become results."""

    frame: Frame
    axis: int
    views: Mapping[ir.Value, View]
    result: View

    def store(self, sums: Sequence[ir.Value], place: Index, count: Index) -> None:
        """Passes `sums`, of each product those of the first `count` elements from `place` on, through the epilogue."""
        frame, lanes = self.frame, ir.VectorType(sums[0].type).shape[0]
        axis, block = self.axis, frame.plan.op.regions[1].blocks[0]
        mask = first_lanes(count, lanes)
        known = {**dict(zip(block.arguments, sums, strict=True)), **frame.scalars}
        for scalar, view in self.views.items():
            stride = view.strides[axis]
            known[scalar] = view.load(mul(place, stride), stride, lanes, mask)
        final = computed(yielded(block)[0], known, lanes)
        stride = self.result.strides[axis]
        if frame.adds:
            final = plus(self.result.load(mul(place, stride), stride, lanes, mask), final)
        self.result.store(final, mul(place, stride), stride, mask)


def views_of(readers: Sequence[ir.OpView], views: Mapping[Access, View]) -> dict[ir.Value, View]:
    """The view of each `pit.element` by the scalar it makes."""
    found: dict[ir.Value, View] = {}
    for reader in readers:
        access = Access.of(reader)
        assert access is not None, "a plan has an access for each element"
        found[reader.operation.results[0]] = views[access]
    return found


def is_unit(stride: Index) -> bool:
    """Whether `stride` is known to be 1."""
    return isinstance(stride, int) and stride == 1


def rounded(number: Index, multiple: int) -> Index:
    """`number` rounded up to a multiple."""
    return mul(ceil_div(number, multiple), multiple)


def scratch(element: ir.Type, size: Index) -> ir.Value:
    """A buffer of `size` elements, aligned to a cache line; `pit-free-buffers` gives it back."""
    alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64)
    return memref.alloc(flat(element), [value(size)], [], alignment=alignment)

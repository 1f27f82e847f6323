"""A contraction in a kernel: how far its axes run, where its operands lie, which lists its tasks follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.buffers import flattened, load_index
from pit_mlir.codegen.build import (
    Index,
    add,
    bytes_of,
    delinearize,
    dot,
    floor_div,
    mul,
    product,
    value,
)
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_axes import Axes
from pit_mlir.codegen.contract_plan import Axis, ContractPlan
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES
from pit_mlir.codegen.index_buffers import IndexBuffers


@dataclass(frozen=True, eq=False)
class View:
    """`buffer[base + ..]` with a stride along each iterator that the operand has a dimension for."""

    access: Access
    buffer: ir.Value
    base: Index
    strides: Mapping[int, Index]

    def load(self, offset: Index) -> ir.Value:
        """The element at `offset` from the base."""
        return memref.load(self.buffer, [value(add(self.base, offset))])

    def piece(self, iterator: int | None = None) -> int:
        """How many elements along `iterator`, whose stride is 1, may be copied at once from a multiple of that many on.

        Without `iterator`, along any one that has more than one place.
        """
        moving = [p for p in self.strides if self.access.extents.get(p) != 1]
        if iterator is None:
            iterator = next((p for p in moving if is_unit(self.strides[p])), None)
        others = [self.strides[p] for p in moving if p != iterator]
        count = CHUNK_BYTES // bytes_of(self.access.element)
        while count > 1 and not all(isinstance(n, int) and n % count == 0 for n in (*others, self.base)):
            count //= 2
        return count


@dataclass(frozen=True)
class Task:
    """A tile of the result: coordinates of the outer axes, its first row and column, and how many are there.

    Where each part of the depth has a list of rows, `part` is the number of that which the tile is a sum over.
    """

    outer: Sequence[Index]
    row: Index
    rows: Index
    column: Index
    columns: Index
    part: Index | None = None


class Frame(Axes):
    """What the kernel of `plan` reads and writes: `buffers` by tensor, `result`, and `index`, which it follows.

    `fit` is 0 where sizes of operands disagree in a call, and then nothing is done; else 1.
    """

    def __init__(
        self,
        plan: ContractPlan,
        buffers: Mapping[ir.Value, ir.Value],
        result: ir.Value,
        extents: Mapping[int, Index],
        index: IndexBuffers | None,
        fit: Index = 1,
    ) -> None:
        self.plan, self.index, self.fit = plan, index, fit
        self.iterators = extents
        super().__init__(plan, [self.extent_of(axis) for axis in plan.axes])
        views = {access: view_of(access, buffers[access.source]) for access in plan.read_accesses}
        self.result = view_of(plan.result, result)
        readers = (*plan.row_elements, *plan.column_elements, *plan.epilogue_elements)
        self.views: dict[ir.Value, View] = {}
        for reader in readers:
            access = Access.of(reader)
            assert access is not None, "a plan has an access for each element"
            self.views[reader.operation.results[0]] = views[access]
        listed = plan.group[-1] if plan.listed == "depth" else None
        # The axis of the depth that is listed, or is partly: channels, while it goes on inside of windows.
        self.listed_depth = next((a for a in self.depth_axes if listed in plan.axes[a].iterators), None)

    def extent_of(self, axis: Axis) -> Index:
        """How far `axis` runs: a list of rows as far as it is long."""
        if self.plan.listed == "rows" and axis.role == "row":
            assert self.index is not None
            return self.index.total
        return product([self.iterators[p] for p in axis.iterators])

    @property
    def is_empty(self) -> bool:
        """Whether types say that there is no result."""
        sizes = (*self.outer_extents, self.rows, self.columns)
        return any(isinstance(size, int) and size == 0 for size in sizes)

    @property
    def adds(self) -> bool:
        """Whether results are added to what is there; a place may be listed twice."""
        return self.plan.op.attributes["combine"].value == "add"

    @property
    def group_extents(self) -> tuple[Index, ...]:
        """The extents of the group of the index, those of segments in blocks."""
        return () if self.index is None else self.index.extents

    @property
    def segments(self) -> Index:
        """The number of segments of the index."""
        return product(self.group_extents[: len(self.plan.block)])

    def views_of(self, readers: Sequence[ir.OpView]) -> dict[ir.Value, View]:
        """The view of each `pit.element` of `readers` by the scalar it makes."""
        scalars = [reader.operation.results[0] for reader in readers]
        return {scalar: self.views[scalar] for scalar in scalars}

    def along(self, view: View, number: int, place: Index) -> Index:
        """Where `place` of axis `number` lies."""
        stride = self.stride_along(view, number)
        if stride is not None:
            return 0 if isinstance(stride, int) and stride == 0 else mul(place, stride)
        iterators = self.plan.axes[number].iterators
        coordinates = delinearize(place, [self.iterators[p] for p in iterators])
        return dot(coordinates, [view.strides.get(p, 0) for p in iterators])

    def stride_along(self, view: View, number: int) -> Index | None:
        """How far neighbours along axis `number` lie apart, 0 where the operand has no such axis; None where that is
        not the same for all."""
        axis = self.plan.axes[number]
        if axis.role == "outer" and axis.iterators[-1] in self.plan.keys and self.is_at_row(view):
            # What holds rows, or is read at their coordinates, knows the segment by the row.
            return 0
        if not any(p in view.strides for p in axis.iterators):
            return 0
        if len(axis.iterators) == 1 or not self.plan.is_tabulated(view.access, axis):
            return view.strides[axis.iterators[-1]]
        return None

    def is_at_row(self, view: View) -> bool:
        """Whether the place of a row is that of a compact operand, or the coordinates in the list give it."""
        return view.access.compact or self.plan.is_gathered(view.access)

    def runs_along(self, view: View, number: int) -> bool:
        """Whether neighbours along axis `number` are known to be neighbours in memory."""
        axis = self.plan.axes[number]
        known = view.strides.get(axis.iterators[-1]) if axis.iterators else None
        return known is not None and is_unit(known) and not self.plan.is_tabulated(view.access, axis)

    def outer_offset(self, view: View, outer: Sequence[Index]) -> Index:
        """Where the coordinates `outer` lie."""
        result: Index = 0
        for number, place in zip(self.outer, outer, strict=True):
            result = add(result, self.along(view, number, place))
        return result

    def column_offset(self, view: View, column: Index) -> Index:
        """Where `column` lies."""
        return self.along(view, self.column_axis, column)

    def row_offset(self, view: View, row: Index) -> Index:
        """Where `row` lies: at its coordinates, or at those the list gives."""
        plan, index = self.plan, self.index
        if plan.listed in ("strips", "parts"):
            assert index is not None
            return self.along(view, self.row_axes[0], load_index(index.entries, row))
        if plan.listed != "rows":
            places = delinearize(row, [self.extents[a] for a in self.row_axes])
            result: Index = 0
            for number, place in zip(self.row_axes, places, strict=True):
                result = add(result, self.along(view, number, place))
            return result
        assert index is not None
        if view.access.compact:
            return mul(row, view.strides[plan.group[0]])
        if not plan.is_gathered(view.access):
            return 0
        coordinates = delinearize(load_index(index.rows, row), index.extents)
        return dot(coordinates, [view.strides.get(p, 0) for p in plan.group])

    def depth_list(self, task: Task) -> tuple[Index, Index]:
        """Where the entries along the depth that are listed for the rows of `task` begin, and how many there are."""
        assert self.index is not None
        segment: Index = 0
        for number, (position, block) in enumerate(zip(self.plan.group, self.plan.block, strict=False)):
            axis = next(n for n, a in enumerate(self.plan.axes) if position in a.iterators)
            is_row = self.plan.axes[axis].role == "row"
            place = floor_div(task.row, block) if is_row else task.outer[self.outer.index(axis)]
            segment = add(mul(segment, self.group_extents[number]), place)
        return load_index(self.index.begin, segment), load_index(self.index.count, segment)


def view_of(access: Access, buffer: ir.Value) -> View:
    """`buffer`, a memref, as a flat one, with its strides along the iterators of `access`."""
    whole, base, strides = flattened(buffer)
    return View(access, whole, base, dict(zip(access.positions, strides, strict=True)))


def is_unit(stride: Index) -> bool:
    """Whether `stride` is known to be 1."""
    return isinstance(stride, int) and stride == 1

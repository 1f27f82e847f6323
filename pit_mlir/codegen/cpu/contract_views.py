"""Operands of a contraction inside its kernel: flat buffers, strides along the plan's axes, vectors of elements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.buffers import flattened, load_index
from pit_mlir.codegen.build import Index, add, flat, is_truth, splat, value, zero
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.tables import table
from pit_mlir.codegen.windows import window_stride


@dataclass(frozen=True)
class View:
    """`buffer[base + ..]` with a stride along each axis of the plan; 0 along those it does not move along.

    `coordinates` are strides along the iterators of a list of rows, for an operand that is read at the
    coordinates of a row; empty for one that holds rows or has none. `tables` has for an axis along which the operand
    lies at no stride the buffer of its offsets along that axis.
    """

    access: Access
    buffer: ir.Value
    base: Index
    strides: tuple[Index, ...]
    coordinates: tuple[Index, ...]
    tables: Mapping[int, ir.Value] = field(default_factory=dict[int, ir.Value], kw_only=True, hash=False)

    @property
    def element(self) -> ir.Type:
        """The type of an element as the body sees it."""
        return self.access.element

    def moved(self, offset: Index) -> "View":
        """The view with its base moved by `offset` elements."""
        return replace(self, base=add(self.base, offset))

    def is_contiguous(self, axis: int) -> bool:
        """Whether neighbours along an axis of the plan are known to be neighbours in memory."""
        stride = self.strides[axis]
        return isinstance(stride, int) and stride == 1

    def load(self, offset: Index, stride: Index, lanes: int, mask: ir.Value | None) -> ir.Value:
        """`lanes` elements from `offset`, `stride` apart; those not in `mask` are zero."""
        at = value(add(self.base, offset))
        if isinstance(stride, int) and stride == 0:
            return splat(self.seen(memref.load(self.buffer, [at])), lanes)
        type_ = self.vector_type(lanes)
        if not (isinstance(stride, int) and stride == 1):
            return self.gather(
                at, scaled(vector.step(ir.VectorType.get([lanes], ir.IndexType.get())), stride), mask
            )
        if mask is None:
            return self.seen(vector.load(type_, self.buffer, [at]))
        return self.seen(vector.maskedload(type_, self.buffer, [at], mask, zero(type_)))

    def prefetch(self, offset: Index) -> None:
        """Asks for the cache line of the element at `offset`."""
        memref.prefetch(self.buffer, [value(add(self.base, offset))], False, 3, True)

    def gather(self, at: Index, offsets: ir.Value, mask: ir.Value | None) -> ir.Value:
        """The elements at `offsets` (a vector) from `at`."""
        lanes = ir.VectorType(offsets.type).shape[0]
        type_ = self.vector_type(lanes)
        return self.seen(
            vector.gather(type_, self.buffer, [value(at)], offsets, mask or every_lane(lanes), zero(type_))
        )

    def store(self, values: ir.Value, offset: Index, stride: Index, mask: ir.Value) -> None:
        """Writes the lanes of `values` in `mask` from `offset` on, `stride` apart."""
        at = value(add(self.base, offset))
        lanes = ir.VectorType(values.type).shape[0]
        kept = self.kept(values)
        if isinstance(stride, int) and stride == 1:
            vector.maskedstore(self.buffer, [at], mask, kept)
            return
        offsets = scaled(vector.step(ir.VectorType.get([lanes], ir.IndexType.get())), stride)
        vector.scatter(None, self.buffer, [at], offsets, mask, kept)

    def vector_type(self, lanes: int) -> ir.VectorType:
        """The vector of `lanes` elements as they lie in memory."""
        return ir.VectorType.get([lanes], ir.MemRefType(self.buffer.type).element_type)

    def seen(self, stored: ir.Value) -> ir.Value:
        """What lies in memory as the body sees it: truth values lie there as bytes."""
        if not is_truth(self.element):
            return stored
        return arith.cmpi(arith.CmpIPredicate.ne, stored, zero(stored.type))

    def kept(self, seen: ir.Value) -> ir.Value:
        """What the body computed as it lies in memory."""
        if not is_truth(self.element):
            return seen
        return arith.extui(self.vector_type(ir.VectorType(seen.type).shape[0]), seen)


def index_at(view: View, number: Index) -> Index:
    """Element `number` of a list of i32 as an index."""
    return load_index(view.buffer, add(view.base, number))


def stored_type(element: ir.Type) -> ir.Type:
    """The type of `element` in the kernels' buffers: i1 lies in memory as i8."""
    return ir.IntegerType.get_signless(8) if is_truth(element) else element


def every_lane(lanes: int) -> ir.Value:
    """The mask of all lanes."""
    i1 = ir.IntegerType.get_signless(1)
    type_ = ir.VectorType.get([lanes], i1)
    return arith.constant(type_, ir.DenseElementsAttr.get_splat(type_, ir.IntegerAttr.get(i1, 1)))


def first_lanes(count: Index, lanes: int) -> ir.Value:
    """The mask of the first `count` lanes."""
    type_ = ir.VectorType.get([lanes], ir.IntegerType.get_signless(1))
    return vector.create_mask(type_, [value(count)])


def scaled(offsets: ir.Value, stride: Index) -> ir.Value:
    """A vector of indices times a scalar."""
    if isinstance(stride, int) and stride == 1:
        return offsets
    return arith.muli(offsets, splat(value(stride), ir.VectorType(offsets.type).shape[0]))


def stride_of(plan: ContractPlan, access: Access, number: int) -> int | None:
    """The stride of `access` along an axis where its type alone tells: 0, 1, or None."""
    axis = plan.axes[number]
    is_list = plan.listed == "rows" and axis.role == "row"
    if is_list and not access.compact:
        return 0
    is_key = axis.role == "outer" and axis.iterators[-1] in plan.keys
    if is_key and (access.compact or plan.is_gathered(access)):
        return 0
    if plan.is_tabulated(access, axis) or not plan.carries(access, axis):
        return 0
    if access.panels is not None and axis.role != "outer":
        # Panels are read as such.
        return 0
    return dimension_stride(access, access.positions.index(axis.iterators[-1]))


def dimension_stride(access: Access, dimension: int) -> int | None:
    """The stride of a dimension where the type tells: 1 for the last of a contiguous tensor."""
    if access.has_windows:
        return window_stride(access.source, dimension)
    return 1 if dimension == len(access.positions) - 1 else None


def view_arguments(
    plan: ContractPlan,
    access: Access,
    buffer: ir.Value,
    base: ir.Value,
    strides: Sequence[Index],
    extents: Mapping[int, Index],
) -> list[ir.Value]:
    """What a call passes for `access`: its flat buffer, its base, tables, and the strides its type does not tell.

    `strides` are those of its dimensions, `extents` how far iterators run.
    """
    arguments = [buffer, base]
    for number, axis in enumerate(plan.axes):
        if plan.is_tabulated(access, axis):
            carried = {p: strides[access.positions.index(p)] for p in axis.iterators if p in access.positions}
            steps = [carried.get(p, 0) for p in axis.iterators]
            arguments.append(table([extents[p] for p in axis.iterators], steps))
        elif stride_of(plan, access, number) is None:
            arguments.append(value(strides[access.positions.index(axis.iterators[-1])]))
    for dimension in coordinate_dimensions(plan, access):
        if dimension is not None and dimension_stride(access, dimension) is None:
            arguments.append(value(strides[dimension]))
    return arguments


def view_of(plan: ContractPlan, access: Access, arguments: list[ir.Value]) -> View:
    """The view of `access` in the kernel; takes off `arguments` what `view_arguments` passed."""
    buffer, base = arguments.pop(0), arguments.pop(0)
    strides: list[Index] = []
    tables: dict[int, ir.Value] = {}
    for number, axis in enumerate(plan.axes):
        if plan.is_tabulated(access, axis):
            tables[number] = arguments.pop(0)
        known = stride_of(plan, access, number)
        strides.append(arguments.pop(0) if known is None else known)
    coordinates: list[Index] = []
    for dimension in coordinate_dimensions(plan, access):
        known = 0 if dimension is None else dimension_stride(access, dimension)
        coordinates.append(arguments.pop(0) if known is None else known)
    return View(access, buffer, base, tuple(strides), tuple(coordinates), tables=tables)


def coordinate_dimensions(plan: ContractPlan, access: Access) -> list[int | None]:
    """For each iterator of a list of rows the dimension of `access` that runs over it, for what is gathered."""
    if not plan.is_gathered(access):
        return []
    return [access.positions.index(p) if p in access.positions else None for p in plan.group]


def flat_buffer(buffer: ir.Value) -> tuple[ir.Value, ir.Value, list[Index]]:
    """`buffer`, a memref, as a flat one of what the kernels hold, with its offset and its strides."""
    whole, offset, strides = flattened(buffer)
    return as_stored(whole), value(offset), strides


def as_stored(buffer: ir.Value) -> ir.Value:
    """A flat buffer of i1 as one of i8; the descriptors of both are the same."""
    element = ir.MemRefType(buffer.type).element_type
    return recast(buffer, stored_type(element)) if is_truth(element) else buffer


def recast(buffer: ir.Value, element: ir.Type) -> ir.Value:
    """The memory of a flat buffer as one of `element`."""
    pointer, i64 = "!llvm.ptr", "i64"
    struct = ir.Type.parse(f"!llvm.struct<({pointer}, {pointer}, {i64}, array<1 x {i64}>, array<1 x {i64}>)>")
    result = flat(element)
    cast = ir.Operation.create("builtin.unrealized_conversion_cast", results=[struct], operands=[buffer])
    return ir.Operation.create(
        "builtin.unrealized_conversion_cast", results=[result], operands=[cast.results[0]]
    ).results[0]

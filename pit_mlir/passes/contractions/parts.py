"""A contraction whose result is taken apart by columns: one for each part, of a part of the weights, as they lie.

Gate and up of an expert may be one weight, its halves or every other row: what computes the activation reads two slices
of one product. Each part is then a contraction like any other.
"""

from dataclasses import replace

from pit_mlir.bindings import ir, tensor
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_kernel import multiplies_siblings
from pit_mlir.codegen.slices import slice_in_place
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.element import ElementOp, elements
from pit_mlir.dialect.structured import owner, projection
from pit_mlir.passes.contractions.rebuild import Header, rebuild

Span = tuple[int, int, int]
"""Offset, size and stride of a slice along one dimension."""


def part(op: ContractOp) -> list[ContractOp]:
    """Makes a contraction for each slice of columns of the result of `op`, where all that reads it are such slices.

    Returns them, in order; none, and nothing changed, where something else reads the result, or the slices of what the
    columns are computed from could not be read where they lie.
    """
    header, result = Header.of(op), op.operation.results[0]
    slices = [use.owner.operation for use in result.uses]
    slices.sort(
        key=lambda one: str(one.attributes["static_offsets"]) if "static_offsets" in one.attributes else ""
    )
    found = {column_of(header, one) for one in slices}
    [column] = found if len(found) == 1 else [None]
    plan = ContractPlan.of(op)
    if column is None or len(slices) < 2 or header.combine != "store" or isinstance(plan, str):
        return []
    if not multiplies_siblings(plan):
        return []
    iterator = header.positions[column]
    reads = [
        read
        for region in op.operation.regions
        for read in elements(region.blocks[0])
        if iterator in (projection(read.operation.attributes["map"].value) or ())
    ]
    if not all(may_slice(read) for read in reads):
        return []
    made = [part_of(op, header, one, column) for one in slices]
    if any(one is None for one in made):
        for one in made:
            if one is not None:
                one.operation.erase()
        return []
    parts = [one for one in made if one is not None]
    for one, contraction in zip(slices, parts, strict=True):
        one.results[0].replace_all_uses_with(contraction.operation.results[0])
        one.erase()
    op.operation.erase()
    return parts


def column_of(header: Header, op: ir.Operation) -> int | None:
    """The dimension along which `op` takes some of the columns of a contraction, and all of everything else."""
    if op.name != "tensor.extract_slice":
        return None
    whole, given = (list(ir.RankedTensorType(value.type).shape) for value in (op.operands[0], op.results[0]))
    if len(whole) != len(given):
        return None
    spans = spans_of(op)
    dynamic = ir.ShapedType.get_dynamic_size()
    cut = [dim for dim, span in enumerate(spans) if span != (0, whole[dim], 1) or whole[dim] == dynamic]
    # A slice of rows of a list is all of them: they are counted by the list.
    rows = [dim for dim in cut if is_all_rows(header, op, dim)]
    [column] = [dim for dim in cut if dim not in rows] if len(cut) == len(rows) + 1 else [None]
    if column is None or header.positions[column] in header.group or dynamic in spans[column]:
        return None
    return column


def is_all_rows(header: Header, op: ir.Operation, dim: int) -> bool:
    """Whether `op` takes along `dim` as many rows as the list of a compact contraction has."""
    if not header.compact or header.positions[dim] not in header.group or len(op.operands) != 2:
        return False
    size = owner(op.operands[1])
    offset, static, stride = spans_of(op)[dim]
    is_counted = size is not None and size.name == "pit.size" and size.operands[0] == header.index
    return is_counted and (offset, stride) == (0, 1) and static == ir.ShapedType.get_dynamic_size()


def spans_of(op: ir.Operation) -> list[Span]:
    """What a `tensor.extract_slice` takes of each dimension; a size that is not static is the dynamic one."""
    names = ("static_offsets", "static_sizes", "static_strides")
    offsets, sizes, strides = (list(op.attributes[name]) for name in names)
    return list(zip(offsets, sizes, strides, strict=True))


def may_slice(read: ElementOp) -> bool:
    """Whether a slice of what `read` reads is an operand like it: whole, of known sizes, not in panels."""
    access = Access.of(read)
    if access is None or access.panels is not None or access.compact or access.has_windows:
        return False
    maker = owner(access.source)
    return ir.RankedTensorType(access.source.type).has_static_shape and (
        maker is None or maker.name != "tensor.extract_slice"
    )


def part_of(op: ContractOp, header: Header, slice_: ir.Operation, column: int) -> ContractOp | None:
    """The contraction that makes `slice_` of the result of `op`; None where it could not read its operands in place."""
    iterator, span = header.positions[column], spans_of(slice_)[column]
    with ir.InsertionPoint(op.operation), op.operation.location:
        trial = op.operation.clone()
        init = slice_.clone()
        init.operands[0] = header.init
        init.move_before(trial)
    made = rebuild(trial.opview, replace(header, init=init.results[0]), before=trial)
    trial.erase()
    for number, region in enumerate(made.operation.regions):
        for read in list(elements(region.blocks[0])):
            positions = projection(read.operation.attributes["map"].value) or ()
            if iterator not in positions:
                continue
            with ir.InsertionPoint(made.operation), made.operation.location:
                sliced = sliced_along(read.operation.operands[0], positions.index(iterator), span)
            # What the epilogue reads has no depth: a copy of its slice is nothing next to the weights.
            if number == 0 and slice_in_place(sliced) is None:
                made.operation.erase()
                return None
            read.operation.operands[0] = sliced
    return made


def sliced_along(source: ir.Value, dim: int, span: Span) -> ir.Value:
    """The part `span` of `source` along `dim`."""
    type_ = ir.RankedTensorType(source.type)
    sizes, offsets, strides = list(type_.shape), [0] * type_.rank, [1] * type_.rank
    offsets[dim], sizes[dim], strides[dim] = span
    result = ir.RankedTensorType.get(sizes, type_.element_type)
    return tensor.ExtractSliceOp(result, source, [], [], [], offsets, sizes, strides).result

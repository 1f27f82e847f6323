"""`pit.contract` on buffers: a call of a kernel that all contractions of the same form share.

A task of the kernel is a block of rows and a block of columns. Along the depth, step by step, it packs both (which
is where gathering, masks and casts happen), multiplies them with the micro-kernel, and at the end passes the sums
through the epilogue to their places in the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, bufferization, ir, memref, tensor
from pit_mlir.codegen.cpu.buffers import same
from pit_mlir.codegen.cpu.build import Index, ceil_div, compare, product, select, value
from pit_mlir.codegen.cpu.checks import check
from pit_mlir.codegen.cpu.contract_frame import Frame, tile_of
from pit_mlir.codegen.cpu.contract_kernel import build_kernel
from pit_mlir.codegen.cpu.contract_pairs import has_even_depth
from pit_mlir.codegen.cpu.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_skinny import MOST_ROWS
from pit_mlir.codegen.cpu.contract_views import flat_buffer, view_arguments
from pit_mlir.codegen.cpu.fingerprint import block_lines, digest
from pit_mlir.codegen.cpu.outline import outline
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError
from pit_mlir.target import Host


@dataclass(frozen=True)
class IndexBuffers:
    """A lowered `!pit.index`, as one-dimensional memrefs of i32.

    Segment s owns `entries[begin[s] .. begin[s] + count[s])`; `rows` lists for each of the `total` rows its linear
    coordinate in the space of the whole group, whose `extents` are given (those of segments in blocks).
    """

    begin: ir.Value
    count: ir.Value
    entries: ir.Value
    rows: ir.Value
    total: Index
    extents: tuple[Index, ...]


def lower_contract(op: ContractOp, index: IndexBuffers | None, host: Host) -> None:
    """Replaces `op`, a `pit.contract` on tensors, by buffers, a call of its kernel, and a tensor of the result.

    Raises `UnsupportedError` for a contraction whose index the kernel cannot follow.
    """
    plan = ContractPlan.of(op)
    if isinstance(plan, str):
        raise UnsupportedError(f"a contraction {plan}", location=location_text(op.operation.location))
    with ir.InsertionPoint(op.operation), op.operation.location:
        result = result_buffer(plan)
        arguments = call_arguments(plan, index, result)
        call_kernel(plan, arguments, index, host)
        done = bufferization.to_tensor(op.operation.results[0].type, result, restrict=True, writable=True)
    op.operation.results[0].replace_all_uses_with(done)
    op.operation.erase()


def result_buffer(plan: ContractPlan) -> ir.Value:
    """The buffer of the result; it holds what `init` does where elements of it may remain."""
    init = plan.result.source
    type_ = ir.RankedTensorType(init.type)
    dynamic = ir.ShapedType.get_dynamic_size()
    sizes = [tensor.dim(init, value(d)) for d, size in enumerate(type_.shape) if size == dynamic]
    buffer = memref.alloc(ir.MemRefType.get(type_.shape, type_.element_type), sizes, [])
    if plan.keeps_init:
        memref.copy(to_buffer(init), buffer)
    return buffer


def to_buffer(source: ir.Value) -> ir.Value:
    """The contents of a tensor as a contiguous memref that is only read."""
    type_ = ir.RankedTensorType(source.type)
    return bufferization.to_buffer(ir.MemRefType.get(type_.shape, type_.element_type), source, read_only=True)


def call_arguments(plan: ContractPlan, index: IndexBuffers | None, result: ir.Value) -> list[ir.Value]:
    """What the kernel takes: extents of the axes, operands, captured scalars, index buffers."""
    buffers = {access.source: to_buffer(access.source) for access in plan.read_accesses}
    arguments = [value(extent) for extent in axis_extents(plan, buffers, result, index)]
    for access in plan.read_accesses:
        flat, base, strides = flat_buffer(buffers[access.source])
        arguments += view_arguments(plan, access, flat, base, strides)
    flat, base, strides = flat_buffer(result)
    arguments += view_arguments(plan, plan.result, flat, base, strides)
    arguments += plan.captured
    if index is not None:
        kept = (index.rows,) if plan.listed == "rows" else (index.begin, index.count, index.entries)
        for buffer in kept:
            flat, base, _ = flat_buffer(buffer)
            arguments += [flat, base]
        arguments += [value(extent) for extent in index.extents]
    return arguments


def axis_extents(
    plan: ContractPlan, buffers: dict[ir.Value, ir.Value], result: ir.Value, index: IndexBuffers | None
) -> list[Index]:
    """How far each axis of the plan runs; all 0, and a failed check, if operands disagree at run time."""
    sizes, rows = iterator_sizes(plan, buffers, result, index)
    fits = [
        compare("eq", size, known[0])
        for known in (*sizes.values(), rows)
        for size in known[1:]
        if not same(size, known[0])
    ]
    extents = [
        rows[0]
        if plan.listed == "rows" and axis.role == "row"
        else product([sizes[p][0] for p in axis.iterators])
        for axis in plan.axes
    ]
    if not fits:
        return extents
    all_fit = fits[0]
    for other in fits[1:]:
        all_fit = arith.andi(all_fit, other)
    check(all_fit, "sizes of the operands of a contraction differ", plan.op)
    return [select(all_fit, extent, 0) for extent in extents]


def iterator_sizes(
    plan: ContractPlan, buffers: dict[ir.Value, ir.Value], result: ir.Value, index: IndexBuffers | None
) -> tuple[dict[int, list[Index]], list[Index]]:
    """The sizes of each iterator, and of the rows of a list, as every operand and the index have them."""
    sizes: dict[int, list[Index]] = {}
    rows: list[Index] = [] if index is None else [index.total]
    for access, buffer in [(plan.result, result), *((a, buffers[a.source]) for a in plan.read_accesses)]:
        for dimension, position in enumerate(access.positions):
            is_rows = access.compact and position in plan.group
            known = rows if is_rows else sizes.setdefault(position, [])
            known.append(extent_of(buffer, dimension))
    if index is not None and plan.listed == "rows":
        for position, extent in zip(plan.group, index.extents, strict=True):
            sizes.setdefault(position, []).append(extent)
    if index is not None and plan.listed == "depth":
        for number, (position, extent) in enumerate(zip(plan.group, index.extents, strict=True)):
            block = plan.block[number] if number < len(plan.block) else 1
            # Segments are counted in blocks, so they are compared as such.
            sizes[-1 - number] = [extent, ceil_div(sizes[position][0], block)]
    return sizes, rows


def extent_of(buffer: ir.Value, dimension: int) -> Index:
    """The size of a dimension of a memref, as a number where its type says so."""
    size = ir.MemRefType(buffer.type).shape[dimension]
    return memref.dim(buffer, value(dimension)) if size == ir.ShapedType.get_dynamic_size() else size


def call_kernel(
    plan: ContractPlan, arguments: Sequence[ir.Value], index: IndexBuffers | None, host: Host
) -> None:
    """Calls the kernel for `plan`, which is built on first use."""
    tile = tile_of(plan, host)
    types = [str(argument.type) for argument in arguments]
    name = f"pit_contract_{digest([*fingerprint(plan), str(tile), str(types)])}"
    group_size = 0 if index is None else len(index.extents)
    outline(name, arguments, lambda inside: build_kernel(Frame(plan, tile, host, list(inside), group_size)))


def few_rows(plan: ContractPlan) -> bool | None:
    """Whether the types say that there are few rows, or many; None if they do not say."""
    most = plan.most_rows
    return None if most is None else most <= MOST_ROWS


def fingerprint(plan: ContractPlan) -> list[str]:
    """Lines that two contractions share if one kernel serves both."""
    lines = [
        str(
            (
                plan.axes,
                plan.group,
                plan.block,
                plan.listed,
                plan.keeps_init,
                few_rows(plan),
                has_even_depth(plan),
            )
        ),
        str([(a.positions, a.compact, str(a.element)) for a in (*plan.read_accesses, plan.result)]),
        str(plan.op.attributes["combine"]),
    ]
    numbers = {access.source: f"t{number}" for number, access in enumerate(plan.read_accesses)}
    numbers |= {scalar: f"c{number}" for number, scalar in enumerate(plan.captured)}
    for region in plan.op.regions:
        lines += block_lines(region.blocks[0], numbers)
    return [*lines, str([numbers[factor] for factor in plan.factors])]

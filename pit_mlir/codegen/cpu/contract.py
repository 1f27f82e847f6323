"""`pit.contract` on buffers: a call of a kernel that all contractions of the same form share.

A task of the kernel is a block of rows and a block of columns. Along the depth, step by step, it packs both (which
is where gathering, masks and casts happen), multiplies them with the micro-kernel, and at the end passes the sums
through the epilogue to their places in the result.
"""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.brackets import Lowering, allocate_like, give, private_copy, sizes
from pit_mlir.codegen.cpu.buffers import extent, same
from pit_mlir.codegen.cpu.build import Index, ceil_div, compare, product, value
from pit_mlir.codegen.cpu.checks import where_all
from pit_mlir.codegen.cpu.contract_frame import Frame, tile_of
from pit_mlir.codegen.cpu.contract_kernel import build_kernel
from pit_mlir.codegen.cpu.contract_packed import FEW_ROWS
from pit_mlir.codegen.cpu.contract_pairs import has_even_extent
from pit_mlir.codegen.cpu.contract_plan import Access, ContractPlan
from pit_mlir.codegen.cpu.contract_skinny import MOST_ROWS_OF_AXPY, MOST_ROWS_OF_DOT
from pit_mlir.codegen.cpu.contract_views import flat_buffer, view_arguments
from pit_mlir.codegen.cpu.fingerprint import block_lines, constant_text, digest
from pit_mlir.codegen.cpu.index_buffers import IndexBuffers
from pit_mlir.codegen.cpu.outline import outline
from pit_mlir.codegen.cpu.slices import is_even
from pit_mlir.codegen.cpu.windows import read_windows
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import owner
from pit_mlir.errors import UnsupportedError
from pit_mlir.target import Host


def lower_contract(operation: ir.Operation, lowering: Lowering) -> None:
    """A call of the kernel at the insertion point, and its result in the place of the operation's.

    Raises `UnsupportedError` for a contraction whose index the kernel cannot follow.
    """
    plan = ContractPlan.of(operation.opview)
    if isinstance(plan, str):
        raise UnsupportedError(f"a contraction {plan}", location=location_text(operation.location))
    index = lowering.indices.get(operation.operands[len(operation.operands) - 1])
    init = plan.result.source
    result = private_copy(init) if plan.keeps_init else allocate_like(init.type, sizes(init))
    call_kernel(plan, call_arguments(plan, index, result), index, lowering.host)
    give(result, operation.results[0])


def call_arguments(plan: ContractPlan, index: IndexBuffers | None, result: ir.Value) -> list[ir.Value]:
    """What the kernel takes: extents of the axes, operands, captured scalars, index buffers."""
    buffers = {access.source: read_windows(access.source) for access in plan.read_accesses}
    arguments = [value(size) for size in axis_extents(plan, buffers, result, index)]
    extents = {
        position: sizes[0] for position, sizes in iterator_sizes(plan, buffers, result, index)[0].items()
    }
    for access in (*plan.read_accesses, plan.result):
        flat, base, strides = flat_buffer(result if access is plan.result else buffers[access.source])
        arguments += view_arguments(plan, access, flat, base, strides, extents)
    arguments += plan.captured
    if index is not None:
        segments = (index.begin, index.count)
        kept = (
            (index.rows, *(segments if plan.keys else ()))
            if plan.listed == "rows"
            else (*segments, index.entries)
        )
        for buffer in kept:
            flat, base, _ = flat_buffer(buffer)
            arguments += [flat, base]
        arguments += [value(size) for size in index.extents]
    return arguments


def axis_extents(
    plan: ContractPlan, buffers: dict[ir.Value, ir.Value], result: ir.Value, index: IndexBuffers | None
) -> list[Index]:
    """How far each axis of the plan runs; all 0, and a failed check, if operands disagree at run time."""
    known, rows = iterator_sizes(plan, buffers, result, index)
    fits = [
        compare("eq", size, alike[0])
        for alike in (*known.values(), rows)
        for size in alike[1:]
        if not same(size, alike[0])
    ]
    extents = [
        rows[0]
        if plan.listed == "rows" and axis.role == "row"
        else product([known[p][0] for p in axis.iterators])
        for axis in plan.axes
    ]
    return where_all(fits, extents, "sizes of the operands of a contraction differ", plan.op)


def iterator_sizes(
    plan: ContractPlan, buffers: dict[ir.Value, ir.Value], result: ir.Value, index: IndexBuffers | None
) -> tuple[dict[int, list[Index]], list[Index]]:
    """The sizes of each iterator, and of the rows of a list, as every operand and the index have them."""
    found: dict[int, list[Index]] = {}
    rows: list[Index] = [] if index is None else [index.total]
    for access, buffer in [(plan.result, result), *((a, buffers[a.source]) for a in plan.read_accesses)]:
        for dimension, position in enumerate(access.positions):
            is_rows = access.compact and position in plan.group
            known = rows if is_rows else found.setdefault(position, [])
            known.append(extent(buffer, dimension))
    if index is not None and plan.listed == "rows":
        for position, count in zip(plan.group, index.extents, strict=True):
            found.setdefault(position, []).append(count)
    if index is not None and plan.listed in ("depth", "strips"):
        for number, (position, count) in enumerate(zip(plan.group, index.extents, strict=True)):
            block = plan.block[number] if number < len(plan.block) else 1
            # Segments are counted in blocks, so they are compared as such.
            found[-1 - number] = [count, ceil_div(found[position][0], block)]
    return found, rows


def call_kernel(
    plan: ContractPlan, arguments: Sequence[ir.Value], index: IndexBuffers | None, host: Host
) -> None:
    """Calls the kernel for `plan`, which is built on first use."""
    tile = tile_of(plan, host)
    types = [str(argument.type) for argument in arguments]
    name = f"pit_contract_{digest([*fingerprint(plan), str(tile), str(types)])}"
    group_size = 0 if index is None else len(index.extents)
    outline(name, arguments, lambda inside: build_kernel(Frame(plan, tile, host, list(inside), group_size)))


def access_text(access: Access) -> str:
    """What of `access` a kernel depends on."""
    maker = owner(access.source) if access.has_windows else None
    windows = "" if maker is None else str(maker.attributes["map"])
    even = [is_even(access.source, dim) for dim in range(len(access.positions) - 1)]
    return str((access.positions, access.compact, str(access.element), windows, even))


def fingerprint(plan: ContractPlan) -> list[str]:
    """Lines that two contractions share if one kernel serves both."""
    limits = (MOST_ROWS_OF_DOT, MOST_ROWS_OF_AXPY, FEW_ROWS)
    lines = [
        str(
            (
                plan.axes,
                plan.group,
                plan.block,
                plan.listed,
                plan.keeps_init,
                [side.has_few_rows(few) for side in (plan, plan.exchanged) for few in limits],
                [has_even_extent(plan, number) for number in plan.of_role("depth")],
            )
        ),
        str([access_text(access) for access in (*plan.read_accesses, plan.result)]),
        str(plan.op.attributes["combine"]),
    ]
    numbers = {access.source: f"t{number}" for number, access in enumerate(plan.read_accesses)}
    numbers |= {scalar: f"c{number}" for number, scalar in enumerate(plan.captured)}
    for region in plan.op.regions:
        lines += block_lines(region.blocks[0], numbers)
    return [*lines, str([numbers.get(factor) or constant_text(factor) for factor in plan.factors])]

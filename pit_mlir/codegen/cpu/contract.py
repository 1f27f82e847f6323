"""`pit.contract` on buffers: a call of a kernel that all contractions of the same form share.

A task of the kernel is a block of rows and a block of columns. Along the depth, step by step, it packs both (which
is where gathering, masks and casts happen), multiplies them with the micro-kernel, and at the end passes the sums
through the epilogue to their places in the result.
"""

from collections.abc import Callable, Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.brackets import allocate_like, give, private_copy, sizes
from pit_mlir.codegen.build import compare, either, value
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_alternatives import Alternative, alternatives_of
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.contract_sizes import Sizes
from pit_mlir.codegen.cpu.contract_choice import Candidate, cheapest, cost_of, numbers_of
from pit_mlir.codegen.cpu.contract_frame import Frame, tile_of
from pit_mlir.codegen.cpu.contract_kernel import build_kernel
from pit_mlir.codegen.cpu.contract_lying import LEAST_ROWS
from pit_mlir.codegen.cpu.contract_packed import FEW_ROWS
from pit_mlir.codegen.cpu.contract_pairs import has_even_extent
from pit_mlir.codegen.cpu.contract_skinny import MOST_ROWS_OF_AXPY, MOST_ROWS_OF_DOT, MOST_ROWS_OF_STREAM
from pit_mlir.codegen.cpu.contract_views import flat_buffer, view_arguments
from pit_mlir.codegen.cpu.deferred_lists import Live, live_of
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.fingerprint import block_lines, constant_text, digest
from pit_mlir.codegen.index_buffers import IndexBuffers, IndexShape
from pit_mlir.codegen.outline import outline
from pit_mlir.codegen.slices import is_even
from pit_mlir.codegen.windows import read_windows
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import owner
from pit_mlir.errors import UnsupportedError
from pit_mlir.target import Host


def lower_contract(operation: ir.Operation, lowering: CpuLowering) -> None:
    """A call of the kernel at the insertion point, and its result in the place of the operation's.

    Raises `UnsupportedError` for a contraction whose index the kernel cannot follow.
    """
    lists = candidates_of(operation)
    plans = [plan_of(operation, one) for one in lists]
    init = operation.operands[0]
    keeps_init = any(plan.keeps_init for plan in plans)
    result = private_copy(init) if keeps_init else allocate_like(init.type, sizes(init))
    if len(plans) > 1:
        call_cheapest(operation, plans, lists, result, lowering)
    else:
        index = None if lists[0] is None else live_of(lists[0], lowering).make()
        call_kernel(plans[0], call_arguments(plans[0], index, result), index, lowering.host)
    give(result, operation.results[0])


def candidates_of(operation: ir.Operation) -> list[Alternative | None]:
    """The lists that a `pit.contract` may follow, the last one `None` where it may do without: no choice of one.

    Raises `UnsupportedError` as `lower_contract` does.
    """
    lists = alternatives_of(operation)
    is_free = "always" not in operation.attributes and may_choose(plan_of(operation, lists[0]))
    return [*lists, None] if is_free else lists[:1]


def plan_of(operation: ir.Operation, alternative: Alternative | None) -> ContractPlan:
    """The plan of `operation` that follows the list `alternative`, or none."""
    group, block = ((), ()) if alternative is None else (alternative.group, alternative.block)
    plan = ContractPlan.of(operation.opview, group, block)
    if isinstance(plan, str):
        raise UnsupportedError(f"a contraction {plan}", location=location_text(operation.location))
    return plan


def may_choose(plan: ContractPlan) -> bool:
    """Whether the contraction may do without its list: what is not listed along a depth is 0 and adds nothing."""
    return plan.listed == "depth" and not plan.has_tables and not plan.lists_part


def call_cheapest(
    operation: ir.Operation,
    plans: Sequence[ContractPlan],
    lists: Sequence[Alternative | None],
    result: ir.Value,
    lowering: CpuLowering,
) -> None:
    """Calls the kernel of the cheapest of `plans`, the candidates of `operation`.

    A list that was not made yet is made only where it is followed.
    """
    candidates: list[Candidate] = []
    callers: list[Callable[[], None]] = []
    live = [None if one is None else live_of(one, lowering) for one in lists]
    for plan, found in zip(plans, live, strict=True):
        shape = None if found is None else found.shape
        arguments = operand_arguments(plan, shape, result)
        group = () if shape is None else shape.extents
        frame = Frame(
            plan, tile_of(plan, lowering.host), lowering.host, [*arguments, *map(value, group)], len(group)
        )
        candidates.append(
            Candidate(frame, None) if found is None else Candidate(frame, found.count(), found.left())
        )

        def call(
            plan: ContractPlan = plan, found: Live | None = found, given: list[ir.Value] = arguments
        ) -> None:
            index = None if found is None else found.make()
            call_kernel(plan, [*given, *index_arguments(plan, index)], index, lowering.host)

        callers.append(call)
    costs = [cost_of(candidate) for candidate in candidates]
    number = cheapest(costs)
    for use in operation.results[0].uses:
        if use.owner.operation.name == "pit.choice":
            lowering.choices[use.owner.operation.results[0]] = numbers_of(number, candidates, costs)
    call_numbered(value(number), callers)


def call_numbered(number: ir.Value, callers: Sequence[Callable[[], None]], first: int = 0) -> None:
    """Emits that one of `callers` runs whose `number` it is, counted from `first`."""
    caller, *others = callers
    if not others:
        caller()
        return

    def rest() -> None:
        call_numbered(number, others, first + 1)

    either(compare("eq", number, first), caller, rest)


def call_arguments(plan: ContractPlan, index: IndexBuffers | None, result: ir.Value) -> list[ir.Value]:
    """What the kernel takes: extents of the axes, operands, captured scalars, index buffers."""
    return [*operand_arguments(plan, index, result), *index_arguments(plan, index)]


def operand_arguments(plan: ContractPlan, index: IndexShape | None, result: ir.Value) -> list[ir.Value]:
    """What the kernel takes but for the buffers of an index: extents of the axes, operands, captured scalars."""
    buffers = {access.source: read_windows(access.source) for access in plan.read_accesses}
    known = Sizes.of(plan, buffers, result, index)
    arguments = [value(size) for size in known.where_equal(known.of_axes)]
    extents = {position: alike[0] for position, alike in known.iterators.items()}
    for access in (*plan.read_accesses, plan.result):
        flat, base, strides = flat_buffer(result if access is plan.result else buffers[access.source])
        arguments += view_arguments(plan, access, flat, base, strides, extents)
    return [*arguments, *plan.captured]


def index_arguments(plan: ContractPlan, index: IndexBuffers | None) -> list[ir.Value]:
    """The buffers of `index` that the kernel takes, and the extents of its group."""
    if index is None:
        return []
    arguments: list[ir.Value] = []
    segments = (index.begin, index.count)
    kept = (
        (index.rows, *(segments if plan.keys else ()))
        if plan.listed == "rows"
        else (*segments, index.entries)
    )
    for buffer in kept:
        flat, base, _ = flat_buffer(buffer)
        arguments += [flat, base]
    if plan.listed == "depth" and index.bits is not None:
        words, _, [pitch, _] = flat_buffer(index.bits)
        arguments += [words, value(pitch)]
    return arguments + [value(size) for size in index.extents]


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
    return str((access.positions, access.panels, access.compact, str(access.element), windows, even))


def fingerprint(plan: ContractPlan) -> list[str]:
    """Lines that two contractions share if one kernel serves both."""
    limits = (MOST_ROWS_OF_DOT, MOST_ROWS_OF_STREAM, MOST_ROWS_OF_AXPY, LEAST_ROWS - 1, FEW_ROWS)
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
    factors = [*plan.factors, *(factor for factor, _ in plan.siblings)]
    return [*lines, str([numbers.get(factor) or constant_text(factor) for factor in factors])]

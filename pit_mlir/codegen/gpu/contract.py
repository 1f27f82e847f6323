"""`pit.contract` for GPUs: a kernel of its own for each, in the place of the operation."""

from collections.abc import Callable

from pit_mlir.analysis.gpu_chips import chip_of
from pit_mlir.bindings import ir
from pit_mlir.codegen.brackets import allocate_like, give, private_copy, sizes
from pit_mlir.codegen.contract_alternatives import Alternative, alternatives_of
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.contract_sizes import Sizes
from pit_mlir.codegen.gpu.contract_choice import PERCENT, follows_list, may_choose, negated
from pit_mlir.codegen.gpu.contract_frame import Frame
from pit_mlir.codegen.gpu.contract_tiles import height, tile_of, wgmma_tile_of
from pit_mlir.codegen.gpu.kernels.contract import emit_contract
from pit_mlir.codegen.gpu.kernels.contract_parts import emit_parts
from pit_mlir.codegen.gpu.kernels.contract_wgmma import emit_specialized
from pit_mlir.codegen.gpu.launch import Grid
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.index_buffers import IndexBuffers
from pit_mlir.codegen.windows import read_windows
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

WGMMA_CHIP = "sm_90a"
"""The chip that has `wgmma`; no other one runs code that uses it."""


def lower_contract(operation: ir.Operation, lowering: GpuLowering) -> None:
    """A launch of the kernel at the insertion point, and its result in the place of the operation's.

    Raises `UnsupportedError` for a contraction whose index the kernel cannot follow.
    """
    followed = alternatives_of(operation)[-1]
    plan = plan_of(operation, followed)
    index = None if followed is None else lowering.indices[followed.index]
    init = operation.operands[0]
    result = private_copy(init) if plan.keeps_init else allocate_like(init.type, sizes(init))
    buffers = {access.source: read_windows(access.source) for access in plan.read_accesses}
    [fit] = Sizes.of(plan, buffers, result, index).where_equal([1])

    def frame_of(plan: ContractPlan, index: IndexBuffers | None) -> Frame:
        return Frame(plan, buffers, result, Sizes.of(plan, buffers, result, index).extents, index, fit)

    frame = frame_of(plan, index)
    cost = cost_of_list(operation, lowering.chip)
    if cost is not None:
        dense = frame_of(plan_of(operation, None), None)
        emit(frame, lowering, lambda grid: follows_list(frame, grid, cost))
        emit(dense, lowering, lambda grid: negated(follows_list(frame, grid, cost)))
    else:
        emit(frame, lowering)
    give(result, operation.results[0])


def cost_of_list(operation: ir.Operation, chip: str) -> int | None:
    """Hundredths of a dense step that a listed one costs the contraction `operation` on `chip`.

    None where its kernels do not choose: they have no list, or always follow it.
    """
    plan = plan_of(operation, alternatives_of(operation)[-1])
    if not may_choose(plan) or "always" in operation.attributes:
        return None
    return round(chip_of(chip).cost_of_listed(height(plan)) * PERCENT)


def emit(frame: Frame, lowering: GpuLowering, condition: Callable[[Grid], ir.Value] | None = None) -> None:
    """The launch of the kernel for `frame` on the chip; its blocks exit at once unless `condition` holds."""
    if frame.is_empty:
        return
    chip = chip_of(lowering.chip)
    if frame.plan.listed == "parts":
        emit_parts(frame, chip, lowering)
        return
    large = wgmma_tile_of(frame) if lowering.chip == WGMMA_CHIP else None
    if large is not None:
        emit_specialized(frame, large, chip, lowering, condition)
    else:
        emit_contract(frame, tile_of(frame, tf32=lowering.tf32), chip, lowering, condition)


def plan_of(operation: ir.Operation, alternative: Alternative | None) -> ContractPlan:
    """The plan of `operation` that follows the list `alternative`, or none."""
    group, block = ((), ()) if alternative is None else (alternative.group, alternative.block)
    plan = ContractPlan.of(operation.opview, group, block)
    problem = plan if isinstance(plan, str) else unfit(plan)
    if isinstance(plan, str) or problem:
        raise UnsupportedError(
            f"no GPU code for a contraction that {problem}", location=location_text(operation.location)
        )
    return plan


def unfit(plan: ContractPlan) -> str:
    """Why the kernel does not do `plan`; empty where it does."""
    if any(access.panels is not None for access in plan.read_accesses):
        return "reads weights in panels"
    return ""

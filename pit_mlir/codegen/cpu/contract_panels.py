"""Columns of a contraction that lie in panels already: which do, and where the kernel finds them.

Weights that are frozen are laid out once as the packed form would pack them in every call. The layout is that of
`PanelMap`; `panels_for` is asked before weights are laid out so, and `panels_of` reads what was.
"""

from pit_mlir.bindings import ir
from pit_mlir.codegen.build import Index, ceil_div, floor_div, mul, product
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_columns import Shared, carried_axes
from pit_mlir.codegen.cpu.contract_frame import Frame, tile_of
from pit_mlir.codegen.cpu.contract_pairs import narrow_factors
from pit_mlir.codegen.cpu.contract_views import recast
from pit_mlir.dialect.panels import PanelMap
from pit_mlir.target import Host


def panels_for(plan: ContractPlan, host: Host) -> PanelMap | None:
    """The panels in which the kernel of `plan` would read its columns; None if it would not.

    It would where the columns are the elements of one tensor as they lie there, of known sizes, and no list names
    steps of the depth.
    """
    if plan.listed not in ("nothing", "rows") or plan.has_tables or len(plan.column_elements) != 1:
        return None
    [reader] = plan.column_elements
    access = Access.of(reader)
    narrow = narrow_factors(plan, host)
    factor = plan.factors[1] if narrow is None else narrow[1]
    if access is None or factor != reader.operation.results[0] or access.panels is not None or access.compact:
        return None
    if any(other.has_windows for other in plan.read_accesses):
        return None
    panels = panel_map(plan, tile_of(plan, host).width, 1 if narrow is None else 2)
    if panels is None or set(panels.positions) != set(access.positions):
        return None
    return panels if has_known_sizes(plan, access, panels) else None


def panel_map(plan: ContractPlan, width: int, pair: int) -> PanelMap | None:
    """The panels of the columns of `plan`; None if it has no columns or no depth."""
    [reader] = plan.column_elements
    access = Access.of(reader)
    assert access is not None, "a plan has an access for each element"
    [columns] = [plan.axes[number] for number in plan.of_role("column")]
    outer = [p for number in plan.of_role("outer") for p in plan.axes[number].iterators]
    depth = [p for number in plan.of_role("depth") for p in plan.axes[number].iterators]
    if not columns.iterators or not depth:
        return None
    leading = [p for p in (*outer, *columns.iterators[:-1]) if p in access.positions]
    return PanelMap(tuple(leading), columns.iterators[-1], tuple(depth), width, pair)


def has_known_sizes(plan: ContractPlan, access: Access, panels: PanelMap) -> bool:
    """Whether types tell all sizes of the columns, and that the rows have the same depth.

    Where a leading iterator is one of columns too, the last panel of each of its coordinates must be full: all of
    them together are one axis to a kernel. So must the last pair be where the depth has several iterators.
    """
    sizes = access.extents
    rows = [other for reader in plan.row_elements if (other := Access.of(reader)) is not None]
    if len(sizes) != len(access.positions):
        return False
    if any(all(other.extents.get(p) != sizes[p] for other in rows) for p in panels.depth):
        return False
    if len(panels.depth) > 1 and sizes[panels.depth[-1]] % panels.pair:
        return False
    carried = {p for other in rows for p in other.positions} | set(plan.group)
    alone = all(p in carried for p in panels.leading)
    return alone or sizes[panels.column] % panels.width == 0


def is_panelled(frame: Frame) -> bool:
    """Whether the columns of `frame` lie in panels."""
    return any(view.access.panels is not None for view in frame.factors.columns.views.values())


def panels_of(frame: Frame) -> Shared | None:
    """The columns of `frame`, in pairs if it is, where they lie in panels that were laid out ahead."""
    if not is_panelled(frame):
        return None
    [view] = frame.factors.columns.views.values()
    panels = view.access.panels
    assert panels is not None and panels.width == frame.tile.width, "weights were laid out for this kernel"
    assert panels.pair == (2 if frame.is_paired else 1), (
        "weights were laid out in pairs where they are multiplied so"
    )
    buffer, base = view.buffer, view.base
    if frame.is_paired:
        buffer, base = recast(buffer, ir.IntegerType.get_signless(32)), floor_div(base, 2)
    steps: Index = product([*(frame.extents[a] for a in frame.depth_axes[:-1]), frame.steps])
    count = ceil_div(frame.columns, panels.width)
    return Shared(frame, buffer, carried_axes(frame), 0, mul(steps, panels.width), count, base)

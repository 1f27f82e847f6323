"""Frozen weights in panels: which contractions read them so, and what lays them out."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from pit_mlir.bindings import func, ir, tensor
from pit_mlir.codegen.build import zero
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.cpu.contract_panels import panels_for
from pit_mlir.codegen.slices import VIEWS
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.element import element
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.panels import PanelMap, panel_shape
from pit_mlir.dialect.structured import Iterator as Kind
from pit_mlir.dialect.structured import build_generic, owner
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.pit_split_frozen import top_level
from pit_mlir.target import host

T = TypeVar("T")
SPARE = 8
"""Panels may add a part of this to the bytes of a weight: what is behind its edges is stored too."""
SPARE_BYTES = 64 * 1024
"""They may always add so much."""


@dataclass(frozen=True)
class Packing:
    """A weight that the `contract` could read in `panels`, by `read`."""

    contract: ir.Operation
    read: ir.Operation
    panels: PanelMap

    @property
    def weight(self) -> ir.Value:
        """The weight."""
        return self.read.operands[0]

    @property
    def order(self) -> tuple[int, ...]:
        """The dimensions of the weight in the order of the panels' iterators."""
        access = Access.of(self.read.opview)
        assert access is not None, "the plan has it"
        return tuple(access.positions.index(position) for position in self.panels.positions)

    @property
    def shape(self) -> list[int]:
        """The shape of the panels."""
        sizes = ir.RankedTensorType(self.weight.type).shape
        given = [sizes[dim] for dim in self.order]
        return panel_shape(given, len(self.panels.depth), self.panels.width, self.panels.pair)

    @property
    def layout(self) -> tuple[ir.Value, tuple[int, ...], tuple[int, ...]]:
        """What two contractions share if they can read the same panels."""
        return self.weight, self.order, tuple(self.shape)


def pack_weights(function: func.FuncOp, frozen: Collection[ir.Value], report: Report) -> None:
    """Lays the weights of `function` out in panels, of the `frozen` values those that nothing else reads."""
    found = list(packings(function, frozen))
    for some in grouped(found, lambda packing: origin_of(packing.weight)):
        origin = origin_of(some[0].weight)
        problem = problem_of(origin, some, frozen, function)
        for alike in grouped(some, lambda packing: packing.layout):
            where = location_text(alike[0].contract.location)
            if problem:
                report.remark(where, f"the frozen weight is not packed ahead: {problem}")
                report.count("num-left")
                continue
            width = alike[0].panels.width
            report.remark(where, f"the frozen weight is packed once, in panels of {width} columns")
            report.count("num-packed")
            packed = pack(alike[0])
            for packing in alike:
                read_panels(packing, packed)


def problem_of(
    origin: ir.Value, some: Sequence[Packing], frozen: Collection[ir.Value], function: func.FuncOp
) -> str:
    """Why `some`, all that could be packed of the weight `origin`, would take more memory than it; empty if not."""
    needs = other_uses(origin, {packing.read for packing in some}, frozen, function)
    if needs:
        return f"{needs[0]} reads it as it is, and packed weights replace it"
    type_ = ir.RankedTensorType(origin.type)
    given = prod(type_.shape)
    wanted = sum(prod(shape) for shape in {packing.layout: packing.shape for packing in some}.values())
    spare = max(given // SPARE, SPARE_BYTES * 8 // type_.element_type.width)
    return "" if wanted - given <= spare else f"panels take {wanted / max(given, 1):.1f} times its memory"


def packings(function: func.FuncOp, frozen: Collection[ir.Value]) -> Iterator[Packing]:
    """What contractions could read in panels."""
    for contract in operations(function.operation, "pit.contract"):
        plan = ContractPlan.of(contract.opview)
        panels = None if isinstance(plan, str) else panels_for(plan, host())
        if isinstance(plan, str) or panels is None:
            continue
        [read] = plan.column_elements
        if read.operation.operands[0] in frozen:
            yield Packing(contract, read.operation, panels)


def grouped(found: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """`found` by `key`, in order."""
    groups: dict[Hashable, list[T]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def origin_of(value: ir.Value) -> ir.Value:
    """The tensor that `value` is a view of."""
    maker = owner(value)
    while maker is not None and maker.name in VIEWS:
        value = maker.operands[0]
        maker = owner(value)
    return value


def other_uses(
    value: ir.Value, reads: Collection[ir.Operation], frozen: Collection[ir.Value], function: func.FuncOp
) -> list[str]:
    """What of @main uses `value` or a view of it, but for `reads` and for its sizes: the names of operations."""
    found: list[str] = []
    for use in value.uses:
        user = use.owner.operation
        if user in reads or user.name == "tensor.dim":
            continue
        outside = top_level(user, function)
        if user.name in VIEWS:
            found += other_uses(user.results[0], reads, frozen, function)
        elif not any(result in frozen for result in outside.results):
            found.append(outside.name)
    return found


def pack(packing: Packing) -> ir.Value:
    """The panels of `packing`, made before its contraction."""
    panels, order, shape = packing.panels, packing.order, packing.shape
    leading, inside = len(panels.leading), len(panels.positions)
    blocks = {leading: (panels.width, inside)}
    if panels.pair > 1:
        blocks[inside - 1] = (panels.pair, inside + 1)
    dims: list[ir.AffineExpr] = [ir.AffineExpr.get_dim(number) for number in range(inside)]
    for place, (size, within) in blocks.items():
        dims[place] = dims[place] * size + ir.AffineExpr.get_dim(within)
    with ir.InsertionPoint(packing.contract), packing.contract.location:
        whole = padded(packing.weight, {order[place]: size for place, (size, _) in blocks.items()})
        type_ = ir.RankedTensorType(whole.type).element_type
        source = ir.AffineMap.get(len(shape), 0, [dims[order.index(dim)] for dim in range(inside)])
        maps = [source, ir.AffineMap.get_identity(len(shape))]
        kinds: list[Kind] = ["parallel"] * len(shape)
        out = tensor.empty(shape, type_)
        return build_generic([whole], [out], maps, kinds, lambda given, _: [given]).results[0]


def padded(source: ir.Value, multiples: Mapping[int, int]) -> ir.Value:
    """`source` with zeros behind its edges, so that dimensions have multiples of those sizes."""
    type_ = ir.RankedTensorType(source.type)
    high = [-size % multiples.get(dim, 1) for dim, size in enumerate(type_.shape)]
    if not any(high):
        return source
    shape = [size + more for size, more in zip(type_.shape, high, strict=True)]
    op = tensor.PadOp(
        ir.RankedTensorType.get(shape, type_.element_type), source, [], [], [0] * type_.rank, high
    )
    block = op.regions[0].blocks.append(*[ir.IndexType.get()] * type_.rank)
    with ir.InsertionPoint(block):
        tensor.yield_(zero(type_.element_type))
    return op.result


def read_panels(packing: Packing, packed: ir.Value) -> None:
    """Lets the contraction of `packing` read `packed`."""
    read = packing.read
    with ir.InsertionPoint(read), read.location:
        made = element(packed, packing.panels.map(read.attributes["map"].value.n_dims))
    read.results[0].replace_all_uses_with(made)
    read.erase()

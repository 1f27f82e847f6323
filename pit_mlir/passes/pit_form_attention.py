"""`pit-form-attention`: attention in pieces becomes one operation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.analysis.attention import Attention, NotAttention, find_attention
from pit_mlir.analysis.expressions import Leaf, emit
from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import attend
from pit_mlir.dialect.attend import score_type
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Structured, owner, projection_map
from pit_mlir.passes.base import Pass
from pit_mlir.passes.rules.functions import functions_of


@dataclass(frozen=True)
class FormAttention(Pass):
    """Forms `pit.attend` of contraction, element-wise work on the scores, softmax, contraction.

    The result is the same function of queries, keys and values, whatever the order of the dimensions; no tensor
    of scores is left. Element-wise work that makes masks moves into the body, which then reads the masks
    themselves. Nothing is formed where an intermediate is used elsewhere; a remark says so.
    """

    name: ClassVar[str] = "pit-form-attention"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {
        "num-formed": "Attentions formed",
        "num-refused": "Attentions that had to stay as they are",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites every function in the module."""
        for function in functions_of(op):
            form_attention(function.regions[0].blocks[0], report)


def form_attention(block: ir.Block, report: Report) -> None:
    """Replaces each attention in `block`; remarks name those formed and say why the others were not."""
    for op in list(block.operations):
        view = Structured.on_tensors(op)
        if view is None:
            continue
        try:
            found = find_attention(view)
            if found is not None:
                replace_attention(found, report)
        except NotAttention as reason:
            report.count("num-refused")
            report.remark(location_text(op.location), f"attention is not formed: {reason}", topic="dense")


def replace_attention(found: Attention, report: Report) -> None:
    """Puts `pit.attend` in place of `found`; raises `NotAttention` if an intermediate is used elsewhere."""
    chain = chain_of(found)
    dead = dying(chain, found)
    location = found.op.location
    iterators = (*found.batch, found.q, found.k, found.d, found.e)
    with ir.InsertionPoint(found.op), fused_location(chain, location):
        result = build(found, iterators)
    found.op.results[0].replace_all_uses_with(result)
    for op in (found.op, *dead):
        op.erase()
    report.count("num-formed")
    count = len(found.extras)
    reads = f"; masks and biases that it reads: {count}" if count else ""
    text = f"attention formed, its scores are never stored{reads}"
    report.remark(location_text(location), text, topic="rewritten")


def build(found: Attention, iterators: Sequence[int]) -> ir.Value:
    """The `pit.attend` of `found`, at the insertion point; `iterators` are in the order of the operation."""
    number = {iterator: position for position, iterator in enumerate(iterators)}

    def map_of(dims: Sequence[int]) -> ir.AffineMap:
        return projection_map(len(iterators), [number[dim] for dim in dims])

    extras = [(as_tensor(leaf), map_of(leaf.dims)) for leaf in found.extras]
    query, init = found.query.value, init_of(found.op)
    unit: tuple[int, ...] = ()
    if found.is_single:
        unit, query, init = (found.q,), with_unit(query), with_unit(init)
    carried = ((*found.query.dims, *unit), found.key.dims, found.value.dims, (*found.output, *unit))
    score = score_type(found.query.value.type)

    def body(product: ir.Value, *scalars: ir.Value) -> ir.Value:
        values = dict(zip((found.product, *found.extras), (product, *scalars), strict=True))
        return emit(found.score, values, score)

    result = attend(
        query,
        found.key.value,
        found.value.value,
        init,
        [map_of(dims) for dims in carried],
        batch=len(found.batch),
        extras=extras,
        guarded=found.guarded,
        body=body,
    ).operation.results[0]
    if found.is_single:
        type_ = found.op.results[0].type
        return tensor.CollapseShapeOp(type_, result, last_joined(ir.RankedTensorType(type_).rank)).result
    return result


def with_unit(value: ir.Value) -> ir.Value:
    """The tensor `value` with a last dimension of size 1."""
    type_ = ir.RankedTensorType(value.type)
    shape = [*type_.shape, 1]
    sizes = [size for dim in range(type_.rank) if isinstance(size := extent(value, dim), ir.Value)]
    wide = ir.RankedTensorType.get(shape, type_.element_type)
    return tensor.ExpandShapeOp(wide, value, last_joined(type_.rank), sizes, shape).result


def last_joined(rank: int) -> list[list[int]]:
    """The dimensions of a tensor of `rank`, the last one together with one behind it, as reshapes name them."""
    return [[dim] for dim in range(rank - 1)] + [[rank - 1, rank]]


def as_tensor(leaf: Leaf) -> ir.Value:
    """The tensor that `leaf` reads; a scalar becomes one of rank 0."""
    if isinstance(leaf.value.type, ir.RankedTensorType):
        return leaf.value
    return tensor.FromElementsOp(ir.RankedTensorType.get([], leaf.value.type), [leaf.value]).result


def init_of(op: ir.Operation) -> ir.Value:
    """A tensor of the size of the result of `op`; its values are not read, so a fill is looked through."""
    init = op.operands[len(op.operands) - 1]
    maker = owner(init)
    return maker.operands[1] if maker is not None and maker.name == "linalg.fill" else init


def chain_of(found: Attention) -> list[ir.Operation]:
    """What makes the probabilities of queries, keys and masks, users before producers."""
    ends = {operand.value for operand in (found.query, found.key)} | {leaf.value for leaf in found.extras}
    # The attention takes the tensor that the second contraction started from.
    ends.add(init_of(found.op))
    members: set[ir.Value] = set()
    work = [value for value in found.op.operands if value not in (found.value.value, *found.op.results)]
    while work:
        maker = owner(value := work.pop())
        if value in members or value in ends or maker is None or Structured.on_tensors(maker) is None:
            continue
        members.update(maker.results)
        work.extend(maker.operands)
    block = found.op.block
    return [op.operation for op in reversed(list(block.operations)) if set(op.results) & members]


def dying(chain: Sequence[ir.Operation], found: Attention) -> list[ir.Operation]:
    """The operations of `chain` that nothing needs once `found.op` is gone, users before producers.

    Raises `NotAttention` if the product of queries and keys is not among them.
    """
    dead = [found.op]
    for op in chain:
        if all(use.owner.operation in dead for result in op.results for use in result.uses):
            dead.append(op)
    product = owner(found.product.value)
    if product not in dead:
        raise NotAttention(f"an intermediate is used elsewhere, {outside_use(chain, dead, found)}")
    return dead[1:]


def outside_use(chain: Sequence[ir.Operation], dead: Sequence[ir.Operation], found: Attention) -> str:
    """Who uses the scores, or what was made of them, besides the attention."""
    members = (found.op, *chain)
    depends = {found.product.value}
    for op in reversed(chain):
        if depends & set(op.operands):
            depends.update(op.results)
    for op in chain:
        for result in op.results:
            for use in result.uses:
                if result in depends and use.owner.operation not in members:
                    return f"by '{use.owner.operation.name}' at {location_text(use.owner.location)}"
    return f"{len(chain) + 1 - len(dead)} of its operations stay"


def fused_location(chain: Sequence[ir.Operation], last: ir.Location) -> ir.Location:
    """The locations of the second contraction and of what it replaces, each once."""
    locations = [last]
    for op in chain:
        if op.location not in locations:
            locations.append(op.location)
    return ir.Location.fused(locations)

"""R3, spread: f(x, y; c) = swrite(f(sread(x, I), sread(y, I); sread(c, I)), into background(f), I), d
parallel in f.

Here x is a mask over the group of I (a product or a select by it), f has no reduction and is 0 where the mask
is, so the background is 0. The result is read and written through I; R1 then carries the read up through f.
Fact needed: the value of the body at mask = 0, by its image; the iterators' verdicts are asked for by R1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pit_mlir.analysis.axes import unreshaped
from pit_mlir.analysis.expressions import (
    Apply,
    Expression,
    Leaf,
    body_expression,
    is_plain,
)
from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.images import ZERO, Known, NonZero, image
from pit_mlir.analysis.masks import is_float, is_mask_argument, mask_of
from pit_mlir.analysis.zeros import Zeros
from pit_mlir.bindings import arith, ir, linalg, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.detect import detect, is_by_key
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.sread import sread
from pit_mlir.dialect.structured import Structured, owner, projection
from pit_mlir.dialect.swrite import swrite
from pit_mlir.passes.rules.live_index import index_by_key


@dataclass(frozen=True)
class Masked:
    """A result that is 0 wherever `mask` is 0; dimension `axis[i]` of the result is dimension i of the mask.

    `kept` is what it is elsewhere, if that is a value of the program (a select), else the result itself.
    """

    mask: ir.Value
    axis: tuple[int, ...]
    kept: ir.Value


def spread_results(function: ir.Operation, report: Report) -> None:
    """R3 at what `function` returns, before other indices come in: what they list is then compact already."""
    spread_where(is_returned, function, report)


def spread_masks(function: ir.Operation, report: Report) -> None:
    """R3 at every result of `function` that a mask over some of its dimensions makes 0."""
    spread_where(lambda _: True, function, report)


def spread_where(is_wanted: Callable[[ir.Operation], bool], function: ir.Operation, report: Report) -> None:
    """R3 at the results of `function` that are wanted and that a mask over some of their dimensions makes 0."""
    block = function.regions[0].blocks[0]
    zeros = Zeros(block)
    for op in list(block.operations):
        view = Structured.on_tensors(op)
        if view is None or is_read_by_rows(view.op) or not is_wanted(view.op):
            continue
        masked = find_mask(view, zeros)
        if masked is not None and not is_live(masked.mask):
            with op.location:
                spread(op.operation, masked)
            report.count("num-masked")
            report.remark(
                location_text(op.location),
                f"compact through the index of the live rows of {name_of(masked.mask, function)}: 0 elsewhere",
                topic="index",
            )


def name_of(mask: ir.Value, function: ir.Operation) -> str:
    """What a remark calls `mask`: the name of the argument, else its place in the source."""
    maker = owner(mask)
    while maker is not None and maker.name in ("tensor.collapse_shape", "tensor.expand_shape"):
        mask, maker = maker.operands[0], owner(maker.operands[0])
    if maker is not None:
        return f"the mask at {location_text(maker.location)}"
    number = ir.BlockArgument(mask).arg_number
    if "arg_attrs" in function.attributes:
        attributes = ir.DictAttr(function.attributes["arg_attrs"][number])
        if "pit.name" in attributes:
            return f"'{ir.StringAttr(attributes['pit.name']).value}'"
    return f"argument {number}"


def find_mask(view: Structured, zeros: Zeros) -> Masked | None:
    """The mask that makes the one result of `view` 0, if there is one whose index pays."""
    identity = list(range(len(view.iterators)))
    if "reduction" in view.iterators or len(view.outputs) != 1 or not is_plain(view, 0):
        return None
    out = projection(view.output_maps[0])
    if out is None or sorted(out) != identity:
        return None
    terms = [
        Leaf(value, projection(map_) or ()) for value, map_ in zip(view.inputs, view.input_maps, strict=True)
    ]
    body = body_expression(
        view, 0, lambda number: terms[number] if number < len(terms) else Leaf(view.outputs[0], ())
    )
    for term in dict.fromkeys(terms):
        if image(body, {term: ZERO}).value != ZERO:
            continue
        root = mask_of(term)
        if (root is None or root == term or is_other_float(root)) and is_gate(term, terms, zeros):
            return Masked(term.value, tuple(out.index(dim) for dim in term.dims), view.op.results[0])
        if root is None:
            continue
        # A float for each column, as the scale of a norm is one: in memory dead columns lie among live ones, and a
        # contraction over them has a list of its own.
        if is_float(root.value) and root.dims == out[-1:] and len(out) > 1:
            continue
        kept = selected(body, terms, term)
        # An index over all of a value's dimensions lists single elements; a weight that is masked stays where it is.
        if (len(root.dims) == len(out) and not is_returned(view.op)) or masks_weight(view, term):
            continue
        if kept is None and (
            len(root.dims) == len(out)
            or is_other_float(root)
            or not is_float(view.op.results[0])
            or not scales(root, term, terms)
        ):
            continue
        if kept is not None and not (is_float(view.op.results[0]) or is_returned(view.op)):
            continue
        axis = tuple(out.index(dim) for dim in root.dims)
        straight = kept is not None and kept.dims == out
        value = kept.value if kept is not None and straight else view.op.results[0]
        return Masked(root.value, axis, value)
    return None


def scales(root: Leaf, term: Leaf, terms: list[Leaf]) -> bool:
    """Whether one of the other `terms` has an element, or several, for each of `root`: that is what it masks."""
    return any(set(root.dims) <= set(other.dims) for other in terms if other != term)


def is_gate(term: Leaf, terms: list[Leaf], zeros: Zeros) -> bool:
    """Whether `term` scales rows that are computed, and holds zeros on purpose: the weight of one expert per token."""
    if not term.dims:
        return False
    others = [other for other in terms if other != term and set(term.dims) < set(other.dims)]
    # What one number says of many rows says nothing of each; of a single row it does.
    is_one = all(size == 1 for size in ir.RankedTensorType(term.value.type).shape)
    told = any(fact.is_zero and (fact.source.dims or is_one) for fact in zeros.of(term.value))
    return told and any(not is_argument(other.value) for other in others)


def selected(body: Expression, terms: list[Leaf], mask: Leaf) -> Leaf | None:
    """The operand y of a body that is select(mask, y, 0): of select(x > 0, x, 0) x is no mask."""
    if not isinstance(body, Apply) or body.name != "arith.select":
        return None
    if image(body.args[0], {mask: NonZero()}).value not in (NonZero(), Known(1)):
        return None
    return body.args[1] if isinstance(body.args[1], Leaf) and body.args[1] in terms else None


def is_other_float(mask: Leaf) -> bool:
    """Whether a factor is of floats and no mask by its origin: a product with one says nothing of sparsity."""
    return is_float(mask.value) and not is_mask_argument(mask.value)


def masks_weight(view: Structured, mask: Leaf) -> bool:
    """Whether all that `view` reads beside `mask` are arguments: contractions that read its result have lists."""
    others = [value for value in view.inputs if value != mask.value and is_float(value)]
    return bool(others) and not is_returned(view.op) and all(is_argument(value) for value in others)


def is_argument(value: ir.Value) -> bool:
    """Whether `value` is an argument, reshaped or not."""
    return owner(unreshaped(value)) is None


def is_returned(op: ir.Operation) -> bool:
    """Whether the result of `op` leaves the function."""
    return any(use.owner.operation.name == "func.return" for use in op.results[0].uses)


def spread(op: ir.Operation, masked: Masked) -> None:
    """Puts swrite(sread(..)) in place of the result of `op`."""
    result = op.results[0]
    users: list[tuple[ir.Operation, int]] = list(operands_reading(result))
    with ir.InsertionPoint.after(op):
        rank = len(masked.axis)
        # More rows than are live do no harm where the operation itself is computed on them, and gives 0.
        found = index_by_key(masked.mask, [rank - 1], range(rank - 1)) if masked.kept == result else None
        index = found or detect(
            masked.mask, axis=[rank - 1], segments=range(rank - 1), block=[1] * (rank - 1), micro_tile=1
        )
        rows = sread(masked.kept, index, axis=masked.axis)
        written = swrite(rows, zeros_like(result), index, axis=masked.axis)
    for user, number in users:
        user.operands[number] = written


def is_live(mask: ir.Value) -> bool:
    """Whether `mask` is those of its own rows that are not 0: an index of it lists them all once more."""
    read = owner(mask)
    if read is None or read.name != "pit.sread":
        return False
    made = owner(read.operands[1])
    if made is None or made.name != "pit.detect" or is_by_key(made):
        return False
    is_exact = ir.IntegerAttr(made.attributes["micro_tile"]).value == 1
    return is_exact and made.operands[0] == read.operands[0]


def is_read_by_rows(op: ir.Operation) -> bool:
    """Whether nothing reads the results of `op` as a whole: R3 was here already."""
    return all(use.owner.operation.name == "pit.sread" for result in op.results for use in result.uses)


def operands_reading(value: ir.Value) -> Iterator[tuple[ir.Operation, int]]:
    """The operands that `value` is."""
    for use in value.uses:
        yield use.owner.operation, use.operand_number


def zeros_like(value: ir.Value) -> ir.Value:
    """A tensor of the type and size of `value`, filled with 0."""
    type_ = ir.RankedTensorType(value.type)
    sizes = [extent(value, dim) for dim in range(type_.rank)]
    empty = tensor.EmptyOp(sizes, type_.element_type).result
    element_type = type_.element_type
    zero: ir.Attribute = (
        ir.FloatAttr.get(element_type, 0.0)
        if isinstance(element_type, ir.FloatType)
        else ir.IntegerAttr.get(element_type, 0)
    )
    return linalg.fill(arith.ConstantOp(element_type, zero).result, outs=[empty])  # pyright: ignore[reportArgumentType]

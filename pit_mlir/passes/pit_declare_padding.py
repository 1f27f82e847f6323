"""`pit-declare-padding`: rows of (batch, token) values, or whole batch entries, at which a mask is zero are unused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.analysis.axes import Axes, is_fresh, is_whole, sorted_dim
from pit_mlir.analysis.expressions import Leaf, body_expression, element
from pit_mlir.analysis.extents import extent
from pit_mlir.analysis.images import ZERO, Abstract, image
from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.bodies import needed
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Iterator as Kind
from pit_mlir.dialect.structured import Structured, build_generic, owner, projection, projection_map
from pit_mlir.errors import InputError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.rules.functions import functions_of
from pit_mlir.passes.rules.spread import name_of, selected


@dataclass(frozen=True)
class DeclarePadding(Pass):
    """Declares rows unused where the (batch, token) mask in a function argument is zero.

    `argument` is the number of the mask among the function's arguments: rank 2, of i1, integers or floats; a
    token is live where it is not zero. What leaves the function and carries both axes becomes `select(mask,
    y, 0)`, and so does what is sliced or gathered along one of them: unused rows are exactly 0 there and
    nobody reads others, so the rules are free never to compute them. A (batch,) mask of rank 1 says the same of
    whole entries of the batch, such as images.
    """

    name: ClassVar[str] = "pit-declare-padding"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    statistics: ClassVar[Mapping[str, str]] = {
        "num-selects": "Values that are 0 where the mask is",
    }

    argument: int = -1

    def run(self, op: ir.Operation, report: Report) -> None:
        """Inserts the selects; says which results carry no (batch, token) axes."""
        function = main_function(op)
        mask = mask_argument(function, self.argument)
        verify_read(mask, function)
        mask = without_units(mask, function)
        axes = Axes(function)
        remark_results(function, axes, mask, report)
        masked: dict[tuple[ir.Value, tuple[int, ...]], ir.Value] = {}
        for use in list(cutting_uses(function, axes, mask)):
            pair = carried(axes, use, mask)
            if pair is None or use.value == mask or is_selected(use.value, mask):
                continue
            with op.context, use.user.location, insertion_after(use.value, function):
                if (use.value, pair) not in masked:
                    masked[use.value, pair] = select_live(use.value, mask, pair)
                    report.count("num-selects")
            use.user.operands[use.operand] = masked[use.value, pair]
            if use.why:
                report.remark(location_text(use.user.location), use.why)


JOINS = ("tensor.concat", "tensor.insert_slice", "tensor.pad")
"""What puts tensors beside others."""


@dataclass(frozen=True)
class Use:
    """Operand `operand` of `user` reads `value`; `why` is what there is to say about it, or empty."""

    user: ir.Operation
    operand: int
    value: ir.Value
    why: str = ""


def main_function(op: ir.Operation) -> ir.Operation:
    """The one function with a body of the module `op` (or `op` itself)."""
    functions = list(functions_of(op))
    if len(functions) != 1:
        raise InputError(
            f"pit-declare-padding needs one function of a single block, found {len(functions)}",
            location=place(op),
        )
    return functions[0]


def place(op: ir.Operation) -> str | None:
    """Where `op` comes from, if that is known; an imported function has no line."""
    text = location_text(op.location)
    return None if text.startswith("<unknown>") else text


def mask_argument(function: ir.Operation, number: int) -> ir.Value:
    """Argument `number` of `function`, checked to be a (batch, token) or a (batch,) mask."""
    arguments = list(function.regions[0].blocks[0].arguments)
    if not 0 <= number < len(arguments):
        raise InputError(
            f"pit-declare-padding: argument = {number} is not among the {len(arguments)} arguments",
            location=place(function),
        )
    mask = arguments[number]
    if not isinstance(mask.type, ir.RankedTensorType) or mask.type.rank not in (1, 2):
        raise InputError(
            f"pit-declare-padding: argument {number} has type {mask.type}; expected a mask (batch, token) "
            "or (batch)",
            location=place(function),
        )
    if not isinstance(mask.type.element_type, ir.IntegerType | ir.FloatType):
        raise InputError(
            f"pit-declare-padding: argument {number} holds {mask.type.element_type}; expected integers, i1 or floats",
            location=place(function),
        )
    return mask


def verify_read(mask: ir.Value, function: ir.Operation) -> None:
    """Raises `InputError` where nothing reads `mask`: then nothing says which values carry its axes."""
    if not any(True for _ in mask.uses) and not is_of_one(mask):
        raise InputError(
            f"the model does not read {name_of(mask, function)}, which is declared as a mask of padding, so nothing "
            "tells which values carry its (batch, token) axes; use it in the model (in attention, or as a factor), "
            "or leave the declaration out",
            location=place(function),
        )


def without_units(mask: ir.Value, function: ir.Operation) -> ir.Value:
    """`mask` without a batch or a length of 1: the values inside a normal form do not have such a dimension."""
    type_ = ir.RankedTensorType(mask.type)
    rest = [size for size in type_.shape if size != 1]
    if len(rest) != 1 or type_.rank == 1:
        return mask
    block = function.regions[0].blocks[0]
    with function.context, function.location, ir.InsertionPoint.at_block_begin(block):
        row = ir.RankedTensorType.get(rest, type_.element_type)
        for use in mask.uses:
            reader = use.owner.operation
            if reader.name == "tensor.collapse_shape" and reader.results[0].type == row:
                return reader.results[0]
        return tensor.CollapseShapeOp(row, mask, [[0, 1]]).result


def carried(axes: Axes, use: Use, mask: ir.Value) -> tuple[int, ...] | None:
    """The dimensions of a used value that are those of `mask`; None if it does not carry them.

    The normal form has no dimensions of 1, so nothing there leads from a mask of one single token to a result: such
    a result is taken to carry it if its first dimensions are 1. There is no live token at all where it is masked.
    """
    found = axes.carried(use.value, mask)
    if found is not None or not is_of_one(mask):
        return found
    type_, shape = ir.RankedTensorType(use.value.type), list(ir.RankedTensorType(mask.type).shape)
    is_result = use.user.name == "func.return" and not isinstance(type_.element_type, ir.IntegerType)
    fits = is_result and list(type_.shape)[: len(shape)] == shape
    return tuple(range(len(shape))) if fits else None


def is_of_one(mask: ir.Value) -> bool:
    """Whether `mask` has a single element."""
    return all(size == 1 for size in ir.RankedTensorType(mask.type).shape)


def cutting_uses(function: ir.Operation, axes: Axes, mask: ir.Value) -> Iterator[Use]:
    """Uses that take values out of the (batch, token) frame: returns, and what picks tokens by position or by data.

    What moves tokens as a whole (a roll, a flip, a shift) puts those of dead rows beside others: it reads all of
    them as they are, and what it reads stays dense.
    """
    for op in function.regions[0].blocks[0].operations:
        user = op.operation
        if user.name == "func.return":
            yield from (Use(user, number, value) for number, value in enumerate(user.operands))
        elif user.name == "tensor.extract_slice":
            pair = axes.carried(user.operands[0], mask)
            cut = [dim for dim in pair or () if not is_whole(user, user.operands[0], dim)]
            if cut and picks_one(user, cut):
                yield Use(
                    user,
                    0,
                    user.operands[0],
                    "assumes: the rows that this slice reads are live (others read 0)",
                )
        elif user.name == "linalg.generic":
            yield from gathers(user)


def picks_one(slice_: ir.Operation, cut: Sequence[int]) -> bool:
    """Whether `slice_` takes one token, by itself: one that is put beside others is moved with them."""
    sizes = list(slice_.attributes["static_sizes"])
    return all(sizes[dim] == 1 for dim in cut) and not is_joined(slice_.results[0])


def is_joined(value: ir.Value) -> bool:
    """Whether `value`, reshaped or not, is put beside others."""
    users = [use.owner.operation for use in value.uses]
    return any(
        user.name in JOINS
        or (user.name in ("tensor.expand_shape", "tensor.cast") and is_joined(user.results[0]))
        for user in users
    )


def gathers(generic: ir.Operation) -> Iterator[Use]:
    """Tensors that the body of `generic` reads at coordinates that data tell."""
    body = generic.regions[0].blocks[0]
    operands = zip(body.arguments, generic.operands, strict=True)
    data = {argument for argument, operand in operands if not is_fresh(operand)}
    for inner in body.operations:
        if inner.operation.name != "tensor.extract":
            continue
        coordinates = list(inner.operation.operands)[1:]
        if any(value in data or is_extracted(value) for value in needed(coordinates, body)):
            why = "assumes: the rows that this gather reads are live (others read 0)"
            yield Use(inner.operation, 0, inner.operation.operands[0], why)


def is_extracted(value: ir.Value) -> bool:
    """Whether `value` is read from a tensor at computed coordinates."""
    maker = owner(value)
    return maker is not None and maker.name == "tensor.extract"


def is_selected(value: ir.Value, mask: ir.Value) -> bool:
    """Whether `value` is what `select_live` makes by `mask`: the declaration was here already."""
    maker = value.owner
    if isinstance(maker, ir.Block) or maker.operation.name != "linalg.generic":
        return False
    view = Structured.on_tensors(maker)
    if view is None or len(view.inputs) != 2 or view.inputs[0] != mask:
        return False
    terms = [
        Leaf(value, projection(map_) or ()) for value, map_ in zip(view.inputs, view.input_maps, strict=True)
    ]
    body = body_expression(view, 0, lambda number: (*terms, Leaf(view.outputs[0], ()))[number])
    return image(body, {terms[0]: ZERO}).value == ZERO and selected(body, terms, terms[0]) == terms[1]


def insertion_after(value: ir.Value, function: ir.Operation) -> ir.InsertionPoint:
    """Right after `value` is made; at the start of the function for an argument."""
    maker = value.owner
    if isinstance(maker, ir.Block):
        return ir.InsertionPoint.at_block_begin(function.regions[0].blocks[0])
    return ir.InsertionPoint.after(maker)


def select_live(value: ir.Value, mask: ir.Value, pair: tuple[int, ...]) -> ir.Value:
    """`select(mask, value, 0)`, the mask over the dimensions `pair` of `value`."""
    type_ = ir.RankedTensorType(value.type)
    sizes = [extent(value, dim) for dim in range(type_.rank)]
    out = tensor.EmptyOp(sizes, type_.element_type).result
    identity = projection_map(type_.rank, range(type_.rank))

    def body(live: ir.Value, element: ir.Value, _out: ir.Value) -> list[ir.Value]:
        return [arith.SelectOp(is_live(live), element, zero(element.type)).result]

    maps = [projection_map(type_.rank, pair), identity, identity]
    parallel: list[Kind] = ["parallel"] * type_.rank
    return build_generic([mask, value], [out], maps, parallel, body).results[0]


def is_live(scalar: ir.Value) -> ir.Value:
    """`scalar != 0` as an i1; a float that is NaN is live."""
    if scalar.type == ir.IntegerType.get_signless(1):
        return scalar
    if isinstance(scalar.type, ir.FloatType):
        return arith.CmpFOp(arith.CmpFPredicate.UNE, scalar, zero(scalar.type)).result
    return arith.CmpIOp(arith.CmpIPredicate.ne, scalar, zero(scalar.type)).result


def zero(type_: ir.Type) -> ir.Value:
    """The constant 0 (or false) of a scalar type."""
    attribute = (
        ir.FloatAttr.get(type_, 0.0) if isinstance(type_, ir.FloatType) else ir.IntegerAttr.get(type_, 0)
    )
    return arith.ConstantOp(type_, attribute).result  # pyright: ignore[reportArgumentType]


def remark_results(function: ir.Operation, axes: Axes, mask: ir.Value, report: Report) -> None:
    """Says which results the declaration does not reach, and what reads tokens that are not live."""
    for op in function.regions[0].blocks[0].operations:
        user, where = op.operation, location_text(op.location)
        if user.name == "func.return":
            for number, value in enumerate(user.operands):
                if axes.carried(value, mask) is None:
                    text = f"result {number} does not carry (batch, token): returned as it is"
                    report.remark(where, text, topic="dense")
        if ranks_tokens(user, axes, mask):
            report.remark(
                where,
                "ranks tokens, unused ones among them: its input stays dense; fill it with -inf where the mask is 0 "
                "if only live tokens are meant",
                topic="dense",
            )
        view = Structured.on_tensors(user)
        if view is not None and pools_unused(view, axes, mask):
            report.remark(
                where,
                "reduces over tokens, and the mask does not make the unused ones 0: its input stays dense; "
                "multiply it by the mask if only live tokens are meant",
                topic="dense",
            )


def ranks_tokens(op: ir.Operation, axes: Axes, mask: ir.Value) -> bool:
    """Whether `op` sorts along the batch or the tokens."""
    dim = sorted_dim(op)
    return dim is not None and any(dim in (axes.carried(operand, mask) or ()) for operand in op.operands)


def pools_unused(view: Structured, axes: Axes, mask: ir.Value) -> bool:
    """Whether `view` reduces floats over tokens, keeps no token axis, and reads others than the live ones."""
    if not isinstance(ir.RankedTensorType(view.outputs[0].type).element_type, ir.FloatType):
        return False
    token = ir.RankedTensorType(mask.type).rank - 1
    if any(axes.dims(result, (mask, token)) for result in view.op.results):
        return False
    for value, map_ in zip(view.inputs, view.input_maps, strict=True):
        pair, dims = axes.carried(value, mask), projection(map_)
        if pair is not None and dims is not None:
            dead: dict[Leaf, Abstract] = {Leaf(mask, tuple(dims[dim] for dim in pair)): ZERO}
            return image(element(value, dims), dead).value != ZERO
    return False

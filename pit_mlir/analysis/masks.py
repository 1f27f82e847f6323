"""Masks: which tensors are made to tell where others are something, and what a mask says where it is zero."""

from dataclasses import dataclass

from pit_mlir.analysis.axes import is_fresh
from pit_mlir.analysis.expressions import Apply, Constant, Expression, Leaf, element, leaves, parts
from pit_mlir.analysis.images import ZERO, Abstract, Known, NonZero, image
from pit_mlir.bindings import ir
from pit_mlir.dialect.detect import is_by_key
from pit_mlir.dialect.structured import owner

CASTS = 4
"""How many operations in a row are looked through from a factor to the mask that it is a cast of."""


@dataclass(frozen=True)
class Condition:
    """Where an operation knows something: where `tensor` is zero, or with `where_zero` false where it is not.

    `dims[i]` is the operation's iterator of dimension i.
    """

    tensor: ir.Value
    dims: tuple[int | None, ...]
    where_zero: bool


def mask_conditions(leaf: Leaf) -> list[tuple[Condition, Abstract]]:
    """A mask may say something where it is zero, and where it is not."""
    is_bool = element_type(leaf.value) == ir.IntegerType.get_signless(1)
    return [
        (Condition(leaf.value, leaf.dims, True), ZERO),
        (Condition(leaf.value, leaf.dims, False), Known(1) if is_bool else NonZero()),
    ]


def is_mask(leaf: Leaf, expression: Expression) -> bool:
    """Whether `leaf` is a tensor made to tell where something is: integers, or a float argument."""
    if not isinstance(leaf.value.type, ir.RankedTensorType) or not leaf.dims or is_fresh(leaf.value):
        return False
    if is_read_where_live(leaf.value):
        return False
    if isinstance(element_type(leaf.value), ir.IntegerType):
        return True
    return is_mask_argument(leaf.value) and is_factor(leaf, expression)


def is_read_where_live(value: ir.Value) -> bool:
    """Whether `value` are the elements of a mask at the places that its own index lists: none of them is zero."""
    read = owner(value)
    maker = owner(read.operands[1]) if read is not None and read.name == "pit.sread" else None
    if read is None or maker is None or maker.name != "pit.detect" or maker.operands[0] != read.operands[0]:
        return False
    if is_by_key(maker):
        return False
    group = [*maker.attributes["segments"], *maker.attributes["axis"]]
    dims = [group[coordinate] for coordinate in read.attributes["group"]]
    whole = ir.RankedTensorType(read.operands[0].type).rank == len(dims)
    return whole and dims == list(read.attributes["axis"]) and all(n == 1 for n in maker.attributes["block"])


def is_factor(leaf: Leaf, expression: Expression) -> bool:
    """Whether `expression` multiplies by `leaf` something that carries at least its dimensions."""
    products = [part for part in parts(expression) if isinstance(part, Apply) and part.name == "arith.mulf"]
    others = [arg for part in products if leaf in part.args for arg in part.args if arg != leaf]
    return any(set(leaf.dims) <= set(other.dims) for arg in others for other in leaves(arg))


def is_mask_argument(value: ir.Value) -> bool:
    """Whether a float tensor is an argument of the function that is called a mask, or an input of the model.

    Weights that scale (those of a layer norm) are no masks, what a caller passes is taken for one, reshaped or not.
    """
    maker = owner(value)
    while maker is not None and maker.name in ("tensor.collapse_shape", "tensor.expand_shape"):
        value = maker.operands[0]
        maker = owner(value)
    if not isinstance(value.owner, ir.Block):
        return False
    function = value.owner.owner.operation
    if function.name != "func.func" or "arg_attrs" not in function.attributes:
        return False
    attributes = function.attributes["arg_attrs"][ir.BlockArgument(value).arg_number]
    name = attributes["pit.name"].value if "pit.name" in attributes else ""
    kind = attributes["pit.kind"].value if "pit.kind" in attributes else ""
    return kind == "input" or "mask" in name


def mask_of(term: Leaf) -> Leaf | None:
    """The mask that an operand is a cast of: 0 where it is 0, not 0 elsewhere."""
    root = element(term.value, term.dims, CASTS) if term.dims else term
    found = list(leaves(root))
    if len(found) != 1 or not found[0].dims or isinstance(root, Constant):
        return None
    leaf = found[0]
    if image(root, {leaf: ZERO}).value != ZERO or leaf.value.type.element_type == ir.IndexType.get():
        return None
    live = image(root, {leaf: NonZero()}).value
    return leaf if live == NonZero() or (live != ZERO and hasattr(live, "value")) else None


def unbroadcast(mask: ir.Value, value: ir.Value) -> tuple[ir.Value, tuple[int | None, ...]]:
    """The mask of a mark on `value`, and the dimension of `value` that each of its dimensions is, None for size 1.

    Dimensions of size 1 that were added to a smaller mask are looked through.
    """
    shape, wanted = ir.RankedTensorType(mask.type).shape, ir.RankedTensorType(value.type).shape
    dims = tuple(
        None if m == 1 and w != 1 else dim for dim, (m, w) in enumerate(zip(shape, wanted, strict=True))
    )
    kept = tuple(dim for dim in dims if dim is not None)
    maker = owner(mask)
    if maker is not None and maker.name == "tensor.expand_shape":
        source = ir.RankedTensorType(maker.operands[0].type)
        if list(source.shape) == [shape[dim] for dim in kept]:
            return maker.operands[0], kept
    return mask, dims


def is_float(value: ir.Value) -> bool:
    """Whether a tensor or scalar is of floats."""
    return isinstance(element_type(value), ir.FloatType)


def element_type(value: ir.Value) -> ir.Type:
    """The type of the elements of a tensor, or of a scalar."""
    return value.type.element_type if isinstance(value.type, ir.RankedTensorType) else value.type

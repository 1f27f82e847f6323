"""Recognises a contraction, `acc + f * g` over at least one reduction, and makes a `pit.contract` of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.analysis.expressions import constant_of
from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.dialect.bodies import copied, maker_of, needed
from pit_mlir.dialect.contract import ContractOp, contract
from pit_mlir.dialect.element import element, operand_element
from pit_mlir.dialect.group import segment_blocks
from pit_mlir.dialect.structured import Structured, owner, projection

SUMS = ("arith.addf", "arith.addi")
PRODUCTS = ("arith.mulf", "arith.muli")
WIDENING = ("arith.extf", "arith.extsi", "arith.extui")
NARROWING = ("arith.truncf", "arith.trunci")
ELEMENTWISE = ("arith.", "math.", "pit.element", "pit.yield", "linalg.yield")
"""What a body may hold, or start with: kernels evaluate it on vectors."""


@dataclass(frozen=True)
class Product:
    """The body of a contraction: the factors of its product, each a list of values to multiply.

    `sum_type` is the type to sum in.
    """

    factors: tuple[list[ir.Value], list[ir.Value]]
    sum_type: ir.Type


def form(view: Structured) -> ContractOp | None:
    """Replaces `view` by a `pit.contract` if it is a contraction; else leaves it and returns None."""
    product = product_of(view)
    block = block_of(view)
    if product is None or block is None:
        return None
    init, map_ = view.outputs[0], view.output_maps[0]
    start, start_map, empty = before_broadcast(view)
    is_rows = len(view.inputs) in view.compact
    with ir.InsertionPoint(view.op), view.location:

        def factors() -> tuple[ir.Value, ir.Value]:
            sides = [multiplied(view, side, product.sum_type) for side in product.factors]
            return sides[0], sides[1]

        def epilogue(total: ir.Value) -> ir.Value:
            result_type = ir.RankedTensorType(init.type).element_type
            if not is_zero(start):
                total = add(total, cast(element(start, start_map, compact=is_rows), product.sum_type))
            return cast(total, result_type)

        made = contract(
            empty,
            map_,
            view.iterators,
            product=factors,
            epilogue=epilogue,
            index=view.index,
            group=view.group,
            block=block,
            compact=is_rows,
        )
    if isinstance(ContractPlan.of(made), str):
        made.operation.erase()
        return None
    view.op.results[0].replace_all_uses_with(made.result)
    view.op.erase()
    return made


def before_broadcast(view: Structured) -> tuple[ir.Value, ir.AffineMap, ir.Value]:
    """What `view` starts from, its map, and a tensor to write to: a bias is read as it is, not copied to every place.

    Only where each place of the result is computed: elsewhere it is that of the init.
    """
    init, map_ = view.outputs[0], view.output_maps[0]
    maker = owner(init)
    copied_from = None if maker is None or view.index is not None else Structured.on_tensors(maker)
    if copied_from is None or len(copied_from.inputs) != 1 or copied_from.yields[0] != copied_from.scalars[0]:
        return init, map_, init
    source, target = (projection(copied_map) for copied_map in copied_from.maps)
    if source is None or target is None or len(set(source)) != len(source):
        return init, map_, init
    place = dict(zip(target, map_.results, strict=True))
    if any(iterator not in place for iterator in source):
        return init, map_, init
    broadcast = ir.AffineMap.get(map_.n_dims, 0, [place[iterator] for iterator in source])
    return copied_from.inputs[0], broadcast, copied_from.outputs[0]


def block_of(view: Structured) -> tuple[int, ...] | None:
    """The blocks of the segments of the index; None if its maker is not visible."""
    return () if view.index is None else segment_blocks(view.index)


def product_of(view: Structured) -> Product | None:
    """The factors of the body; None if it is not `acc + f * g` with factors over different parallel iterators."""
    if len(view.outputs) != 1 or "reduction" not in view.iterators:
        return None
    maps = [projection(map_) for map_ in view.maps]
    if any(positions is None or len(set(positions)) != len(positions) for positions in maps):
        return None
    if not all(op.operation.name.startswith(ELEMENTWISE) for op in view.body.operations):
        return None
    total = maker_of(stripped(view.yields[0], NARROWING), view.body)
    if total is None or total.name not in SUMS:
        return None
    accumulator = view.scalars[len(view.inputs)]
    left, right = total.operands
    addend = (
        right
        if stripped(left, WIDENING) == accumulator
        else left
        if stripped(right, WIDENING) == accumulator
        else None
    )
    if addend is None or accumulator in needed([addend], view.body):
        return None
    terms = terms_of(stripped(addend, ("arith.extf", "arith.truncf")), view.body)
    split = split_terms(view, terms)
    return None if split is None else Product(split, sum_type_of(total.results[0].type))


def sum_type_of(type_: ir.Type) -> ir.Type:
    """The type to sum in: f32 for floats that are narrower."""
    if isinstance(type_, ir.FloatType) and type_.width < 32:
        return ir.F32Type.get()
    return type_


def stripped(value: ir.Value, casts: Sequence[str]) -> ir.Value:
    """`value` before casts named in `casts`."""
    maker = owner(value)
    while maker is not None and maker.name in casts:
        value = maker.operands[0]
        maker = owner(value)
    return value


def terms_of(value: ir.Value, body: ir.Block) -> list[ir.Value]:
    """The values whose product is `value`."""
    maker = maker_of(value, body)
    if maker is None or maker.name not in PRODUCTS:
        return [value]
    return [term for operand in maker.operands for term in terms_of(operand, body)]


def split_terms(view: Structured, terms: Sequence[ir.Value]) -> tuple[list[ir.Value], list[ir.Value]] | None:
    """`terms` as two factors, each with what lies within its iterators; None if two do not hold them all."""
    carried = [parallel_iterators(view, term) for term in terms]
    widest = [c for c in carried if not any(c < other for other in carried)]
    homes = [c for number, c in enumerate(widest) if c not in widest[:number]]
    if len(homes) > 2:
        return None
    first = [
        term
        for term, c in zip(terms, carried, strict=True)
        if (c <= homes[0] if homes[1:] else c == homes[0])
    ]
    second = [term for term in terms if term not in first]
    # A sum of numbers times elements has one operand only.
    return (first, second) if reads_input(view, first) and reads_input(view, second) else None


def reads_input(view: Structured, terms: Sequence[ir.Value]) -> bool:
    """Whether one of `terms` is computed from an element of an input."""
    values = needed(terms, view.body)
    return any(scalar in values for scalar in view.scalars[: len(view.inputs)])


def parallel_iterators(view: Structured, term: ir.Value) -> set[int]:
    """The parallel iterators of the operands that `term` is computed from."""
    values = needed([term], view.body)
    found: set[int] = set()
    for number, scalar in enumerate(view.scalars[: len(view.inputs)]):
        if scalar in values:
            found |= set(projection(view.maps[number]) or ())
            found |= set(view.group) if number in view.compact else set()
    return {position for position in found if view.iterators[position] == "parallel"}


def multiplied(view: Structured, terms: Sequence[ir.Value], type_: ir.Type) -> ir.Value:
    """The product of `terms`, computed at the insertion point in `type_` from elements of the inputs."""
    known: dict[ir.Value, ir.Value] = {}
    values = needed(terms, view.body)
    for number, scalar in enumerate(view.scalars[: len(view.inputs)]):
        if scalar in values:
            source, map_ = view.inputs[number], view.maps[number]
            known[scalar] = operand_element(source, map_, compact=number in view.compact)
    first, *others = copied(terms, view.body, known)
    result = cast(first, type_)
    for other in others:
        factor = cast(other, type_)
        result = arith.mulf(result, factor) if isinstance(type_, ir.FloatType) else arith.muli(result, factor)
    return result


def add(left: ir.Value, right: ir.Value) -> ir.Value:
    """The sum of two scalars of one type."""
    return arith.addf(left, right) if isinstance(left.type, ir.FloatType) else arith.addi(left, right)


def cast(value: ir.Value, type_: ir.Type) -> ir.Value:
    """`value` as `type_`, both floats or both (signed) integers."""
    if value.type == type_:
        return value
    if isinstance(type_, ir.FloatType):
        return arith.extf(type_, value) if value.type.width < type_.width else arith.truncf(type_, value)
    narrow = ir.IntegerType(value.type).width < ir.IntegerType(type_).width
    return arith.extsi(type_, value) if narrow else arith.trunci(type_, value)


def is_zero(value: ir.Value) -> bool:
    """Whether `value`, a scalar or a tensor, is the constant 0 everywhere."""
    constant = constant_of(value)
    return constant is not None and constant.value == 0

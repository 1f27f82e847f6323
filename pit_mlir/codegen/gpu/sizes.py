"""Sizes that only the device knows: what the host computes from its memory, and the bounds it knows of them."""

from collections.abc import Callable, Mapping

from pit_mlir.bindings import ir
from pit_mlir.codegen.buffers import VIEWS
from pit_mlir.codegen.build import Index, add, ceil_div, floor_div, maximum, minimum, mul, product, sub
from pit_mlir.codegen.nest import Nest

ARITHMETIC = ("arith.", "math.", "affine.apply", "affine.min", "affine.max")
CASTS = frozenset({"arith.index_cast", "arith.index_castui", "arith.extui", "arith.extsi"})
SHAPES = frozenset({"memref.dim", "memref.extract_strided_metadata"})
"""Operations that say how a buffer lies."""
MINIMA = frozenset({"arith.minsi", "arith.minui"})


def comes_from_device(value: ir.Value) -> bool:
    """Whether `value` is computed from what the host would have to read in the memory of the device."""
    pending, seen = [value], {value}
    while pending:
        maker = pending.pop().owner
        if isinstance(maker, ir.Block):
            continue
        op = maker.operation
        if op.name == "memref.load":
            return True
        if is_computed(op):
            fresh = [operand for operand in op.operands if operand not in seen]
            seen.update(fresh)
            pending.extend(fresh)
    return False


def is_computed(op: ir.Operation) -> bool:
    """Whether `op` reads no memory, so that it may be repeated elsewhere: arithmetic, sizes, views."""
    return op.name.startswith(ARITHMETIC) or op.name in VIEWS or op.name in SHAPES


SIZES: Mapping[str, tuple[str, int]] = {
    "memref.alloc": ("", 0),
    "memref.expand_shape": ("static_output_shape", 1),
    "memref.reinterpret_cast": ("static_sizes", 2),
    "memref.subview": ("static_sizes", 2),
}
"""Operations that are given the sizes of their result: the attribute with the known ones, and which segment of the
operands has the others."""


def size_of(buffer: ir.Value, dim: int) -> Index | None:
    """The size of `buffer` along `dim` as whoever made it was given it; None where it was not."""
    type_, dynamic = ir.MemRefType(buffer.type), ir.ShapedType.get_dynamic_size()
    if type_.shape[dim] != dynamic:
        return type_.shape[dim]
    maker = None if isinstance(buffer.owner, ir.Block) else buffer.owner.operation
    if maker is None:
        return None
    if maker.name == "memref.cast":
        return size_of(maker.operands[0], dim)
    if maker.name == "memref.collapse_shape":
        merged = maker.attributes["reassociation"][dim]
        found = [size_of(maker.operands[0], ir.IntegerAttr(part).value) for part in merged]
        known = [size for size in found if size is not None]
        return product(known) if len(known) == len(merged) else None
    if maker.name not in SIZES:
        return None
    attribute, segment = SIZES[maker.name]
    sizes = list(maker.attributes[attribute]) if attribute else list(type_.shape)
    if len(sizes) != type_.rank:
        return None
    first = segment
    if "operandSegmentSizes" in maker.attributes:
        first = sum(list(maker.attributes["operandSegmentSizes"])[:segment])
    return sizes[dim] if sizes[dim] != dynamic else maker.operands[first + sizes[:dim].count(dynamic)]


def device_extents(nest: Nest) -> set[int]:
    """The iterators of `nest` whose extents only the device knows: buffers have room for more behind them."""
    return {
        iterator
        for iterator, extent in enumerate(nest.extents)
        if isinstance(extent, ir.Value) and comes_from_device(extent)
    }


MONOTONE: Mapping[str, Callable[[Index, Index], Index]] = {
    "arith.addi": add,
    "arith.maxsi": maximum,
    "arith.maxui": maximum,
    "arith.muli": mul,
}
"""Operations on numbers that are not negative; of their bounds they make a bound of the result."""
QUOTIENTS: Mapping[str, Callable[[Index, Index], Index]] = {
    "arith.ceildivsi": ceil_div,
    "arith.ceildivui": ceil_div,
    "arith.divsi": floor_div,
    "arith.divui": floor_div,
    "arith.floordivsi": floor_div,
    "arith.subi": sub,
}
"""The same for operations that grow with the first number alone."""


def bound(value: ir.Value) -> Index | None:
    """What `value`, a size, does not exceed, as the host knows it; None where nothing is known.

    Code for it is built at the insertion point.
    """
    if not comes_from_device(value):
        return value
    maker = value.owner
    assert not isinstance(maker, ir.Block)
    op, operands = maker.operation, list(maker.operation.operands)
    if op.name in MINIMA:
        known = [found for found in map(bound, operands) if found is not None]
        return minimum(*known) if len(known) == 2 else next(iter(known), None)
    if op.name in CASTS:
        return cast_like(op, bound(operands[0]))
    if op.name == "arith.select":
        return both(maximum, operands[1], operands[2])
    if op.name in MONOTONE:
        return both(MONOTONE[op.name], *operands)
    if op.name in QUOTIENTS:
        left = bound(operands[0])
        if left is None or not comes_from_device(operands[1]):
            return None if left is None else QUOTIENTS[op.name](left, operands[1])
        # The least number that the second may be is 0, and a quotient is not larger than what is divided.
        return left
    return None


def both(combine: Callable[[Index, Index], Index], left: ir.Value, right: ir.Value) -> Index | None:
    """`combine` of two bounds, if both are known."""
    one, other = bound(left), bound(right)
    return None if one is None or other is None else combine(one, other)


def cast_like(op: ir.Operation, inner: Index | None) -> Index | None:
    """`inner` of the type that the cast `op` gives."""
    if inner is None or isinstance(inner, int) or inner.type == op.results[0].type:
        return inner
    return ir.Operation.create(op.name, results=[op.results[0].type], operands=[inner]).results[0]

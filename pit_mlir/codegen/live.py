"""What is live: which elements count as zero."""

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen import build


def bits_of(given: ir.Value) -> ir.Value:
    """What of `given`, an element or a vector of them, must not be 0 if it is live, as integers.

    The sign of a float does not count: -0.0 is no live value, NaN and the smallest numbers are. Bits are looked at,
    since a processor that flushes small numbers to 0 would compare them so.
    """
    vector_type = ir.VectorType(given.type) if isinstance(given.type, ir.VectorType) else None
    element = given.type if vector_type is None else vector_type.element_type
    if not isinstance(element, ir.FloatType):
        return given
    width = element.width
    integer = ir.IntegerType.get_signless(width)
    magnitude = ir.IntegerAttr.get(integer, 2 ** (width - 1) - 1)
    if vector_type is None:
        return arith.andi(arith.bitcast(integer, given), arith.constant(integer, magnitude))
    type_ = ir.VectorType.get(vector_type.shape, integer)
    mask = arith.constant(type_, ir.DenseElementsAttr.get_splat(type_, magnitude))
    return arith.andi(arith.bitcast(type_, given), mask)


def is_live(given: ir.Value) -> ir.Value:
    """Whether `given` is not zero, for each element of a vector."""
    bits = bits_of(given)
    return arith.cmpi(arith.CmpIPredicate.ne, bits, build.zero(bits.type))

"""Math functions as polynomials of f32, on scalars and on vectors alike, so that LLVM vectorises what calls them.

Relative errors are a few units in the last place over the whole range; infinities, zeros and NaN come out as the C
library gives them. Coefficients: Cephes (expf, logf) and Eigen (the rational forms of tanhf and erff).
"""

import math as pymath
from collections.abc import Callable, Sequence

from pit_mlir.bindings import arith, ir, math


def constant(like: ir.Value, number: float) -> ir.Value:
    """`number` in the type of `like`."""
    return _constant(like.type, number)


def _constant(type_: ir.Type, number: float) -> ir.Value:
    element = type_.element_type if isinstance(type_, ir.VectorType) else type_
    if isinstance(element, ir.FloatType):
        scalar = ir.FloatAttr.get(element, number)
    else:
        scalar = ir.IntegerAttr.get(element, int(number))
    attribute = ir.DenseElementsAttr.get_splat(type_, scalar) if isinstance(type_, ir.VectorType) else scalar
    return arith.constant(type_, attribute)


def with_element(type_: ir.Type, element: ir.Type) -> ir.Type:
    """`type_`, a scalar or a vector, with another element type."""
    return ir.VectorType.get(type_.shape, element) if isinstance(type_, ir.VectorType) else element


def mul(left: ir.Value, right: ir.Value | float) -> ir.Value:
    """`left * right`."""
    return arith.mulf(left, constant(left, right) if isinstance(right, float) else right)


def add(left: ir.Value, right: ir.Value | float) -> ir.Value:
    """`left + right`."""
    return arith.addf(left, constant(left, right) if isinstance(right, float) else right)


def madd(left: ir.Value, right: ir.Value, other: ir.Value | float) -> ir.Value:
    """`left * right + other`, rounded once."""
    return math.fma(left, right, constant(left, other) if isinstance(other, float) else other)


def polynomial(x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """The polynomial of `x` whose `coefficients` are given from the highest power down (Horner)."""
    result = constant(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = madd(result, x, coefficient)
    return result


def compare(predicate: str, left: ir.Value, right: ir.Value | float) -> ir.Value:
    """A floating-point comparison; `predicate` as arith names it."""
    other = constant(left, right) if isinstance(right, float) else right
    return arith.cmpf(arith.CmpFPredicate[predicate.upper()], left, other)


def clamp(x: ir.Value, low: float, high: float) -> ir.Value:
    """`x` between `low` and `high`; NaN becomes `low`."""
    above = arith.select(compare("ogt", x, low), x, constant(x, low))
    return arith.select(compare("olt", above, high), above, constant(x, high))


def keep_nan(x: ir.Value, result: ir.Value) -> ir.Value:
    """`result`, or NaN where `x` is."""
    return arith.select(compare("uno", x, x), x, result)


def power_of_two(exponent: ir.Value, like: ir.Value) -> ir.Value:
    """2 to the i32 `exponent`, which is in -126 .. 127, as a float."""
    biased = arith.addi(exponent, _constant(exponent.type, 127))
    return arith.bitcast(like.type, arith.shli(biased, _constant(exponent.type, 23)))


def scaled(x: ir.Value, exponent: ir.Value) -> ir.Value:
    """`x * 2**exponent` for an i32 exponent in -252 .. 254, in two steps: results may be denormal or infinite."""
    half = arith.shrsi(exponent, _constant(exponent.type, 1))
    rest = arith.subi(exponent, half)
    return mul(mul(x, power_of_two(half, x)), power_of_two(rest, x))


def _rounded(x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """`x`, which is small, rounded to an integer, as a float and as an i32.

    Adding 1.5 * 2**23 leaves no bits for a fraction, and the integer in the lowest bits: cheaper than rounding
    and converting, for which AVX-512 has slow instructions only.
    """
    i32 = with_element(x.type, ir.IntegerType.get_signless(32))
    shifted = add(x, 12582912.0)
    return add(shifted, -12582912.0), arith.subi(arith.bitcast(i32, shifted), _constant(i32, 0x4B400000))


def _exp_from(steps: ir.Value, rest: ir.Value) -> ir.Value:
    """2**steps * e**rest for |rest| <= ln 2 / 2 and an i32 `steps`."""
    terms = (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
    return scaled(madd(polynomial(rest, terms), mul(rest, rest), add(rest, 1.0)), steps)


def exp(x: ir.Value) -> ir.Value:
    """e**x."""
    # Outside these bounds the result is 0 or infinite, which the scaling yields.
    bounded = clamp(x, -104.0, 89.0)
    steps, exponent = _rounded(mul(bounded, pymath.log2(pymath.e)))
    # ln 2 in two parts, the first of which has few digits: its products are exact.
    rest = madd(steps, constant(x, -0.693359375), bounded)
    rest = madd(steps, constant(x, 2.12194440e-4), rest)
    return keep_nan(x, _exp_from(exponent, rest))


def exp_bounded(x: ir.Value) -> ir.Value:
    """e**x of f32 for x of at most 87, as a softmax has it: 0 below -87, where `exp` goes on, and half the work.

    The coefficients are those of the smallest relative error (1e-7) that leave 2**0 exact.
    """
    i32 = with_element(x.type, ir.IntegerType.get_signless(32))
    terms = (1.3264645261e-3, 9.6715764517e-3, 5.5507345161e-2, 2.4022241111e-1, 6.9314697687e-1, 1.0)
    # x in powers of two, rounded to an integer in the lowest bits: with the exponent's bias, so that they are shifted
    # to the place of the exponent and nothing is left to do.
    shifted = madd(x, constant(x, pymath.log2(pymath.e)), 12582912.0 + 127.0)
    steps = add(shifted, -(12582912.0 + 127.0))
    rest = math.fma(x, constant(x, pymath.log2(pymath.e)), arith.negf(steps))
    scale = arith.bitcast(x.type, arith.shli(arith.bitcast(i32, shifted), _constant(i32, 23)))
    result = mul(polynomial(rest, terms), scale)
    return arith.select(compare("olt", x, -87.0), constant(x, 0.0), result)


def exp2(x: ir.Value) -> ir.Value:
    """2**x."""
    bounded = clamp(x, -151.0, 129.0)
    steps, exponent = _rounded(bounded)
    return keep_nan(x, _exp_from(exponent, mul(arith.subf(bounded, steps), pymath.log(2.0))))


def log(x: ir.Value) -> ir.Value:
    """The natural logarithm; -inf at 0, NaN below."""
    i32 = with_element(x.type, ir.IntegerType.get_signless(32))
    tiny = compare("olt", x, 1.17549435e-38)
    normal = arith.select(tiny, mul(x, 8388608.0), x)
    # x = m * 2**e with m in sqrt(1/2) .. sqrt(2): the bits above those of sqrt(1/2) count e.
    bits = arith.bitcast(i32, normal)
    offset = arith.subi(bits, _constant(i32, 0x3F3504F3))
    exponent = arith.sitofp(x.type, arith.shrsi(offset, _constant(i32, 23)))
    exponent = arith.select(tiny, add(exponent, -23.0), exponent)
    mantissa_bits = arith.addi(arith.andi(offset, _constant(i32, 0x007FFFFF)), _constant(i32, 0x3F3504F3))
    m = add(arith.bitcast(x.type, mantissa_bits), -1.0)
    terms = (
        *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
        *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    )
    square = mul(m, m)
    series = mul(mul(polynomial(m, terms), m), square)
    series = madd(exponent, constant(x, -2.12194440e-4), series)
    series = madd(square, constant(x, -0.5), series)
    result = madd(exponent, constant(x, 0.693359375), add(m, series))
    result = arith.select(compare("oeq", x, pymath.inf), x, result)
    result = arith.select(compare("oeq", x, 0.0), constant(x, -pymath.inf), result)
    return arith.select(compare("ult", x, 0.0), constant(x, pymath.nan), result)


def log2(x: ir.Value) -> ir.Value:
    """The logarithm to base 2."""
    return mul(log(x), 1.0 / pymath.log(2.0))


def log10(x: ir.Value) -> ir.Value:
    """The logarithm to base 10."""
    return mul(log(x), 1.0 / pymath.log(10.0))


def log1p(x: ir.Value) -> ir.Value:
    """log(1 + x), exact for small x: the rounding of 1 + x is divided out (Kahan)."""
    sum_ = add(x, 1.0)
    corrected = mul(log(sum_), arith.divf(x, add(sum_, -1.0)))
    plain = arith.ori(compare("oeq", sum_, 1.0), compare("oeq", x, pymath.inf))
    return arith.select(plain, x, corrected)


def expm1(x: ir.Value) -> ir.Value:
    """e**x - 1, exact for small x: the rounding of e**x is divided out (Kahan)."""
    power = exp(x)
    difference = add(power, -1.0)
    corrected = mul(difference, arith.divf(x, log(power)))
    extreme = arith.ori(compare("oeq", difference, -1.0), compare("oeq", power, pymath.inf))
    return arith.select(compare("oeq", power, 1.0), x, arith.select(extreme, difference, corrected))


def tanh(x: ir.Value) -> ir.Value:
    """The hyperbolic tangent."""
    bounded = clamp(x, -7.90531110763549805, 7.90531110763549805)
    square = mul(bounded, bounded)
    above = (
        *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
        *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
    )
    below = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
    result = arith.divf(mul(polynomial(square, above), bounded), polynomial(square, below))
    small = compare("olt", math.absf(x), 0.0004)
    return keep_nan(x, arith.select(small, x, result))


def erf(x: ir.Value) -> ir.Value:
    """The error function."""
    bounded = clamp(x, -4.0, 4.0)
    square = mul(bounded, bounded)
    above = (
        *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
        *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
    )
    below = (
        *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03),
        -1.42647390514189e-02,
    )
    ratio = arith.divf(polynomial(square, above), polynomial(square, below))
    return keep_nan(x, mul(bounded, ratio))


EXPANSIONS: dict[str, Callable[[ir.Value], ir.Value]] = {
    "math.erf": erf,
    "math.exp": exp,
    "math.exp2": exp2,
    "math.expm1": expm1,
    "math.log": log,
    "math.log10": log10,
    "math.log1p": log1p,
    "math.log2": log2,
    "math.tanh": tanh,
}


def narrow_twice(op: ir.Operation) -> None:
    """Rounds f64 to a 16-bit float by way of f32, as torch does: no library has the function for it."""
    source, result = op.operands[0], op.results[0]
    elements = [t.element_type if isinstance(t, ir.VectorType) else t for t in (source.type, result.type)]
    if not isinstance(elements[0], ir.F64Type) or not isinstance(elements[1], ir.F16Type | ir.BF16Type):
        return
    with ir.InsertionPoint(op), op.location:
        op.operands[0] = arith.truncf(with_element(source.type, ir.F32Type.get()), source)


def without_division(x: ir.Value) -> ir.Value:
    """`x`, and where it is a quotient by a constant, as in erf(x / sqrt 2), the product with its reciprocal.

    Both are as far off as the functions are that are computed of it.
    """
    maker = maker_of(x)
    if maker is None or maker.name != "arith.divf":
        return x
    dividend, divisor = maker.operands
    number = number_of(unrounded(divisor))
    return x if number is None or not 1e-30 < abs(number) < 1e30 else mul(dividend, 1.0 / number)


def unrounded(x: ir.Value) -> ir.Value:
    """`x` as it was before it was rounded, where that was but the emulation of a shorter type."""
    widened = maker_of(x)
    if widened is None or widened.name != "arith.extf":
        return x
    rounded = maker_of(widened.operands[0])
    if rounded is None or rounded.name != "arith.truncf" or "fastmath" not in rounded.attributes:
        return x
    if "contract" not in str(rounded.attributes["fastmath"]):
        return x
    exact = rounded.operands[0]
    return exact if exact.type == x.type else x


def maker_of(x: ir.Value) -> ir.Operation | None:
    """What makes `x`; None for an argument of a block."""
    return None if isinstance(x.owner, ir.Block) else x.owner.operation


def number_of(x: ir.Value) -> float | None:
    """The float that `x` is in every element: a constant, widened, or the root of one, which upstream folds in f32."""
    maker = maker_of(x)
    if maker is not None and maker.name in ("arith.extf", "math.sqrt"):
        number = number_of(maker.operands[0])
        if number is None or maker.name == "arith.extf":
            return number
        return pymath.sqrt(number) if number >= 0 else None
    if maker is None or maker.name != "arith.constant":
        return None
    attribute = maker.attributes["value"]
    if isinstance(attribute, ir.DenseFPElementsAttr) and attribute.is_splat:
        attribute = attribute.get_splat_value()
    return attribute.value if isinstance(attribute, ir.FloatAttr) else None


def expand(op: ir.Operation) -> bool:
    """Replaces `op` by its polynomial if it is one of `EXPANSIONS` on f32, or on a shorter float through f32."""
    source = op.operands[0]
    element = source.type.element_type if isinstance(source.type, ir.VectorType) else source.type
    if op.name not in EXPANSIONS or not isinstance(element, ir.F32Type | ir.F16Type | ir.BF16Type):
        return False
    with ir.InsertionPoint(op), op.location:
        wide = source
        if not isinstance(element, ir.F32Type):
            wide = arith.extf(with_element(source.type, ir.F32Type.get()), source)
        result = EXPANSIONS[op.name](without_division(unrounded(wide)))
        if not isinstance(element, ir.F32Type):
            result = arith.truncf(source.type, result)
    op.results[0].replace_all_uses_with(result)
    op.erase()
    return True

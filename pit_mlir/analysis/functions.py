"""What is known of the functions of floats, beyond that equal arguments give equal results."""

import math
from fractions import Fraction

AT_ZERO = {
    "exp exp2 cos cosh erfc": 1,
    "erf tanh sin sinh tan sqrt asin asinh atan atanh cbrt expm1 log1p floor ceil round roundeven trunc": 0,
}
AT_INFINITIES = {
    "exp": (0.0, math.inf),
    "exp2": (0.0, math.inf),
    "expm1": (-1.0, math.inf),
    "tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "erfc": (2.0, 0.0),
    "sqrt": (math.nan, math.inf),
    "rsqrt": (math.nan, 0.0),
    "log": (math.nan, math.inf),
}
"""The limits of functions at -inf and +inf."""

TOTAL = frozenset(
    f"math.{name}"
    for name in (
        "asinh atan atan2 cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 floor round roundeven sin sinh tan tanh "
        "trunc"
    ).split()
)
"""The functions that are finite at all finite numbers. Nothing says so of others, as roots and logarithms, powers,
remainders and numbers made from bits: what they are given may be finite, and what they give infinite or NaN."""

ZERO_VALUES = {f"math.{name}": Fraction(value) for names, value in AT_ZERO.items() for name in names.split()}

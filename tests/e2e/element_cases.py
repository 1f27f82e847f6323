"""Cases of `test_operators`: element-wise functions, integers, reductions, normalisations."""

import math
from collections.abc import Callable

import torch
from operator_inputs import Case, Group, both, given, integers, positives, reals, truths
from torch.nn import functional

UNARY: Group = {
    name: Case(getattr(torch, name), reals((3, 7)))
    for name in (
        "abs neg exp expm1 erf erfc tanh sigmoid sin cos tan atan sinh cosh asinh sign floor ceil round trunc "
        "square relu frac isnan isinf isfinite exp2 sgn signbit"
    ).split()
} | {
    name: Case(getattr(torch, name), positives((3, 7)))
    for name in "log log2 log10 log1p sqrt rsqrt reciprocal acosh".split()
}
UNARY |= {
    "asin": Case(torch.asin, lambda: (torch.rand(3, 7) * 2 - 1,)),
    "acos": Case(torch.acos, lambda: (torch.rand(3, 7) * 2 - 1,)),
    "atanh": Case(torch.atanh, lambda: (torch.rand(3, 7) * 1.8 - 0.9,)),
    "pow 2": Case(lambda x: x**2, reals((3, 7))),
    "pow 3": Case(lambda x: x**3, reals((3, 7))),
    "pow -1": Case(lambda x: x**-1, positives((3, 7))),
    "pow 0.5": Case(lambda x: x**0.5, positives((3, 7))),
    "2 ** x": Case(lambda x: 2.0**x, reals((3, 7))),
    "special values": Case(
        lambda x: (
            x.exp(),
            x.tanh(),
            x.sigmoid(),
            x.erf(),
            x.relu(),
            x.sqrt(),
            x.log(),
            x.sin(),
            functional.silu(x),
        ),
        given([math.inf, -math.inf, math.nan, 0.0, -0.0, 1e30, -1e30, 1e-40]),
    ),
    "clamp": Case(lambda x: (x.clamp(-0.5, 0.5), x.clamp(min=0.1), x.clamp(max=0.2)), reals((3, 7))),
    "nan_to_num": Case(lambda x: x.nan_to_num(0.5, 2.0, -2.0), given([math.inf, -math.inf, math.nan, 1.0])),
}

ACTIVATIONS: Group = {
    name: Case(getattr(functional, name), reals((3, 7)))
    for name in (
        "gelu silu relu relu6 leaky_relu elu celu selu mish softplus hardtanh hardswish hardsigmoid logsigmoid "
        "softsign tanhshrink softshrink hardshrink tanh sigmoid"
    ).split()
} | {
    "gelu tanh": Case(lambda x: functional.gelu(x, approximate="tanh"), reals((3, 7))),
    "glu": Case(lambda x: functional.glu(x, -1), reals((3, 8))),
    "prelu": Case(functional.prelu, reals((2, 3, 5), (3,))),
    "softmin": Case(lambda x: functional.softmin(x, 0), reals((3, 7))),
}

BINARY: Group = {
    name: Case(getattr(torch, name), reals((3, 7), (7,)))
    for name in (
        "add sub mul div maximum minimum fmax fmin atan2 eq ne lt le gt ge logaddexp hypot copysign floor_divide "
        "remainder fmod logical_and logical_or logical_xor heaviside"
    ).split()
} | {
    "pow": Case(torch.pow, positives((3, 7), (7,))),
    "div trunc": Case(lambda x, y: torch.div(x, y, rounding_mode="trunc"), reals((3, 7), (7,))),
    "div floor": Case(lambda x, y: torch.div(x, y, rounding_mode="floor"), reals((3, 7), (7,))),
    "rsub": Case(lambda x: 1.0 - x, reals((3, 7))),
    "add alpha": Case(lambda x, y: torch.add(x, y, alpha=0.3), reals((3, 7), (3, 1))),
    "addcmul": Case(lambda x, y, z: torch.addcmul(x, y, z, value=0.5), reals((3, 7), (3, 7), (7,))),
    "addcdiv": Case(lambda x, y: torch.addcdiv(x, x, y, value=0.5), positives((3, 7), (3, 7))),
    "lerp": Case(lambda x, y: torch.lerp(x, y, 0.3), reals((3, 7), (3, 7))),
    "where": Case(torch.where, both(truths((3, 7)), reals((3, 7), (7,)))),
    "where scalar": Case(lambda c, x: torch.where(c, x, -1.0), both(truths((3, 1)), reals((3, 7)))),
    "masked_fill": Case(lambda x, c: x.masked_fill(c, -math.inf), both(reals((3, 7)), truths((1, 7)))),
    "mixed types": Case(lambda x, i, c: x * i + c, both(reals((3, 7)), integers(0, 9, (7,)), truths((3, 7)))),
    "nan in maximum": Case(
        lambda x, y: (
            torch.maximum(x, y),
            torch.minimum(x, y),
            x.relu(),
            x.clamp(0, 1),
            x.amax(),
            x.argmax(),
        ),
        given([math.nan, 1.0, 2.0], [1.0, math.nan, 3.0]),
    ),
}


def shifts(x: torch.Tensor, bits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Both shifts, in all the ways to write them."""
    by_numbers = [shift for number in (-1, 1, 64) for shift in (x << number, x >> number)]
    by_operators = (torch.bitwise_left_shift(x, bits), torch.bitwise_right_shift(x, bits))
    return (x << bits, x >> bits, *by_operators, *by_numbers, torch.bitwise_left_shift(3, bits))


def shift_operands(dtype: torch.dtype) -> Callable[[], tuple[torch.Tensor, ...]]:
    """Numbers with numbers of bits, of which some are negative or more than the type has."""
    bits = torch.tensor([-2, -1, 0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 100]).to(dtype)
    return lambda: (torch.tensor([[1], [5], [-5], [-128], [127]]).to(dtype), bits)


INTEGERS: Group = {
    name: Case(getattr(torch, name), integers(-9, 9, (3, 7), (7,)))
    for name in (
        "add sub mul bitwise_and bitwise_or bitwise_xor maximum minimum eq lt logical_and logical_xor".split()
    )
} | {
    "abs neg not": Case(lambda x: (x.abs(), -x, ~x, x.sign(), x.square()), integers(-9, 9, (3, 7))),
    "floor_divide": Case(torch.floor_divide, lambda: (torch.arange(-6, 7), torch.tensor(4))),
    "floor_divide negative": Case(torch.floor_divide, lambda: (torch.arange(-6, 7), torch.tensor(-4))),
    "div": Case(torch.div, lambda: (torch.arange(-6, 7), torch.tensor(4))),
    "div trunc": Case(
        lambda x, y: torch.div(x, y, rounding_mode="trunc"), lambda: (torch.arange(-6, 7), torch.tensor(-4))
    ),
    "div floor": Case(
        lambda x, y: torch.div(x, y, rounding_mode="floor"), lambda: (torch.arange(-6, 7), torch.tensor(-4))
    ),
    "remainder": Case(torch.remainder, lambda: (torch.arange(-6, 7), torch.tensor(4))),
    "remainder negative": Case(torch.remainder, lambda: (torch.arange(-6, 7), torch.tensor(-4))),
    "remainder scalar": Case(lambda x: (x % 3, x // 3, x % -3), lambda: (torch.arange(-6, 7),)),
    "fmod": Case(torch.fmod, lambda: (torch.arange(-6, 7), torch.tensor(4))),
    "shift": Case(lambda x, y: (x << y, x >> y), both(integers(-99, 99, (3, 7)), integers(0, 5, (7,)))),
    **{
        f"shift beyond the width, {str(dtype).removeprefix('torch.')}": Case(shifts, shift_operands(dtype))
        for dtype in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)
    },
    "pow": Case(lambda x: (x**2, x**3), integers(-9, 9, (3, 7))),
    "clamp": Case(lambda x: x.clamp(-3, 4), integers(-9, 9, (3, 7))),
    "sums": Case(lambda x: (x.sum(), x.sum(0), x.prod(1), x.amax(0), x.amin(1)), integers(-5, 5, (3, 7))),
    "int32 sum": Case(lambda x: x.sum(0), integers(-5, 5, (3, 7), dtype=torch.int32)),
    "overflow": Case(lambda x: x + x, lambda: (torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32),)),
    "uint8": Case(
        lambda x, y: (x + y, x * y, x > y, x.float(), x.long(), x.sum(), x // 3, torch.maximum(x, y)),
        integers(0, 255, (3, 7), (7,), dtype=torch.uint8),
    ),
    "int8": Case(
        lambda x, y: (x + y, x * y, x.float(), x >> 1), integers(-128, 127, (3, 7), (7,), dtype=torch.int8)
    ),
    "int16": Case(
        lambda x, y: (x + y, x * y, x.double()), integers(-99, 99, (3, 7), (7,), dtype=torch.int16)
    ),
    "bool": Case(
        lambda x, y: (
            x & y,
            x | y,
            x ^ y,
            ~x,
            x.any(),
            x.all(0),
            x.sum(1),
            x.float().mean(),
            x == y,
            x.long() + 1,
        ),
        truths((3, 7), (7,)),
    ),
    "casts": Case(
        lambda x: (
            x.int(),
            x.long(),
            x.bool(),
            x.double(),
            x.half(),
            x.bfloat16(),
            x.to(torch.int8),
            x.short(),
        ),
        reals((3, 7)),
    ),
    "int matmul": Case(torch.matmul, integers(-9, 9, (3, 7), (7, 5))),
}

REDUCTIONS: Group = {
    "sum": Case(lambda x: (x.sum(), x.sum(0), x.sum((0, 2), keepdim=True), x.sum(-1)), reals((3, 7, 5))),
    "mean": Case(lambda x: (x.mean(), x.mean(1), x.mean((1, 2))), reals((3, 7, 5))),
    "prod": Case(lambda x: (x.prod(1), x.prod()), positives((3, 4))),
    "amax amin": Case(lambda x: (x.amax(), x.amax(0), x.amin((1, 2))), reals((3, 7, 5))),
    "max min": Case(lambda x: (x.max(), x.min(), x.max(1), x.min(0)), reals((3, 7))),
    "argmax argmin": Case(lambda x: (x.argmax(), x.argmax(1), x.argmin(0, keepdim=True)), reals((3, 7))),
    "argmax ties": Case(lambda x: (x.argmax(1), x.max(1)[1]), given([[1.0, 2.0, 2.0], [3.0, 3.0, 0.0]])),
    "aminmax": Case(lambda x: torch.aminmax(x, dim=1), reals((3, 7))),
    "all any": Case(lambda x: ((x > 0).all(1), (x > 0).any(0), (x > 9).any(), (x > -9).all()), reals((3, 7))),
    "var std": Case(
        lambda x: (x.var(), x.var(1), x.std(0), x.var(1, correction=0), x.std()), reals((3, 7)), 1e-4
    ),
    "var_mean": Case(lambda x: torch.var_mean(x, 1), reals((3, 7)), 1e-4),
    "norm": Case(
        lambda x: (x.norm(), x.norm(dim=1), torch.linalg.vector_norm(x, 1, 0), x.norm(p=math.inf)),
        reals((3, 7)),
    ),
    "logsumexp": Case(lambda x: (x.logsumexp(1), x.logsumexp((0, 1))), reals((3, 7))),
    "softmax": Case(lambda x: (x.softmax(-1), x.softmax(0), x.log_softmax(1)), reals((3, 7, 5))),
    "softmax -inf": Case(
        lambda x: x.softmax(-1), given([[-math.inf, 0.0, 1.0], [-math.inf, -math.inf, 2.0]])
    ),
    "cumsum": Case(lambda x: (x.cumsum(0), x.cumsum(1)), reals((3, 7))),
    "cumsum int": Case(lambda x: x.cumsum(-1), integers(-5, 5, (2, 3, 7))),
    "cumsum bool": Case(lambda x: x.cumsum(1), truths((3, 7))),
    "cumprod": Case(lambda x: x.cumprod(1), positives((3, 5))),
    "cummax": Case(lambda x: x.cummax(1), reals((3, 5))),
    "logcumsumexp": Case(lambda x: x.logcumsumexp(1), reals((3, 5))),
    "count_nonzero": Case(lambda x: x.count_nonzero(1), integers(0, 2, (3, 7))),
    "cosine_similarity": Case(lambda x, y: functional.cosine_similarity(x, y, -1), reals((3, 7), (3, 7))),
    "normalize": Case(lambda x: functional.normalize(x, dim=-1), reals((3, 7))),
    "cdist": Case(torch.cdist, reals((3, 7), (5, 7)), 1e-3),
    "mse cross entropy": Case(
        lambda x, y, t: (functional.mse_loss(x, y), functional.cross_entropy(x, t), functional.l1_loss(x, y)),
        both(reals((3, 7), (3, 7)), integers(0, 7, (3,))),
    ),
    "trace diag": Case(lambda x: (x.diagonal(), torch.tril(x), torch.triu(x, 1), x.trace()), reals((5, 5))),
    "diag_embed": Case(torch.diag_embed, reals((3, 4))),
}

NORMS: Group = {
    "layer_norm": Case(lambda x, w, b: functional.layer_norm(x, (7,), w, b), reals((2, 3, 7), (7,), (7,))),
    "layer_norm 2d": Case(lambda x: functional.layer_norm(x, (3, 7)), reals((2, 3, 7))),
    "rms_norm": Case(lambda x, w: functional.rms_norm(x, (7,), w, 1e-6), reals((2, 3, 7), (7,))),
    "group_norm": Case(lambda x, w, b: functional.group_norm(x, 2, w, b), reals((2, 6, 5), (6,), (6,))),
    "group_norm 2d": Case(lambda x: functional.group_norm(x, 3), reals((2, 6, 4, 5))),
    "instance_norm": Case(lambda x: functional.instance_norm(x), reals((2, 3, 4, 5)), 1e-4),
    "batch_norm": Case(
        lambda x, m, v, w, b: functional.batch_norm(x, m, v, w, b),
        both(reals((2, 6, 5), (6,)), positives((6,)), reals((6,), (6,))),
    ),
    "batch_norm 2d": Case(
        lambda x, m, v: functional.batch_norm(x, m, v), both(reals((2, 3, 4, 5), (3,)), positives((3,)))
    ),
    "local_response_norm": Case(lambda x: functional.local_response_norm(x, 2), reals((2, 4, 5))),
}

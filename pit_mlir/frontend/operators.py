"""Decompositions of single operators that torch-mlir does not lower, lowers to something else, or crashes on.

Each of them returns NotImplemented where torch-mlir's own lowering is right.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import decompose

from pit_mlir.frontend.indexing import INDEXING
from pit_mlir.frontend.symbols import is_number

aten = torch.ops.aten
Number = int | float

LEFT_SHIFTS = (
    aten.__lshift__.Tensor,
    aten.__lshift__.Scalar,
    aten.bitwise_left_shift.Tensor,
    aten.bitwise_left_shift.Tensor_Scalar,
    aten.bitwise_left_shift.Scalar_Tensor,
)
RIGHT_SHIFTS = (
    aten.__rshift__.Tensor,
    aten.__rshift__.Scalar,
    aten.bitwise_right_shift.Tensor,
    aten.bitwise_right_shift.Tensor_Scalar,
    aten.bitwise_right_shift.Scalar_Tensor,
)


def maximum(x: Tensor, y: Tensor) -> Tensor:
    """`aten.maximum`: NaN where either is NaN (torch-mlir's comparison forgets the first)."""
    if not torch.result_type(x, y).is_floating_point:
        return NotImplemented
    return torch.where((x >= y) | (x != x), x, y)


def minimum(x: Tensor, y: Tensor) -> Tensor:
    """`aten.minimum`: NaN where either is NaN."""
    if not torch.result_type(x, y).is_floating_point:
        return NotImplemented
    return torch.where((x <= y) | (x != x), x, y)


def fmax(x: Tensor, y: Tensor) -> Tensor:
    """`aten.fmax`: the other one where one is NaN."""
    return torch.where((x >= y) | (y != y), x, y)


def fmin(x: Tensor, y: Tensor) -> Tensor:
    """`aten.fmin`: the other one where one is NaN."""
    return torch.where((x <= y) | (y != y), x, y)


def clamp(x: Tensor, low: Number | None = None, high: Number | None = None) -> Tensor:
    """`aten.clamp` of floats by numbers: NaN stays NaN."""
    if not x.is_floating_point():
        return NotImplemented
    if low is not None:
        x = torch.where(x < low, low, x)
    return x if high is None else torch.where(x > high, high, x)


def hardtanh(x: Tensor, low: Number = -1, high: Number = 1) -> Tensor:
    """`aten.hardtanh`, which ReLU6 is too: NaN stays NaN."""
    return clamp(x, low, high)


def clamp_between(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """`aten.clamp` by tensors: NaN where any of them is NaN."""
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """`aten.gelu` in its tanh form (torch-mlir's constant for sqrt(2 / pi) is off by 2e-4)."""
    if approximate != "tanh":
        return NotImplemented
    y = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    inner = math.sqrt(2 / math.pi) * (y + 0.044715 * (y * y * y))
    return (0.5 * y * (1.0 + torch.tanh(inner))).to(x.dtype)


def elu(x: Tensor, alpha: Number = 1, scale: Number = 1, input_scale: Number = 1) -> Tensor:
    """`aten.elu`, exact near 0 (torch-mlir writes exp(x) - 1)."""
    y = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    negative = torch.expm1(y if input_scale == 1 else y * input_scale) * (alpha * scale)
    return torch.where(y > 0, y if scale == 1 else y * scale, negative).to(x.dtype)


def asinh(x: Tensor) -> Tensor:
    """`aten.asinh` of floats: log(|x| + sqrt(x * x + 1)) without its cancellation near 0."""
    if x.dtype not in (torch.float32, torch.float64):
        return NotImplemented
    y = x.abs()
    square = y * y
    small = torch.log1p(y + square / (1.0 + torch.sqrt(square + 1.0)))
    large = torch.log(y) + math.log(2.0)
    return torch.sign(x) * torch.where(y < 1e9, small, large)


def reciprocal(x: Tensor) -> Tensor:
    """`aten.reciprocal`: infinite at 0 (torch-mlir asserts that no element is 0)."""
    y = x if x.is_floating_point() else x.to(torch.get_default_dtype())
    return aten.div.Tensor(torch.ones((), dtype=y.dtype), y)


def isfinite(x: Tensor) -> Tensor:
    """`aten.isfinite`."""
    if not x.is_floating_point():
        return torch.ones_like(x, dtype=torch.bool)
    return x.abs() < math.inf


def power(x: Tensor, exponent: Number) -> Tensor:
    """`aten.pow` of integers, by repeated squaring."""
    if x.is_floating_point() or not isinstance(exponent, int) or exponent < 0:
        return NotImplemented
    x = x.to(torch.int64) if x.dtype is torch.bool else x
    result, factor = None, x
    while exponent:
        if exponent % 2:
            result = factor if result is None else result * factor
        exponent //= 2
        factor = factor * factor if exponent else factor
    return torch.ones_like(x) if result is None else result.clone()


def with_number(operator: Any) -> Callable[[Tensor, Number], Tensor]:
    """The form of a bitwise operator with a number, as the one with a tensor of rank 0."""
    return lambda x, y: operator(x, torch.full((), y, dtype=torch.result_type(x, y)))


def left_shift(x: Tensor | Number, bits: Tensor | Number) -> Tensor:
    """`x << bits`: 0 where `bits` are not within the width of the type (a processor takes them modulo the width)."""
    x, bits, inside = _shift_operands(x, bits)
    with decompose({}):
        shifted = aten.bitwise_left_shift.Tensor(x, torch.where(inside, bits, 0))
    return torch.where(inside, shifted, 0)


def right_shift(x: Tensor | Number, bits: Tensor | Number) -> Tensor:
    """`x >> bits`: where `bits` are not within the width of the type nothing but the sign is left."""
    x, bits, inside = _shift_operands(x, bits)
    width = torch.iinfo(x.dtype).bits
    # uint8 is computed with in int32, where a shift by 8 leaves nothing.
    most = width - 1 if x.dtype.is_signed else width
    with decompose({}):
        return aten.bitwise_right_shift.Tensor(x, torch.where(inside, bits, most))


def _shift_operands(x: Tensor | Number, bits: Tensor | Number) -> tuple[Tensor, Tensor, Tensor]:
    """Both operands of a shift in the type of its result, and where the second is within the width."""
    dtype = torch.result_type(x, bits)
    x, bits = (y.to(dtype) if isinstance(y, Tensor) else torch.full((), y, dtype=dtype) for y in (x, bits))
    return x, bits, (bits >= 0) & (bits < torch.iinfo(dtype).bits)


def roll(x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Tensor:
    """`aten.roll` of all elements as one row, where no dimensions are given."""
    if len(dims):
        return NotImplemented
    return torch.roll(x.flatten(), shifts[0], 0).view(x.shape)


def constant_pad_nd(x: Tensor, pad: Sequence[int], value: Number = 0) -> Tensor:
    """`aten.constant_pad_nd` with negative widths, which cut (torch-mlir ignores some of them)."""
    if not any(width < 0 for width in filter(is_number, pad)):
        return NotImplemented
    for number in range(0, len(pad), 2):
        dim = x.dim() - 1 - number // 2
        low, high = max(-pad[number], 0), x.shape[dim] - max(-pad[number + 1], 0)
        if low or high != x.shape[dim]:
            x = x.narrow(dim, low, high - low)
    widths = [max(width, 0) for width in pad]
    return aten.constant_pad_nd(x, widths, value) if any(widths) else x.clone()


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`aten.cat` without what is empty for sure, which torch-mlir may drop to the last."""
    full = [x for x in tensors if 0 not in filter(is_number, x.shape)]
    if len(full) == len(tensors):
        return NotImplemented
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = torch.promote_types(dtype, x.dtype)
    if full:
        return torch.cat([x.to(dtype) for x in full], dim)
    shaped = next((x for x in tensors if x.dim() != 1), tensors[0])
    sizes = list(shaped.shape)
    if sizes:
        sizes[dim] = sum(x.shape[dim] for x in tensors if x.dim() == shaped.dim())
    return torch.zeros(sizes, dtype=dtype)


def sort_stable(
    x: Tensor, *, stable: bool | None, dim: int = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """`aten.sort.stable`: every sort of ours is stable."""
    return aten.sort.default(x, dim, descending)


def addmv(x: Tensor, matrix: Tensor, vector: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`aten.addmv`: beta * x + alpha * (matrix @ vector)."""
    product = torch.mv(matrix, vector)
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else product + (x if beta == 1 else x * beta)


def cdist(x: Tensor, y: Tensor, p: float, mode: int | None) -> Tensor:
    """`aten._cdist_forward` for p = 2: distances between the rows of x[.., i, d] and y[.., j, d]."""
    if p != 2:
        return NotImplemented
    difference = x[..., :, None, :] - y[..., None, :, :]
    return (difference * difference).sum(-1).sqrt()


def fmod_by_number(x: Tensor, y: Number) -> Tensor:
    """`aten.fmod` by a number, as by a tensor."""
    return torch.fmod(x, torch.full((), y, dtype=torch.result_type(x, y)))


def floor_divide(x: Tensor, y: Tensor | Number) -> Tensor:
    """`aten.floor_divide` of integers in integers (torch-mlir's f64 forgets digits, and divisions by 0)."""
    dtype = torch.result_type(x, y)
    if dtype.is_floating_point:
        return NotImplemented
    dividend = x.to(dtype)
    divisor = y.to(dtype) if isinstance(y, Tensor) else torch.full((), y, dtype=dtype)
    quotient = aten.div.Tensor_mode(dividend, divisor, rounding_mode="trunc")
    rest = dividend - quotient * divisor
    return torch.where((rest != 0) & ((rest < 0) != (divisor < 0)), quotient - 1, quotient)


def divide(x: Tensor, y: Tensor | Number, *, rounding_mode: str | None) -> Tensor:
    """`aten.div` of integers, rounded down."""
    return floor_divide(x, y) if rounding_mode == "floor" else NotImplemented


def split(x: Tensor, size: int, dim: int = 0) -> list[Tensor]:
    """`aten.split.Tensor` as slices (torch-mlir has it for sizes that are numbers)."""
    extent = x.shape[dim]
    if is_number(extent):
        return NotImplemented
    count = max(1, int((extent + size - 1) // size))
    return split_with_sizes(x, [size] * (count - 1) + [extent - size * (count - 1)], dim)


def split_with_sizes(x: Tensor, sizes: Sequence[int], dim: int = 0) -> list[Tensor]:
    """`aten.split_with_sizes` as slices, where a size is no number."""
    if all(map(is_number, (*sizes, x.shape[dim]))):
        return NotImplemented
    parts: list[Tensor] = []
    start = 0
    for size in sizes:
        parts.append(x.narrow(dim, start, size))
        start = start + size
    return parts


def masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`aten.masked_scatter`: where `mask` holds, the elements of `source` one after another."""
    mask = mask.expand(x.shape)
    place = mask.flatten().to(torch.int64).cumsum(0) - 1
    return torch.where(mask, source.flatten()[place.clamp(min=0)].view(x.shape), x)


def from_start(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`operator` along a dimension counted from the start: torch-mlir crashes on one that is counted from the end."""

    def counted(x: Tensor, dim: int, *others: Any, **options: Any) -> Tensor:
        return operator(x, dim + x.dim(), *others, **options) if dim < 0 else NotImplemented

    return counted


SCATTERS = (
    aten.scatter.src,
    aten.scatter.value,
    aten.scatter_add.default,
    aten.scatter_reduce.two,
)

OPERATORS: dict[Any, Callable[..., Any]] = {
    aten.maximum.default: maximum,
    aten.minimum.default: minimum,
    aten.fmax.default: fmax,
    aten.fmin.default: fmin,
    aten.clamp.default: clamp,
    aten.clamp.Tensor: clamp_between,
    aten.hardtanh.default: hardtanh,
    aten.gelu.default: gelu,
    aten.elu.default: elu,
    aten.asinh.default: asinh,
    aten.reciprocal.default: reciprocal,
    aten.isfinite.default: isfinite,
    aten._is_all_true.default: torch.all,
    aten._is_any_true.default: torch.any,
    aten.pow.Tensor_Scalar: power,
    aten.bitwise_or.Scalar: with_number(aten.bitwise_or.Tensor),
    aten.bitwise_xor.Scalar: with_number(aten.bitwise_xor.Tensor),
    **dict.fromkeys(LEFT_SHIFTS, left_shift),
    **dict.fromkeys(RIGHT_SHIFTS, right_shift),
    aten.roll.default: roll,
    aten.constant_pad_nd.default: constant_pad_nd,
    aten.cat.default: cat,
    aten.sort.stable: sort_stable,
    aten.addmv.default: addmv,
    aten._cdist_forward.default: cdist,
    aten.fmod.Scalar: fmod_by_number,
    aten.floor_divide.default: floor_divide,
    aten.split.Tensor: split,
    aten.split_with_sizes.default: split_with_sizes,
    aten.masked_scatter.default: masked_scatter,
    **{operator: from_start(operator) for operator in SCATTERS},
    **INDEXING,
    aten.div.Tensor_mode: divide,
    aten.div.Scalar_mode: divide,
}

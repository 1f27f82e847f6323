"""Decompositions of single operators that torch-mlir does not lower, lowers to something else, or crashes on.

Each of them returns NotImplemented where torch-mlir's own lowering is right.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
Number = int | float


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


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """`aten.gelu` in its tanh form (torch-mlir's constant for sqrt(2 / pi) is off by 2e-4)."""
    if approximate != "tanh":
        return NotImplemented
    y = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    inner = math.sqrt(2 / math.pi) * (y + 0.044715 * (y * y * y))
    return (0.5 * y * (1.0 + torch.tanh(inner))).to(x.dtype)


def isfinite(x: Tensor) -> Tensor:
    """`aten.isfinite`."""
    if not x.is_floating_point():
        return torch.ones_like(x, dtype=torch.bool)
    return x.abs() < math.inf


def power(x: Tensor, exponent: Number) -> Tensor:
    """`aten.pow` of integers, by repeated squaring."""
    if x.is_floating_point() or not isinstance(exponent, int) or exponent < 0:
        return NotImplemented
    result, factor = None, x
    while exponent:
        if exponent % 2:
            result = factor if result is None else result * factor
        exponent //= 2
        factor = factor * factor if exponent else factor
    return torch.ones_like(x) if result is None else result.clone()


def left_shift(x: Tensor, bits: Tensor) -> Tensor:
    """`x << bits`."""
    return torch.bitwise_left_shift(x, bits)


def right_shift(x: Tensor, bits: Tensor) -> Tensor:
    """`x >> bits`."""
    return torch.bitwise_right_shift(x, bits)


def roll(x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Tensor:
    """`aten.roll` of all elements as one row, where no dimensions are given."""
    if len(dims):
        return NotImplemented
    return torch.roll(x.flatten(), shifts[0], 0).view(x.shape)


def constant_pad_nd(x: Tensor, pad: Sequence[int], value: Number = 0) -> Tensor:
    """`aten.constant_pad_nd` with negative widths, which cut (torch-mlir ignores some of them)."""
    if not any(isinstance(width, int) and width < 0 for width in pad):
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
    full = [x for x in tensors if 0 not in [size for size in x.shape if isinstance(size, int)]]
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


def in_int32(operator: Any, *parameters: str) -> Callable[..., Tensor]:
    """A division of uint8 (torch-mlir crashes on some) in int32; `parameters` are names of keyword arguments."""

    def divide(x: Tensor, y: Tensor | Number, **options: Any) -> Tensor:
        kinds = [value.dtype for value in (x, y) if isinstance(value, Tensor)]
        if torch.uint8 not in kinds or torch.result_type(x, y) is not torch.uint8:
            return NotImplemented
        if parameters and options.get(parameters[0]) is None:
            return NotImplemented
        wide = [value.to(torch.int32) if isinstance(value, Tensor) else value for value in (x, y)]
        return operator(*wide, **options).to(torch.uint8)

    return divide


OPERATORS: dict[Any, Callable[..., Any]] = {
    aten.maximum.default: maximum,
    aten.minimum.default: minimum,
    aten.fmax.default: fmax,
    aten.fmin.default: fmin,
    aten.clamp.default: clamp,
    aten.gelu.default: gelu,
    aten.isfinite.default: isfinite,
    aten.pow.Tensor_Scalar: power,
    aten.__lshift__.Tensor: left_shift,
    aten.__rshift__.Tensor: right_shift,
    aten.roll.default: roll,
    aten.constant_pad_nd.default: constant_pad_nd,
    aten.cat.default: cat,
    aten.sort.stable: sort_stable,
    aten.addmv.default: addmv,
    aten._cdist_forward.default: cdist,
    aten.floor_divide.default: in_int32(aten.floor_divide.default),
    aten.remainder.Tensor: in_int32(aten.remainder.Tensor),
    aten.remainder.Scalar: in_int32(aten.remainder.Scalar),
    aten.fmod.Tensor: in_int32(aten.fmod.Tensor),
    aten.fmod.Scalar: fmod_by_number,
    aten.div.Tensor_mode: in_int32(aten.div.Tensor_mode, "rounding_mode"),
    aten.div.Scalar_mode: in_int32(aten.div.Scalar_mode, "rounding_mode"),
}

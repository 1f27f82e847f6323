"""Which torch operators are taken apart before the import, and into what.

torch-mlir's own table, changed where its result would hide structure or cost precision: `linear` stays whole,
normalisations and softmax are written in f32 (f64 for f64) with few operators, sums of bf16 and f16 accumulate
in f32, and attention is plain contraction, mask, softmax, contraction.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pit_mlir.bindings import torch_decompositions
from pit_mlir.frontend.operators import OPERATORS
from pit_mlir.frontend.symbols import is_number

aten = torch.ops.aten
LOW_PRECISION = (torch.bfloat16, torch.float16)
Table = dict[Any, Callable[..., Any]]


@functools.cache
def decomposition_table() -> Table:
    """The table for `ExportedProgram.run_decompositions`; an operator that is not in it stays as it is."""
    table = dict(torch_decompositions())
    del table[aten.linear.default]
    table.update(OPERATORS)
    table.update(
        {
            aten._softmax.default: softmax,
            aten._safe_softmax.default: safe_softmax,
            aten.native_layer_norm.default: native_layer_norm,
            aten.native_group_norm.default: native_group_norm,
            aten.rms_norm.default: rms_norm,
            aten.scaled_dot_product_attention.default: scaled_dot_product_attention,
            aten.var.correction: var,
            aten.sum.dim_IntList: sum_in_f32,
            aten.mean.dim: mean_in_f32,
        }
    )
    return table


def compute(x: Tensor) -> Tensor:
    """`x` in the type sums are taken in: f32 for bf16 and f16."""
    return x.float() if x.dtype in LOW_PRECISION else x


def softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    """`aten._softmax`: exp(x - max) / sum, computed in f32 at least."""
    y = compute(x)
    if x.dim() == 0:
        return softmax(x[None], 0, half_to_float)[0]
    if 0 in filter(is_number, x.shape):
        return (y if half_to_float else x).clone()
    exponential = (y - torch.amax(y, [dim], True)).exp()
    result = exponential / exponential.sum([dim], True)
    return result if half_to_float else result.to(x.dtype)


def safe_softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """`aten._safe_softmax`: softmax, and 0 in rows that are -inf throughout."""
    x = x if dtype is None else x.to(dtype)
    dead = torch.all(x == float("-inf"), dim, True)
    return torch.where(dead, 0.0, torch.softmax(x, dim))


def native_layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`aten.native_layer_norm`: the normalised value, the mean and the reciprocal deviation."""
    dims = list(range(x.dim() - len(shape), x.dim()))
    y, mean, rstd = normalize(compute(x), dims, epsilon)
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.to(x.dtype), mean, rstd


def native_group_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    batch: int,
    channels: int,
    _size: int,
    groups: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`aten.native_group_norm` on x[batch, channels, ...]: each group of channels is normalised together."""
    grouped = compute(x).unflatten(1, (groups, channels // groups))
    y, mean, rstd = normalize(grouped, list(range(2, grouped.dim())), epsilon)
    y = y.flatten(1, 2)
    shape = [1, channels] + [1] * (x.dim() - 2)
    if weight is not None:
        y = y * weight.reshape(shape)
    if bias is not None:
        y = y + bias.reshape(shape)
    return y.to(x.dtype), mean.reshape(batch, groups), rstd.reshape(batch, groups)


def rms_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, epsilon: float | None = None
) -> Tensor:
    """`aten.rms_norm`: x / sqrt(mean of squares + epsilon)."""
    y = compute(x)
    dims = list(range(x.dim() - len(shape), x.dim()))
    y = y * torch.rsqrt((y * y).mean(dims, True) + (torch.finfo(y.dtype).eps if epsilon is None else epsilon))
    return (y if weight is None else y * weight).to(x.dtype)


def normalize(x: Tensor, dims: list[int], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """`(x - mean) / sqrt(variance + epsilon)` over `dims`, the mean and the reciprocal deviation."""
    mean = x.mean(dims, True)
    centered = x - mean
    rstd = torch.rsqrt((centered * centered).mean(dims, True) + epsilon)
    return centered * rstd, mean, rstd


def var(
    x: Tensor, dim: list[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """`aten.var`, in the type of `x` (torch-mlir's own computes in f64)."""
    if x.dim() == 0:
        return var(x[None], correction=correction)
    dims = list(range(x.dim())) if not dim else [d % x.dim() for d in dim]
    y = compute(x)
    count: Any = 1
    for d in dims:
        count = count * x.shape[d]
    if not isinstance(count, int):
        # A number that the sizes decide cannot be imported; a sum can.
        count = torch.ones_like(y).sum(dims, keepdim)
    centered = y - y.mean(dims, True)
    total = (centered * centered).sum(dims, keepdim)
    divisor = count - (1 if correction is None else correction)
    # As torch: not a number where there are too few.
    return (total / (max(divisor, 0) if isinstance(count, int) else divisor)).to(x.dtype)


def sum_in_f32(
    x: Tensor, dim: list[int] | None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """`aten.sum` of bf16 and f16, accumulated in f32 as torch does, and sums as truth values; others stay whole."""
    if dtype is torch.bool:
        return torch.any(x, dim, keepdim) if dim else torch.any(x)
    if x.dtype not in LOW_PRECISION:
        return NotImplemented
    return x.float().sum(dim, keepdim).to(dtype or x.dtype)


def mean_in_f32(
    x: Tensor, dim: list[int] | None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """`aten.mean` of bf16 and f16, accumulated in f32 as torch does; others stay whole."""
    if x.dtype not in LOW_PRECISION:
        return NotImplemented
    return x.float().mean(dim, keepdim).to(dtype or x.dtype)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(query @ key^T * scale + mask) @ value`; rows without a live key give 0, as torch's do.

    A mask of truth values stays one: dead scores become the lowest number and dead probabilities 0. That equals
    torch's additive -inf with its guard over whole rows, and says at each element what is 0.
    """
    assert dropout_p == 0.0, "dropout is refused before decomposition"
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(repeats, -3) for x in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)) * factor
    if is_causal:
        rows = torch.arange(query.shape[-2], device=query.device)[:, None]
        attn_mask = torch.arange(key.shape[-2], device=query.device)[None, :] <= rows
    if attn_mask is None:
        return torch.matmul(torch.softmax(scores, -1), value)
    if attn_mask.dtype is not torch.bool:
        return torch.matmul(aten._safe_softmax(scores + attn_mask, -1), value)
    lowest = torch.finfo(scores.dtype).min
    probabilities = torch.softmax(torch.where(attn_mask, scores, lowest), -1)
    return torch.matmul(torch.where(attn_mask, probabilities, 0.0), value)

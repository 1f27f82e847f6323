"""What ours is held against beside torch: the same compiler without lists, and the making of an index alone."""

import sys
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import ml_dtypes
import numpy
import torch
from torch import nn

import pit_mlir
from bench.family import Run
from pit_mlir.passes.pipelines import rewrite_pipeline

TYPES = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.bfloat16: "bf16",
    torch.float16: "f16",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "i8",
    torch.int64: "i64",
    torch.bool: "i1",
}
INDEX = """
func.func @main(%x: tensor<{shape}x{type}>) -> tensor<i64> {{
  %I = "pit.detect"(%x) {{segments = array<i64{segments}>, axis = array<i64: {axis}>, block = array<i64: {block}>,
      {values}micro_tile = 1 : i64}} : (tensor<{shape}x{type}>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %count = arith.index_cast %n : index to i64
  %t = tensor.from_elements %count : tensor<i64>
  return %t : tensor<i64>
}}"""


def without_lists(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    """The rewrite pipeline, without the rules that make lists inside contractions."""
    return tuple(step for step in rewrite_pipeline(*args, **kwargs) if "only=lists" not in step)


def dense_twin(
    model: nn.Module, args: tuple[Any, ...], options: pit_mlir.CompileOptions | None = None
) -> Callable[..., Any]:
    """`model` compiled by the same compiler, every contraction dense."""
    with patch.object(sys.modules["pit_mlir.compile"], "rewrite_pipeline", without_lists):
        return pit_mlir.compile(model, args, options=options)


def index_of(run: Run, x: torch.Tensor, *, segment: int, axis: int, block: int) -> Callable[..., Any]:
    """What makes the index of a matrix like `x`: a list along `axis` for each `block` neighbours along `segment`."""
    return listing(run, x, segments=f": {segment}", axis=axis, block=block, values="")


def keys_of(run: Run, x: torch.Tensor, values: int) -> Callable[..., Any]:
    """What lists the rows of integers like `x` (row, choice) that hold 0, 1, .. `values` - 1."""
    return listing(run, x, segments="", axis=0, block=1, values=f"values = {values} : i64, ")


def listing(run: Run, x: torch.Tensor, **words: Any) -> Callable[..., Any]:
    """A program that makes an index of a tensor like `x`, which it is called with; of `x` itself without."""
    shape = "x".join(map(str, x.shape))
    program = run.compile(INDEX.format(shape=shape, type=TYPES[x.dtype], **words))
    if x.is_cuda:
        return lambda now=x: program(now)
    return lambda now=x: torch.from_numpy(program(as_array(now)))


def as_array(x: torch.Tensor) -> numpy.ndarray[Any, Any]:
    """`x` for numpy, which has bf16 from ml_dtypes alone."""
    if x.dtype != torch.bfloat16:
        return x.numpy()
    return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)


def block_mask(shape: Sequence[int], block: Sequence[int], zeros: float) -> torch.Tensor:
    """A random mask of `shape`, true or false in whole blocks, a share of `zeros` of them false."""
    block = [min(side, size) for side, size in zip(block, shape, strict=True)]
    counts = [-(-size // side) for size, side in zip(shape, block, strict=True)]
    mask = torch.rand(counts) >= zeros
    for dim, side in enumerate(block):
        mask = mask.repeat_interleave(side, dim)
    return mask[tuple(slice(size) for size in shape)].contiguous()

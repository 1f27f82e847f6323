"""Tensors of torch as bytes, and back."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pit_mlir.runtime.huge_pages import HUGE_PAGE, huge_pages


def dtype_name(dtype: torch.dtype) -> str:
    """What torch calls `dtype`, such as "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def dtype_named(name: str) -> torch.dtype:
    """The dtype that torch calls `name`; raises `ValueError`."""
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{name} is no dtype")
    return found


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The elements of `tensor`, row by row: its own memory where that is so already."""
    plain = tensor.detach().resolve_neg().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data


def tensor_of_bytes(
    dtype: str, shape: tuple[int, ...], size: int, fill: Callable[[memoryview], None], device: str
) -> Tensor:
    """The tensor whose elements `fill` writes into `size` bytes, on `device`; raises `ValueError` for another size."""
    meta = torch.empty(shape, dtype=dtype_named(dtype), device="meta")
    if meta.nbytes != size:
        raise ValueError(f"{size} bytes, expected {meta.nbytes} for {dtype} of shape {list(shape)}")
    if size >= HUGE_PAGE:
        memory, start = huge_pages(size)
        elements = torch.frombuffer(memory, dtype=meta.dtype, count=meta.numel(), offset=start)
    else:
        elements = torch.empty(meta.numel(), dtype=meta.dtype)
    fill(elements.view(torch.uint8).numpy().data)
    return elements.view(shape).to(device)


def placeholder(dtype: str, shape: Sequence[int], device: str) -> Tensor:
    """A tensor of zeros that takes no memory, for what nobody reads."""
    return torch.zeros((), dtype=dtype_named(dtype), device=device).expand(tuple(shape))

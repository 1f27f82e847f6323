"""Tensors of torch as bytes, and back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

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


def tensor_of_array(array: numpy.ndarray[Any, Any], dtype: str, device: str) -> Tensor:
    """`array` as a tensor on `device`; one of float32 becomes bfloat16 where that is wanted, as numpy has none."""
    tensor = torch.from_numpy(numpy.ascontiguousarray(array).reshape(array.shape))
    if dtype == "bfloat16" and tensor.dtype is torch.float32:
        tensor = tensor.bfloat16()
    return tensor.to(device)


def named_leaves(answer: Any) -> dict[str, Any]:
    """The leaves of an answer by their places in it, tensors as arrays of numpy; bfloat16 becomes 32-bit floats."""
    leaves, _ = pytree.tree_flatten_with_path(answer)
    return {
        ".".join(map(_key_text, path)) or "answer": _array(leaf) if isinstance(leaf, Tensor) else leaf
        for path, leaf in leaves
    }


def _key_text(key: Any) -> str:
    """A step of a path in a pytree: a key, a place or the name of an attribute."""
    return str(next(getattr(key, name) for name in ("key", "idx", "name") if hasattr(key, name)))


def _array(tensor: Tensor) -> numpy.ndarray[Any, Any]:
    plain = tensor.detach().cpu()
    return (plain.float() if plain.dtype is torch.bfloat16 else plain).numpy()


def placeholder(dtype: str, shape: Sequence[int], device: str) -> Tensor:
    """A tensor of zeros that takes no memory, for what nobody reads."""
    return torch.zeros((), dtype=dtype_named(dtype), device=device).expand(tuple(shape))

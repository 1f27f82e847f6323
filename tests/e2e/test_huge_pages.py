"""Copies of large values lie in huge pages, and are freed with their last user."""

import gc
from pathlib import Path

import ml_dtypes
import numpy
import pytest
import torch

from pit_mlir.borders import NumpyBorder, TorchBorder
from pit_mlir.runtime.huge_pages import HUGE_PAGE, huge_pages


def mapped(address: int) -> bool:
    """Whether `address` is in this process's memory."""
    ranges = (line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines())
    return any(int(start, 16) <= address < int(stop, 16) for start, stop in ranges)


@pytest.mark.parametrize("size", [1, HUGE_PAGE, HUGE_PAGE + 1])
def test_memory(size: int) -> None:
    memory, start = huge_pages(size)
    array = numpy.frombuffer(memory, numpy.uint8, size, start)
    assert array.ctypes.data % HUGE_PAGE == 0 and not array.any()
    array[-1] = 7


@pytest.mark.parametrize("shape", [(33, 7), (1025, 1024), (0, 5), ()], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool, torch.int64], ids=str)
def test_tensors(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """The same values in memory of their own, also of what is not contiguous."""
    value = torch.randint(0, 2, shape).to(dtype)
    for given in (value, value.T if value.ndim == 2 else value):
        copied = TorchBorder([]).copy(given)
        assert torch.equal(copied, given) and copied.dtype == dtype and copied.is_contiguous()
        assert not copied.numel() or copied.data_ptr() != given.data_ptr()
        assert copied.nbytes < HUGE_PAGE or copied.data_ptr() % HUGE_PAGE == 0


def test_arrays() -> None:
    value = numpy.arange(600_000.0).reshape(600, 1000)
    narrow = numpy.ones((2000, 1000), ml_dtypes.bfloat16)
    for given in (value, value.T, value[:3], narrow):
        copied = NumpyBorder([]).copy(given)
        assert numpy.array_equal(copied, given) and copied.flags.c_contiguous and copied.flags.writeable
        assert not numpy.shares_memory(copied, given)


def test_memory_is_given_back() -> None:
    copied = TorchBorder([]).copy(torch.ones(4 << 20))
    part, address = copied[1:], copied.data_ptr() + (8 << 20)
    del copied
    gc.collect()
    assert mapped(address) and part[-1] == 1, "a part of it is in use"
    del part
    gc.collect()
    assert not mapped(address)

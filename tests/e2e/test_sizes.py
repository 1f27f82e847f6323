"""Sizes that differ from call to call: reshapes between symbols, what torch.export took for granted of them."""

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree

import pit_mlir as pit

AUTO = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


class Apply(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def half(x: Tensor) -> Tensor:
    return x.reshape(x.shape[0] // 2, 2, -1)


SHAPES: dict[str, tuple[Callable[[Tensor], Any], list[tuple[int, int]], list[tuple[int, int]]]] = {
    "into numbers": (lambda x: x.transpose(0, 1).reshape(3, 8), [(6, 4), (4, 6), (8, 3), (2, 12)], [(5, 5)]),
    "half": (half, [(4, 6), (2, 6), (8, 1)], [(5, 6), (0, 6)]),
    "one in three": (lambda x: x.reshape(-1, 3, 2), [(4, 9), (6, 2)], [(4, 5)]),
    "swapped": (lambda x: x.reshape(x.shape[1], x.shape[0]), [(4, 6), (5, 7)], []),
    "remainder": (lambda x: (x[: x.shape[1] % 4] * 2, x.shape[0] % 3, -x.shape[1]), [(4, 6), (9, 11)], []),
    "range": (lambda x: x.shape[1] - torch.arange(x.shape[1]) + x, [(4, 6), (9, 2)], []),
    "at most": (lambda x: x[: min(x.shape[0], x.shape[1])], [(4, 6), (2, 9)], [(6, 4)]),
    "parts": (lambda x: x.chunk(2, 1), [(4, 6), (5, 8)], []),
}
"""Functions, shapes they are compiled and called with, and shapes that are an error."""


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    function, good, bad = SHAPES[name]
    model = Apply(function).eval()
    fast = pit.compile(model, (torch.randn(good[0]),), dynamic_shapes=(AUTO,))
    for shape in good:
        x = torch.randn(shape)
        try:
            given = fast(x)
        except pit.InputError as error:
            # 1 and 0 are sizes of their own to the exporter.
            assert 1 in shape, error
            continue
        for value, wanted in zip(_pytree.tree_leaves(given), _pytree.tree_leaves(model(x)), strict=True):
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(wanted))
    for shape in bad:
        with pytest.raises(pit.InputError, match="compiled"):
            fast(torch.randn(shape))


class Branch(nn.Module):
    """Two results, by the sizes."""

    def forward(self, x: Tensor, y: list[Tensor]) -> Tensor:
        if x.shape[0] * 2 > y[0].shape[0] + 3:
            return x + 1
        return x * 2


def loaded(model: nn.Module, args: tuple[Any, ...], shapes: Any) -> Any:
    program = torch.export.export(model, args, dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file)


@pytest.mark.parametrize("saved", [False, True])
def test_branch_on_sizes(saved: bool) -> None:
    """The branch that the example took is compiled; a call that would take the other one is an error."""
    model, args = Branch().eval(), (torch.randn(4, 6), [torch.randn(2)])
    shapes = (AUTO, [{0: torch.export.Dim.AUTO}])
    if saved:
        fast = pit.compile(loaded(model, args, shapes))
    else:
        fast = pit.compile(model, args, dynamic_shapes=shapes)
    for x, y in ((9, 2), (4, 4)):
        inputs = torch.randn(x, 3), [torch.randn(y)]
        torch.testing.assert_close(fast(*inputs), model(*inputs))
    with pytest.raises(pit.InputError, match=r"= 4, s\d+ = 5 do not fit: torch.export compiled") as caught:
        fast(torch.randn(4, 6), [torch.randn(5)])
    if not saved:
        assert caught.value.location == f"{__file__}:{Branch.forward.__code__.co_firstlineno + 1}:0"


INDEXED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x[i, j]": lambda x, i: x[i, i],
    "x[:, i, j]": lambda x, i: x[None][:, i, i],
    "x[i, :, j]": lambda x, i: x[:, None, :].expand(-1, 4, -1)[i, :, i],
    "x[i[:, None], j]": lambda x, i: x[i[:, None], i],
    "x[i, j] = y": lambda x, i: x.index_put((i, i), torch.ones(3)),
    "x[i, j] += y": lambda x, i: x.index_put((i, i), torch.ones(()), accumulate=True),
    "x[i] = y": lambda x, i: x.index_put((i,), torch.ones(1)),
}


@pytest.mark.parametrize("function", INDEXED.values(), ids=INDEXED.keys())
def test_several_indices(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    class Indexed(nn.Module):
        def forward(self, x: Tensor, i: Tensor) -> Tensor:
            return function(x, i)

    i = torch.tensor([1, -2, 3])
    fast = pit.compile(Indexed(), (torch.randn(5, 6), i), dynamic_shapes=(AUTO, {0: torch.export.Dim.AUTO}))
    x = torch.randn(7, 4)
    torch.testing.assert_close(fast(x, i), function(x, i))
    for bad in (9, -9):
        with pytest.raises((pit.InputError, AssertionError)):
            # What torch itself would refuse is an error, or at least not memory of someone else.
            torch.testing.assert_close(fast(x, torch.tensor([0, bad, 2])), torch.zeros(()))


class Roots(nn.Module):
    def forward(self, x: Tensor) -> Any:
        size = x.shape[0]
        scores = torch.softmax(x @ x.T / size**0.5, -1)
        return scores @ x, x * size**-0.5, x / size**3, x * (1 / (1 + (2 * size) ** 0.5)), size**0.5 - x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_powers_of_a_size(dtype: torch.dtype) -> None:
    dynamic = ({0: torch.export.Dim("size", min=1, max=4096)},)
    fast = pit.compile(Roots().eval(), (torch.randn(5, 4, dtype=dtype),), dynamic_shapes=dynamic)
    for size in (1, 2, 33, 1000):
        x = torch.randn(size, 4, dtype=dtype)
        rough = 0.02 if dtype is torch.bfloat16 else None
        torch.testing.assert_close(fast(x), Roots()(x), rtol=rough, atol=rough)


class MathRoot(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * math.sqrt(x.shape[0])


def test_size_that_becomes_a_number() -> None:
    dynamic = ({0: torch.export.Dim("size", min=1, max=4096)},)
    with pytest.raises(pit.UnsupportedError, match=r"write size\*\*0\.5"):
        pit.compile(MathRoot().eval(), (torch.randn(5, 4),), dynamic_shapes=dynamic)


class Product(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y.T


def test_sizes_derived_from_what_is_no_size() -> None:
    """The depth is eight times something: no dimension is that something itself."""
    depth = 8 * torch.export.Dim("eighths", min=1, max=400)
    given = torch.randn(5, 16), torch.randn(7, 16)
    fast = pit.compile(Product(), given, dynamic_shapes=({1: depth}, {1: depth}))
    for size in (16, 64, 800):
        x, y = torch.randn(5, size), torch.randn(7, size)
        torch.testing.assert_close(fast(x, y), x @ y.T, rtol=1e-4, atol=1e-4)
    for sizes in ((20, 20), (16, 24), (8 * 401, 8 * 401)):
        with pytest.raises(pit.InputError, match=r"dimension 1 of '[xy]' is \d+, compiled for 8\*s"):
            fast(torch.randn(5, sizes[0]), torch.randn(7, sizes[1]))

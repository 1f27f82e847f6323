"""`options.check_finite`: what is not finite is an error with its name and place, at every call."""

import math
from typing import Any

import numpy
import pytest
import torch
from targets import small
from torch import nn

import pit_mlir as pit

CHECKED = pit.CompileOptions(check_finite=True)
X = torch.randn(5, 7)


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


class Products(nn.Module):
    """A product whose sparse side is 0, beside integers that are never checked."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(7, 3)

    def forward(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.relu(x)) + counts


def with_value(tensor: torch.Tensor, place: tuple[Any, ...], value: float) -> torch.Tensor:
    changed = tensor.clone()
    changed[place] = value
    return changed


@pytest.mark.parametrize("value", small([math.nan, math.inf, -math.inf], [math.nan]))
def test_inputs(value: float) -> None:
    model, counts = Products().eval(), torch.ones(3, dtype=torch.int64)
    fast = pit.compile(model, (X, counts), options=CHECKED)
    torch.testing.assert_close(fast(X, counts), model(X, counts))
    with pytest.raises(pit.InputError, match=rf"input 'x' is {value} at \[2, 6\].*check_finite"):
        fast(with_value(X, (2, 6), value), counts)
    # The same tensor, seen before and changed in place; in a layout of its own.
    y = X.t().contiguous().t()
    fast(y, counts)
    y[4, 0] = value
    with pytest.raises(pit.InputError, match=r"'x' .*\[4, 0\]"):
        fast(y, counts)


def test_weights_are_read_at_every_call() -> None:
    model, counts = Products().eval(), torch.ones(3, dtype=torch.int64)
    fast = pit.compile(model, (X, counts), options=CHECKED)
    model.linear.weight[1, 2] = math.inf
    with pytest.raises(pit.InputError, match=r"weight 'linear\.weight' is inf at \[1, 2\]"):
        fast(X, counts)


def test_what_is_left_out_may_be_infinite() -> None:
    """What the option is for: a column of weights is not read where all of x is 0 there, and most of it is."""
    model, x = nn.Sequential(nn.ReLU(), nn.Linear(64, 48)).eval(), torch.full((40, 64), -1.0)
    x[:, 5] = 1.0
    model[1].weight[1, 2] = math.inf
    assert pit.compile(model, (x,))(x).isfinite().all()
    checked = pit.compile(model, (x,), options=CHECKED)
    with pytest.raises(pit.InputError, match=r"is inf at \[1, 2\]"):
        checked(x)


def test_frozen_weights_are_read_with_the_snapshot() -> None:
    model, counts = Products().eval(), torch.ones(3, dtype=torch.int64)
    options = pit.CompileOptions(check_finite=True, freeze=True)
    fast = pit.compile(model, (X, counts), options=options)
    before = fast(X, counts)
    model.linear.bias[0] = math.nan
    torch.testing.assert_close(fast(X, counts), before)
    with pytest.raises(pit.InputError, match=r"weight 'linear\.bias' is nan at \[0\]"):
        fast.refresh()
    with pytest.raises(pit.InputError, match=r"'linear\.bias'"):
        pit.compile(model, (X, counts), options=options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_sums_that_overflow_are_finite(dtype: torch.dtype) -> None:
    class Double(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 0.5

    x = torch.full((3, 33), torch.finfo(dtype).max, dtype=dtype)
    fast = pit.compile(Double(), (x,), options=CHECKED)
    torch.testing.assert_close(fast(x), x * 0.5)
    with pytest.raises(pit.InputError, match=r"\[2, 32\]"):
        fast(with_value(x, (2, 32), math.nan))
    empty = torch.zeros(0, 33, dtype=dtype)
    pit.compile(Double(), (empty,), options=CHECKED)(empty)


def test_arrays() -> None:
    text = """
    func.func @main(%x: tensor<2x3xf32> {pit.name = "x"}, %y: tensor<f32>) -> tensor<2x3xf32> {
      return %x : tensor<2x3xf32>
    }"""
    fast = pit.compile(text, options=CHECKED)
    x, y = numpy.ones((2, 3), "float32"), numpy.zeros((), "float32")
    assert (fast(x, y) == x).all()
    x[1, 2] = numpy.nan
    with pytest.raises(pit.InputError, match=r"input 'x' is nan at \[1, 2\]"):
        fast(x, y)
    with pytest.raises(pit.InputError, match=r"input 'arg1' is inf at \[\]"):
        fast(numpy.ones((2, 3), "float32"), numpy.full((), numpy.inf, "float32"))

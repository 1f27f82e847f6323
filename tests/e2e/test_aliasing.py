"""Which answers are the very tensors that were passed, and what is written to them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from targets import small
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import pit_mlir as pit


class Apply(nn.Module):
    """A model with a buffer and a weight that applies a function to itself and its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("count", torch.arange(3.0))
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.function(self, x, y)


def written(_m: Any, x: Tensor, _y: Tensor) -> Any:
    x += 1
    return x, x * 2


def written_twice(_m: Any, x: Tensor, y: Tensor) -> Any:
    z = x.relu_()
    x[0] = 5
    x.mul_(y)
    return z


def written_first(_m: Any, x: Tensor, y: Tensor) -> Any:
    return x.add_(1).clone(), y, x


def copied_into(_m: Any, x: Tensor, y: Tensor) -> Any:
    z = y + 1
    x.copy_(z)
    return z


def of_the_model(m: Any, x: Tensor, _y: Tensor) -> Any:
    m.count += 1
    return {"count": m.count, "sum": x + m.count, "weight": m.weight}


def replaced(m: Any, x: Tensor, _y: Tensor) -> Any:
    m.count = m.count + x.sum()
    return x * m.count


def swapped(_m: Any, x: Tensor, y: Tensor) -> Any:
    z = x.clone()
    x.copy_(y)
    y.copy_(z)
    return y, x


FUNCTIONS = (written, written_twice, written_first, copied_into, of_the_model, replaced, swapped)


def identities(model: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> list[list[bool]]:
    """Which output is which of the tensors that were there before."""
    known = (*inputs, model.get_buffer("count"), model.get_parameter("weight"))
    return [[leaf is tensor for tensor in known] for leaf in tree_leaves(outputs)]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    "contiguous", small([True, False], [False]), ids=lambda is_so: "contiguous" if is_so else "transposed"
)
@torch.no_grad()
def test_same_tensors_as_torch(function: Callable[..., Any], contiguous: bool) -> None:
    x, y = torch.randn(3, 3), torch.randn(3, 3)
    model, twin = Apply(function).eval(), Apply(function).eval()
    fast = pit.compile(model, (x, y))
    for _ in range(2):
        inputs, others = (tuple(t.clone() if contiguous else t.t().clone().t() for t in (x, y)) for _ in "12")
        given, expected = fast(*inputs), twin(*others)
        torch.testing.assert_close(given, expected)
        torch.testing.assert_close(inputs, others)
        torch.testing.assert_close(dict(model.named_buffers()), dict(twin.named_buffers()))
        assert identities(model, inputs, given) == identities(twin, others, expected)


def test_views_are_copies() -> None:
    x, y = torch.randn(3, 3), torch.randn(3, 3)
    fast = pit.compile(Apply(lambda _m, x, y: (x.view(-1), x[0], y.t())).eval(), (x, y))
    given = fast(x, y)
    torch.testing.assert_close(given, (x.view(-1), x[0], y.t()))
    assert {value.untyped_storage().data_ptr() for value in given}.isdisjoint(
        value.untyped_storage().data_ptr() for value in (x, y)
    )


@torch.no_grad()
def test_written_input_shares_memory() -> None:
    x = torch.randn(6, 3)
    fast = pit.compile(Apply(written).eval(), (x[:3].clone(), x[3:].clone()))
    for other in (x[:3], x[2:5], x[1:4]):
        with pytest.raises(pit.InputError, match="'y' shares memory with 'x', which the model writes to"):
            fast(x[:3], other)
    expected = x[:3] + 1
    assert torch.equal(fast(x[:3], x[3:])[0], expected)
    wide = torch.randn(3, 6)
    fast(wide[:, ::2], wide[:, 1::2])


class Buffers(torch.nn.Module):
    """Two buffers in one storage, of which a part of one is written to."""

    def __init__(self) -> None:
        super().__init__()
        base = torch.zeros(8)
        self.register_buffer("first", base[:6])
        self.register_buffer("rest", base[2:].view(2, 3), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.first[1:].add_(x)
        return self.rest + 1


def test_written_buffer_shares_memory() -> None:
    with pytest.raises(
        pit.UnsupportedError, match="'first' shares memory with 'rest', and the model writes to it"
    ) as caught:
        pit.compile(Buffers().eval(), (torch.ones(5),))
    assert str(caught.value).startswith(f"{__file__}:{Buffers.forward.__code__.co_firstlineno + 1}:")

"""What a model asserts of its data holds of every call, or the call raises the model's message and line."""

import re

import pytest
import torch
from torch import Tensor, nn

import pit_mlir as pit

assert_async = torch.ops.aten._assert_async


class AssertAsync(nn.Module):
    def forward(self, x: Tensor, _n: Tensor) -> Tensor:
        assert_async((x > 0).all(), "positive, please")
        return x * 2


class AssertWithoutMessage(nn.Module):
    def forward(self, x: Tensor, _n: Tensor) -> Tensor:
        assert_async((x > 0).all())
        return x * 2


class AssertNumber(nn.Module):
    def forward(self, x: Tensor, _n: Tensor) -> Tensor:
        assert_async(x.min().clamp(min=0)[None])
        return x * 2


class AssertInput(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        assert_async(n - 3 != 0)
        return x * 2


class CheckSum(nn.Module):
    def forward(self, x: Tensor, _n: Tensor) -> Tensor:
        torch._check(x.min().item() > 0.25)
        return x * 2


class CheckNumber(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        number = n.item()
        torch._check(number > 3, lambda: "more than three, please")
        torch._check(2 * number - 1 < x.shape[0] + 20)
        torch._check(number**2 < 200)
        return x * number


class CheckAll(nn.Module):
    def forward(self, x: Tensor, _n: Tensor) -> Tensor:
        torch._check_tensor_all(x > 0, lambda: "each of them")
        return x * 2


CASES: dict[type[nn.Module], str] = {
    AssertAsync: "positive, please",
    AssertWithoutMessage: "assert_async((x > 0).all())",
    AssertNumber: "assert_async(x.min().clamp(min=0)[None])",
    AssertInput: "assert_async(n - 3 != 0)",
    CheckSum: "torch._check(x.min().item() > 0.25)",
    CheckNumber: "more than three, please",
    CheckAll: "each of them",
}


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_assert_of_the_model(kind: type[nn.Module], dynamic: bool) -> None:
    model = kind().eval()
    good, bad = (torch.rand(3) + 1, torch.tensor(5)), (torch.tensor([1.0, -1.0, 1.0]), torch.tensor(3))
    shapes = ({0: torch.export.Dim("length", min=1, max=64)}, None) if dynamic else None
    fast = pit.compile(model, good, dynamic_shapes=shapes)
    torch.testing.assert_close(fast(*good), model(*good))
    with pytest.raises(RuntimeError):
        model(*bad)
    line = kind.forward.__code__.co_firstlineno
    with pytest.raises(
        pit.InputError, match=f"{re.escape(__file__)}:\\d+:0: .*{re.escape(CASES[kind])}"
    ) as error:
        fast(*bad)
    assert line < int(str(error.value).removeprefix(__file__).split(":")[1]) <= line + 3
    torch.testing.assert_close(fast(*good), model(*good))


def test_upper_bound_with_a_size() -> None:
    fast = pit.compile(CheckNumber().eval(), (torch.rand(3), torch.tensor(5)))
    fast(torch.rand(3), torch.tensor(11))
    with pytest.raises(pit.InputError, match=r"2 \* number - 1 < x.shape\[0\] \+ 20"):
        fast(torch.rand(3), torch.tensor(12))


class CheckQuotient(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        torch._check(n.item() // 2 < 100)
        return x * 2


def test_assert_that_cannot_be_computed_is_refused() -> None:
    with pytest.raises(pit.UnsupportedError, match=r"torch\._assert_async") as error:
        pit.compile(CheckQuotient().eval(), (torch.rand(3), torch.tensor(5)))
    assert error.value.location == f"{__file__}:{CheckQuotient.forward.__code__.co_firstlineno + 1}:0"

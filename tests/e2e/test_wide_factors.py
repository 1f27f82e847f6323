"""Numbers that 16 bits do not hold multiply and divide as they do in torch; attention scaled by one is attention."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import pit_mlir as pit

CASES: list[Callable[[Tensor], Tensor]] = [
    lambda x: x * -1e9,
    lambda x: (1 - x) * -1e9,
    lambda x: x / 1e5,
    lambda x: 1e5 * x,
    lambda x: 1.003 / x,
    lambda x: x * 1.003 + x / 3 - 0.1,
    lambda x: x * torch.tensor(1.003),
    lambda x: nn.functional.leaky_relu(x, 0.01) + nn.functional.elu(x, 0.3),
    lambda x: x * 0.5,
]


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_numbers_are_taken_as_they_are(dtype: torch.dtype) -> None:
    x = torch.cat([torch.randn(126), torch.tensor([0.0, 1.0])]).to(dtype)
    model = Applied(lambda x: torch.stack([case(x) for case in CASES]))
    torch.testing.assert_close(pit.compile(model, (x,))(x), model(x), rtol=8e-3, atol=2e-3)
    exact = Applied(lambda x: torch.stack([case(x) for case in CASES[:4]]))
    assert torch.equal(pit.compile(exact, (x,))(x), exact(x))


def test_scaled_attention_is_formed() -> None:
    class Attention(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
            scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]))
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            return scores.float().softmax(-1).to(q.dtype) @ v

    q, k, v = (torch.randn(1, 2, 65, 20).bfloat16() for _ in range(3))
    mask = torch.rand(65, 65) < 0.5
    fast = pit.compile(Attention(), (q, k, v, mask))
    assert "pit.attend" in fast.ir
    expected = Attention()(q.double(), k.double(), v.double(), mask)
    torch.testing.assert_close(fast(q, k, v, mask).double(), expected, rtol=3e-2, atol=2e-2)

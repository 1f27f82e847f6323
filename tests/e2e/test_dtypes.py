"""Operators on each type of element: all of them in one model, compared with torch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import pit_mlir as pit

Function = Callable[[Tensor, Tensor], Tensor]

ANY: list[Function] = [
    lambda x, y: torch.where(x == y, x, y),
    lambda x, y: torch.cat([x, y], -1).flip(-1),
    lambda x, _y: x.to(torch.float32).sum(-1),
    lambda x, _y: x.to(torch.float16),
    lambda x, _y: x.to(torch.int64) * 2,
    lambda x, _y: x.logical_not(),
    lambda x, _y: x.any(-1),
    lambda x, y: x.scatter(-1, torch.zeros_like(x, dtype=torch.int64)[:, :1], y[:, :1]),
    lambda x, _y: x.sum(0),
]
NUMBERS: list[Function] = [
    lambda x, y: x * y + 2 - x,
    lambda x, y: torch.maximum(x, y).clamp(-1, 3),
    lambda x, _y: x.abs().sign(),
    lambda x, _y: x.amax(-1),
    lambda x, _y: x.cumsum(-1),
    lambda x, _y: x**3,
    lambda x, _y: x % 3,
]
FLOATS: list[Function] = [
    lambda x, _y: x.softmax(-1),
    lambda x, _y: nn.functional.layer_norm(x, x.shape[-1:]),
    lambda x, _y: nn.functional.gelu(x) + x.sigmoid().sqrt(),
    lambda x, y: x @ y.T,
    lambda x, _y: x.isnan(),
    lambda x, _y: x.mean(-1),
]
INTEGERS: list[Function] = [lambda x, y: (x & y) ^ (x | 5), lambda x, _y: ~(x >> 1), lambda x, _y: x // 3]
FUNCTIONS = {
    torch.float16: ANY + NUMBERS + FLOATS,
    torch.bfloat16: ANY + NUMBERS + FLOATS,
    torch.float64: ANY + NUMBERS + FLOATS,
    torch.int16: ANY + NUMBERS + INTEGERS,
    torch.int32: ANY + NUMBERS + INTEGERS,
    torch.bool: ANY,
}
ROUGH = {torch.float16: 5e-3, torch.bfloat16: 5e-2}


class All(nn.Module):
    """Applies several functions."""

    def __init__(self, functions: list[Function]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: Tensor, y: Tensor) -> list[Tensor]:
        return [function(x, y) for function in self.functions]


@pytest.mark.parametrize("dtype", FUNCTIONS, ids=str)
def test_operators_of_a_type(dtype: torch.dtype) -> None:
    x, y = (
        torch.randint(-4, 5, (7, 9), generator=torch.Generator().manual_seed(n)).to(dtype) for n in (1, 2)
    )
    model = All(FUNCTIONS[dtype]).eval()
    for given, expected in zip(pit.compile(model, (x, y))(x, y), model(x, y), strict=True):
        rough = ROUGH.get(dtype) if expected.is_floating_point() else None
        torch.testing.assert_close(given, expected, rtol=rough, atol=rough)

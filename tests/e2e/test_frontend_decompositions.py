"""Our decompositions against torch's operators, and which guards of a softmax may go."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pit_mlir.frontend import decompositions
from pit_mlir.frontend.export import capture_program, decompose_program
from pit_mlir.frontend.guards import drop_softmax_guards

aten = torch.ops.aten
KEYS = 7
LIVE = torch.arange(KEYS) < 5
DEAD_ROW = LIVE[None].expand(5, KEYS).clone()
DEAD_ROW[2] = False

ATTENTION: dict[str, dict[str, Any]] = {
    "plain": {},
    "scale": {"scale": 0.25},
    "causal": {"is_causal": True},
    "bool": {"attn_mask": LIVE[None]},
    "dead row": {"attn_mask": DEAD_ROW},
    "float": {"attn_mask": torch.zeros(5, KEYS).masked_fill(~DEAD_ROW, float("-inf"))},
    "finite": {"attn_mask": torch.zeros(5, KEYS).masked_fill(~DEAD_ROW, torch.finfo(torch.float32).min)},
}


@pytest.mark.parametrize("options", ATTENTION.values(), ids=ATTENTION.keys())
def test_attention(options: dict[str, Any]) -> None:
    query, key, value = torch.randn(2, 3, 5, 8), torch.randn(2, 3, KEYS, 8), torch.randn(2, 3, KEYS, 6)
    given = decompositions.scaled_dot_product_attention(query, key, value, **options)
    torch.testing.assert_close(given, functional.scaled_dot_product_attention(query, key, value, **options))


def test_grouped_query_attention() -> None:
    query, key, value = torch.randn(2, 6, 5, 8), torch.randn(2, 2, KEYS, 8), torch.randn(2, 2, KEYS, 8)
    given = decompositions.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    torch.testing.assert_close(
        given, functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    ("ours", "torchs", "arguments"),
    [
        (decompositions.softmax, aten._softmax.default, (-1, False)),
        (decompositions.safe_softmax, aten._safe_softmax.default, (1,)),
        (decompositions.var, aten.var.correction, ([0, 2],)),
        (decompositions.var, aten.var.correction, ()),
    ],
)
def test_of_one_tensor(
    ours: Callable[..., Tensor], torchs: Callable[..., Tensor], arguments: tuple[Any, ...], dtype: torch.dtype
) -> None:
    x = torch.randn(3, 4, 8).to(dtype)
    torch.testing.assert_close(ours(x, *arguments), torchs(x, *arguments))


def test_normalisations() -> None:
    x, weight, bias = torch.randn(3, 6, 5), torch.randn(6), torch.randn(6)
    ours = decompositions.native_group_norm(x, weight, bias, 3, 6, 5, 2, 1e-5)
    torch.testing.assert_close(ours, aten.native_group_norm(x, weight, bias, 3, 6, 5, 2, 1e-5))
    y = torch.randn(3, 5, 6)
    ours = decompositions.native_layer_norm(y, [6], weight, bias, 1e-5)
    torch.testing.assert_close(ours, aten.native_layer_norm(y, [6], weight, bias, 1e-5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_sums_accumulate_in_f32(dtype: torch.dtype) -> None:
    x = torch.rand(4, 5000).to(dtype)
    torch.testing.assert_close(decompositions.sum_in_f32(x, [1]), x.sum(1))
    torch.testing.assert_close(decompositions.mean_in_f32(x, [1]), x.mean(1))
    assert decompositions.sum_in_f32(x.float(), [1]) is NotImplemented


class Attention(nn.Module):
    """Attention with a float mask made from truth values by `fill`."""

    def __init__(self, fill: float | None) -> None:
        super().__init__()
        self.fill = fill

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.fill is not None:
            mask = torch.where(mask, 0.0, self.fill).to(x.dtype)
        return functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)


@pytest.mark.parametrize(
    ("fill", "dtype", "dropped"),
    [
        (torch.finfo(torch.float32).min, torch.float32, 1),
        (-1e9, torch.bfloat16, 1),
        (float("-inf"), torch.float32, 0),
        (-65504.0, torch.float16, 0),
        (None, torch.float32, 0),
    ],
)
def test_guard_of_softmax(fill: float | None, dtype: torch.dtype, dropped: int) -> None:
    mask = torch.ones(4, 4, dtype=torch.bool if fill is not None else torch.float32)
    program = decompose_program(
        capture_program(Attention(fill), (torch.randn(2, 4, 8).to(dtype), mask), {}, None)
    )
    assert drop_softmax_guards(program.graph) == dropped

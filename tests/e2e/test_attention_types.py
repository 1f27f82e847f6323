"""The kernel of attention in all types: ragged ends of blocks, masks and biases over pairs, other processors."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import pit_mlir
from pit_mlir.passes import pit_lower_to_cpu
from pit_mlir.target import host, with_vectors

TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


class Attention(nn.Module):
    """torch's, with what is given for each pair."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, pairs: Tensor | None = None) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=pairs)


class Transposed(nn.Module):
    """Keys that lie across, as a cache may keep them."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k.transpose(2, 3), v)


def data(
    dtype: torch.dtype, queries: int, keys: int, depth: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores that are spread as far as the type can tell them apart."""
    spread = 4 if dtype.itemsize >= 4 else 1
    generator = torch.Generator().manual_seed(queries + 7 * keys)
    sizes = ((queries, depth), (keys, depth), (keys, width))
    q, k, v = (torch.randn(2, 3, *size, generator=generator, dtype=torch.float64) for size in sizes)
    return (spread * q).to(dtype), k.to(dtype), v.to(dtype)


def assert_exact(given: Tensor, q: Tensor, k: Tensor, v: Tensor, pairs: Tensor | None = None) -> None:
    """`given` is attention of the same numbers in f64, within what the type can say of the largest value."""
    if pairs is not None and pairs.is_floating_point():
        pairs = pairs.double()
    expected = scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=pairs)
    assert given.dtype == q.dtype and given.shape == expected.shape
    error = (given.double() - expected).abs().max() / v.double().abs().max()
    assert error < TOLERANCES[q.dtype]


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize(
    ("queries", "keys", "depth", "width"),
    [(1, 127, 64, 64), (33, 65, 7, 17), (130, 129, 33, 1), (64, 1, 80, 48)],
)
def test_any_type_and_size(dtype: torch.dtype, queries: int, keys: int, depth: int, width: int) -> None:
    """Blocks that end in the middle, odd depths (half a pair of bf16), widths that no register divides."""
    operands = data(dtype, queries, keys, depth, width)
    assert_exact(pit_mlir.compile(Attention(), operands)(*operands), *operands)


@pytest.mark.parametrize("kind", ["mask", "bias", "rows", "columns"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_pairs(kind: str, dtype: torch.dtype) -> None:
    """What a body reads for each pair: truth values as bits, biases transposed, and such as lie across."""
    queries, keys = 70, 139
    operands = data(dtype, queries, keys, 16, 16)
    generator = torch.Generator().manual_seed(3)
    pairs = torch.rand(queries, keys, generator=generator) < 0.4
    pairs[:, 5] = True
    if kind != "mask":
        pairs = torch.randn(3, queries, keys, generator=generator).to(dtype)
    if kind == "rows":
        pairs = pairs[:, :1].expand(3, queries, keys)
    if kind == "columns":
        pairs = pairs.transpose(1, 2).contiguous().transpose(1, 2)
    given = pit_mlir.compile(Attention(), (*operands, pairs))(*operands, pairs)
    assert_exact(given, *operands, pairs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keys_that_lie_across(dtype: torch.dtype) -> None:
    """No row of keys is contiguous."""
    q, k, v = data(dtype, 20, 71, 24, 24)
    across = k.transpose(2, 3).contiguous()
    assert_exact(pit_mlir.compile(Transposed(), (q, across, v))(q, across, v), q, k, v)


@pytest.mark.parametrize("bits", [128, 256])
def test_other_processors(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    """Narrower vectors, fewer registers, no products of pairs."""
    monkeypatch.setattr(pit_lower_to_cpu, "host", lambda: with_vectors(host(), bits))
    for dtype in (torch.float32, torch.bfloat16):
        operands = data(dtype, 67, 70, 12, 20)
        pairs = torch.rand(67, 70, generator=torch.Generator().manual_seed(0)) < 0.5
        pairs[:, 0] = True
        given = pit_mlir.compile(Attention(), (*operands, pairs))(*operands, pairs)
        assert_exact(given, *operands, pairs)


def test_maxima_that_grow_far_and_little() -> None:
    """Each block of keys has larger scores than the one before: by little, which is let pass, and by much."""
    q = torch.ones(1, 1, 40, 4)
    for step in (0.5, 3.0, 40.0):
        k = (
            torch.arange(320.0)
            .div(64, rounding_mode="floor")
            .mul(step)[None, None, :, None]
            .expand(1, 1, 320, 4)
        )
        v = torch.randn(1, 1, 320, 8, generator=torch.Generator().manual_seed(1))
        operands = (q, k.contiguous(), v)
        assert_exact(pit_mlir.compile(Attention(), operands)(*operands), *operands)

"""Two reasons for zeros in one model, against torch: padding and experts, padding and ReLU, masks on both sides."""

import pytest
import torch
from expert_models import DIM, Combined, Gated, Loop
from targets import ON_CPU
from test_activations import FeedForward, assert_near, exact
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit


class Block(nn.Module):
    """Attention over live tokens, then `inner` on each token, around both a residual."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.projection, self.output = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.inner = inner

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.projection(self.first(x)).view(batch, length, 3, 2, DIM // 2)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :].bool())
        x = x + self.output(y.transpose(1, 2).reshape(batch, length, DIM))
        return x + self.inner(self.second(x).reshape(batch * length, DIM)).reshape(x.shape)


def lengths(batch: int, length: int) -> list[Tensor]:
    """Masks of ragged, full, and nearly empty batches."""
    counts = torch.randint(1, length + 1, (batch, 1))
    return [
        (torch.arange(length) < n).long() for n in (counts, torch.full((batch, 1), length), counts // length)
    ]


def assert_padded(compiled: pit.CompiledModule, model: nn.Module, x: Tensor, mask: Tensor) -> None:
    """Live rows are the model's, the others are 0."""
    live, have = mask.bool(), compiled(x, mask)
    if live.any():
        assert_near(have[live], exact(model, x, mask)[live], 1e-5)
    assert not have[~live].any()


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("style", [Combined, Loop])
def test_padding_and_experts(style: type[nn.Module]) -> None:
    """Experts get live tokens alone: the rows of the batch come first, and a router chooses among them."""
    model = Block(style(4, 2)).eval()
    x = torch.randn(3, 7, DIM)
    compiled = pit.compile(model, (x, torch.ones(3, 7).long()), sparsity=[pit.Padding("mask")])
    summary = compiled.explain().summary
    assert summary.dense <= 1 and summary.compact >= summary.operators - 1
    for mask in lengths(3, 7):
        assert_padded(compiled, model, x, mask)


@pytest.mark.usefixtures("inference")
def test_padding_and_experts_of_any_size() -> None:
    model = Block(Gated(5, 2)).eval()
    batch, length = torch.export.Dim("batch", max=64), torch.export.Dim("length", max=512)
    compiled = pit.compile(
        model,
        (torch.randn(3, 7, DIM), torch.ones(3, 7).long()),
        dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}),
        sparsity=[pit.Padding("mask")],
    )
    for size in [(3, 7), (2, 33), (5, 2)]:
        x = torch.randn(*size, DIM)
        for mask in lengths(*size):
            assert_padded(compiled, model, x, mask)


class Wide(FeedForward):
    """A feed-forward layer of this size."""

    def __init__(self) -> None:
        super().__init__(functional.relu)
        self.up, self.down = nn.ModuleList([nn.Linear(DIM, 40)]), nn.ModuleList([nn.Linear(40, DIM)])


@pytest.mark.usefixtures("inference")
def test_padding_and_relu() -> None:
    """Rows of live tokens, and among these a list of live columns: both count."""
    model = Block(Wide()).eval()
    x = torch.randn(3, 7, DIM)
    compiled = pit.compile(model, (x, torch.ones(3, 7).long()), sparsity=[pit.Padding("mask")])
    # One index of rows, and a list for micro-tiles of them: a CPU may choose those of 8, 16 or 32 at a call.
    assert compiled.ir.count('"pit.detect"') == (4 if ON_CPU else 2)
    assert (compiled.explain().summary.listed, compiled.explain().summary.dense) == (1, 0)
    for mask in lengths(3, 7):
        assert_padded(compiled, model, x, mask)


class Pruned(nn.Module):
    """A mask on the weights of the second projection, a ReLU on what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(DIM, 40), nn.Linear(40, DIM)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return functional.linear(functional.relu(self.up(x)), self.down.weight * mask, self.down.bias)


@pytest.mark.usefixtures("inference")
def test_weights_and_activations() -> None:
    """One list is enough for a contraction; `explain()` says which one, of how many, and why."""
    model = Pruned().eval()
    x, mask = torch.randn(9, DIM), torch.rand(DIM, 40) > 0.7
    compiled = pit.compile(model, (x, mask))
    text = " ".join(str(compiled.explain()).split())
    assert "chosen of 2: a mask comes in blocks, or is known before values are; not used, one index" in text
    for live in (mask, torch.ones_like(mask), torch.zeros_like(mask)):
        assert_near(compiled(x, live), exact(model, x, live), 1e-5)

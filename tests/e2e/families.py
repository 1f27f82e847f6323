"""One small model of each family of sparsity, with random data, and with what a call must not read made NaN."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from expert_models import DIM, Batched, Combined, Loop, Stacked, Switch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

import pit_mlir as pit

Inputs = tuple[Tensor, ...]
NAN = float("nan")


def size(generator: torch.Generator, *choices: int) -> int:
    """One of `choices`."""
    return choices[int(torch.randint(len(choices), (), generator=generator))]


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Random numbers that every dtype holds exactly, so that models in all of them compute with the same."""
    return (torch.randn(shape, generator=generator) * 16).round() / 16


@dataclass(frozen=True)
class Family:
    """`draw` makes the inputs of a call and may change the model; `poison` writes NaN where the call must not read.

    `expected` is what the model gives where the compiled one promises something else than the model.
    """

    model: Callable[[], nn.Module]
    draw: Callable[[nn.Module, torch.Generator], Inputs]
    poison: Callable[[nn.Module, Inputs], None]
    dynamic_shapes: Any = None
    sparsity: tuple[pit.Padding, ...] = ()
    expected: Callable[[nn.Module, Inputs], Tensor] = lambda model, inputs: model(*inputs)
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)

    def compile(self, model: nn.Module, inputs: Inputs) -> pit.CompiledModule:
        """The compiled model, with equal bits for equal calls."""
        options = pit.CompileOptions(deterministic=True)
        shapes = self.dynamic_shapes
        return pit.compile(model, inputs, dynamic_shapes=shapes, sparsity=self.sparsity, options=options)


class Padded(nn.Module):
    """A layer of attention and one of ReLU over a padded batch."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        scores = (q @ k.mT * 8**-0.5).masked_fill(mask[:, None, None, :] == 0, torch.finfo(x.dtype).min)
        return self.norm(x + self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)))


def draw_padded(_: nn.Module, generator: torch.Generator) -> Inputs:
    batch, tokens = size(generator, 1, 3, 7), size(generator, 1, 7, 33)
    lengths = torch.randint(0, tokens + 1, (batch, 1), generator=generator)
    return normal(generator, batch, tokens, 16), (torch.arange(tokens) < lengths).long()


def poison_padded(_: nn.Module, inputs: Inputs) -> None:
    inputs[0][inputs[1] == 0] = NAN


def draw_tokens(model: nn.Module, generator: torch.Generator) -> Inputs:
    """Tokens for experts, whose router likes some of them more; which a token chooses no rounding can change."""
    router = model.router.weight
    likes = torch.randn(router.shape[0], 1, generator=generator) * size(generator, 0, 1, 4)
    router.copy_(torch.randn(router.shape, generator=generator) + likes)
    x = normal(generator, 4 * size(generator, 2, 7, 33, 127), DIM)
    ordered = functional.linear(x.double(), router.double()).sort(-1, descending=True).values
    clear = ordered[:, model.chosen - 1] - ordered[:, model.chosen] > 0.25
    return (x[clear][: max(2, len(x) // 4)],)


def unused_experts(model: nn.Module, x: Tensor) -> list[int]:
    """The experts that no token chose."""
    chosen = model.router(x).topk(model.chosen, -1).indices
    return [expert for expert in range(model.router.weight.shape[0]) if not (chosen == expert).any()]


def poison_experts(model: nn.Module, inputs: Inputs) -> None:
    for expert in unused_experts(model, *inputs):
        if isinstance(model, Stacked):
            for name, weights in model.named_parameters():
                if name != "router.weight":
                    weights[expert] = NAN
        else:
            for weights in model.experts[expert].parameters():
                weights.fill_(NAN)


class FeedForward(nn.Module):
    """A ReLU of which little is live."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(16, 160), nn.Linear(160, 24)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x)))


def draw_rows(model: nn.Module, generator: torch.Generator) -> Inputs:
    """Rows, and a bias that leaves a tenth of the columns alive."""
    dead = torch.rand(160, generator=generator) > 0.1
    model.up.bias.copy_(torch.where(dead, -64.0, 0.0))
    return (normal(generator, size(generator, 1, 7, 33, 127), 16),)


FEW_ROWS = 16
"""With fewer rows a list may cost more than it saves, and is left: then all weights are read."""


def poison_columns(model: nn.Module, inputs: Inputs) -> None:
    if len(inputs[0]) < FEW_ROWS:
        return
    model.down.weight[:, (model.up(*inputs) <= 0).all(0)] = NAN


class Pruned(nn.Module):
    """A projection whose weights are masked by an input, in blocks of 32 x 1."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(96, 128)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return functional.linear(x, self.linear.weight * mask, self.linear.bias)


def draw_pruned(_: nn.Module, generator: torch.Generator) -> Inputs:
    live = torch.rand(4, 96, generator=generator) < size(generator, 0, 1, 10) / 100
    return normal(generator, size(generator, 2, 7, 33, 127), 96), live.repeat_interleave(32, 0)


def poison_pruned(model: nn.Module, inputs: Inputs) -> None:
    if len(inputs[0]) < FEW_ROWS:
        return
    model.linear.weight[~inputs[1]] = NAN
    inputs[0][:, ~inputs[1].any(0)] = NAN


class Sparse(nn.Module):
    """Attention to what a mask of truth values leaves in."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def draw_attention(_: nn.Module, generator: torch.Generator) -> Inputs:
    tokens = size(generator, 2, 64, 150, 200)
    blocks = -(-tokens // 64)
    live = torch.rand(blocks, blocks, generator=generator) < 0.5
    # Keys that nobody looks at, in whole blocks; rows that look at nothing give 0.
    live[:, size(generator, *range(blocks))] = False
    mask = live.repeat_interleave(64, 0).repeat_interleave(64, 1)[:tokens, :tokens]
    mask &= torch.rand(tokens, tokens, generator=generator) < 0.9
    return *(normal(generator, 2, tokens, 8) for _ in range(3)), mask.contiguous()


def poison_attention(_: nn.Module, inputs: Inputs) -> None:
    _, k, v, mask = inputs
    unseen = ~functional.pad(mask.any(0), (0, -mask.shape[0] % 64)).unflatten(0, (-1, 64)).any(1)
    for number in unseen.nonzero().flatten().tolist():
        k[:, 64 * number : 64 * number + 64] = NAN
        v[:, 64 * number : 64 * number + 64] = NAN


class Channels(nn.Module):
    """A convolution of which a mask leaves few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(24, 12, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.conv(x * mask[:, None, None])


def draw_channels(_: nn.Module, generator: torch.Generator) -> Inputs:
    live = torch.rand(24, generator=generator) < size(generator, 0, 1, 3) / 10
    return normal(generator, 2, 24, 9, 7), live


def poison_channels(model: nn.Module, inputs: Inputs) -> None:
    model.conv.weight[:, ~inputs[1]] = NAN
    inputs[0][:, ~inputs[1]] = NAN


EVERY = (torch.float32, torch.bfloat16, torch.float64)
TOKENS = Dim("tokens", min=2, max=4096)
BATCH = Dim("batch", min=1, max=64)
PADDED_TOKENS = Dim("padded", min=1, max=512)
EXPERTS = {
    style.__name__.lower(): Family(
        lambda style=style: style(4, 2),
        draw_tokens,
        poison_experts,
        ({0: TOKENS},),
        dtypes=EVERY[:2] if style is Combined else EVERY[:1],
    )
    for style in (Combined, Batched, Loop)
}
FAMILIES = {
    "padding": Family(
        Padded,
        draw_padded,
        poison_padded,
        ({0: BATCH, 1: PADDED_TOKENS}, {0: BATCH, 1: PADDED_TOKENS}),
        (pit.Padding("mask"),),
        lambda model, inputs: model(*inputs).masked_fill(inputs[1][..., None] == 0, 0.0),
        EVERY,
    ),
    "switch": Family(lambda: Switch(6, 1), draw_tokens, poison_experts, ({0: TOKENS},), dtypes=EVERY[:1]),
    **EXPERTS,
    "relu": Family(FeedForward, draw_rows, poison_columns, ({0: Dim("rows", min=1, max=4096)},)),
    "pruning": Family(Pruned, draw_pruned, poison_pruned, ({0: TOKENS}, None), dtypes=EVERY),
    "attention": Family(
        Sparse,
        draw_attention,
        poison_attention,
        ({1: TOKENS}, {1: TOKENS}, {1: TOKENS}, {0: TOKENS, 1: TOKENS}),
    ),
    "convolution": Family(Channels, draw_channels, poison_channels),
}

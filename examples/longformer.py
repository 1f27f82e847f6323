"""A Longformer-style encoder: each token looks at near ones, a few global tokens look at all and are seen by all.

`python -m examples.longformer` compiles it and compares it with torch. The model is written as dense attention with a
mask; the compiler finds by itself which blocks of keys a block of queries has to look at.
"""

from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from examples.attention_demo import Attention, Mlp, demonstrate


class Layer(nn.Module):
    """Attention and projections, each behind a norm and beside a residual."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(dim, heads), Mlp(dim)
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])

    def forward(self, x: Tensor, live: Tensor) -> Tensor:
        """`x` (batch, tokens, dim)."""
        given = self.norms[0](x)
        x = x + self.attention(given, given, live)
        return x + self.mlp(self.norms[1](x))


class Longformer(nn.Module):
    """Token embeddings and layers whose attention sees `window` tokens on either side, and global tokens."""

    def __init__(
        self, dim: int = 256, heads: int = 4, layers: int = 2, window: int = 128, vocabulary: int = 1000
    ) -> None:
        super().__init__()
        self.window = window
        self.tokens = nn.Embedding(vocabulary, dim)
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))

    def live(self, is_global: Tensor) -> Tensor:
        """Which key each query sees (batch, queries, keys), for flags of the global tokens (batch, tokens)."""
        position = torch.arange(is_global.shape[1])
        near = (position[:, None] - position[None, :]).abs() <= self.window
        return near | is_global[:, :, None] | is_global[:, None, :]

    def forward(self, ids: Tensor, is_global: Tensor) -> Tensor:
        """`ids` (batch, tokens) and flags of the global ones to (batch, tokens, dim)."""
        x, live = self.tokens(ids), self.live(is_global)[:, None]
        for layer in self.layers:
            x = layer(x, live)
        return x


def main(
    length: Annotated[int, typer.Option(help="tokens of a sequence")] = 2048,
    window: Annotated[int, typer.Option(help="tokens that are seen on either side")] = 128,
    globals_: Annotated[int, typer.Option("--globals", help="global tokens, at the beginning")] = 4,
    batch: Annotated[int, typer.Option(help="sequences")] = 1,
    dim: Annotated[int, typer.Option(help="width of a token")] = 256,
    heads: Annotated[int, typer.Option(help="heads of an attention")] = 4,
    layers: Annotated[int, typer.Option(help="layers")] = 2,
) -> None:
    """Compiles a Longformer-style encoder with random weights and compares it with torch."""
    torch.manual_seed(0)
    model = Longformer(dim, heads, layers, window).eval()
    ids = torch.randint(0, 1000, (batch, length))
    is_global = (torch.arange(length) < globals_).expand(batch, length).contiguous()
    demonstrate(f"window {window}, {globals_} global", model, (ids, is_global), model.live(is_global)[0])


if __name__ == "__main__":
    typer.run(main)

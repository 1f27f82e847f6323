"""A Museformer-style decoder of music: each token looks finely at chosen earlier bars, coarsely at all others.

Music repeats itself after 1, 2, 4, 8, .. bars: a token sees every token of these bars, and of each other bar before
one summary, which has looked at the tokens of its bar. `python -m examples.museformer` compiles the model, written as
dense attention with masks, and compares it with torch.
"""

from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from examples.attention_demo import Attention, Mlp, demonstrate

CHOSEN = (0, 1, 2, 4, 8, 12, 16, 24, 32)
"""How many bars back are looked at finely."""


class Layer(nn.Module):
    """Summaries look at their bars, tokens at tokens and summaries; a residual beside each, a norm in front."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.summarize, self.attention, self.mlp = Attention(dim, heads), Attention(dim, heads), Mlp(dim)
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(3)])

    def forward(self, x: Tensor, summaries: Tensor, own: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
        """`x` (batch, tokens, dim), `summaries` (batch, bars, dim); `own` (bars, tokens), `live` (tokens, all)."""
        given = self.norms[0](x)
        summaries = summaries + self.summarize(self.norms[1](summaries), given, own)
        x = x + self.attention(given, torch.cat([given, self.norms[1](summaries)], 1), live)
        return x + self.mlp(self.norms[2](x)), summaries


class Museformer(nn.Module):
    """Embeddings of tokens and of one summary a bar, and layers."""

    def __init__(
        self, bars: int, dim: int = 256, heads: int = 4, layers: int = 2, vocabulary: int = 1000
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, dim)
        self.summaries = nn.Parameter(torch.randn(bars, dim) * 0.1)
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))

    def own(self, bar: Tensor) -> Tensor:
        """Which token each summary sees (bars, tokens): those of its bar."""
        return torch.arange(self.summaries.shape[0])[:, None] == bar[None, :]

    def live(self, bar: Tensor) -> Tensor:
        """What each token sees, of tokens and then of summaries (tokens, tokens + bars); `bar` is increasing."""
        count, position = self.summaries.shape[0], torch.arange(bar.shape[0])
        # A key is a token at a position, or, behind all positions, a summary.
        of_bar = torch.cat([bar, torch.arange(count)])
        at = torch.cat([position, position[-1:].expand(count) + 1])
        back = bar[:, None] - of_bar[None, :]
        chosen = back == CHOSEN[0]
        for bars in CHOSEN[1:]:
            chosen = chosen | (back == bars)
        is_summary = (at > position[-1])[None, :]
        return torch.where(is_summary, (back > 0) & ~chosen, chosen & (at[None, :] <= position[:, None]))

    def forward(self, ids: Tensor, bar: Tensor) -> Tensor:
        """`ids` (batch, tokens) in the bars `bar` (tokens) to (batch, tokens, dim)."""
        x, summaries = self.tokens(ids), self.summaries.expand(ids.shape[0], -1, -1)
        own, live = self.own(bar), self.live(bar)
        for layer in self.layers:
            x, summaries = layer(x, summaries, own, live)
        return x


def main(
    length: Annotated[int, typer.Option(help="tokens of a piece")] = 2048,
    bars: Annotated[int, typer.Option(help="bars of a piece")] = 64,
    batch: Annotated[int, typer.Option(help="pieces")] = 1,
    dim: Annotated[int, typer.Option(help="width of a token")] = 256,
    heads: Annotated[int, typer.Option(help="heads of an attention")] = 4,
    layers: Annotated[int, typer.Option(help="layers")] = 2,
) -> None:
    """Compiles a Museformer-style decoder with random weights and compares it with torch."""
    torch.manual_seed(0)
    model = Museformer(bars, dim, heads, layers).eval()
    ids = torch.randint(0, 1000, (batch, length))
    # Bars hold different numbers of tokens.
    bar = torch.randint(0, bars, (length,)).sort().values
    demonstrate(f"{bars} bars, summaries to the right", model, (ids, bar), model.live(bar))


if __name__ == "__main__":
    typer.run(main)

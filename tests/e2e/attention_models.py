"""Masked attentions, each written as models write them: `forward(q, k, v, *masks)` over (batch, heads, tokens, width)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

WINDOW = 40


class Sdpa(nn.Module):
    """torch's own, with a mask of truth values or of numbers that are added."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=mask)


class Grouped(nn.Module):
    """Several heads of queries share one of keys and values."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        return scaled_dot_product_attention(q, k, v, attn_mask=mask)


class Causal(nn.Module):
    """A query sees what came before."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, is_causal=True)


class Triangle(nn.Module):
    """Causal, by numbers that are added."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        n = q.shape[2]
        mask = torch.full((n, n), -torch.inf, dtype=q.dtype).triu(1)
        return ((q @ k.mT) * q.shape[3] ** -0.5 + mask).softmax(-1) @ v


class Window(nn.Module):
    """Near keys, and global ones, which see all and are seen by all; everything else is lowest."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, everywhere: Tensor) -> Tensor:
        position = torch.arange(q.shape[2])
        near = (position[:, None] - position[None, :]).abs() <= WINDOW
        live = near | everywhere[:, None] | everywhere[None, :]
        scores = (q @ k.mT) * q.shape[3] ** -0.5
        return scores.masked_fill(~live, torch.finfo(q.dtype).min).softmax(-1) @ v


class Documents(nn.Module):
    """Causal inside documents that were packed into one row."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, document: Tensor) -> Tensor:
        position = torch.arange(q.shape[2])
        live = (document[:, :, None] == document[:, None, :]) & (position[:, None] >= position[None, :])
        scores = torch.where(live[:, None], (q @ k.mT) * q.shape[3] ** -0.5, -torch.inf)
        return scores.softmax(-1) @ v


class Keys(nn.Module):
    """A mask of keys in the old style: a lowest number times what is missing."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, live: Tensor) -> Tensor:
        bias = (1.0 - live.to(q.dtype))[:, None, None, :] * torch.finfo(q.dtype).min
        return ((q @ k.mT) * q.shape[3] ** -0.5 + bias).softmax(-1) @ v


class Bars(nn.Module):
    """Tokens in bars, and which bar looks at which."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, bar: Tensor, chosen: Tensor) -> Tensor:
        live = chosen[bar[:, None], bar[None, :]]
        return scaled_dot_product_attention(q, k, v, attn_mask=live)


class PaddedWindow(nn.Module):
    """A window in a padded batch: projections, attention over near keys that are tokens, a projection."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        position = torch.arange(x.shape[1])
        near = (position[:, None] - position[None, :]).abs() <= WINDOW
        live = mask[:, None, None, :] & near
        scores = ((q @ k.mT) * q.shape[3] ** -0.5).masked_fill(~live, torch.finfo(x.dtype).min)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

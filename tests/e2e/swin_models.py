"""Windowed attention over images, as vision transformers with shifted windows have it, with routed experts or without."""

import torch
from torch import Tensor, nn


class WindowAttention(nn.Module):
    """Attention inside of windows of `window` x `window` patches, with a learned bias for each distance."""

    index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.1)
        both = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        place = torch.stack(both).flatten(1)
        distance = place[:, :, None] - place[:, None, :] + window - 1
        self.register_buffer("index", distance[0] * (2 * window - 1) + distance[1], persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(images, windows, tokens, width) to the same; `mask` is added to the scores of each window."""
        b, w, t, c = x.shape
        q, k, v = self.qkv(x).reshape(b, w, t, 3, self.heads, c // self.heads).permute(3, 0, 1, 4, 2, 5)
        scores = q @ k.transpose(-1, -2) * (c // self.heads) ** -0.5
        scores = scores + self.bias[self.index.flatten()].reshape(t, t, self.heads).permute(2, 0, 1)
        if mask is not None:
            scores = scores + mask[:, None]
        return self.out((scores.softmax(-1) @ v).transpose(2, 3).reshape(b, w, t, c))


class Experts(nn.Module):
    """Each token goes to the expert that its router likes best."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, count)
        self.experts = nn.ModuleList(mlp(width) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """(.., width) to the same."""
        best, chosen = self.router(x).softmax(-1).max(-1)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            result = result + expert(x) * (best * (chosen == number))[..., None]
        return result


def mlp(width: int) -> nn.Module:
    """What follows attention."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))


class Block(nn.Module):
    """Attention in windows, which `shift` moves against those of the block before, then a feed-forward part."""

    mask: Tensor | None

    def __init__(self, width: int, window: int, shift: int, size: int, experts: int) -> None:
        super().__init__()
        self.window, self.shift, self.size = window, shift, size
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = WindowAttention(width, 2, window)
        self.feed = Experts(width, experts) if experts else mlp(width)
        self.register_buffer("mask", self.apart() if shift else None, persistent=False)

    def apart(self) -> Tensor:
        """-100 between patches that a shift puts into one window from different ends of the image."""
        region = torch.zeros(self.size, self.size)
        cuts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for i, rows in enumerate(cuts):
            for j, columns in enumerate(cuts):
                region[rows, columns] = 3 * i + j
        windows = self.split(region[None, :, :, None])[0, :, :, 0]
        return torch.where(windows[:, None] != windows[:, :, None], -100.0, 0.0)

    def split(self, x: Tensor) -> Tensor:
        """(images, size, size, width) to (images, windows, tokens, width)."""
        b, h, w, c = x.shape
        n = self.window
        return x.reshape(b, h // n, n, w // n, n, c).transpose(2, 3).reshape(b, -1, n * n, c)

    def join(self, x: Tensor) -> Tensor:
        """What `split` took apart."""
        n, count = self.window, self.size // self.window
        b, _, _, c = x.shape
        return x.reshape(b, count, count, n, n, c).transpose(2, 3).reshape(b, self.size, self.size, c)

    def forward(self, x: Tensor) -> Tensor:
        """(images, size, size, width) to the same."""
        hidden = self.before(x)
        if self.shift:
            hidden = hidden.roll((-self.shift, -self.shift), (1, 2))
        hidden = self.join(self.attention(self.split(hidden), self.mask))
        if self.shift:
            hidden = hidden.roll((self.shift, self.shift), (1, 2))
        x = x + hidden
        return x + self.feed(self.after(x))


class Swin(nn.Module):
    """A classifier of images of 4 * `size` pixels each way; `alive` says which images of the batch there are."""

    def __init__(
        self, size: int = 8, width: int = 16, experts: int = 0, shifts: tuple[int, ...] = (0, 2)
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList(Block(width, 4, shift, size, experts) for shift in shifts)
        self.head = nn.Linear(width, 5)

    def forward(self, images: Tensor, alive: Tensor) -> Tensor:
        """(n, 3, 4 size, 4 size), (n,) to (n, 5)."""
        x = self.patches(images).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2))) * alive[:, None]

"""Masked attention against torch: `python -m bench.attention --length 2048 --density 0.35 --dtype f32`.

A case is a pattern, type and length: `window`, near tokens and global ones; `causal`; `blocks`, those of `--block` on
the diagonal and random ones, together a share `--density`. Masks of positions are made inside our model; that of
blocks is an argument, drawn anew for every call, and its lists are made in every call.

Peers: `torch`, scaled dot product attention with the mask as a tensor; `flex`, FlexAttention, compiled, whose block
mask is made before the clock starts (with `flex_mask` it is part of the time); `dense`, the same compiler without
lists, which looks at all keys and masks.

The floor: the operations on live pairs, or reading q, k, v and writing the result once, whichever takes longer.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from bench.family import Absent, Dtypes, Run, chosen, need, positive, share, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Side
from bench.twins import block_mask, dense_twin

PATTERNS = ("window", "causal", "blocks")
PEERS = ("torch", "flex", "flex_mask", "dense")


class Window(nn.Module):
    """Near keys and the first few, which see all; the mask is made of positions."""

    def __init__(self, width: int, everywhere: int) -> None:
        super().__init__()
        self.width, self.everywhere = width, everywhere

    def live(self, length: int) -> Tensor:
        """Which pairs count (length, length)."""
        position = torch.arange(length)
        first = position < self.everywhere
        near = (position[:, None] - position[None, :]).abs() <= self.width
        return near | first[:, None] | first[None, :]

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=self.live(q.shape[2]))


class Causal(nn.Module):
    """What came before."""

    def live(self, length: int) -> Tensor:
        """Which pairs count (length, length)."""
        return torch.ones(length, length, dtype=torch.bool).tril()

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, is_causal=True)


class Blocks(nn.Module):
    """A mask that is given: those blocks on the diagonal, and random ones: together a share `density`."""

    def __init__(self, density: float, block: int) -> None:
        super().__init__()
        self.density, self.block = density, block

    def live(self, length: int) -> Tensor:
        """Which pairs count (length, length)."""
        diagonal = torch.arange(length) // self.block
        count = length // self.block
        # So many besides the diagonal that the density is that of all.
        share = max(0.0, (self.density * count - 1) / max(1, count - 1))
        random = block_mask((length, length), (self.block, self.block), 1 - share)
        return random | (diagonal[:, None] == diagonal[None])

    def forward(self, q: Tensor, k: Tensor, v: Tensor, live: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=live)


class Flexible:
    """FlexAttention, compiled once; each mask's block mask is made once unless its making `is_timed`."""

    def __init__(self, qkv: tuple[Tensor, ...], live: Tensor, block: int, is_timed: bool) -> None:
        self.block, self.is_timed, self.made = block, is_timed, {}
        self.compiled: Any = torch.compile(flex_attention)
        try:
            self(*qkv, live)
        except (RuntimeError, NotImplementedError, TorchDynamoException) as error:
            raise Absent(f"FlexAttention cannot be compiled here: {str(error).splitlines()[0]}") from None

    def prepare(self, live: Tensor) -> Any:
        """The block mask of `live`."""
        return create_block_mask(
            lambda b, h, q, k: live[q, k], None, None, *live.shape, device="cpu", BLOCK_SIZE=self.block
        )

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, live: Tensor) -> Tensor:
        mask = self.prepare(live) if self.is_timed else self.made.get(id(live)) or self.prepare(live)
        return self.compiled(q, k, v, block_mask=mask)


def measure(run: Run, case: Case, model: nn.Module, qkv: tuple[Tensor, ...], block: int) -> None:
    """Compiles, compares all sides, then times them."""
    batch, heads, length, dim = qkv[0].shape
    fixed = model.live(length)  # type: ignore[operator]
    given = isinstance(model, Blocks)
    inputs = (*qkv, fixed) if given else qkv

    def ours(compiled: Side) -> Side:
        return compiled if given else lambda q, k, v, _: compiled(q, k, v)

    prepared: list[Flexible] = []

    def flexible(is_timed: bool) -> Side:
        made = Flexible(qkv, fixed, block, is_timed)
        if not is_timed:
            prepared.append(made)
        return made

    peers: dict[str, Callable[[], Side]] = {
        "torch": lambda: lambda q, k, v, live: scaled_dot_product_attention(q, k, v, attn_mask=live),
        "flex": partial(flexible, False),
        "flex_mask": partial(flexible, True),
        "dense": lambda: ours(dense_twin(model, inputs)),
    }
    sides = {OURS: ours(run.compile(model, inputs))} | run.others(peers)

    def fresh() -> tuple[Tensor, ...]:
        live = model.live(length) if given else fixed  # type: ignore[operator]
        for side in prepared:
            side.made = {id(live): side.prepare(live)}
        return (*qkv, live)

    def floor(q: Tensor, k: Tensor, v: Tensor, live: Tensor) -> float:
        pairs = 4.0 * int(live.sum()) * batch * heads * dim
        return max(limits().compute_ms(pairs, case.dtype, run.threads), limits().read_ms(4 * q.nbytes))

    def exact(q: Tensor, k: Tensor, v: Tensor, live: Tensor) -> Tensor:
        return scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=live)

    run.measure(case, sides, fresh, exact, floor=floor)


def main(
    run: Run,
    length: Annotated[list[int], typer.Option(help="Tokens. Repeat for more.")] = [2048],
    pattern: Annotated[list[str], typer.Option(help=f"{', '.join(PATTERNS)}. Repeat for more.")] = list(
        PATTERNS
    ),
    dtype: Dtypes = ["f32"],
    density: Annotated[
        list[float], typer.Option(help="Share of random blocks that live. Repeat for more.")
    ] = [0.35],
    block: Annotated[int, typer.Option(help="Side of a block.")] = 128,
    window: Annotated[int, typer.Option(help="Tokens that are seen on either side.")] = 128,
    globals_: Annotated[int, typer.Option("--globals", help="Global tokens.")] = 4,
    batch: Annotated[int, typer.Option(help="Sequences.")] = 1,
    heads: Annotated[int, typer.Option(help="Heads.")] = 8,
    dim: Annotated[int, typer.Option(help="Width of a head.")] = 64,
) -> None:
    """Measures every combination of what is given."""
    positive([*length, block, batch, heads, dim], "--length, --block, --batch, --heads, --dim")
    chosen(pattern, PATTERNS, "--pattern")
    need(min(window, globals_) >= 0, "--window, --globals", "at least 0")
    models: list[tuple[str, nn.Module]] = []
    for name in pattern:
        if name == "blocks":
            models += [(name, Blocks(share(value, "--density"), block)) for value in density]
            for tokens in length:
                need(tokens % block == 0, f"--block {block}", f"a divisor of --length {tokens}")
        else:
            models.append((name, Causal() if name == "causal" else Window(window, globals_)))
    cases = [
        (named, tokens, type_)
        for type_ in chosen(dtype, list(DTYPES), "--dtype")
        for tokens in length
        for named in models
    ]

    def case(problem: tuple[tuple[str, nn.Module], int, str]) -> Case:
        (name, model), tokens, type_ = problem
        live = float(model.live(tokens).float().mean())  # type: ignore[operator]
        granularity = f"{block}x{block}" if name == "blocks" else None
        return Case(
            f"attention {name}", f"{batch}x{heads}x{tokens}x{dim}", type_, round(1 - live, 3), granularity
        )

    for problem in run.each(cases, lambda problem: problem[0][0]):
        (_, model), tokens, type_ = problem
        qkv = tuple(torch.randn(batch, heads, tokens, dim).to(DTYPES[type_]) for _ in range(3))
        named = case(problem)
        run.attempt(named, lambda named=named, model=model, qkv=qkv: measure(run, named, model, qkv, block))


if __name__ == "__main__":
    start(main, "attention", "masked attention", PEERS, ("torch", "flex"))

"""Masked attention against torch: `python -m bench.attention --length 2048 --density 0.35 --dtype f32`.

Sides: the compiled model; the same model by this compiler without lists, which looks at all keys and masks; torch's
scaled dot product attention with the mask as a tensor; FlexAttention, compiled, where this machine can. A case is a
pattern (a window with global tokens, causal, random blocks of 128 by 128), type and length. The mask is made inside our
model and given to torch, whose block mask is not timed either; ours lists its blocks in every call. The floor is what
the live pairs cost at least.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

import pit_mlir as pit
from bench.before import Row, interleaved, relative_error, show, write
from bench.twins import block_mask, dense_twin

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
GFLOPS_OF_CORE = {"f32": 117.0, "bf16": 117.0}
"""What a core multiplies a second, as measured on the machine the figures are from; bf16 is computed in f32."""
PATTERNS = ("window", "causal", "blocks")
BLOCK = 128


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
    """A mask that is given: random blocks, a share `density` of them, and those on the diagonal."""

    def __init__(self, density: float) -> None:
        super().__init__()
        self.density = density

    def live(self, length: int) -> Tensor:
        """Which pairs count (length, length)."""
        diagonal = torch.arange(length) // BLOCK
        return block_mask((length, length), (BLOCK, BLOCK), 1 - self.density) | (
            diagonal[:, None] == diagonal[None]
        )

    def forward(self, q: Tensor, k: Tensor, v: Tensor, live: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=live)


def flexible(qkv: tuple[Tensor, Tensor, Tensor], live: Tensor) -> Callable[[], Tensor] | None:
    """FlexAttention with the same mask; None, and a note, where it cannot be compiled."""
    mask = create_block_mask(
        lambda b, h, q, k: live[q, k], None, None, *live.shape, device="cpu", BLOCK_SIZE=BLOCK
    )
    compiled = torch.compile(flex_attention)
    try:
        compiled(*qkv, block_mask=mask)
    except (RuntimeError, NotImplementedError, TorchDynamoException) as error:
        print(f"no FlexAttention here: {str(error).splitlines()[0]}", file=sys.stderr)
        return None
    return lambda: compiled(*qkv, block_mask=mask)


def measure(model: nn.Module, name: str, qkv: tuple[Tensor, Tensor, Tensor], rounds: int, flex: bool) -> Row:
    """Compiles, compares all sides, then times them."""
    batch, heads, length, dim = qkv[0].shape
    live = model.live(length)  # type: ignore[operator]
    inputs = (*qkv, live) if isinstance(model, Blocks) else qkv
    sides: dict[str, Callable[[], Tensor]] = {
        "pit": partial(pit.compile(model, inputs), *inputs),
        "dense": partial(dense_twin(model, inputs), *inputs),
        "torch": partial(scaled_dot_product_attention, *qkv, attn_mask=live),
    }
    other = flexible(qkv, live) if flex else None
    if other is not None:
        sides["flex"] = other
    exact = scaled_dot_product_attention(*(x.double() for x in qkv), attn_mask=live)
    errors = {side: relative_error(run(), exact) for side, run in sides.items()}
    for side, error in errors.items():
        assert error < (1e-4 if qkv[0].dtype == torch.float32 else 5e-2), (
            f"{name}: {side} is wrong by {error}"
        )
    pairs = int(live.sum()) * batch * heads
    type_ = next(name for name, dtype in DTYPES.items() if dtype == qkv[0].dtype)
    floor = 4e3 * pairs * dim / (GFLOPS_OF_CORE[type_] * 1e9 * torch.get_num_threads())
    return Row(name, errors["pit"], interleaved(sides, rounds), floor)


def main(
    length: Annotated[list[int] | None, typer.Option(help="Tokens; repeat for more.")] = None,
    window: Annotated[int, typer.Option(help="Tokens that are seen on either side.")] = 128,
    globals_: Annotated[int, typer.Option("--globals", help="Global tokens.")] = 4,
    density: Annotated[float, typer.Option(help="Share of random blocks that are live.")] = 0.35,
    batch: int = 1,
    heads: int = 8,
    dim: Annotated[int, typer.Option(help="Width of a head.")] = 64,
    dtype: Annotated[list[str] | None, typer.Option(help=f"{', '.join(DTYPES)}; repeat for more.")] = None,
    pattern: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(PATTERNS)}; repeat for more.")
    ] = None,
    flex: Annotated[bool, typer.Option(help="Compile FlexAttention too.")] = True,
    threads: int = 2,
    rounds: int = 9,
    output: Annotated[Path | None, typer.Option(help="Write the rows as JSON.")] = None,
) -> None:
    """Measures every combination of what is given."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    models: dict[str, nn.Module] = {
        "window": Window(window, globals_),
        "causal": Causal(),
        "blocks": Blocks(density),
    }
    rows: list[Row] = []
    for type_ in dtype or ["f32"]:
        for tokens in length or [2048]:
            q, k, v = (torch.randn(batch, heads, tokens, dim).to(DTYPES[type_]) for _ in range(3))
            for name in pattern or PATTERNS:
                rows.append(measure(models[name], f"{name} {type_} {tokens}", (q, k, v), rounds, flex))
    show("attention", rows)
    if output is not None:
        write(output, rows)


if __name__ == "__main__":
    typer.run(main)

"""Row-wise and element-wise chains: `python -m bench.elementwise --rows 4096 --columns 1024 --chain softmax`.

Norms, softmaxes and activations as models write them, vectors of the columns being weights.

Peers: `torch`, eager: its softmax and norms are kernels of their own, and of a chain each operation is one.

The floor: the bytes of each operand, read once, and of the result.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from bench.family import Dtypes, Run, chosen, positive, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Side


def layer_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """torch's layer norm."""
    return functional.layer_norm(x, scale.shape, scale, shift)


def rms_norm(x: Tensor, scale: Tensor) -> Tensor:
    """The norm of Llama, as `transformers` writes it."""
    wide = x.float()
    return scale * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def residual_norm(x: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """A residual and the norm behind it."""
    return functional.layer_norm(x + y, scale.shape, scale, shift)


def softmax(x: Tensor) -> Tensor:
    """Over the rows."""
    return torch.softmax(x, -1)


def masked_softmax(x: Tensor, mask: Tensor) -> Tensor:
    """Over what a mask leaves of each row, scaled."""
    return torch.softmax((x * 0.125).masked_fill(~mask, float("-inf")), -1)


def log_softmax(x: Tensor) -> Tensor:
    """Over the rows."""
    return torch.log_softmax(x, -1)


def gelu(x: Tensor) -> Tensor:
    """With the error function."""
    return functional.gelu(x)


def gelu_tanh(x: Tensor) -> Tensor:
    """With its approximation."""
    return functional.gelu(x, approximate="tanh")


def swiglu(x: Tensor, y: Tensor) -> Tensor:
    """The gate of Llama."""
    return functional.silu(x) * y


def rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Positions turned into rows, as `transformers` does it: halves swapped, the first one negated."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


CHAINS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "layer_norm": (layer_norm, "mvv"),
    "rms_norm": (rms_norm, "mv"),
    "residual_norm": (residual_norm, "mmvv"),
    "softmax": (softmax, "m"),
    "masked_softmax": (masked_softmax, "mb"),
    "log_softmax": (log_softmax, "m"),
    "gelu": (gelu, "m"),
    "gelu_tanh": (gelu_tanh, "m"),
    "swiglu": (swiglu, "mm"),
    "rotary": (rotary, "mmm"),
}
"""Each chain with its operands: m is a matrix, v a vector of the columns, b a matrix of truth values."""


class Chain(nn.Module):
    """A function as a module: vectors of the columns are its weights."""

    def __init__(self, function: Callable[..., Tensor], vectors: Sequence[Tensor]) -> None:
        super().__init__()
        self.function = function
        self.vectors = nn.ParameterList(vectors)

    def forward(self, *matrices: Tensor) -> Tensor:
        return self.function(*matrices, *self.vectors)


def operand(kind: str, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Random values for one letter of `CHAINS`."""
    if kind == "b":
        return torch.rand(rows, columns) < 0.5
    return torch.randn(*((columns,) if kind == "v" else (rows, columns))).to(dtype)


def measure(run: Run, name: str, dtype: str, rows: int, columns: int) -> None:
    """Compiles, compares with torch in f64, then times both."""
    function, kinds = CHAINS[name]

    def fresh() -> tuple[Tensor, ...]:
        return tuple(operand(kind, rows, columns, DTYPES[dtype]) for kind in kinds if kind != "v")

    vectors = [operand(kind, rows, columns, DTYPES[dtype]) for kind in kinds if kind == "v"]
    chain, matrices = Chain(function, vectors).eval(), fresh()

    def exact(*given: Tensor) -> Tensor:
        return function(*(x.double() if x.is_floating_point() else x for x in (*given, *vectors)))

    size = sum(x.numel() * x.element_size() for x in (*matrices, *vectors))
    size += rows * columns * DTYPES[dtype].itemsize
    sides: dict[str, Side] = {OURS: run.compile(chain, matrices)}
    sides |= run.others({"torch": lambda: chain})
    run.measure(Case(name, f"{rows}x{columns}", dtype), sides, fresh, exact, floor=limits().read_ms(size))


def main(
    run: Run,
    rows: Annotated[list[int], typer.Option(help="Repeat for more.")] = [4096],
    columns: Annotated[list[int], typer.Option(help="Repeat for more.")] = [1024],
    dtype: Dtypes = ["f32", "bf16"],
    chain: Annotated[list[str], typer.Option(help=f"{', '.join(CHAINS)}. Repeat for more.")] = list(CHAINS),
) -> None:
    """Measures all combinations."""
    positive([*rows, *columns], "--rows, --columns")
    kinds = itertools.product(
        chosen(dtype, list(DTYPES), "--dtype"), rows, columns, chosen(chain, list(CHAINS), "--chain")
    )
    for type_, height, width, name in run.each(list(kinds), lambda kind: " ".join(map(str, kind))):
        run.attempt(f"{name} {type_}", partial(measure, run, name, type_, height, width))


if __name__ == "__main__":
    start(main, "elementwise", "row-wise and element-wise chains", ("torch",))

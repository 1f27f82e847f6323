"""Products of matrices, dense or with one side sparse: `python -m bench.matmul --granularity 32x1 --zeros 0.9`.

A (m, k) times B (k, n). The sparse side's zeros are drawn anew for every call, in whole blocks of the granularity
(rows x columns of that side, as it stands in the formula). With `--declare mark` its values hold the zeros and
`pit.mark` says so; with `--declare mask` the model multiplies by a mask that it is given, in all sides. With
`--sparse none` nothing is sparse, and `--size 1024` is short for `--sparse none --shape 1024x1024x1024`.

B is (n, k) as nn.Linear keeps it, or (k, n); read live in every call, or a frozen weight. `index ms` is what listing
the live parts alone takes, which is part of ours.

Peers: `torch`, dense; `dense`, the same compiler without lists; `csr`, `bsr`: torch's sparse formats, the conversion
included; `gather`: what one writes by hand, nonzero, index_select and a product for each block of rows (or of
columns).

The floor: reading the sparse side once, and the operations on what is live in rows of 8, at the limits of the
machine; dense: the operations, or the bytes of all three, whichever takes longer.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir
from bench.family import (
    Absent,
    Dtypes,
    Granularities,
    Mistake,
    Run,
    Zeros,
    block_of,
    chosen,
    need,
    positive,
    share,
    sides_of,
    start,
)
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Side
from bench.twins import block_mask, dense_twin, index_of

PEERS = ("torch", "dense", "csr", "bsr", "gather")
GRID = ["32x1", "1x64", "32x64", "1x1"]
TILE = 8
"""Rows that a kernel takes at a time: finer zeros are skipped where all 8 are zero."""


class Product(nn.Module):
    """A times B, of which `sparse` ("a", "b", "none") is marked, or times a mask if `masked`; B is (n, k) if `nk`."""

    def __init__(self, weight: Tensor | None, *, sparse: str, masked: bool, nk: bool) -> None:
        super().__init__()
        self.weight = None if weight is None else nn.Parameter(weight)
        self.sparse, self.masked, self.nk = sparse, masked, nk

    def forward(self, a: Tensor, b: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        b = self.weight if b is None else b
        assert b is not None
        if self.sparse == "a":
            a = a * mask if self.masked else pit_mlir.mark(a)
        elif self.sparse == "b":
            b = b * mask if self.masked else pit_mlir.mark(b)
        return functional.linear(a, b) if self.nk else a @ b


@dataclass(frozen=True)
class Problem:
    """One product: everything but the share of zeros and their granularity."""

    m: int
    k: int
    n: int
    dtype: str
    layout: str
    sparse: str
    declare: str
    weight: str

    @property
    def nk(self) -> bool:
        """Whether B lies as nn.Linear keeps it."""
        return self.layout == "nk"

    @property
    def masked(self) -> bool:
        """Whether the model multiplies by a mask."""
        return self.declare == "mask" and self.sparse != "none"

    @property
    def sparse_shape(self) -> tuple[int, int]:
        """Rows and columns of the sparse side in the formula."""
        return (self.m, self.k) if self.sparse == "a" else (self.k, self.n)

    def __str__(self) -> str:
        return f"{self.m}x{self.k}x{self.n} {self.dtype} {self.layout}"

    def name(self) -> str:
        """The case's name in results."""
        words = ["dense" if self.sparse == "none" else f"sparse {self.sparse}", self.layout, self.weight]
        return " ".join(words + (["mask"] if self.masked else []))


class Inputs:
    """The arguments of calls: values stay, zeros are new each time."""

    def __init__(self, problem: Problem) -> None:
        type_ = DTYPES[problem.dtype]
        shape = (problem.n, problem.k) if problem.nk else (problem.k, problem.n)
        self.problem = problem
        self.a = torch.randn(problem.m, problem.k).to(type_)
        self.b = (torch.randn(shape) * problem.k**-0.5).to(type_)

    def fresh(self, block: tuple[int, int], zeros: float) -> tuple[Tensor, ...]:
        """a, b (if it is not a weight), and the mask (if the model is given one)."""
        p, a, b = self.problem, self.a, self.b
        if p.sparse == "none":
            return (a,) if p.weight == "frozen" else (a, b)
        mask = block_mask(p.sparse_shape, block, zeros)
        if p.sparse == "b" and p.nk:
            mask = mask.T.contiguous()
        mask = mask.to(a.dtype)
        if p.masked:
            return (a, mask) if p.weight == "frozen" else (a, b, mask)
        a, b = (a * mask, b) if p.sparse == "a" else (a, b * mask)
        return (a,) if p.weight == "frozen" else (a, b)


class Products:
    """One problem, compiled, with its peers."""

    def __init__(self, run: Run, problem: Problem, wants_dense: bool) -> None:
        self.run, self.problem, self.inputs = run, problem, Inputs(problem)
        frozen = problem.weight == "frozen"
        weight = self.inputs.b if frozen else None
        self.model = Product(weight, sparse=problem.sparse, masked=problem.masked, nk=problem.nk).eval()
        options = pit_mlir.CompileOptions(freeze=frozen)
        example = self.call(self.inputs.fresh((1, 1), 0.5))
        self.ours = run.compile(self.model, example, options=options)
        self.dense = dense_twin(self.model, example, options) if wants_dense else None

    def call(self, args: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        """`args` as the model takes them: a frozen weight stands aside for the mask."""
        return (args[0], None, args[1]) if self.problem.weight == "frozen" and len(args) > 1 else args

    def matrices(self, *args: Tensor) -> tuple[Tensor, Tensor]:
        """A (m, k) and B (k, n) of a call, masked."""
        p = self.problem
        a, rest = args[0], args[1:]
        b = self.inputs.b if p.weight == "frozen" else rest[0]
        if p.masked:
            a, b = (a * rest[-1], b) if p.sparse == "a" else (a, b * rest[-1])
        return a, b.T if p.nk else b

    def exact(self, *args: Tensor) -> Tensor:
        """The result in f64."""
        a, b = self.matrices(*args)
        return a.double() @ b.double()

    def through(self, run: Side) -> Side:
        """`run`, a function of the model's arguments, as one of a call's."""
        return run if self.problem.weight == "live" else lambda *args: run(*self.call(args))

    def peers(self, block: tuple[int, int]) -> dict[str, Callable[[], Side]]:
        """What is compared, made when it is asked for."""
        return {
            "torch": lambda: self.through(self.model),
            "dense": lambda: self.through(self.twin()),
            "csr": partial(self.compressed, block, "csr"),
            "bsr": partial(self.compressed, block, "bsr"),
            "gather": partial(self.gather, block),
        }

    def twin(self) -> Side:
        """The dense twin."""
        if self.problem.sparse == "none" or self.dense is None:
            raise Absent("the same as ours where nothing is sparse")
        return self.dense

    def compressed(self, block: tuple[int, int], kind: str) -> Side:
        """torch's formats."""
        p = self.problem
        if p.sparse != "a":
            raise Absent("takes part with --sparse a")
        if p.dtype not in ("f32", "f64"):
            raise Absent("takes part in f32 and f64")
        if kind == "csr":
            return lambda *args: self.matrices(*args)[0].to_sparse_csr() @ self.matrices(*args)[1]
        if block[0] != block[1] or block[0] == 1:
            raise Absent("takes part with square blocks, such as 32x32")
        return lambda *args: self.matrices(*args)[0].to_sparse_bsr(block) @ self.matrices(*args)[1]

    def gather(self, block: tuple[int, int]) -> Side:
        """By hand: one gather and product for each block of rows, or of columns where these are wider."""
        p = self.problem
        if p.sparse != "a":
            raise Absent("takes part with --sparse a")
        high, wide = block
        if max(high, wide) < 16:
            raise Absent(
                "takes part with blocks of 16 or more: below, there is no gathering by hand that pays"
            )
        return lambda *args: gathered(*self.matrices(*args), block)

    def index(self, block: tuple[int, int]) -> Callable[..., Callable[[], object]] | None:
        """What lists the live parts of the sparse side, as by rows or columns of its blocks."""
        p = self.problem
        if p.sparse == "none":
            return None
        example = self.inputs.fresh(block, 0.5)
        place = -1 if p.masked or p.sparse == "b" else 0
        transposed = p.sparse == "b" and p.nk
        segments = block[1] if transposed else block[0]
        listed = index_of(self.run, example[place], segment=0, axis=1, block=max(segments, TILE))
        return lambda *args: partial(listed, args[place])

    def floor(self, block: tuple[int, int], zeros: float, threads: int) -> float:
        """Milliseconds that bytes and operations need at least."""
        p, machine = self.problem, limits()
        size = self.inputs.a.element_size()
        flops = 2.0 * p.m * p.k * p.n
        compute = machine.compute_ms(flops, p.dtype, threads)
        if p.sparse == "none":
            frozen = p.weight == "frozen"
            weight = (machine.packed_ms if frozen else machine.read_ms)(p.k * p.n * size)
            return max(compute, weight + machine.read_ms((p.m * p.k + p.m * p.n) * size))
        rows, columns = p.sparse_shape
        live = 1 - zeros ** (1.0 if max(block) >= TILE else TILE / block[0])
        return machine.read_ms(rows * columns * size) + live * compute


def gathered(a: Tensor, b: Tensor, block: tuple[int, int]) -> Tensor:
    """A times B over the live columns of blocks of rows, or the live rows of blocks of columns."""
    high, wide = block
    if high >= wide or high >= 16:
        out = a.new_empty(a.shape[0], b.shape[1])
        for start_ in range(0, a.shape[0], high):
            rows = a[start_ : start_ + high]
            live = rows.any(0).nonzero()[:, 0]
            torch.mm(rows.index_select(1, live), b.index_select(0, live), out=out[start_ : start_ + high])
        return out
    out = a.new_zeros(a.shape[0], b.shape[1])
    for start_ in range(0, a.shape[1], wide):
        columns = a[:, start_ : start_ + wide]
        live = columns.any(1).nonzero()[:, 0]
        out.index_add_(0, live, columns.index_select(0, live) @ b[start_ : start_ + wide])
    return out


def check(problem: Problem, block: tuple[int, int], text: str) -> None:
    """A block must divide the sparse side."""
    for side, length, name in zip(
        block, problem.sparse_shape, "mk" if problem.sparse == "a" else "kn", strict=True
    ):
        need(length % side == 0, f"--granularity {text}", f"{side} to divide {name} = {length}")


def problems(
    shapes: list[tuple[int, ...]],
    dtype: list[str],
    layout: list[str],
    sparse: str,
    declare: str,
    weight: list[str],
) -> list[Problem]:
    """All combinations."""
    found = [
        Problem(*shape, type_, lies, sparse, declare, kept)  # type: ignore[misc]
        for shape, type_, lies, kept in itertools.product(shapes, dtype, layout, weight)
    ]
    if sparse == "b" and "frozen" in weight and declare == "mark":
        raise Mistake(
            "--weight frozen --sparse b: expected --declare mask: frozen weights have the same zeros always"
        )
    return found


def main(
    run: Run,
    shape: Annotated[list[str], typer.Option(help="m x k x n. Repeat for more.")] = ["4096x4096x512"],
    size: Annotated[
        list[int], typer.Option(help="A dense square product of this side. Repeat for more.")
    ] = [],
    dtype: Dtypes = ["f32"],
    granularity: Granularities = GRID,
    zeros: Zeros = [0.0, 0.5, 0.9, 0.95, 0.99],
    sparse: Annotated[str, typer.Option(help="The sparse side: a, b, none.")] = "a",
    declare: Annotated[str, typer.Option(help="How zeros come: mark, mask.")] = "mark",
    layout: Annotated[list[str], typer.Option(help="How B lies: nk (nn.Linear), kn. Repeat for more.")] = [
        "nk"
    ],
    weight: Annotated[list[str], typer.Option(help="B is read live, or frozen. Repeat for more.")] = ["live"],
) -> None:
    """Measures all combinations."""
    shapes = [sides_of(text, 3, "--shape") for text in shape]
    if size:
        shapes, sparse = [(side,) * 3 for side in positive(size, "--size")], "none"
    chosen([sparse], ("a", "b", "none"), "--sparse")
    chosen([declare], ("mark", "mask"), "--declare")
    chosen(layout, ("nk", "kn"), "--layout")
    chosen(weight, ("live", "frozen"), "--weight")
    found = problems(shapes, chosen(dtype, list(DTYPES), "--dtype"), layout, sparse, declare, weight)
    patterns = [("", 0.0)]
    if sparse != "none":
        patterns = list(itertools.product(granularity, (share(value, "--zeros") for value in zeros)))
        for problem, text in itertools.product(found, granularity):
            check(problem, block_of(text), text)

    def compiled(problem: Problem) -> None:
        wants_dense = "dense" in run.peers and sparse != "none" and run.programs.has_compiler
        products = Products(run, problem, wants_dense)
        for text, value in patterns:
            run.attempt(f"{problem} {text} {value}", lambda t=text, v=value: measure(run, products, t, v))

    for problem in run.each(found):
        run.attempt(problem, lambda problem=problem: compiled(problem))


def measure(run: Run, products: Products, text: str, zeros: float) -> None:
    """One row."""
    p = products.problem
    block = block_of(text) if text else (1, 1)
    sides = {OURS: products.through(products.ours)} | run.others(products.peers(block))
    shape = f"{p.m}x{p.k}x{p.n}"
    run.measure(
        Case(p.name(), shape, p.dtype, zeros if text else None, text or None),
        sides,
        partial(products.inputs.fresh, block, zeros),
        products.exact,
        index=products.index(block),
        floor=products.floor(block, zeros, run.threads),
    )


if __name__ == "__main__":
    start(main, "matmul", "products of matrices", PEERS, ("torch",))

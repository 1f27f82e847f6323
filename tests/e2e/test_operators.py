"""Operators against torch: each group of `operator_cases` in one program, unsupported ones by their error."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import operator_cases
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_cases import CASES
from operator_inputs import Case
from targets import small
from torch import Tensor, nn
from torch.utils import _pytree

import pit_mlir as pit

pytestmark = pytest.mark.usefixtures("inference")


UNSUPPORTED = {
    "unary/erfc": "aten.erfc",
    "unary/signbit": "aten.signbit",
    "binary/hypot": "aten.hypot",
    "binary/copysign": "aten.copysign",
    "reductions/cummax": "aten.cummax",
    "gathers/embedding_bag": "aten.embedding_bag",
    "gathers/x[mask]": "aten.index.Tensor gives a tensor whose size depends on the data",
    "gathers/nonzero": "aten.nonzero.*size depends on the data",
    "gathers/masked_select": "aten.masked_select.*size depends on the data",
    "gathers/searchsorted": "aten.searchsorted",
    "gathers/bincount": "aten.bincount.*size depends on the data",
    "scatters/diagonal_scatter": "aten.diagonal_scatter",
    "sorts/median": "aten.median",
    "models/fft": "aten.fft_rfft",
    "scalars/index": "aten.select.int",
}
"""Cases that are a `PitError`, and what its message says."""

ONLY_STATIC = {"movement/as_strided": "as_strided"}
"""Cases that need static shapes, and what the message says with dynamic ones."""


class Program(nn.Module):
    """The answers of several functions, each on its own share of the inputs."""

    def __init__(self, functions: list[tuple[Callable[..., Any], int]]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, *inputs: Tensor) -> list[Any]:
        rest = iter(inputs)
        return [function(*itertools.islice(rest, count)) for function, count in self.functions]


def exact(function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> list[Any]:
    """The answer in f64, for f32; else torch's own."""
    wide = [x.double() if x.dtype is torch.float32 else x for x in inputs]
    return _pytree.tree_leaves(function(*wide))


def agree(answer: Any, function: Callable[..., Any], inputs: tuple[Tensor, ...], tolerance: float) -> None:
    """Types and shapes are torch's, values within `tolerance` of the largest magnitude of the exact ones."""
    given, like = _pytree.tree_leaves(answer), _pytree.tree_leaves(function(*inputs))
    for value, expected, precise in zip(given, like, exact(function, inputs), strict=True):
        assert value.dtype is expected.dtype and value.shape == expected.shape
        if not expected.is_floating_point():
            torch.testing.assert_close(value, expected, rtol=0, atol=0)
            continue
        finite = precise[precise.isfinite()].double()
        scale = max(1.0, finite.abs().max().item()) if finite.numel() else 1.0
        torch.testing.assert_close(
            value.double(), precise.double(), rtol=tolerance, atol=tolerance * scale, equal_nan=True
        )


def check(cases: dict[str, Case], *, dynamic: bool = False) -> None:
    """Compiles all `cases` as one program and compares the answer of each."""
    inputs = [case.inputs() for case in cases.values()]
    program = Program([(c.function, len(i)) for c, i in zip(cases.values(), inputs, strict=True)]).eval()
    flat = tuple(x for group in inputs for x in group)
    shapes = (tuple(dict.fromkeys(range(x.dim()), torch.export.Dim.AUTO) for x in flat),) if dynamic else None
    answers = pit.compile(program, flat, dynamic_shapes=shapes)(*flat)
    for (name, case), answer, own in zip(cases.items(), answers, inputs, strict=True):
        try:
            agree(answer, case.function, own, case.tolerance)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


@pytest.mark.parametrize("group", small(list(CASES), [group for group in CASES if group != "float16"]))
def test_operators(group: str) -> None:
    check({name: case for name, case in CASES[group].items() if f"{group}/{name}" not in UNSUPPORTED})


DYNAMIC = small(
    ["reductions", "norms", "movement", "gathers", "scatters", "sorts"], ["reductions", "scatters"]
)
"""Groups whose sizes are dynamic too. Tracing takes its time, whatever the target is."""


@pytest.mark.parametrize("group", DYNAMIC)
def test_dynamic_shapes(group: str) -> None:
    skipped = UNSUPPORTED.keys() | ONLY_STATIC.keys()
    check({n: case for n, case in CASES[group].items() if f"{group}/{n}" not in skipped}, dynamic=True)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_operators_name_their_line(name: str) -> None:
    group, _, case_name = name.partition("/")
    case = CASES[group][case_name]
    inputs = case.inputs()
    with pytest.raises(pit.UnsupportedError, match=UNSUPPORTED[name]) as raised:
        pit.compile(Program([(case.function, len(inputs))]).eval(), inputs)
    assert re.search(r"test_operators\.py:\d+", str(raised.value))


@pytest.mark.parametrize("name", ONLY_STATIC)
def test_operators_that_need_static_shapes_name_their_line(name: str) -> None:
    group, _, case_name = name.partition("/")
    with pytest.raises(pit.UnsupportedError, match=ONLY_STATIC[name]) as raised:
        check({case_name: CASES[group][case_name]}, dynamic=True)
    assert re.search(r"test_operators\.py:\d+", str(raised.value))


class Layers(nn.Module):
    """What a batch goes through when its sizes vary."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 33), nn.Linear(33, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = x + self.down(torch.relu(self.up(self.norm(x))))
        attended = nn.functional.scaled_dot_product_attention(y, y, y, is_causal=True)
        return attended, y.cumsum(1), torch.cat([x, y], 1)[:, ::2], y.flatten(0, 1), y.sum((0, 1))


def test_sizes_of_dynamic_shapes() -> None:
    model = Layers().eval()
    sizes = ({0: torch.export.Dim("b", min=0, max=64), 1: torch.export.Dim("t", min=0, max=64)},)
    fast = pit.compile(model, (torch.randn(3, 5, 8),), dynamic_shapes=sizes)
    for shape in ((1, 1, 8), (7, 33, 8), (33, 7, 8), (0, 5, 8), (3, 0, 8), (2, 1, 8)):
        x = torch.randn(shape)
        for given_, expected in zip(fast(x), model(x), strict=True):
            torch.testing.assert_close(given_, expected, rtol=1e-4, atol=1e-4)


DIVISIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "//": lambda x, y: x // y,
    "%": lambda x, y: x % y,
    "fmod": torch.fmod,
    "trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
}


@pytest.mark.parametrize("division", DIVISIONS.values(), ids=DIVISIONS.keys())
def test_division_of_integers_never_traps(division: Callable[[Tensor, Tensor], Tensor]) -> None:
    lowest = torch.iinfo(torch.int64).min
    fine = (torch.tensor([7, -7, 0]), torch.tensor([2, 2, -3]))
    fast = pit.compile(Program([(division, 2)]).eval(), fine)
    assert torch.equal(fast(*fine)[0], division(*fine))
    fast(torch.tensor([lowest, lowest, 5]), torch.tensor([-1, 1, -1]))
    with pytest.raises(pit.InputError, match="division by zero"):
        fast(torch.tensor([7, 0, 1]), torch.tensor([0, 0, 1]))


INDEXING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "embedding": lambda i, x: nn.functional.embedding(i, x),
    "index_select": lambda i, x: x.index_select(0, i),
    "x[i]": lambda i, x: x[i],
    "x[:, i]": lambda i, x: x.t()[:, i],
    "gather": lambda i, x: x.gather(0, i[:, None]),
    "scatter_add": lambda i, x: x.scatter_add(0, i[:, None].expand(3, 4), torch.ones(3, 4)),
    "index_add": lambda i, x: x.index_add(0, i, torch.ones(3, 4)),
    "index_put": lambda i, x: x.index_put((i,), torch.ones(3, 4)),
    "one_hot": lambda i, x: nn.functional.one_hot(i, 5) + x[:3, :1],
}


@pytest.mark.parametrize("operator", INDEXING.values(), ids=INDEXING.keys())
def test_indices_out_of_range_never_crash(operator: Callable[[Tensor, Tensor], Tensor]) -> None:
    x = torch.randn(5, 4)
    fast = pit.compile(Program([(operator, 2)]).eval(), (torch.tensor([0, 4, 2]), x))
    torch.testing.assert_close(fast(torch.tensor([4, 3, 0]), x)[0], operator(torch.tensor([4, 3, 0]), x))
    for bad in (5, 10**9, -(10**9)):
        try:
            fast(torch.tensor([0, bad, 2]), x)
        except pit.InputError as error:
            assert "operators.py" in str(error)


class Outputs(nn.Module):
    """Outputs that are inputs, come twice, are views of inputs, or constants; a buffer that is not persistent."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(7.0), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        total = x + y + self.table
        return {
            "input": x,
            "twice": (total, total),
            "view": x.view(7, 3),
            "slice": x[1:],
            "transposed": y.t(),
            "constant": torch.ones(2, 3),
            "table": self.table,
            "product": total * 2,
            "number": 3,
        }


def test_outputs() -> None:
    model, inputs = Outputs().eval(), (torch.randn(3, 7), torch.randn(3, 7))
    given_, expected = pit.compile(model, inputs)(*inputs), model(*inputs)
    assert given_.keys() == expected.keys()
    for value, wanted in zip(_pytree.tree_leaves(given_), _pytree.tree_leaves(expected), strict=True):
        assert value == wanted if isinstance(wanted, int) else torch.allclose(value, wanted)


class Mutating(nn.Module):
    """Counts its calls in a buffer and writes into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x.mul_(2)
        return x + self.calls


def test_mutated_inputs_and_buffers() -> None:
    model, twin = Mutating().eval(), Mutating().eval()
    x = torch.randn(3, 7)
    fast = pit.compile(model, (x.clone(),))
    for _ in range(2):
        mine, theirs = x.clone(), x.clone()
        torch.testing.assert_close(fast(mine), twin(theirs))
        torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(model.calls, twin.calls)


STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": nn.functional.gelu,
    "softmax": lambda x: x.softmax(-1),
    "norm": lambda x: nn.functional.layer_norm(x, x.shape[-1:]),
    "masked": lambda x: x * (x > 0),
    "where": lambda x: torch.where(x > 0.3, x, 0.0),
    "gram": lambda x: x @ x.transpose(-1, -2) @ x / x.shape[-1],
    "roll": lambda x: x.roll(1, -1),
    "residual": lambda x: x + torch.relu(x - 0.5),
    "centered": lambda x: x - x.mean(-1, keepdim=True),
    "scaled": lambda x: x / (1 + x.abs().amax(-2, keepdim=True)),
    "half": lambda x: torch.cat([x[..., ::2], x[..., 1::2]], -1),
    "sorted": lambda x: x.sort(-1)[0],
    "cumsum": lambda x: x.cumsum(-2) * 0.3,
    "dead": lambda x: x.masked_fill(x.sum(-1, keepdim=True) > 0, 0.0),
}


@settings(max_examples=small(25, 5), deadline=None, derandomize=True, database=None)
@given(
    names=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_random_programs(names: list[str], shape: tuple[int, ...], seed: int) -> None:
    def function(x: Tensor) -> Tensor:
        for name in names:
            x = STEPS[name](x)
        return x

    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    x[:, ::3] = 0
    with torch.no_grad():
        agree(pit.compile(Program([(function, 1)]).eval(), (x,))(x)[0], function, (x,), 1e-3)


def test_cases_are_spelled_right() -> None:
    known = {f"{group}/{name}" for group, cases in operator_cases.CASES.items() for name in cases}
    assert known >= UNSUPPORTED.keys() | ONLY_STATIC.keys()

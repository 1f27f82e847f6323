"""Masks behind a projection, passed in or predicted, against torch: dead columns are not computed, nor read later."""

import re
from collections.abc import Callable

import pytest
import torch
from targets import small
from test_activations import DIM, HIDDEN, assert_near, exact
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit

Body = Callable[["Masked", Tensor, Tensor], Tensor]


class Masked(nn.Module):
    """A feed-forward layer whose hidden activation is `body(self, x, mask)`."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.gate, self.up = nn.Linear(DIM, HIDDEN), nn.Linear(DIM, HIDDEN)
        self.down = nn.Linear(HIDDEN, DIM)
        self.low, self.high = nn.Linear(DIM, 3, bias=False), nn.Linear(3, HIDDEN, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.down(self.body(self, x, mask))

    def predicted(self, x: Tensor) -> Tensor:
        """What the low-rank predictor says is live."""
        return self.high(self.low(x)) > 0


def predicted_late(m: Masked, x: Tensor, _mask: Tensor) -> Tensor:
    """The predictor stands behind the projection in the program."""
    h = functional.relu(m.gate(x))
    return h * m.predicted(x)


BODIES: dict[str, Body] = {
    "product": lambda m, x, mask: functional.relu(m.gate(x)) * mask,
    "where": lambda m, x, mask: torch.where(mask.bool(), functional.relu(m.gate(x)), 0.0),
    "masked_fill": lambda m, x, mask: functional.silu(m.gate(x)).masked_fill(mask == 0, 0.0),
    "gate and up": lambda m, x, mask: functional.relu(m.gate(x)) * m.up(x) * mask,
    "masked gate": lambda m, x, mask: (functional.silu(m.gate(x)) * mask) * m.up(x),
    "predicted": predicted_late,
    "predicted gates": lambda m, x, _: torch.where(m.predicted(x), functional.relu(m.gate(x)) * m.up(x), 0.0),
    "predicted dead": lambda m, x, _: functional.relu(m.gate(x)).masked_fill(m.predicted(x), 0.0),
    "predicted otherwise": lambda m, x, _: torch.where(~m.predicted(x), m.gate(x), 0.0),
    "predicted numbers": lambda m, x, _: functional.relu(m.gate(x)) * m.predicted(x).to(x.dtype),
}
PROJECTIONS = {"gate and up": 3, "masked gate": 3, "predicted gates": 3}


def lists_of(compiled: pit.CompiledModule) -> tuple[int, int, int]:
    """How many indices, contractions over an index, and operations over an index that no kernel took in there are."""
    text = compiled.ir
    # Alternatives list the same elements, for micro-tiles of other heights.
    alternatives = len(re.findall(r"\{block = array<i64: [\d, ]+>, group = ", text))
    contracts = text.count("group = array<i64: ") - alternatives
    generics = text.count('"pit.generic"')
    return text.count('"pit.detect"') - alternatives, contracts - generics, generics


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("name", small(list(BODIES), ["where", "masked gate", "predicted gates"]))
def test_projections_run_over_the_mask(name: str) -> None:
    """Every projection of the layer runs over an index, with all that lies between in its kernel.

    It is the mask's for those that are masked behind; the last one also leaves out what a ReLU made 0.
    """
    model = Masked(BODIES[name]).eval()
    x, mask = torch.randn(5, DIM), (torch.rand(5, HIDDEN) > 0.6).long()
    compiled = pit.compile(model, (x, mask))
    indices = 1 if name in ("masked_fill", "masked gate", "predicted otherwise") else 2
    assert lists_of(compiled) == (indices, PROJECTIONS.get(name, 2), 0)
    for live in (mask, torch.ones_like(mask), torch.zeros_like(mask)):
        assert_near(compiled(x, live), exact(model, x, live), 1e-5)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("shape", [(1,), (), (2, 7), (3, 33)])
def test_tokens(shape: tuple[int, ...]) -> None:
    """One token, a vector, tokens in a batch: a list for each, or for each block of them."""
    model = Masked(BODIES["gate and up"]).eval()
    x, mask = torch.randn(*shape, DIM), (torch.rand(*shape, HIDDEN) > 0.8).long()
    compiled = pit.compile(model, (x, mask))
    assert lists_of(compiled) == (2, 3, 0)
    assert_near(compiled(x, mask), exact(model, x, mask), 1e-5)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_number_of_tokens(dtype: torch.dtype) -> None:
    """Dot products for few tokens, tiles for many; weights of neurons that are dead for all tokens are not read."""
    model = Masked(BODIES["product"]).eval().to(dtype)
    tokens = torch.export.Dim("tokens", min=0, max=512)
    example = torch.randn(8, DIM).to(dtype), torch.ones(8, HIDDEN, dtype=torch.bool)
    compiled = pit.compile(
        model,
        example,
        dynamic_shapes=(
            {0: tokens},
            {0: tokens},
        ),
    )
    for count in (1, 3, 33, 127, 0):
        x, mask = torch.randn(count, DIM).to(dtype), torch.rand(count, HIDDEN) > 0.5
        mask[:, ::3] = False
        with_zeros = exact(model, x, mask)
        model.gate.weight[::3] = torch.nan
        have = compiled(x, mask)
        model.gate.weight[::3] = 0.5
        assert_near(have, with_zeros, 1e-5 if dtype == torch.float32 else 3e-2)


class Whole(nn.Module):
    """The projection is an answer as well, so it is computed as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.down = nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        h = self.gate(x)
        return self.down(functional.relu(h) * mask), h


@pytest.mark.usefixtures("inference")
def test_what_is_read_elsewhere_is_whole() -> None:
    model = Whole().eval()
    x, mask = torch.randn(5, DIM), torch.rand(5, HIDDEN) > 0.6
    compiled = pit.compile(model, (x, mask))
    assert lists_of(compiled) == (1, 1, 0)
    for have, want in zip(compiled(x, mask), model(x, mask), strict=True):
        assert_near(have, want.double(), 1e-5)


class Returned(Masked):
    """The hidden layer is returned beside what is made of it."""

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        hidden = self.body(self, x, mask)
        return self.down(hidden), hidden


@pytest.mark.usefixtures("inference")
def test_hidden_layer_that_is_returned() -> None:
    """What leaves the program is 0 where it is masked."""
    model = Returned(BODIES["product"]).eval()
    x, mask = torch.randn(5, DIM), (torch.rand(5, HIDDEN) > 0.6).long()
    for found, expected in zip(pit.compile(model, (x, mask))(x, mask), model(x, mask), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize(("axis", "size"), [(2, 5), (1, 3)], ids=["heads", "places of heads"])
def test_heads_of_a_projection_are_masked(axis: int, size: int) -> None:
    """What is listed for each token is one of the axes that the columns of the projection are taken apart into."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value = nn.Linear(DIM, 15)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.value(x).unflatten(-1, (5, 3)) * mask.unsqueeze(axis)

    model, x, mask = Heads().eval(), torch.randn(7, DIM), (torch.rand(7, size) < 0.5).float()
    compiled = pit.compile(model, (x, mask))
    assert lists_of(compiled)[0] == 1
    assert_near(compiled(x, mask), exact(model, x, mask), 1e-5)

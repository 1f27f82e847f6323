"""Mixtures of experts against torch: each token is computed by its experts alone, and the result is that of all."""

import copy
import re

import expert_models
import pytest
import torch
from expert_models import (
    DIM,
    HIDDEN,
    Batched,
    Capacity,
    Chosen,
    Combined,
    ExpertChoice,
    Gated,
    Loop,
    Scattered,
    Switch,
)
from targets import ON_CPU, small

import pit_mlir as pit
from pit_mlir.runtime.memory import peak_bytes

STYLES = [Switch, Combined, Gated, Loop, Batched, Chosen]


def model_of(style: type[torch.nn.Module], experts: int = 5, chosen: int = 2) -> torch.nn.Module:
    """A model of `style` with random weights."""
    torch.manual_seed(experts * 10 + chosen)
    return style(experts, chosen).eval()


def assert_equal(
    compiled: pit.CompiledModule, model: torch.nn.Module, x: torch.Tensor, tolerance: float
) -> None:
    """The compiled model agrees with torch in double precision."""
    expected = copy.deepcopy(model).double()(x.double())
    assert compiled(x).shape == expected.shape
    scale = expected.abs().max().clamp(min=1) if expected.numel() else 1.0
    assert bool(((compiled(x).double() - expected).abs() <= tolerance * scale).all())


@pytest.mark.parametrize("style", STYLES)
def test_any_number_of_tokens(style: type[torch.nn.Module]) -> None:
    """One program for every number of tokens, 0 and 1 among them."""
    model = model_of(style)
    tokens = torch.export.Dim("tokens", min=0, max=4096)
    compiled = pit.compile(model, (torch.randn(12, DIM),), dynamic_shapes=({0: tokens},))
    for count in (12, 1, 7, 127, 0):
        assert_equal(compiled, model, torch.randn(count, DIM), 1e-5)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("experts", "chosen"), [(1, 1), (8, 1), (8, 8), (9, 4)])
def test_any_choice(style: type[torch.nn.Module], experts: int, chosen: int) -> None:
    """Top-1 to all experts, all tokens on one expert, experts without tokens."""
    model = model_of(style, experts, chosen)
    x = torch.randn(33, DIM)
    compiled = pit.compile(model, (x,))
    assert_equal(compiled, model, x, 1e-5)
    assert_equal(compiled, model, x[:1].expand(33, DIM).contiguous(), 1e-5)
    with torch.no_grad():
        model.router.weight.zero_()
        model.router.weight[0] = 1.0
    assert_equal(compiled, model, x.abs(), 1e-5)


@pytest.mark.parametrize("style", STYLES)
def test_bf16(style: type[torch.nn.Module]) -> None:
    """Narrow floats, summed in f32: as near to exact numbers as torch's own."""
    model = model_of(style).bfloat16()
    x = torch.randn(40, DIM).bfloat16()
    exact = copy.deepcopy(model).double()
    # The router's choice is made in bf16 by both: a tie in it would be decided by rounding.
    compiled = pit.compile(model, (x,))
    ours, theirs = compiled(x).double(), model(x).double()
    assert (ours - theirs).abs().max() <= 0.05 * exact(x.double()).abs().max()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("dtype", "name"), [(torch.float32, "f32"), (torch.bfloat16, "bf16")])
def test_nothing_is_computed_for_all_experts(
    style: type[torch.nn.Module], dtype: torch.dtype, name: str
) -> None:
    """No tensor of experts x tokens x features is left, and every expert's product lists its tokens."""
    x = torch.randn(37, DIM).to(dtype)
    compiled = pit.compile(model_of(style).to(dtype), (x,))
    text = str(compiled.ir)
    for features in (DIM, HIDDEN):
        for shape in (
            f"5x37x{features}",
            f"37x5x{features}",
            f"37x{features}x{name}>) -> tensor<37x{HIDDEN}",
        ):
            uses = [line for line in text.splitlines() if shape in line and "tensor.empty" not in line]
            assert not uses, uses[0]
    assert "pit.contract" in text


@pytest.mark.parametrize("style", STYLES)
def test_memory(style: type[torch.nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call allocates beside its results is little next to the weights, and to what all experts would take."""
    dim, hidden, tokens = small((256, 512, 256), (64, 128, 96))
    # A module for each expert takes long to compile.
    experts = 8 if style is Loop else 32
    monkeypatch.setattr(expert_models, "DIM", dim)
    monkeypatch.setattr(expert_models, "HIDDEN", hidden)
    model = model_of(style, experts, 2)
    x = torch.randn(tokens, dim)
    compiled = pit.compile(model, (x,))
    held = 4 * (sum(weight.numel() for weight in model.parameters()) + 2 * x.numel())
    peak = peak_bytes(lambda: compiled(x)) - 4 * x.numel()
    assert peak < 0.2 * held
    assert 2 * peak < 4 * experts * tokens * hidden


def test_weights_are_not_copied_for_each_token() -> None:
    """What a token chose is read where it lies, whichever way round; what is between two products stays in rows."""
    for transposed in (False, True):
        model = Batched(5, 2, transposed).eval()
        x = torch.randn(37, DIM)
        compiled = pit.compile(model, (x,))
        text = str(compiled.ir)
        assert text.count('"pit.detect"') == 1
        assert f"37x2x{HIDDEN}" not in text
        assert re.search(r"37x2x\d+x\d+|74x\d+x\d+", text) is None
        assert_equal(compiled, model, x, 1e-5)


@pytest.mark.parametrize("style", [ExpertChoice, Capacity])
@pytest.mark.parametrize("tokens", [7, 33])
def test_places_of_experts(style: type[torch.nn.Module], tokens: int) -> None:
    """Experts with a number of places each; all tokens alike, so that they compete for the same."""
    model = model_of(style, 4, 5)
    x = torch.randn(tokens, DIM)
    compiled = pit.compile(model, (x,))
    assert_equal(compiled, model, x, 1e-5)
    if style is Capacity:
        assert_equal(compiled, model, x[:1].expand(tokens, DIM).contiguous(), 1e-5)
    if style is ExpertChoice:
        assert f"-> tensor<4x5x{tokens}xf32>" not in str(compiled.ir)
        assert f"-> tensor<{tokens}x5x4xf32>" not in str(compiled.ir)


class Merged(torch.nn.Module):
    """Gate and up of an expert in one weight: its halves, or its even and odd rows, with biases and clamps."""

    def __init__(self, experts: int, chosen: int, *, alternating: bool) -> None:
        super().__init__()
        self.router = torch.nn.Linear(DIM, experts)
        self.up = torch.nn.Parameter(torch.randn(experts, 2 * HIDDEN, DIM) * DIM**-0.5)
        self.bias = torch.nn.Parameter(torch.randn(experts, 2 * HIDDEN))
        self.down = torch.nn.Parameter(torch.randn(experts, DIM, HIDDEN) * HIDDEN**-0.5)
        self.chosen, self.alternating = chosen, alternating

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, chosen = self.router(x).softmax(-1).topk(self.chosen, -1)
        one_hot = torch.nn.functional.one_hot(chosen, len(self.up)).to(x.dtype)
        hidden = torch.einsum("td,ehd->eth", x, self.up)
        if self.alternating:
            hidden = hidden + self.bias[:, None]
            gate, up = hidden[..., ::2].clamp(max=7.0), hidden[..., 1::2].clamp(-7.0, 7.0)
            hidden = gate * torch.sigmoid(1.702 * gate) * (up + 1)
        else:
            gate, up = hidden.chunk(2, -1)
            hidden = torch.nn.functional.silu(gate) * up
        out = torch.einsum("eth,edh->etd", hidden, self.down)
        return torch.einsum("etd,te->td", out, (one_hot * weights[..., None]).sum(1))


@pytest.mark.parametrize(
    ("alternating", "freeze"), [(False, False), (True, True)], ids=["halves", "alternating, frozen"]
)
def test_gate_and_up_in_one_weight(alternating: bool, freeze: bool) -> None:
    """Both are computed by one kernel, which reads each where it lies; no product of both is in memory."""
    torch.manual_seed(7)
    model = Merged(5, 2, alternating=alternating).eval()
    tokens = torch.export.Dim("tokens", min=0, max=4096)
    options = pit.CompileOptions(freeze=freeze)
    compiled = pit.compile(model, (torch.randn(12, DIM),), dynamic_shapes=({0: tokens},), options=options)
    if ON_CPU:
        assert "computed with its sibling" in str(compiled.explain())
    for count in (12, 1, 7, 127, 0):
        assert_equal(compiled, model, torch.randn(count, DIM), 1e-5)


def test_rows_of_a_table_are_no_experts() -> None:
    """An embedding is looked up, a row for each token, and not sorted by its number."""

    class Embedded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(11, DIM)
            self.linear = torch.nn.Linear(DIM, HIDDEN)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.linear(self.table(tokens))

    compiled = pit.compile(Embedded().eval(), (torch.randint(0, 11, (6, 7)),))
    assert "pit.detect" not in str(compiled.ir)


@pytest.mark.parametrize("style", [Combined, Batched])
def test_weights_of_experts_without_tokens_are_not_read(style: type[torch.nn.Module]) -> None:
    """The weights of an expert that nobody chose may hold anything."""
    model = model_of(style, 4, 1)
    x = torch.randn(9, DIM).abs()
    with torch.no_grad():
        model.router.weight.zero_()
        model.router.weight[2] = 1.0
    compiled = pit.compile(model, (x,))
    expected = compiled(x).clone()
    with torch.no_grad():
        for weights in (model.up, model.down):
            weights[[0, 1, 3]] = float("nan")
    assert torch.equal(compiled(x), expected)


class InBatch(torch.nn.Module):
    """`model` on the one sequence of a batch."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x[0])[None]


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize("style", [Switch, Combined, Gated, Batched, Chosen])
def test_one_token(style: type[torch.nn.Module], in_batch: bool) -> None:
    """With a single token, known as such, a program computes the chosen experts alone: rows are then experts."""
    model = model_of(style, 5, 2)
    x = torch.randn(1, 1, DIM) if in_batch else torch.randn(1, DIM)
    whole = InBatch(model) if in_batch else model
    compiled = pit.compile(whole, (x,))
    assert_equal(compiled, whole, x, 1e-5)
    # Nothing over experts x features is computed; weights are read where they lie, none is copied.
    made = [line.split(" = ")[-1] for line in str(compiled.ir).splitlines() if "tensor.empty" not in line]
    results = [line.split("->")[-1] for line in made if "->" in line and "pit.element" not in line]
    shapes = [rf"x{HIDDEN}x{DIM}x", rf"x{DIM}x{HIDDEN}x", rf"<5x{HIDDEN}x", rf"<5x{DIM}x"]
    assert not [line for line in results if any(re.search(shape, line) for shape in shapes)]
    with torch.no_grad():
        chosen = model.router(x.reshape(1, DIM)).topk(1 if style is Switch else 2, -1).indices[0].tolist()
        expected = compiled(x).clone()
        others = [number for number in range(5) if number not in chosen]
        model.up[others] = model.down[others] = float("nan")
    assert torch.equal(compiled(x), expected)


class Truth(Loop):
    """Gate and up in one weight; a truth value says of each expert whether it is added."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = self.router(x).topk(self.chosen, -1).indices
        out = x
        for number, expert in enumerate(self.experts):
            gate, up = expert[0](x).chunk(2, -1)
            rows = torch.nn.functional.linear(gate.sigmoid() * up, expert[2].weight[:, : HIDDEN // 2])
            out = out + torch.where((chosen == number).any(-1)[:, None], rows, 0.0)
        return out


@pytest.mark.parametrize(
    ("style", "in_batch", "freeze"),
    [(Loop, False, False), (Loop, True, True), (Scattered, False, False), (Truth, True, False)],
)
def test_one_token_of_a_loop(style: type[torch.nn.Module], in_batch: bool, freeze: bool) -> None:
    """Experts that are modules of their own: what is not chosen for the single token is not computed."""
    model = model_of(style, 5, 2)
    x = torch.randn(1, 1, DIM) if in_batch else torch.randn(1, DIM)
    whole = InBatch(model) if in_batch else model
    chosen = model.router(x.reshape(1, DIM)).topk(2, -1).indices[0].tolist()
    exact = pit.compile(whole, (x,), options=pit.CompileOptions(freeze=freeze))
    assert_equal(exact, whole, x, 1e-5)
    expected = exact(x).clone()
    with torch.no_grad():
        for number in {*range(5)} - {*chosen}:
            for weight in model.experts[number].parameters():
                weight.fill_(float("nan"))
    if freeze:
        exact.refresh()
    assert torch.equal(exact(x), expected)
    other = -x
    assert bool(exact(other).isnan().any()) == (
        model.router(other.reshape(1, DIM)).topk(2, -1).indices[0].tolist() != chosen
    )


class Dispatched(torch.nn.Module):
    """Takes the rows of each expert out, and adds what it computed back to them: their number depends on the data."""

    def __init__(self, *, skips_empty: bool) -> None:
        super().__init__()
        self.router = torch.nn.Linear(DIM, 3)
        self.experts = torch.nn.ModuleList(torch.nn.Linear(DIM, DIM) for _ in range(3))
        self.skips_empty = skips_empty

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = self.router(x).argmax(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows = torch.where(chosen == number)[0]
            if self.skips_empty and rows.numel() == 0:
                continue
            out.index_add_(0, rows, expert(x[rows]))
        return out


@pytest.mark.parametrize("skips_empty", [False, True])
def test_dispatch_by_the_number_of_rows_is_an_error_with_advice(skips_empty: bool) -> None:
    """The line of the model, and both ways to write it."""
    with pytest.raises(pit.PitError) as caught:
        pit.compile(Dispatched(skips_empty=skips_empty).eval(), (torch.randn(6, DIM),))
    line = Dispatched.forward.__code__.co_firstlineno + (5 if skips_empty else 4)
    assert str(caught.value).startswith(f"{__file__}:{line}:")
    assert "out = out + expert(x) * weight[:, None]" in str(caught.value)
    assert 'set_experts_implementation("pit")' in str(caught.value)


class Guarded(torch.nn.Module):
    """Does one thing or another by its data, and has no experts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x


def test_other_choices_by_data_get_no_advice_about_experts() -> None:
    with pytest.raises(pit.UnsupportedError) as caught:
        pit.compile(Guarded().eval(), (torch.randn(6, DIM),))
    assert "rows of an expert" not in str(caught.value)


def test_gates_that_are_scattered() -> None:
    """A column of what was scattered into zeros says which rows an expert has."""
    model, x = Scattered(5, 2).eval(), torch.randn(33, DIM)
    compiled = pit.compile(model, (x,))
    assert_equal(compiled, model, x, 1e-5)
    assert compiled.explain().summary.compact >= 20

"""Programs for GPUs: small models in the emulator against torch in f64, and what a program for an absent GPU is."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit
from pit_mlir.codegen.gpu.ptx import assemble
from pit_mlir.target import CHIPS, Target, kernel_chip

pytestmark = pytest.mark.usefixtures("inference")


class Function(nn.Module):
    """A function of tensors as a model."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class Padded(nn.Module):
    """A perceptron on the tokens that a mask names."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 33), nn.GELU(), nn.Linear(33, 16), nn.LayerNorm(16))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.layers(x) * mask[..., None]


class Experts(nn.Module):
    """Each token goes through the expert that scores best."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(8, 3)
        self.weights = nn.Parameter(torch.randn(3, 8, 8) / 3)

    def forward(self, x: Tensor) -> Tensor:
        chosen = functional.one_hot(self.router(x).argmax(-1), 3).to(x.dtype)
        return torch.einsum("te,teo->to", chosen, torch.einsum("ti,eio->teo", x, self.weights).relu())


def through_one(x: Tensor, up: Tensor, down: Tensor, is_live: Tensor) -> Tensor:
    """Rows that a mask names, through a hidden layer of one unit: a product of a depth of 1."""
    return torch.where(is_live[:, None], (x @ up) @ down, 0)


def rows(x: Tensor) -> tuple[Tensor, ...]:
    """What works row by row, and along columns."""
    return (
        torch.softmax(x, -1),
        torch.log_softmax(x, 0),
        x.sum(0),
        x.mean(-1),
        x.amax(),
        x.argmax(-1),
        x.std(-1),
    )


def scalars(x: Tensor, n: Tensor) -> tuple[Tensor, ...]:
    """Integers, truth values, narrow floats, a number that the device computes and everything depends on."""
    return (
        (n * 3 + 1) // 2,
        n > 4,
        (x > 0) & (n > 3)[:, None],
        x.bfloat16() * 2,
        x.double().exp(),
        x - x.sum(),
    )


MODELS: dict[str, tuple[Callable[[], nn.Module], list[tuple[Tensor, ...]]]] = {
    "rows": (lambda: Function(rows), [(torch.randn(s),) for s in ((33, 127), (1, 1), (3, 1500))]),
    "scalars": (lambda: Function(scalars), [(torch.randn(7, 5), torch.arange(7))]),
    "nothing": (lambda: Function(lambda x: (x.reshape(-1), x[:0])), [(torch.randn(3, 4),)]),
    "constants": (lambda: Function(lambda x: x + torch.arange(12.0).reshape(3, 4)), [(torch.randn(3, 4),)]),
    "padded": (
        Padded,
        [(torch.randn(2, 7, 16), m) for m in (torch.eye(2, 7), torch.zeros(2, 7), torch.ones(2, 7))],
    ),
    "through one unit": (
        lambda: Function(through_one),
        [
            (torch.randn(33, 8), torch.randn(8, 1), torch.randn(1, 8), torch.arange(33) % n == 0)
            for n in (1, 5)
        ],
    ),
    "experts": (Experts, [(torch.randn(17, 8),)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_small_models(name: str) -> None:
    make, inputs = MODELS[name]
    model = make().eval()
    programs: dict[Any, pit.CompiledModule] = {}
    for given in inputs:
        shapes = tuple(x.shape for x in given)
        if shapes not in programs:
            programs[shapes] = pit.compile(model, given, target="emulator")
        answers = programs[shapes](*given)
        wide = [x.double() if x.dtype is torch.float32 else x for x in given]
        exact, like = model.double()(*wide), model.float()(*given)
        for answer, expected, typed in zip(
            *map(torch.utils._pytree.tree_leaves, (answers, exact, like)), strict=True
        ):
            assert answer.dtype is typed.dtype and answer.shape == expected.shape
            tolerance = 1e-2 if answer.dtype is torch.bfloat16 else 2e-5
            torch.testing.assert_close(
                answer.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True
            )


def test_dynamic_sizes_and_frozen_weights() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Softmax(-1)).eval()
    batch = torch.export.Dim("batch", max=64)
    for options in (pit.CompileOptions(), pit.CompileOptions(freeze=True)):
        fast = pit.compile(
            model, (torch.randn(3, 8),), dynamic_shapes=({0: batch},), target="emulator", options=options
        )
        for size in (2, 33):
            x = torch.randn(size, 8)
            torch.testing.assert_close(fast(x), model(x))
    before = model(x)
    model[0].weight.zero_()
    torch.testing.assert_close(fast(x), before)
    fast.refresh()
    torch.testing.assert_close(fast(x), model(x))


class NarrowExperts(nn.Module):
    """Experts of two layers in bf16, as wide as `wgmma` wants them; the router is exact, so that nothing is a tie."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(64, 3, bias=False)
        self.up = nn.Parameter(torch.randn(3, 128, 64).bfloat16() / 8)
        self.down = nn.Parameter(torch.randn(3, 64, 128).bfloat16() / 11)

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.softmax(self.router(x.float()), -1)
        weights, chosen = scores.topk(2, -1)
        gates = (functional.one_hot(chosen, 3) * weights[..., None]).sum(1).to(x.dtype)
        up, down = self.up.to(x.dtype), self.down.to(x.dtype)
        hidden = functional.relu(torch.einsum("td,ehd->eth", x, up))
        return torch.einsum("etd,te->td", torch.einsum("eth,edh->etd", hidden, down), gates)


def test_experts_by_wgmma() -> None:
    """Rows of tokens are gathered for the first layer, and compact for the second; an expert's weights are a plain part
    of all."""
    torch.manual_seed(3)
    model, x = NarrowExperts().eval(), torch.randn(100, 64).bfloat16()
    fast = pit.compile(model, (x,), target="emulator:sm_90a")
    torch.testing.assert_close(fast(x).double(), model(x.double()), rtol=2e-2, atol=3e-2)


@pytest.mark.parametrize("chip", CHIPS)
def test_programs_for_absent_gpus(chip: str) -> None:
    model, x = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)).eval(), torch.randn(32, 64)
    fast = pit.compile(model, (x,), target=f"cuda:{chip}")
    assert fast.cubin[:4] == b"\x7fELF"
    # Any newer chip runs it, by the kernels of the oldest one.
    assert f".target {CHIPS[0]}" in fast.ptx
    assert str(fast.explain())
    if torch.cuda.is_available():
        return
    with pytest.raises(pit.PlatformError, match=f"cubin for {chip}.*there is none to run it.*emulator"):
        fast(x)


def test_kernels_do_not_spill() -> None:
    def network(x: Tensor) -> tuple[Tensor, ...]:
        normed = functional.layer_norm(x, (768,))
        return torch.softmax(normed, -1), functional.gelu(x), x.sum(0), x.bfloat16().softmax(-1)

    fast = pit.compile(Function(network), (torch.randn(64, 768),), target="cuda:sm_80")
    _, uses = assemble(fast.ptx, "sm_80")
    assert uses and all(use.spill_stores == use.spill_loads == 0 for use in uses.values()), uses
    # Sixteen bytes at once where nothing stands in the way.
    assert re.search(r"ld\.global(\.\w+)*\.v4\.(b32|f32)", fast.ptx)


def test_targets_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(3)
    monkeypatch.setenv("PIT_TARGET", "emulator:sm_90a")
    fast = pit.compile(Function(torch.relu), (x,))
    torch.testing.assert_close(fast(x), x.relu())
    monkeypatch.setenv("PIT_EMULATE", "1")
    fast = pit.compile(Function(torch.relu), (x,), target="cuda")
    torch.testing.assert_close(fast(x), x.relu())
    with pytest.raises(pit.InputError, match=r"'cuda:sm_1', expected .*sm_90a"):
        pit.compile(Function(torch.relu), (x,), target="cuda:sm_1")


def test_chips() -> None:
    assert [kernel_chip(chip) for chip in ("sm_80", "sm_87", "sm_90", "sm_103")] == [
        *("sm_80", "sm_86", "sm_90a", "sm_100")
    ]
    assert str(Target.of("cuda:sm_89")) == "cuda:sm_89" and not Target.of("cpu").is_gpu


def test_tf32_follows_torch_unless_the_option_says() -> None:
    """1 + 2^-11 - 2^-20 is 1 as tf32: programs are told apart by the cache too, and those for the CPU are exact."""
    model = nn.Linear(8, 8, bias=False)
    model.weight.fill_(1.0)
    x = torch.full((16, 8), 1 + 2**-11 - 2**-20)

    def result(target: str, tf32: bool | None) -> float:
        compiled = pit.compile(model, (x,), target=target, options=pit.CompileOptions(tf32=tf32))
        return compiled(x)[0, 0].item()

    exact, rounded = 8 * x[0, 0].item(), 8.0
    before = torch.get_float32_matmul_precision()
    assert result("emulator", None) == exact
    torch.set_float32_matmul_precision("high")
    try:
        assert (result("emulator", None), result("cpu", None)) == (rounded, exact)
        assert result("emulator", False) == exact
    finally:
        torch.set_float32_matmul_precision(before)

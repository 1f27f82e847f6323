"""Feed-forward layers whose activations are zero in part, against torch: the second projection reads live columns."""

import copy
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError
from pit_mlir.frontend.torch_import import import_model
from pit_mlir.passes.pipelines import rewrite_pipeline
from pit_mlir.passes.runner import run_pipeline

LISTED = r"!pit\.index\) -> tensor"
"""The type of a contraction that may follow a list."""
DIM, HIDDEN = 12, 40

FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "squared relu": lambda x: functional.relu(x) ** 2,
    "square of relu": lambda x: torch.square(functional.relu(x)),
    "relu6": functional.relu6,
    "hardtanh": lambda x: functional.hardtanh(x, 0.0, 1.0),
    "clamp": lambda x: x.clamp(min=0),
    "threshold": lambda x: functional.threshold(x, 0.1, 0.0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "where": lambda x: torch.where(x <= 0, torch.zeros_like(x), x),
    "product with truth values": lambda x: x * (x > 0),
    "product with numbers": lambda x: x * (x > 0).to(x.dtype),
    "masked_fill": lambda x: x.masked_fill(x < 0.3, 0.0),
    "hard shrink": lambda x: functional.hardshrink(x, 0.3),
    "magnitudes": lambda x: torch.where(x.abs() > 0.3, x, 0.0),
    "largest": lambda x: x * (x >= x.topk(8, -1).values[..., -1:]),
    "scaled": lambda x: functional.relu(x) * 0.5,
    "dropout": lambda x: functional.dropout(functional.relu(x), 0.5, training=False),
}


class FeedForward(nn.Module):
    """The sum of layers, one for each of `forms`; `gated` multiplies each activation by another projection."""

    def __init__(self, *forms: Callable[[Tensor], Tensor], gated: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.forms, self.gated = forms, gated
        self.up = nn.ModuleList(nn.Linear(DIM, HIDDEN, bias=bias) for _ in forms)
        self.side = nn.ModuleList(nn.Linear(DIM, HIDDEN, bias=bias) for _ in forms)
        self.down = nn.ModuleList(nn.Linear(HIDDEN, DIM, bias=bias) for _ in forms)

    def forward(self, x: Tensor) -> Tensor:
        for form, up, side, down in zip(self.forms, self.up, self.side, self.down, strict=True):
            h = form(up(x))
            x = x + down(h * side(x) if self.gated else h)
        return x


def exact(model: nn.Module, *args: Tensor) -> Tensor:
    """What `model` gives in double precision."""
    wide = [arg.double() if arg.dtype.is_floating_point else arg for arg in args]
    return copy.deepcopy(model).double()(*wide)


def assert_near(have: Tensor, want: Tensor, tolerance: float) -> None:
    """Equal up to `tolerance` times the largest number."""
    assert have.shape == want.shape
    scale = want.abs().max().clamp(min=1) if want.numel() else 1.0
    assert bool(((have.double() - want).abs() <= tolerance * scale).all())


@pytest.mark.usefixtures("inference")
def test_every_form_makes_a_list() -> None:
    """No code is generated here: `test_gates` and `test_bf16` show that lists compute what they should."""
    with make_context() as context:
        imported = import_model(
            FeedForward(*FORMS.values()).eval(), (torch.randn(2, 7, DIM),), context=context
        )
        run_pipeline(imported.module, rewrite_pipeline())
        assert str(imported.module).count('"pit.detect"') == len(FORMS)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("bias", [True, False])
def test_gates(bias: bool) -> None:
    """ReGLU and its kin: what the gate makes 0 is 0 whatever the other projection says."""
    forms = [FORMS[name] for name in ("relu", "squared relu", "largest")]
    model = FeedForward(*forms, gated=True, bias=bias).eval()
    batch, tokens = torch.export.Dim("batch", min=0, max=64), torch.export.Dim("tokens", min=0, max=256)
    compiled = pit.compile(model, (torch.randn(3, 5, DIM),), dynamic_shapes=({0: batch, 1: tokens},))
    assert len(re.findall(LISTED, compiled.ir)) == len(forms)
    for shape in [(3, 5), (1, 1), (1, 127), (2, 33), (0, 4)]:
        x = torch.randn(*shape, DIM)
        assert_near(compiled(x), exact(model, x), 1e-5)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("shape", [(), (1,), (33,)])
def test_leading_dimensions(shape: tuple[int, ...]) -> None:
    """Tokens without a batch, one token, a vector; nothing live and everything live."""
    model = FeedForward(functional.relu, gated=True).eval()
    compiled = pit.compile(model, (torch.randn(*shape, DIM),))
    assert len(re.findall(LISTED, compiled.ir)) == 1
    for bias in (None, -100.0, 100.0):
        if bias is not None:
            model.up.get_parameter("0.bias").fill_(bias)
        x = torch.randn(*shape, DIM)
        assert_near(compiled(x), exact(model, x), 1e-5)


@pytest.mark.usefixtures("inference")
def test_bf16() -> None:
    """Casts between f32 and bf16 hide no zero."""
    forms = [FORMS[name] for name in ("relu6", "maximum", "product with numbers")]
    forms.append(lambda x: functional.relu(x.float()).to(x.dtype))
    model = FeedForward(*forms).eval().bfloat16()
    x = torch.randn(3, 7, DIM).bfloat16()
    compiled = pit.compile(model, (x,))
    assert compiled.ir.count('"pit.detect"') == len(forms)
    assert_near(compiled(x), exact(model, x), 5e-2)


class Thresholded(nn.Module):
    """Activations made sparse: SiLU with a threshold."""

    def __init__(self, t: float | Tensor) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)
        self.t = nn.Buffer(t) if isinstance(t, Tensor) else t

    def forward(self, x: Tensor) -> Tensor:
        return self.down(pit.threshold(functional.silu(self.up(x)), self.t))


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("t", [0.1, torch.linspace(0, 0.3, HIDDEN), torch.tensor(0.2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threshold(t: float | Tensor, dtype: torch.dtype) -> None:
    """Small activations are left out, in torch and compiled alike, and `explain()` says so."""
    model = Thresholded(t).eval().to(dtype)
    x = torch.randn(9, DIM).to(dtype)
    compiled = pit.compile(model, (x,))
    assert compiled.ir.count('"pit.detect"') == 1
    # The same numbers are small in bf16: the reference is torch's.
    assert_near(compiled(x), model(x).double(), 1e-5 if dtype == torch.float32 else 5e-2)
    explanation = compiled.explain()
    bound = "0.1" if isinstance(t, float) else "a threshold"
    assert f"Magnitudes up to {bound} are as good as 0, as pit.threshold asks." in explanation.assumptions
    assert "an approximation that the model asks for" in str(explanation)


def test_threshold_in_torch() -> None:
    """Gradients flow where x is kept; a NaN is kept; 0 keeps everything."""
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 0.6, float("nan")], requires_grad=True)
    y = pit.threshold(x, 0.5)
    torch.testing.assert_close(y, torch.tensor([-2.0, 0, 0, 0, 0.6, float("nan")]), equal_nan=True)
    y.nansum().backward()
    assert x.grad is not None and x.grad.tolist()[:5] == [1, 0, 0, 0, 1]
    torch.testing.assert_close(pit.threshold(x, 0.0), x, equal_nan=True)


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (torch.ones(3, dtype=torch.int64), 0.1, "x holds torch.int64, expected floats"),
        (torch.ones(3), -0.1, "t = -0.1, expected a finite number of at least 0"),
        (torch.ones(3), "much", "t = 'much', expected a finite number of at least 0"),
        ([1.0], 0.1, "x is a list, expected a torch.Tensor of floats"),
        (torch.ones(3), float("nan"), "t = nan, expected"),
        (torch.ones(3), torch.ones(4), r"t of shape \[4\] does not broadcast to x of shape \[3\]"),
        (torch.ones(3), torch.ones(1, dtype=torch.bool), "t holds torch.bool, expected numbers"),
    ],
)
def test_threshold_refuses(x: Tensor, t: float | Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pit.threshold(x, t)

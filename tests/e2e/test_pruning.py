"""Weights under masks that change from call to call, as pruning makes them: blocks, magnitudes, modules of torch."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize, prune

import pit_mlir
from pit_mlir.compiled_module import CompiledModule

OUT, IN = 96, 128
ROWS = (0, 1, 7, 33, 127)
ZEROS = (0.0, 0.5, 0.95, 1.0)


class Masked(nn.Module):
    """x times a weight under a mask that is an input, by `apply(weight, mask)`."""

    def __init__(self, apply: Callable[[Tensor, Tensor], Tensor], *, transposed: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn((IN, OUT) if transposed else (OUT, IN)))
        self.apply_mask, self.transposed = apply, transposed

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        weight = self.apply_mask(self.weight, mask)
        return x @ weight if self.transposed else functional.linear(x, weight)


class Pruned(nn.Module):
    """x times a weight that prunes itself."""

    def __init__(self, pruned: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(OUT, IN))
        self.pruned = pruned

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.pruned(self.weight))


def product(weight: Tensor, mask: Tensor) -> Tensor:
    return weight * mask


def filled(weight: Tensor, mask: Tensor) -> Tensor:
    return weight.masked_fill(~mask, 0.0)


def chosen(weight: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask != 0, weight, 0.0)


def wide_blocks(weight: Tensor, mask: Tensor) -> Tensor:
    return weight * mask.repeat_interleave(32, 0).repeat_interleave(64, 1)


def tall_blocks(weight: Tensor, mask: Tensor) -> Tensor:
    return filled(weight, mask.repeat_interleave(32, 0))


def small_blocks(weight: Tensor, mask: Tensor) -> Tensor:
    return filled(weight, mask.repeat_interleave(4, 0).repeat_interleave(8, 1))


def flat_blocks(weight: Tensor, mask: Tensor) -> Tensor:
    return filled(weight, mask.repeat_interleave(64, 1))


def blocks(zeros: float, *block: int) -> Tensor:
    """A mask of the weight, with one value for each block."""
    return torch.rand(OUT // block[0], IN // block[1]) >= zeros


def spread(mask: Tensor, *block: int) -> Tensor:
    return mask.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)


Masks = Callable[[float], Tensor]
pytestmark = pytest.mark.usefixtures("inference")

STYLES: dict[str, tuple[Masked, Masks]] = {
    "float product, 32x1": (Masked(product), lambda z: spread(blocks(z, 32, 1), 32, 1).float()),
    "bool fill, 32x64": (Masked(filled), lambda z: spread(blocks(z, 32, 64), 32, 64)),
    "int choice, anywhere": (Masked(chosen), lambda z: blocks(z, 1, 1).int()),
    "x @ w, 1x32": (
        Masked(product, transposed=True),
        lambda z: spread(blocks(z, 32, 1), 32, 1).T.contiguous().float(),
    ),
    "32x64 repeated": (Masked(wide_blocks), lambda z: blocks(z, 32, 64)),
    "32x1 repeated": (Masked(tall_blocks), lambda z: blocks(z, 32, 1)),
    "4x8 repeated": (Masked(small_blocks), lambda z: blocks(z, 4, 8)),
    "1x64 repeated": (Masked(flat_blocks), lambda z: blocks(z, 1, 64)),
}


def compiled(model: nn.Module, *args: Tensor, freeze: bool = False) -> CompiledModule:
    """`model` for any number of rows of its first argument; a list runs in it."""
    shapes = ({0: torch.export.Dim("rows", min=0, max=4096)}, *(None for _ in args[1:]))
    options = pit_mlir.CompileOptions(freeze=freeze)
    made = pit_mlir.compile(model.eval(), args, dynamic_shapes=shapes, options=options)
    assert "pit.detect" in made.ir and "1 on lists" in str(made.explain())
    return made


def assert_close(actual: Tensor, expected: Tensor) -> None:
    """Equal within the rounding of f32, or of bf16."""
    scale = expected.abs().max().clamp_min(1.0).item() if expected.numel() else 1.0
    tolerance = 2e-2 if actual.dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(actual.double(), expected.double(), rtol=tolerance, atol=tolerance * scale)


def exact(model: nn.Module, *args: Tensor) -> Tensor:
    """What `model` gives in f64."""
    widened = [a.double() if a.is_floating_point() else a for a in args]
    return copy.deepcopy(model).double()(*widened)


@pytest.mark.parametrize("style", STYLES)
def test_masks_that_change(style: str) -> None:
    """Another mask and another number of rows in every call, from full to empty."""
    model, masks = STYLES[style]
    ours = compiled(model, torch.randn(5, IN), masks(0.5))
    for zeros in ZEROS:
        for rows in ROWS:
            args = (torch.randn(rows, IN), masks(zeros))
            assert_close(ours(*args), exact(model, *args))


@pytest.mark.parametrize("style", ["float product, 32x1", "32x64 repeated"])
def test_narrow_floats(style: str) -> None:
    """bf16, where the dense kernel multiplies pairs and the one with a list does not."""
    prototype, masks = STYLES[style]
    model = Masked(prototype.apply_mask).to(torch.bfloat16)

    def args(rows: int, zeros: float) -> tuple[Tensor, Tensor]:
        mask = masks(zeros)
        mask = mask.to(torch.bfloat16) if mask.is_floating_point() else mask
        return torch.randn(rows, IN).to(torch.bfloat16), mask

    ours = compiled(model, *args(5, 0.5))
    for zeros in ZEROS:
        given = args(33, zeros)
        assert_close(ours(*given), exact(model, *given))


def by_threshold(weight: Tensor) -> Tensor:
    return weight * (weight.abs() > 1.5)


def by_rank(weight: Tensor) -> Tensor:
    least = weight.abs().flatten().kthvalue(weight.numel() * 9 // 10).values
    return weight * (weight.abs() > least)


def by_largest(weight: Tensor) -> Tensor:
    least = weight.abs().flatten().topk(500).values[-1]
    return torch.where(weight.abs() >= least, weight, 0.0)


def by_order(weight: Tensor) -> Tensor:
    least = weight.abs().flatten().sort().values[weight.numel() // 2]
    return weight.masked_fill(weight.abs() < least, 0.0)


def by_quantile(weight: Tensor) -> Tensor:
    return weight * (weight.abs() > torch.quantile(weight.abs(), 0.8)).float()


def by_norm_of_blocks(weight: Tensor) -> Tensor:
    norms = weight.reshape(OUT // 32, 32, IN // 64, 64).square().sum((1, 3))
    mask = norms >= norms.flatten().topk(2).values[-1]
    return weight * mask.repeat_interleave(32, 0).repeat_interleave(64, 1)


def by_norm_of_columns(weight: Tensor) -> Tensor:
    norms = weight.reshape(OUT // 32, 32, IN).square().sum(1)
    mask = norms > norms.mean(1, keepdim=True)
    return (weight.reshape(OUT // 32, 32, IN) * mask[:, None]).reshape(OUT, IN)


MAGNITUDES = (
    by_threshold,
    by_rank,
    by_largest,
    by_order,
    by_quantile,
    by_norm_of_blocks,
    by_norm_of_columns,
)


@pytest.mark.parametrize("pruned", MAGNITUDES)
def test_magnitudes(pruned: Callable[[Tensor], Tensor]) -> None:
    """The mask is computed from the weights in every call, so new weights have a new one."""
    model = Pruned(pruned)
    ours = compiled(model, torch.randn(5, IN))
    for rows in ROWS:
        model.weight.copy_(torch.randn(OUT, IN))
        x = torch.randn(rows, IN)
        assert_close(ours(x), functional.linear(x.double(), pruned(model.weight).double()))


class Mask(nn.Module):
    """A parametrization: the weight under a mask that is a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.rand(OUT, IN) >= 0.9)

    def forward(self, weight: Tensor) -> Tensor:
        assert isinstance(self.mask, Tensor)
        return weight * self.mask


def torch_pruned() -> tuple[nn.Linear, Tensor]:
    """A layer that torch pruned, and its mask."""
    layer = nn.Linear(IN, OUT)
    prune.random_unstructured(layer, "weight", 0.9)
    return layer, layer.get_buffer("weight_mask")


def parametrized() -> tuple[nn.Linear, Tensor]:
    """A layer whose weight has a parametrization, and its mask."""
    layer, mask = nn.Linear(IN, OUT), Mask()
    parametrize.register_parametrization(layer, "weight", mask)
    return layer, mask.get_buffer("mask")


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("make", [torch_pruned, parametrized])
def test_modules_of_torch(make: Callable[[], tuple[nn.Linear, Tensor]], freeze: bool) -> None:
    """A mask that is a buffer is read in every call, or when frozen weights are refreshed."""
    layer, mask = make()
    x = torch.randn(33, IN)
    ours = compiled(layer, x, freeze=freeze)
    assert_close(ours(x), exact(layer, x))
    before = exact(layer, x)
    mask.copy_(torch.rand(OUT, IN) >= 0.95)
    if freeze:
        assert_close(ours(x), before)
        ours.refresh()
    assert_close(ours(x), layer(x) if freeze else exact(layer, x))


def test_dead_columns_are_not_read() -> None:
    """A list with few entries is followed: what no row of the weight wants is left alone, so NaN there does not show."""
    for style in ("float product, 32x1", "32x64 repeated", "32x1 repeated"):
        model, masks = STYLES[style]
        mask = masks(1.0)
        mask[:, -1] = 1
        ours = compiled(model, torch.randn(5, IN), mask)
        x = torch.randn(65, IN)
        expected = exact(model, x, mask)
        x[:, : IN - IN // mask.shape[1]] = torch.nan
        assert_close(ours(x, mask), expected)


@pytest.mark.cpu
def test_full_lists_are_left() -> None:
    """With almost everything live the kernel runs as if there were no list: it multiplies what is not listed by 0."""
    model, masks = STYLES["float product, 32x1"]
    mask = masks(0.0)
    mask[:, 3] = 0
    ours = compiled(model, torch.randn(5, IN), mask)
    x = torch.randn(65, IN)
    assert_close(ours(x, mask), exact(model, x, mask))
    x[:, 3] = torch.nan
    assert ours(x, mask).isnan().all()


def test_what_cannot_be_lowered_is_named() -> None:
    """An operator that is not there is an error with its name and its line."""

    def by_median(weight: Tensor) -> Tensor:
        return weight * (weight.abs() > weight.abs().nanmedian())

    with pytest.raises(pit_mlir.UnsupportedError, match=r"nanmedian.*test_pruning|test_pruning.*nanmedian"):
        pit_mlir.compile(Pruned(by_median).eval(), (torch.randn(5, IN),))

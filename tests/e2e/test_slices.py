"""Products of slices: those whose rows are whole are read where they lie, with gaps between them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit

pytestmark = pytest.mark.usefixtures("inference")


class Apply(nn.Module):
    """A model that applies a function."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Tensor:
        return self.function(*args)


SLICES: dict[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]] = {
    "first tokens": (lambda x, w: x[:, :3] @ w, ((4, 5, 6), (6, 6))),
    "one token": (lambda x, w: x[:, 0] @ w, ((4, 2, 3, 5), (5, 6))),
    "later tokens": (lambda x, w: x[:, 2:] @ w.T, ((4, 5, 6), (7, 6))),
    "one place of a weight": (lambda x, w: torch.einsum("nab,oab->no", x, w[:, :, 0]), ((2, 3, 3), (4, 3, 2, 3))),
    "both": (
        lambda x, w: torch.einsum("nab,oab->no", x[:, :, 1], w[:, :, 0]), ((2, 3, 2, 3), (4, 3, 2, 3))
    ),
    "kernel of a convolution": (lambda x, w: functional.conv1d(x, w[:, :, 0]), ((2, 3, 6), (4, 3, 2, 3))),
    "heads that share keys": (
        lambda q: q @ q[:, :2].repeat_interleave(2, 1).transpose(-1, -2), ((2, 4, 3, 5),)
    ),
    "slice of a slice": (lambda x, w: x[:, 1:5][:, :, :3] @ w, ((3, 7, 4, 6), (6, 5))),
    "beside a product": (lambda x, w, y: x @ w + y[:, :3], ((4, 3, 6), (6, 5), (4, 9, 5))),
    "of a sum of it": (lambda x, w: (x[:, :3] @ w)[:, 1:] @ w.T, ((4, 5, 6), (6, 8))),
}  # fmt: skip


@pytest.mark.parametrize("name", SLICES)
@pytest.mark.parametrize("is_dynamic", [False, True], ids=["static", "dynamic"])
def test_products_of_slices_in_place(name: str, is_dynamic: bool) -> None:
    function, shapes = SLICES[name]
    args = tuple(torch.randn(shape) for shape in shapes)
    dims = [{0: torch.export.Dim("batch")}, *[None] * (len(args) - 1)]
    if name == "beside a product":
        dims[2] = dims[0]
    fast = pit.compile(Apply(function), args, dynamic_shapes={"args": tuple(dims)} if is_dynamic else None)
    expected = function(*(arg.double() for arg in args))
    torch.testing.assert_close(fast(*args).double(), expected, rtol=1e-5, atol=1e-5)

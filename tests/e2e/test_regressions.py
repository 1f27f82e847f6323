"""What once went wrong: one small model each."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from targets import small
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


def compare(function: Callable[..., Tensor], *args: Tensor) -> None:
    model = Apply(function).eval()
    torch.testing.assert_close(pit.compile(model, args)(*args), model(*args), equal_nan=True)


@pytest.mark.parametrize(
    "function",
    [
        functional.relu6,
        functional.hardtanh,
        lambda x: x.clamp(torch.zeros(6), torch.ones(6)),
        lambda x: x.clamp(min=torch.full((6,), 0.5)),
        lambda x: functional.relu6(x) @ torch.ones(6, 3),
    ],
    ids=["relu6", "hardtanh", "clamp by tensors", "clamp from below", "into a product"],
)
def test_nan_passes_through_clamps(function: Callable[[Tensor], Tensor]) -> None:
    compare(function, torch.tensor([[math.nan, -2.0, 0.5, 9.0, 1.0, 0.0], [1.0, 2.0, -0.0, 0.1, 7.0, -1.0]]))


def test_clamps_keep_types() -> None:
    compare(lambda x: x.clamp(torch.zeros(3), torch.full((3,), 2.5)), torch.arange(-1, 5).reshape(2, 3))
    compare(lambda x: functional.hardtanh(x, -2, 2), torch.arange(-4, 5))
    compare(lambda x: functional.relu6(x), torch.randn(5).bfloat16())


def test_product_with_positions() -> None:
    """A factor that is computed from where it stands, by something that is not element-wise."""
    compare(lambda x: x @ torch.arange(12).reshape(4, 3), torch.arange(20).reshape(5, 4))


def test_writes_at_negative_indices() -> None:
    places = torch.tensor([1, -2, 3])
    compare(lambda x, i: x.index_put((i,), torch.ones(6)), torch.randn(5, 6), places)
    compare(lambda x, i: x.index_put((i, i), torch.ones(())), torch.randn(5, 6), places.int())


def test_compile_in_threads() -> None:
    def is_right(rows: int) -> bool:
        with torch.no_grad():
            model, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU()).eval(), torch.randn(rows, 4)
            return torch.allclose(pit.compile(model, (x,))(x), model(x), atol=1e-5)

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(is_right, (1, 2, 3))) == [True] * 3


@pytest.mark.parametrize("frozen", [False, True])
def test_freed_memory_is_an_error(frozen: bool) -> None:
    model, x = nn.Linear(4, 5).eval(), torch.randn(2, 4)
    fast = pit.compile(model, (x,), options=pit.CompileOptions(freeze=frozen))
    gone = torch.randn(2, 4)
    gone.untyped_storage().resize_(0)
    with pytest.raises(pit.InputError, match=r"shape \[2, 4\].*freed"):
        fast(gone)
    model.weight.data.untyped_storage().resize_(0)
    with pytest.raises(pit.InputError, match=r"shape \[5, 4\].*freed"):
        fast.refresh() if frozen else fast(x)


class Ignorant(nn.Module):
    """Has a mask and does not read it."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * 2


def test_padding_that_the_model_does_not_read() -> None:
    with pytest.raises(pit.PitError, match=r"does not read .mask., which is declared"):
        pit.compile(Ignorant(), (torch.randn(3, 5, 4), torch.ones(3, 5)), sparsity=[pit.Padding("mask")])


class Best(nn.Module):
    """The largest values among the tokens, and where they are."""

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = torch.tanh(x) + mask[..., None]
        return *y.topk(2, 1), y.sort(1)[0]


def test_ranks_of_padded_tokens_are_the_dense_ones() -> None:
    """A rank is no token: what is sorted over the tokens is read as it is, and said so."""
    mask = (torch.arange(7) >= torch.tensor([[0], [3], [6]])).float()
    model, x = Best().eval(), torch.randn(3, 7, 5)
    fast = pit.compile(model, (x, mask), sparsity=[pit.Padding("mask")])
    for seed in range(3):
        x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(seed)) * 3
        torch.testing.assert_close(fast(x, mask), model(x, mask))
    assert "ranks tokens" in str(fast.explain())


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
    "a column of a square": (lambda x, w: (functional.relu(x) * w[:, 0]) @ w, ((9, 6), (6, 6))),
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


@pytest.mark.parametrize(
    "function",
    [
        lambda x, rows: functional.relu(x)[rows],
        lambda x, rows: functional.relu(x).index_select(0, rows) * 2,
        lambda x, rows: x[rows].exp() + functional.relu(x)[rows.flip(0)],
        lambda x, rows: functional.relu(x)[rows] @ torch.ones(40, 3),
    ],
    ids=["indexed", "selected", "twice", "into a product"],
)
@pytest.mark.parametrize("threads", small([1, 2], [1]))
def test_rows_of_what_was_just_computed(function: Callable[..., Tensor], threads: int) -> None:
    """The rows that are looked up are all there, whichever they are: no loop over rows is shared."""
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        compare(function, torch.randn(63, 40), torch.arange(62, -1, -1))
    finally:
        torch.set_num_threads(before)


def test_flipped_rows_of_any_number() -> None:
    x = torch.randn(63, 40)
    model = Apply(lambda x: functional.relu(x).flip(0)).eval()
    dim = torch.export.Dim.AUTO
    compiled = pit.compile(model, (x,), dynamic_shapes=(({0: dim, 1: dim},),))
    for shape in ((63, 40), (200, 33)):
        x = torch.randn(shape)
        torch.testing.assert_close(compiled(x), model(x))


def test_rows_with_a_factor_each_by_lists_of_eight() -> None:
    """Half of what is listed is live, so rows are read whole; the factor of a row is one element for all of it."""
    torch.manual_seed(0)
    model = Apply(lambda x, w: (functional.relu(x) * x[:, :1].abs()) @ w).eval()
    args = torch.randn(128, 200), torch.randn(200, 65)
    compiled = pit.compile(model, args, options=pit.CompileOptions(select="8x1"))
    torch.testing.assert_close(compiled(*args), model(*args), rtol=1e-4, atol=1e-3)


def test_a_masked_value_added_to_itself() -> None:
    """Its rows are written into zeros, and there is no other tensor to write them into."""
    torch.manual_seed(0)
    weight, mask = torch.randn(16, 16) / 4, torch.tensor([[1.0], [0.0], [0.0], [1.0], [0.0]])

    def twice(x: Tensor, mask: Tensor) -> Tensor:
        masked = (x @ weight).relu() @ weight * mask
        return masked + masked

    compare(twice, torch.randn(5, 16), mask)

"""Convolutions: dense, with images that nobody wants, with channels that a mask leaves out, against torch in f64."""

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.export import Dim

import pit_mlir

pytestmark = pytest.mark.usefixtures("inference")


def doubled(model: nn.Module, *args: Tensor) -> Tensor:
    """What `model` gives in f64."""
    wide = [arg.double() if arg.is_floating_point() else arg for arg in args]
    dtypes = {name: value.dtype for name, value in model.state_dict().items()}
    result = model.double()(*wide)
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        value.data = value.data.to(dtypes[name])
    return result


def agree(actual: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """`actual` is `expected`, of f64, up to rounding."""
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance)


class Residual(nn.Module):
    """Convolutions of all kinds with norms, a residual and pooling between; `alive` says which images are wanted."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 5, stride=2, padding=2)
        self.first = nn.BatchNorm2d(channels)
        self.inner = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.BatchNorm2d(channels)
        self.each = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.groups = nn.Conv2d(channels, 2 * channels, 3, dilation=2, groups=2)
        self.point = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, images: Tensor, alive: Tensor) -> Tensor:
        """(n, 3, h, w), (n,) to (n, channels, ..)."""
        hidden = torch.relu(self.first(self.stem(images)))
        hidden = functional.max_pool2d(hidden, 3, stride=2, padding=1)
        hidden = torch.relu(hidden + self.second(self.inner(hidden)))
        return self.point(self.groups(self.each(hidden))) * alive[:, None, None, None]


ALIVE = {
    "some": [1, 0, 0, 1, 1, 0, 1],
    "all": [1] * 7,
    "none": [0] * 7,
    "last": [0, 0, 0, 0, 0, 0, 1],
}


@pytest.fixture(scope="module")
def residual() -> tuple[Residual, pit_mlir.CompiledModule]:
    """The model and its program, for batches of any size."""
    torch.manual_seed(0)
    with torch.no_grad():
        model = Residual().eval()
        args = (torch.randn(3, 3, 33, 29), torch.tensor([True, False, True]))
        shapes = {"images": {0: Dim("n")}, "alive": {0: Dim("n")}}
        return model, pit_mlir.compile(model, args, dynamic_shapes=shapes)


@pytest.mark.parametrize("name", ALIVE)
def test_only_live_images_are_read(residual: tuple[Residual, pit_mlir.CompiledModule], name: str) -> None:
    model, compiled = residual
    images, alive = torch.randn(7, 3, 33, 29), torch.tensor(ALIVE[name]).bool()
    expected = doubled(model, images, alive)
    # A product with an image that is read would not be a number.
    images[~alive] = torch.nan
    agree(compiled(images, alive), expected)


def test_a_chain_has_one_index(residual: tuple[Residual, pit_mlir.CompiledModule]) -> None:
    _, compiled = residual
    assert compiled.ir.count('"pit.detect"') == 1
    assert compiled.ir.count('"pit.swrite"') + compiled.ir.count('"pit.sread"') <= 3


class Marked(Residual):
    """The images themselves are marked."""

    def forward(self, images: Tensor, alive: Tensor) -> Tensor:
        """(n, 3, h, w), (n,) to (n, channels, h / 2, w / 2): the bias where an image is 0."""
        return self.stem(pit_mlir.mark(images, alive[:, None, None, None]))


@pytest.mark.parametrize("name", ALIVE)
def test_marked_images_leave_the_bias(name: str) -> None:
    model, alive = Marked().eval(), torch.tensor(ALIVE[name]).bool()
    images = torch.randn(7, 3, 9, 7) * alive[:, None, None, None]
    compiled = pit_mlir.compile(model, (images, alive))
    expected = doubled(model, images, alive)
    images[~alive] = torch.nan
    agree(compiled(images, alive), expected)


class Channels(nn.Module):
    """Two convolutions and a mask over the channels between them, the same for all images or one for each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(5, 33, 3, padding=1), nn.Conv2d(33, 7, 3, stride=2, bias=False)

    def forward(self, images: Tensor, channels: Tensor) -> Tensor:
        """(n, 5, h, w), (33,) or (n, 33) to (n, 7, ..)."""
        return self.second(torch.relu(self.first(images)) * channels[..., None, None])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
@pytest.mark.parametrize("shape", [(33,), (2, 33)], ids=["shared", "of each image"])
def test_masked_channels(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    model, images = Channels().to(dtype).eval(), torch.randn(2, 5, 11, 18).to(dtype)
    compiled = pit_mlir.compile(model, (images, torch.ones(shape, dtype=torch.bool)))
    for share in (0.0, 0.4, 1.0):
        channels = torch.rand(shape) < share
        wide = doubled(model, images, channels)
        agree(compiled(images, channels), wide, 1e-4 if dtype == torch.float32 else 3e-2)
    # The second convolution does not read what the first did not compute.
    dead = torch.zeros(shape, dtype=torch.bool)
    model.second.weight.data[:] = torch.nan
    assert not compiled(images, dead).isnan().any()
    assert "terms of its sums" in str(compiled.explain())


@pytest.mark.parametrize("depth", [1, 2, 16], ids="{} of 33 channels live at least".format)
def test_channels_listed_inside_of_windows(depth: int) -> None:
    """A list of channels is one of all their places inside of windows, whatever lies in order in the weights."""
    layer, images = nn.Conv2d(33, 19, (3, 2), stride=(1, 2)), torch.randn(3, 33, 8, 7)

    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor, channels: Tensor) -> Tensor:
            return self.layer(x * channels[:, None, None])

    model = Listed().eval()
    compiled = pit_mlir.compile(model, (images, torch.ones(33, dtype=torch.bool)))
    for live in (torch.arange(33) < depth, torch.arange(33) % depth == 0, torch.ones(33).bool()):
        given = images * live[:, None, None]
        agree(compiled(given, live), doubled(model, given, live))


class Pruned(Channels):
    """Masks on the weights: filters, or channels of the input."""

    def __init__(self, side: str) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor, kept: Tensor) -> Tensor:
        """(n, 5, h, w), (33,) or (5,) to (n, 33, h, w)."""
        mask = kept[:, None, None, None] if self.side == "filters" else kept[None, :, None, None]
        return functional.conv2d(images, self.first.weight * mask, self.first.bias, padding=1)


@pytest.mark.parametrize("side", ["filters", "channels"])
def test_pruned_weights(side: str) -> None:
    model, images = Pruned(side).eval(), torch.randn(3, 5, 10, 17)
    size = 33 if side == "filters" else 5
    compiled = pit_mlir.compile(model, (images, torch.ones(size, dtype=torch.bool)))
    for share in (0.0, 0.5, 1.0):
        kept = torch.rand(size) < share
        expected = doubled(model, images, kept)
        agree(compiled(images, kept), expected)
        if side == "filters":
            weights = model.first.weight.data.clone()
            model.first.weight.data[~kept] = torch.nan
            agree(compiled(images, kept), expected)
            model.first.weight.data[:] = weights


SHAPES = {
    # channels, filters, size, kernel, stride, padding, dilation, groups
    "one pixel": (3, 4, (1, 1), 1, 1, 0, 1, 1),
    "one place": (3, 4, (3, 3), 3, 1, 0, 1, 1),
    "one channel": (1, 1, (7, 9), 3, 1, 1, 1, 1),
    "a row": (2, 5, (1, 127), (1, 7), 1, (0, 3), 1, 1),
    "a column": (2, 5, (33, 1), (5, 1), (2, 1), (2, 0), 1, 1),
    "wider than a vector": (3, 17, (4, 33), 3, 1, 1, 1, 1),
    "strided": (7, 9, (20, 21), 3, (2, 3), 1, 1, 1),
    "pointwise, strided": (7, 9, (20, 21), 1, 2, 0, 1, 1),
    "dilated": (4, 6, (15, 14), (3, 2), 1, 2, (2, 3), 1),
    "grouped": (6, 9, (8, 9), 3, 2, 1, 1, 3),
    "patches": (3, 33, (16, 12), 4, 4, 0, 1, 1),
    "patches that leave a rest": (3, 8, (15, 14), 4, 4, 0, 1, 1),
    "long depth": (70, 8, (5, 6), 3, 1, 1, 1, 1),
}


SINGLE = ("one place", "wider than a vector", "patches")
"""Shapes that are tried with a single image, too, whose dimension the normal form drops."""


@pytest.mark.parametrize(
    ("name", "images"), [*((name, 3) for name in SHAPES), *((name, 1) for name in SINGLE)]
)
def test_any_shape(name: str, images: int) -> None:
    channels, filters, size, kernel, stride, padding, dilation, groups = SHAPES[name]
    model = nn.Conv2d(channels, filters, kernel, stride, padding, dilation, groups).eval()
    x = torch.randn(images, channels, *size)
    agree(pit_mlir.compile(model, (x,))(x), doubled(model, x))


@pytest.mark.parametrize("dims", [1, 3])
def test_other_dimensions(dims: int) -> None:
    kind = {1: nn.Conv1d, 3: nn.Conv3d}[dims]
    model = kind(4, 6, 3, stride=2, padding=1).eval()
    x = torch.randn(2, 4, *([9] * dims))
    agree(pit_mlir.compile(model, (x,))(x), doubled(model, x))


def test_images_of_any_size() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 3, stride=2)).eval()
    shapes = ({0: Dim("n"), 2: Dim("h", min=5), 3: Dim("w", min=5)},)
    compiled = pit_mlir.compile(model, (torch.randn(2, 3, 16, 16),), dynamic_shapes=shapes)
    for shape in ((1, 3, 9, 7), (5, 3, 33, 18), (2, 3, 5, 127)):
        x = torch.randn(shape)
        agree(compiled(x), doubled(model, x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_signals_of_any_length(dtype: torch.dtype) -> None:
    """The sums of narrow types are rounded to a tensor of a length that was computed, one more than the signal's."""
    model = nn.Conv1d(3, 5, 2, padding=1).eval().to(dtype)
    compiled = pit_mlir.compile(model, (torch.randn(1, 3, 9, dtype=dtype),), dynamic_shapes=({2: Dim("n")},))
    for length in (1, 7, 33):
        x = torch.randn(1, 3, length, dtype=dtype)
        torch.testing.assert_close(compiled(x).double(), doubled(model, x), atol=2e-2, rtol=2e-2)


class Pooled(Residual):
    """Features of images, their means, and their classes: `alive` shifts nothing but the last."""

    def forward(self, images: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, h, w), (n,) to (n, channels, ..), (n, channels)."""
        hidden = torch.relu(self.first(self.stem(images)))
        return hidden, hidden.mean((2, 3)) + alive[:, None].to(images.dtype)


@pytest.mark.parametrize("name", ALIVE)
def test_padding_of_images(name: str) -> None:
    model, images, alive = Pooled().eval(), torch.randn(7, 3, 9, 7), torch.tensor(ALIVE[name]).bool()
    compiled = pit_mlir.compile(model, (images, alive), sparsity=[pit_mlir.Padding("alive")])
    expected = doubled(model, images, alive)
    images[~alive] = torch.nan
    for actual, wide in zip(compiled(images, alive), expected, strict=True):
        agree(actual, wide * alive.reshape(-1, *([1] * (wide.dim() - 1))))


def test_padding_of_one_image() -> None:
    model, image = Pooled().eval(), torch.randn(1, 3, 9, 7)
    compiled = pit_mlir.compile(model, (image, torch.tensor([True])), sparsity=[pit_mlir.Padding("alive")])
    for alive in (True, False):
        mask = torch.tensor([alive])
        for actual, wide in zip(compiled(image, mask), doubled(model, image, mask), strict=True):
            agree(actual, wide * alive)


@pytest.mark.parametrize("kernel", [(3, 3), (3, 2), (1, 1)], ids=str)
def test_bf16_in_pairs(kernel: tuple[int, int]) -> None:
    """Places inside of windows are multiplied two at a time; the last one of an odd number alone."""
    model = nn.Conv2d(5, 33, kernel, stride=(1, 2), padding=(1, 0)).bfloat16().eval()
    for size in ((1, 5, 7, 33), (3, 5, 11, 18)):
        images = torch.randn(size).bfloat16()
        compiled = pit_mlir.compile(model, (images,))
        agree(compiled(images), doubled(model, images), 2e-2)
        # What is not there of a pair is 0, not the neighbour's infinity times 0.
        images[0, 0, 0, 0] = torch.inf
        assert torch.equal(compiled(images).isfinite(), model(images).isfinite())

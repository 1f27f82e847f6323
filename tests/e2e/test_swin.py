"""Windowed attention over a batch of images some of which are padding, with routed experts and without."""

import pytest
import torch
from swin_models import Swin

import pit_mlir

pytestmark = pytest.mark.usefixtures("inference")

ALIVE = ([1, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0])


def test_padding_of_images_reaches_the_pixels() -> None:
    model, images = Swin().eval(), torch.randn(5, 3, 32, 32)
    compiled = pit_mlir.compile(model, (images, torch.ones(5, dtype=torch.bool)))
    # Partitions, rolls and attention keep the images apart: one index, and the images are read through it.
    assert compiled.ir.count('"pit.detect"') == 1
    for pattern in ALIVE:
        alive = torch.tensor(pattern).bool()
        expected = model(images, alive)
        given = images.clone()
        given[~alive] = torch.nan
        torch.testing.assert_close(compiled(given, alive), expected, rtol=1e-4, atol=1e-5)


def test_experts_compute_their_tokens() -> None:
    model, images = Swin(experts=2, shifts=(2,)).eval(), torch.randn(5, 3, 32, 32)
    compiled = pit_mlir.compile(model, (images, torch.ones(5, dtype=torch.bool)))
    # Live images come first, from the pixels on; an index each for the tokens of two experts.
    assert compiled.ir.count('"pit.detect"') == 3 and compiled.explain().summary.dense <= 2
    router = model.blocks[0].feed.router
    for pattern in ALIVE:
        alive = torch.tensor(pattern).bool()
        expected = model(images, alive)
        given = images.clone()
        given[~alive] = torch.nan
        torch.testing.assert_close(compiled(given, alive), expected, rtol=1e-4, atol=1e-5)
    # An expert that no token goes to is not read.
    router.bias.data[:] = torch.tensor([1e3, -1e3])
    alive = torch.tensor(ALIVE[0]).bool()
    expected = model(images, alive)
    for weight in model.blocks[0].feed.experts[1].parameters():
        weight.data[:] = torch.nan
    torch.testing.assert_close(compiled(images, alive), expected, rtol=1e-4, atol=1e-5)

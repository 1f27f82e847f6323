"""Masked attention against torch in double precision: the blocks of keys that a mask leaves out are not looked at."""

import copy

import pytest
import torch
from attention_models import (
    Bars,
    Causal,
    Documents,
    Grouped,
    Keys,
    PaddedWindow,
    Sdpa,
    Triangle,
    Window,
)
from torch import Tensor, nn

import pit_mlir as pit
from examples.longformer import Longformer
from examples.museformer import Museformer

pytestmark = pytest.mark.usefixtures("inference")


def tensors(batch: int, heads: int, tokens: int, width: int = 16) -> list[Tensor]:
    """Queries, keys and values."""
    return [torch.randn(batch, heads, tokens, width) for _ in range(3)]


def exactly(model: nn.Module, *inputs: Tensor) -> Tensor:
    """What torch computes in double precision; lowest numbers are those of the narrow type all the same."""
    return model(*(x.double() if x.is_floating_point() else x for x in inputs))


def assert_equal(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Equal up to rounding, and NaN in the same places."""
    torch.testing.assert_close(actual.double(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)


def blocks_in(compiled: pit.CompiledModule) -> int:
    """How many attentions of the sparse program have a list of blocks."""
    return compiled.ir.count('"pit.block_mask"')


def random_mask(tokens: int, density: float = 0.3, block: int = 64) -> Tensor:
    """A block mask that leaves every query its own block, ragged at the end."""
    count = -(-tokens // block)
    live = (torch.rand(count, count) < density) | torch.eye(count, dtype=torch.bool)
    return live.repeat_interleave(block, 0).repeat_interleave(block, 1)[:tokens, :tokens].contiguous()


def test_masks_that_are_given() -> None:
    """Truth values of (q, k); full, random, blocks, empty rows, which torch makes 0; one program for all."""
    tokens = 200
    q, k, v = tensors(2, 2, tokens)
    compiled = pit.compile(Sdpa(), (q, k, v, random_mask(tokens)))
    assert blocks_in(compiled) == 1
    empty_rows = random_mask(tokens)
    empty_rows[60:150] = False
    for mask in (
        random_mask(tokens),
        torch.ones(tokens, tokens, dtype=torch.bool),
        torch.rand(tokens, tokens) < 0.01,
        torch.zeros(tokens, tokens, dtype=torch.bool),
        empty_rows,
    ):
        assert_equal(compiled(q, k, v, mask), exactly(Sdpa(), q, k, v, mask))


@pytest.mark.parametrize("shape", [(3, 2, 130, 130), (130, 130)])
def test_masks_that_are_added(shape: tuple[int, ...]) -> None:
    """Floats of (q, k), of the batch, of the heads: -inf, or lowest; NaN in a mask reaches its rows."""
    q, k, v = tensors(3, 2, 130)
    live = (torch.rand(shape) < 0.2) & random_mask(130)
    live[..., 0] = True
    compiled = pit.compile(Sdpa(), (q, k, v, live.float()))
    assert blocks_in(compiled) == 1
    for number in (-torch.inf, torch.finfo(torch.float32).min):
        mask = torch.zeros(shape).masked_fill(~live, number)
        assert_equal(compiled(q, k, v, mask), exactly(Sdpa(), q, k, v, mask))
    # Where all is lowest the weights are equal, in torch as here.
    mask = torch.full(shape, torch.finfo(torch.float32).min)
    assert_equal(compiled(q, k, v, mask), Sdpa()(q, k, v, mask).double())
    mask = torch.zeros(shape)
    mask[..., 70, 100] = torch.nan
    given = compiled(q, k, v, mask)
    assert bool(given[:, :, 70].isnan().all()) and not bool(given[:, :, 71].isnan().any())


@pytest.mark.parametrize("style", [Causal, Triangle, Window, Documents])
def test_masks_of_positions(style: type[nn.Module]) -> None:
    """Masks that the model makes, one program for any length; no tensor of queries x keys is left in it."""
    model = style()

    def inputs(tokens: int) -> list[Tensor]:
        everywhere = torch.zeros(tokens, dtype=torch.bool)
        everywhere[:: max(1, tokens // 2)] = True
        documents = torch.randint(0, 4, (2, tokens)).sort(-1).values
        more: dict[type[nn.Module], list[Tensor]] = {Window: [everywhere], Documents: [documents]}
        return [*tensors(2, 3, tokens), *more.get(style, [])]

    example = inputs(150)
    tokens = torch.export.Dim("tokens", min=2, max=4096)
    shapes = [{2: tokens}] * 3 + [{x.ndim - 1: tokens} for x in example[3:]]
    compiled = pit.compile(model, tuple(example), dynamic_shapes=tuple(shapes))
    assert blocks_in(compiled) == 1
    for count in (150, 2, 7, 33, 127, 330):
        given = inputs(count)
        assert_equal(compiled(*given), exactly(model, *given))


def test_what_is_left_out_is_not_read() -> None:
    """Keys and values in blocks that no query sees may be anything, even NaN."""
    q, k, v = tensors(2, 2, 256)
    live = torch.zeros(2, 256, dtype=torch.bool)
    live[0, 70:90] = True
    live[1, 200:] = True
    expected = exactly(Keys(), q, k, v, live)
    compiled = pit.compile(Keys(), (q, k, v, live))
    for row, (begin, end) in enumerate([(64, 128), (192, 256)]):
        outside = torch.ones(256, dtype=torch.bool)
        outside[begin:end] = False
        k[row, :, outside] = torch.nan
        v[row, :, outside] = torch.nan
    assert_equal(compiled(q, k, v, live), expected)


def test_a_sequence_without_keys() -> None:
    """All scores are lowest: the mean of the values, over the keys of all blocks, as dense attention has it."""
    q, k, v = tensors(2, 2, 150)
    live = torch.zeros(2, 150, dtype=torch.bool)
    live[0, :3] = True
    compiled = pit.compile(Keys(), (q, k, v, live))
    assert_equal(compiled(q, k, v, live)[1], v[1].double().mean(1, keepdim=True).expand(2, 150, 16))
    assert_equal(compiled(q, k, v, live), Keys()(q, k, v, live).double())


def test_blocks_from_a_table() -> None:
    """A mask that is looked up: which bar of tokens looks at which."""
    q, k, v = tensors(1, 2, 190)
    bar = torch.arange(190) // 19
    chosen = (torch.rand(10, 10) < 0.2) | torch.eye(10, dtype=torch.bool)
    compiled = pit.compile(Bars(), (q, k, v, bar, chosen))
    assert blocks_in(compiled) == 1
    assert_equal(compiled(q, k, v, bar, chosen), exactly(Bars(), q, k, v, bar, chosen))


def test_other_keys_than_queries_and_groups_of_heads() -> None:
    """Cross attention with 4 heads of queries and 2 of keys, 70 queries and 300 keys."""
    q, k, v = torch.randn(2, 4, 70, 16), torch.randn(2, 2, 300, 16), torch.randn(2, 2, 300, 24)
    mask = torch.rand(2, 1, 70, 300) < 0.02
    compiled = pit.compile(Grouped(), (q, k, v, mask))
    assert blocks_in(compiled) == 1
    assert_equal(compiled(q, k, v, mask), exactly(Grouped(), q, k, v, mask))


@pytest.mark.parametrize("style", [Window, Sdpa])
def test_bf16(style: type[nn.Module]) -> None:
    """Narrow floats: as near to exact numbers as their rounding allows."""
    q, k, v = (x.bfloat16() for x in tensors(2, 2, 140))
    mask = (
        torch.arange(140) < 2
        if style is Window
        else torch.zeros(140, 140).masked_fill(~random_mask(140), -torch.inf)
    )
    mask = mask.bfloat16() if style is Sdpa else mask
    compiled = pit.compile(style(), (q, k, v, mask))
    assert blocks_in(compiled) == 1
    assert_equal(compiled(q, k, v, mask), exactly(style(), q, k, v, mask), 2e-2)


@pytest.mark.parametrize("tokens", [30, 200])
def test_padding_and_window(tokens: int) -> None:
    """Rows of tokens and blocks of near keys at once; a padded row is 0, a sequence without tokens too."""
    model = PaddedWindow(32, 2).eval()
    x, mask = torch.randn(4, tokens, 32), torch.zeros(4, tokens, dtype=torch.bool)
    for row, length in enumerate((tokens, 1, 0, tokens // 2 + 9)):
        mask[row, :length] = True
    mask[0, 3 : tokens // 2] = False
    compiled = pit.compile(model, (x, mask), sparsity=[pit.Padding("mask")])
    assert blocks_in(compiled) == 1
    assert "compact = array<i64: 0, 1, 2, 3>" in compiled.ir
    expected = copy.deepcopy(model).double()(x.double(), mask).masked_fill(~mask[..., None], 0.0)
    assert_equal(compiled(x, mask), expected)


def test_a_single_query() -> None:
    """One step of decoding: the dimension of queries is folded away, and is there again in the attention."""
    tokens = torch.export.Dim("tokens", min=2, max=4096)

    def inputs(count: int) -> tuple[Tensor, ...]:
        q, k, v = torch.randn(2, 3, 1, 16), *tensors(2, 3, count)[1:]
        return q, k, v, torch.rand(2, 1, 1, count) < 0.5

    example = inputs(100)
    compiled = pit.compile(Sdpa(), example, dynamic_shapes=({}, {2: tokens}, {2: tokens}, {3: tokens}))
    assert blocks_in(compiled) == 1
    for count in (100, 2, 33, 127, 300):
        given = inputs(count)
        assert_equal(compiled(*given), exactly(Sdpa(), *given))


def test_longformer() -> None:
    """The example: one list for all layers, since their masks are one."""
    length = 300
    model = Longformer(dim=32, heads=2, layers=2, window=20).eval()
    ids, is_global = torch.randint(0, 1000, (2, length)), torch.zeros(2, length, dtype=torch.bool)
    is_global[0, 3], is_global[1, -1] = True, True
    compiled = pit.compile(model, (ids, is_global))
    assert blocks_in(compiled) == 1
    assert f"{length}x{length}x" not in compiled.ir, "neither scores nor masks are stored"
    assert_equal(compiled(ids, is_global), copy.deepcopy(model).double()(ids, is_global), 1e-4)


def test_museformer() -> None:
    """The example, with a bar that has no token: its summary looks at nothing, and nobody at it that counts."""
    model = Museformer(bars=9, dim=32, heads=2, layers=2).eval()
    ids, bar = torch.randint(0, 1000, (2, 250)), torch.randint(0, 8, (250,)).sort().values
    compiled = pit.compile(model, (ids, bar))
    assert blocks_in(compiled) == 2
    assert "250x259x" not in compiled.ir, "neither scores nor masks are stored"
    assert_equal(compiled(ids, bar), copy.deepcopy(model).double()(ids, bar), 1e-4)


def test_attention_without_a_mask_says_so() -> None:
    """A bias that is no mask gives no list."""
    q, k, v = tensors(1, 2, 100)

    class Slopes(nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            position = torch.arange(q.shape[2])
            bias = -(position[:, None] - position[None, :]).abs().float() * 0.5
            return ((q @ k.mT) + bias).softmax(-1) @ v

    compiled = pit.compile(Slopes(), (q, k, v))
    assert blocks_in(compiled) == 0
    assert "looks at all keys" in str(compiled.explain())
    assert_equal(compiled(q, k, v), exactly(Slopes(), q, k, v))


class Lifted(nn.Module):
    """Lowest numbers that are taken back again: every key counts."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        scores = (q @ k.mT).masked_fill(~mask, -1e31) + 1e31
        return scores.softmax(-1) @ v


def test_lowest_numbers_that_are_lifted() -> None:
    """What was lowered and then lifted by as much is no mask."""
    q, k, v = tensors(1, 2, 130)
    mask = random_mask(130)
    compiled = pit.compile(Lifted(), (q, k, v, mask))
    torch.testing.assert_close(compiled(q, k, v, mask), Lifted()(q, k, v, mask), rtol=1e-5, atol=1e-5)

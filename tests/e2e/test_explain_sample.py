"""`explain(*args)`: what a sample run tells is what torch sees of the same call."""

import pytest
import torch
from expert_models import DIM, HIDDEN, Combined, Loop
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit
from pit_mlir.analysis.gpu_chips import chip_of

pytestmark = pytest.mark.usefixtures("inference")


class Masked(nn.Module):
    """A projection of a padded batch, and a ReLU in front of another."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 96), nn.Linear(96, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x))).masked_fill(mask[..., None] == 0, 0.0)


def test_rows_and_lists_are_those_of_the_call() -> None:
    torch.manual_seed(1)
    model = Masked().eval()
    nn.init.constant_(model.up.bias, -2.0)
    x, mask = torch.randn(5, 33, 8), (torch.arange(33) < torch.tensor([[0], [33], [7], [1], [20]])).long()
    options = pit.CompileOptions(select="32x1")
    compiled = pit.compile(model, (x, mask), sparsity=[pit.Padding("mask")], options=options)
    before = compiled(x, mask)
    sample = compiled.explain(x, mask).sample
    assert sample is not None and torch.equal(compiled(x, mask), before)
    rows, lists = sorted(sample.patterns, key=lambda pattern: pattern.kind, reverse=True)
    assert (rows.kind, rows.source, rows.segments, rows.capacity) == ("rows", "'mask'", 5, 33)
    assert rows.loads == (0.0, 33.0, 7.0, 1.0, 20.0) and rows.live == 61
    assert [one.live for one in rows.coverage] == [
        61,
        17 + 4 + 1 + 10,
        9 + 2 + 1 + 5,
        5 + 1 + 1 + 3,
        3 + 1 + 1 + 2,
        5,
        4,
    ][: len(rows.coverage)]
    hidden = torch.relu(model.up(x[mask.bool()])) != 0
    for one in lists.coverage:
        parts = torch.split(hidden, one.micro_tile)
        assert one.live == sum(int(part.any(0).sum()) for part in parts), one.micro_tile
    assert lists.live == next(one.live for one in lists.coverage if one.micro_tile == lists.block)
    up, down = sample.work
    assert (up.done, up.dense) == (61 * 96 * 8, 5 * 33 * 96 * 8)
    blocks = torch.split(hidden, lists.block)
    assert down.done == sum(len(block) * int(block.any(0).sum()) * 8 for block in blocks)
    assert down.dense == up.dense


class Product(nn.Module):
    """A product behind a ReLU."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.relu(a) @ b


@pytest.mark.parametrize(("zeros", "rows"), [(0.0, 1), (0.95, 8), (0.95, 32), (0.98, 1)])
def test_what_is_followed_is_what_was_expected_to_cost_least(zeros: float, rows: int) -> None:
    """Entries are those of the call, which is small enough to be looked at as a whole; so is the work."""
    torch.manual_seed(3)
    size = torch.rand(256, 512) + 0.1
    dead = (torch.rand(256 // rows, 512) < zeros).repeat_interleave(rows, 0)
    a, b = torch.where(dead, -size, size), torch.randn(512, 256)
    explanation = pit.compile(Product(), (a, b), target="cpu").explain(a, b)
    sample = explanation.sample
    assert sample is not None
    [choice] = sample.choices
    assert [one.name for one in choice.candidates] == ["8x1", "16x1", "1x64", "32x1", "dense"]
    for one in choice.candidates[:-1]:
        high, long = map(int, one.name.split("x"))
        tiles = (a > 0).unflatten(0, (-1, high)).unflatten(2, (-1, long))
        assert one.entries == tiles.any(3).any(1).sum()
    least = min(one.total for one in choice.candidates)
    assert least <= choice.followed.total <= 1.04 * least
    assert choice.followed.is_dense == (zeros == 0)
    [work] = sample.work
    assert work.done == (work.dense if choice.followed.is_dense else choice.followed.places * 256)
    assert "ms of one thread" in str(explanation) and "costs: " in str(explanation)


@pytest.mark.parametrize("zeros", [0.0, 0.97])
def test_kernels_of_a_gpu_choose_by_what_the_list_holds(zeros: float) -> None:
    """Between one list and none, by the costs of the chip; the work is that of the kernel that does it."""
    torch.manual_seed(3)
    size = torch.rand(64, 96) + 0.1
    dead = (torch.rand(2, 96) < zeros).repeat_interleave(32, 0)
    a, b = torch.where(dead, -size, size), torch.randn(96, 40)
    explanation = pit.compile(Product(), (a, b), target="emulator").explain(a, b)
    sample = explanation.sample
    assert sample is not None
    [choice], [work] = sample.choices, sample.work
    listed, dense = choice.candidates
    high, long = map(int, listed.name.split("x"))
    live = (a > 0).unflatten(0, (-1, high)).unflatten(2, (-1, long)).any(3).any(1).sum().item()
    cost = chip_of("sm_80").cost_of_listed(high)
    assert (listed.entries, listed.total) == (live, pytest.approx(live * cost))
    assert dense.total == a.numel() / high
    assert choice.followed is (listed if zeros else dense)
    assert work.done == (live * high * 40 if zeros else work.dense)
    assert (
        "steps of the dense kernel" in str(explanation)
        and "steps of the dense kernel" in explanation.to_html()
    )


def test_loads_of_experts_are_those_of_the_router() -> None:
    torch.manual_seed(2)
    model, x = Combined(6, 2).eval(), torch.randn(37, DIM)
    tokens = torch.export.Dim("tokens", min=1, max=100)
    compiled = pit.compile(model, (x,), dynamic_shapes=({0: tokens},))
    for count in (37, 1):
        sample = compiled.explain(x[:count]).sample
        assert sample is not None
        (pattern,) = sample.patterns
        loads = (model.gates(x[:count]) != 0).sum(0)
        assert (pattern.segments, pattern.capacity) == (6, count)
        assert pattern.loads == tuple(map(float, loads))
        listed = [work for work in sample.work if work.index is not None]
        assert [work.done for work in listed] == [2 * count * DIM * HIDDEN] * 2
        assert [work.dense for work in listed] == [6 * count * DIM * HIDDEN] * 2


def test_work_of_experts_that_share_one_pass() -> None:
    """Each module of a loop runs on one segment of an index by key: its rows are those of its own list."""
    model, x = Loop(6, 2).eval(), torch.randn(37, DIM)
    sample = pit.compile(model, (x,)).explain(x).sample
    assert sample is not None
    (pattern,) = sample.patterns
    assert (pattern.segments, pattern.capacity, pattern.live) == (6, 37, 74)
    listed = [work for work in sample.work if work.index is not None]
    of_each = [int(load) * DIM * HIDDEN for load in pattern.loads]
    assert sorted(work.done for work in listed) == sorted(2 * of_each)
    assert {work.dense for work in listed} == {37 * DIM * HIDDEN} and {work.index for work in listed} == {0}


class Attention(nn.Module):
    """Attention with a mask of keys, and to near keys and the first ones alone."""

    def __init__(self, near: int) -> None:
        super().__init__()
        self.near = near

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        place = torch.arange(q.shape[-2])
        live = ((place[:, None] - place).abs() <= self.near) | (place < 3)
        scores = (q @ k.mT).masked_fill(~live | (mask[:, None, None, :] == 0), float("-inf"))
        return scores.softmax(-1) @ v

    def blocks(self, mask: Tensor) -> Tensor:
        """Which of the blocks of 64 queries and keys hold a pair, by sequence."""
        place = torch.arange(mask.shape[1])
        live = ((place[:, None] - place).abs() <= self.near) | (place < 3)
        pairs = functional.pad(live & mask[:, None, :].bool(), [0, -len(place) % 64] * 2)
        return pairs.unflatten(1, (-1, 64)).unflatten(3, (-1, 64)).any(4).any(2)


def test_attention_counts_the_pairs_of_its_blocks() -> None:
    tokens, model = 300, Attention(20).eval()
    q, k, v = (torch.randn(2, 3, tokens, 4) for _ in range(3))
    mask = (torch.arange(tokens) < torch.tensor([[64], [300]])).long()
    sample = pit.compile(model, (q, k, v, mask)).explain(q, k, v, mask).sample
    assert sample is not None
    (pattern,), (work,) = sample.patterns, sample.work
    blocks = model.blocks(mask)
    sizes = torch.tensor([64, 64, 64, 64, 44])
    assert pattern.kind == "pairs"
    assert pattern.live % int(blocks.sum()) == 0, "once, or once for each head"
    pairs = (blocks * sizes[:, None] * sizes).sum().item()
    assert (work.done, work.dense) == (3 * pairs * 8, 2 * 3 * tokens**2 * 8)


def test_nothing_to_list_and_frozen_weights() -> None:
    model, x = nn.Linear(3, 4).eval(), torch.randn(5, 3)
    for options in (pit.CompileOptions(), pit.CompileOptions(freeze=True)):
        sample = pit.compile(model, (x,), options=options).explain(x).sample
        assert sample is not None and not sample.patterns
        assert (sample.done, sample.dense, sample.share) == (60, 60, 1.0)


def test_an_argument_that_does_not_fit() -> None:
    compiled = pit.compile(nn.Linear(3, 4).eval(), (torch.randn(5, 3),))
    with pytest.raises(pit.InputError, match="compiled for float32"):
        compiled.explain(torch.randn(5, 4))

"""Frozen weights replace the model's: where the caller lets go of the model, its memory goes."""

import copy
import functools
import gc
import sys
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pit_mlir as pit
from pit_mlir.runtime import memory
from pit_mlir.runtime.library import library

pytestmark = pytest.mark.usefixtures("inference")
X = torch.randn(5, 64)
FREEZE = pit.CompileOptions(freeze=True)


# Sums of exponentials: what cancels leaves more than torch's own tolerance.
assert_close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-3)


class Net(nn.Module):
    """A weight of which another one is computed, one that is read as it is, and one that is returned."""

    def __init__(self) -> None:
        super().__init__()
        self.computed = nn.Parameter(torch.randn(48, 64))
        self.bias = nn.Parameter(torch.randn(48))
        self.returned = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.computed.exp().t() + self.bias, self.returned.clone()


def test_the_model_goes() -> None:
    model = Net().eval()
    expected = model(X)
    fast = pit.compile(model, (X,), options=FREEZE)
    gone = [weakref.ref(thing) for thing in (model, model.computed, model.bias)]
    twin = copy.deepcopy(fast)
    del model
    gc.collect()
    assert [thing() for thing in gone] == [None] * 3
    assert_close(fast(X), expected)
    with pytest.raises(pit.InputError, match="the model of this program is gone"):
        fast.refresh()
    assert_close(fast(X), expected)
    twin.refresh()
    assert_close(twin(X), expected)
    assert_close(copy.deepcopy(fast)(X), expected)


def test_a_model_that_is_held_can_be_refreshed() -> None:
    model = Net().eval()
    fast = pit.compile(model, (X,), options=FREEZE)
    model.computed.mul_(0.5)
    model.returned.add_(1)
    fast.refresh()
    assert_close(fast(X), model(X))


def test_what_is_written_to_is_kept(tmp_path: Path) -> None:
    """A program that writes to the model holds it, and each call reads what the last one wrote: no snapshot has it."""

    class Counting(nn.Module):
        calls: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.layer = nn.Linear(64, 8)
            self.factors = nn.Parameter(torch.randn(8))

        def forward(self, x: Tensor) -> Tensor:
            self.calls.add_(1)
            return self.layer(x) + self.factors * self.calls

    model = Counting().eval()
    expected = copy.deepcopy(model)
    fast = pit.compile(model, (X,), options=FREEZE)
    del model
    gc.collect()
    for _ in range(3):
        assert_close(fast(X), expected(X))
    fast.refresh()
    fast.save(tmp_path / "counting")
    for program in (fast, pit.load(tmp_path / "counting")):
        again = copy.deepcopy(expected)
        for _ in range(2):
            assert_close(program(X), again(X))


def test_nothing_is_kept_of_what_only_another_is_computed_from() -> None:
    model = Net().eval()
    fast = pit.compile(model, (X,), options=FREEZE)
    kept, prepared = fast._snapshot.state  # type: ignore[union-attr]
    assert prepared, "nothing is computed: the test says nothing"
    sizes = {
        a.name: value.untyped_storage().nbytes()
        for a, value in zip(fast._weight_arguments, kept, strict=True)
    }
    assert sizes == {"computed": 4, "bias": 4 * 48, "returned": 4 * 3}


def resident(field: str) -> int:
    """What the system says of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def test_frozen_weights_are_given_back() -> None:
    """With the program, or with the next snapshot: no call could use their memory."""
    model = nn.Linear(2048, 4096).eval()
    kilobytes = 4 * 2048 * 4
    x = torch.randn(64, 2048)
    fast = pit.compile(model, (x,), options=FREEZE)
    cached, held = library().pit_cached_bytes(), resident("RssAnon")
    for _ in range(3):
        fast.refresh()
    assert library().pit_cached_bytes() <= cached + kilobytes * 256
    assert resident("RssAnon") < held + kilobytes // 2
    del fast
    gc.collect()
    assert library().pit_cached_bytes() <= cached + kilobytes * 256
    assert resident("RssAnon") < held - kilobytes // 2


def test_the_compiler_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code is no longer resident, and works again."""
    model = Net().eval()
    with monkeypatch.context() as kept:
        kept.setattr(sys.modules["pit_mlir.compile"], "give_back", lambda: None)
        pit.compile(model, (X,), options=FREEZE)
    before = resident("RssFile")
    memory.give_back()
    assert resident("RssFile") < before - 10_000
    assert_close(pit.compile(model, (X,))(X), model(X))

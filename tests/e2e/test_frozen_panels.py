"""Frozen weights are packed once: the same answers, in the memory of the weights that were packed."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit

# Kernels of a GPU read weights as torch keeps them: nothing is packed there.
pytestmark = [pytest.mark.cpu, pytest.mark.usefixtures("inference")]
FREEZE = pit.CompileOptions(freeze=True)


class Experts(nn.Module):
    """Each token's two best of five experts, whose weights are one tensor."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.router = nn.Linear(45, 5)
        self.up = nn.Parameter(torch.randn(5, 61, 45).mul(0.15).to(dtype))
        self.down = nn.Parameter(torch.randn(5, 45, 61).mul(0.15).to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        # In f32: scores that are equal in bf16 would be chosen by rounding.
        scores, chosen = self.router(x.float()).softmax(-1).topk(2, -1)
        gates = (functional.one_hot(chosen, 5) * scores[..., None]).sum(1).to(x.dtype)
        hidden = torch.einsum("td,ehd->eth", x, self.up).relu()
        return torch.einsum("etd,te->td", torch.einsum("eth,edh->etd", hidden, self.down), gates)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)], ids=str)
def test_experts(dtype: torch.dtype, tolerance: float) -> None:
    """Segments of any number of rows, none among them, after `refresh()` too; packed weights are no larger."""
    model = Experts(dtype).eval()
    tokens = torch.export.Dim("tokens", min=0)
    example = torch.zeros(12, 45, dtype=dtype)
    fast = pit.compile(model, (example,), dynamic_shapes=({0: tokens},), options=FREEZE)
    assert "floordiv" in fast.ir, "nothing is packed: the test says nothing"
    for scale in (1.0, 0.5):
        model.up.mul_(scale)
        fast.refresh()
        for count in (0, 1, 7, 33, 400):
            x = torch.randn(count, 45).to(dtype)
            torch.testing.assert_close(fast(x), model(x), rtol=tolerance, atol=tolerance)


def held(fast: pit.CompiledModule) -> int:
    """Bytes of the weights that `fast` keeps, packed or not."""
    kept, prepared = fast._snapshot.state  # type: ignore[union-attr]
    return sum(value.untyped_storage().nbytes() for value in (*kept, *prepared))


class Language(nn.Module):
    """The table of words is the head too, or not."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(320, 96)
        self.layer = nn.Linear(96, 96)
        self.head = nn.Linear(96, 320, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.layer(self.words(words)))


@pytest.mark.parametrize("tied", [False, True])
def test_packed_weights_replace_the_others(tied: bool) -> None:
    """Nothing is held twice: a table that is read word by word stays as it is."""
    model = Language(tied=tied).eval()
    words = torch.randint(0, 320, (9,))
    fast = pit.compile(model, (words,), options=FREEZE)
    torch.testing.assert_close(fast(words), model(words), rtol=1e-4, atol=1e-4)
    given = sum(weight.numel() * 4 for weight in set(model.parameters()))
    assert given <= held(fast) <= 1.01 * given
    said = " ".join(str(fast.explain()).split())
    assert ("packed weights replace it" in said) == tied

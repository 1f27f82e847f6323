"""Whole models from `transformers` and plain modules: sparse against dense in float64, on fresh data every call."""

import pytest
import torch
from torch import nn

import pit_mlir as pit

VOCABULARY = 97


pytestmark = pytest.mark.usefixtures("inference")


def dense(model: nn.Module, *args: torch.Tensor) -> torch.Tensor:
    """The answer of a float64 copy of `model`."""
    import copy

    doubled = copy.deepcopy(model).double()
    return doubled(*(a.double() if a.is_floating_point() else a for a in args))


def close(given: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    scale = expected.abs().max().clamp(min=1e-3).item() if expected.numel() else 1.0
    torch.testing.assert_close(given.double(), expected.double(), rtol=0, atol=tolerance * scale)


class Bert(nn.Module):
    def __init__(self, attention: str) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        config = BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=65,
            max_position_embeddings=40,
            attn_implementation=attention,
        )
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.bert(input_ids=ids, attention_mask=attention_mask).last_hidden_state


class Opt(nn.Module):
    def __init__(self, attention: str = "sdpa") -> None:
        super().__init__()
        from transformers import OPTConfig, OPTModel

        config = OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=66,
            max_position_embeddings=40,
            word_embed_proj_dim=32,
            attn_implementation=attention,
        )
        config.use_cache = False
        self.opt = OPTModel(config)

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.opt(input_ids=ids, attention_mask=attention_mask, use_cache=False).last_hidden_state


def batch(lengths: list[int], tokens: int, left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids and a mask with `lengths` live tokens, at the end of the rows if `left`."""
    live = torch.arange(tokens)[None] < torch.tensor(lengths)[:, None]
    mask = (live.flip(1) if left else live).long()
    return torch.randint(0, VOCABULARY, mask.shape), mask


LENGTHS = ([17, 1, 9], [17, 17, 17], [0, 0, 0], [0, 5, 17], [1, 1, 1])


def check_padding(
    model: nn.Module, fast: pit.CompiledModule, lengths: list[int], tokens: int, left: bool = False
) -> None:
    ids, mask = batch(lengths, tokens, left)
    given, expected = fast(ids, mask), dense(model, ids, mask)
    live = mask.bool()
    close(given[live], expected[live])
    assert (given[~live] == 0).all(), "unused rows are exactly 0"


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_bert_static(attention: str) -> None:
    model = Bert(attention).eval()
    fast = pit.compile(model, batch([17, 4, 9], 17), sparsity=[pit.Padding("attention_mask")])
    for lengths in LENGTHS:
        check_padding(model, fast, lengths, 17)
    check_padding(model, fast, [5, 17, 3], 17, left=True)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1)])
def test_bert_of_one_token_or_one_sequence(shape: tuple[int, int]) -> None:
    model = Bert("sdpa").eval()
    rows, tokens = shape
    fast = pit.compile(model, batch([tokens] * rows, tokens), sparsity=[pit.Padding("attention_mask")])
    for lengths in ([tokens] * rows, [0] * rows, [1] * rows):
        check_padding(model, fast, lengths, tokens)


def test_bert_dynamic_batch_and_length() -> None:
    model = Bert("sdpa").eval()
    b, t = torch.export.Dim("b", max=64), torch.export.Dim("t", max=40)
    shapes = {"ids": {0: b, 1: t}, "attention_mask": {0: b, 1: t}}
    fast = pit.compile(
        model, batch([17, 4, 9], 17), dynamic_shapes=shapes, sparsity=[pit.Padding("attention_mask")]
    )
    for lengths, tokens in (([17, 1, 9], 17), ([2], 3), ([33, 7], 33), ([0, 1], 2), ([5, 40, 1, 0, 11], 40)):
        check_padding(model, fast, lengths, tokens)


def test_bert_residual_stream_is_compact_with_one_index() -> None:
    fast = pit.compile(Bert("eager").eval(), batch([17, 4, 9], 17), sparsity=[pit.Padding("attention_mask")])
    assert fast.ir.count('"pit.detect"') == 1
    assert fast.ir.count('"pit.swrite"') + fast.ir.count('combine = "store"') >= 1
    made = [line for line in fast.ir.splitlines() if "tensor.empty" not in line and "linalg.fill" not in line]
    assert "tensor<3x17x65x" not in "".join(made), "the hidden layer is never dense"
    assert "compact" in str(fast.explain())


def test_bert_without_padding_is_dense_and_right() -> None:
    model = Bert("sdpa").eval()
    ids, mask = batch([17, 4, 9], 17)
    close(pit.compile(model, (ids, mask))(ids, mask), dense(model, ids, mask))


def test_token_outside_the_vocabulary_raises() -> None:
    model = Bert("eager").eval()
    fast = pit.compile(model, batch([17, 4, 9], 17), sparsity=[pit.Padding("attention_mask")])
    ids, mask = batch([17, 4, 9], 17)
    for wrong in (VOCABULARY, -1, 2**40):
        bad = ids.clone()
        bad[1, 2] = wrong
        with pytest.raises(pit.InputError, match="index"):
            fast(bad, mask)
    check_padding(model, fast, [17, 1, 9], 17)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padded", [False, True])
def test_opt(attention: str, padded: bool) -> None:
    model = Opt(attention).eval()
    sparsity = [pit.Padding("attention_mask")] if padded else []
    fast = pit.compile(model, batch([17, 4, 9], 17), sparsity=sparsity)
    for lengths in LENGTHS[:2] if not padded else LENGTHS:
        ids, mask = batch(lengths, 17)
        given, expected = fast(ids, mask), dense(model, ids, mask)
        live = mask.bool()
        close(given[live], expected[live])
        if padded:
            assert (given[~live] == 0).all()
    assert "relu" in str(fast.explain()).lower() or "is 0 where" in str(fast.explain())


def test_opt_one_token_frozen() -> None:
    model = Opt().eval()
    fast = pit.compile(model, batch([1], 1), options=pit.CompileOptions(freeze=True))
    for _ in range(3):
        ids, mask = batch([1], 1)
        close(fast(ids, mask), dense(model, ids, mask))


class Masked(nn.Module):
    def __init__(self, inner: int = 64, outer: int = 96) -> None:
        super().__init__()
        self.linear = nn.Linear(inner, outer)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.linear.weight * mask, self.linear.bias)


PATTERNS = {
    "32x1": lambda live: (torch.rand(3, 64) < live).repeat_interleave(32, 0),
    "rows": lambda live: torch.rand(96, 1) < live,
    "columns": lambda live: torch.rand(1, 64) < live,
    "1x1": lambda live: torch.rand(96, 64) < live,
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS.keys())
@pytest.mark.parametrize("rows", [1, 33])
@pytest.mark.parametrize("frozen", [False, True])
def test_masked_weights(pattern, rows: int, frozen: bool) -> None:
    model = Masked().eval()
    fast = pit.compile(
        model, (torch.randn(rows, 64), pattern(0.5)), options=pit.CompileOptions(freeze=frozen)
    )
    for live in (0.0, 0.1, 0.5, 1.0):
        x, mask = torch.randn(rows, 64), pattern(live)
        close(fast(x, mask), dense(model, x, mask))


class Activations(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.up, self.down = nn.Linear(33, 127), nn.Linear(127, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.up(x)
        match self.kind:
            case "relu":
                y = torch.relu(y)
            case "clamp":
                y = y.clamp(min=0)
            case "threshold":
                y = nn.functional.threshold(y, 0.3, 0.0)
            case "squared":
                y = torch.relu(y).square()
            case "where":
                y = torch.where(y > 0.5, y, 0.0)
            case "marked":
                y = pit.mark(y * (y > 0.5))
            case _:
                y = nn.functional.gelu(y)
        return self.down(y)


@pytest.mark.parametrize("kind", ["relu", "clamp", "threshold", "squared", "where", "marked", "gelu"])
def test_zeros_of_activations_are_found(kind: str) -> None:
    model = Activations(kind).eval()
    for rows in (1, 7, 70):
        fast = pit.compile(model, (torch.randn(rows, 33),))
        for _ in range(2):
            x = torch.randn(rows, 33)
            close(fast(x), dense(model, x))
        assert ('"pit.detect"' in fast.ir) == (kind != "gelu")
    model.up.bias.fill_(-1e3)
    close(fast(x), dense(model, x))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_reaches_the_result(value: float) -> None:
    model = Activations("relu").eval()
    fast = pit.compile(model, (torch.randn(7, 33),))
    x = torch.randn(7, 33)
    x[3, 5] = value
    given, expected = fast(x), model(x)
    assert torch.equal(given.isfinite(), expected.isfinite())
    assert not given[3].isfinite().all() and given[2].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    tolerance = 1e-9 if dtype is torch.float64 else 2e-2
    model = Bert("eager").to(dtype).eval()
    fast = pit.compile(model, batch([17, 4, 9], 17), sparsity=[pit.Padding("attention_mask")])
    ids, mask = batch([17, 1, 9], 17)
    live = mask.bool()
    given, expected = fast(ids, mask), dense(model, ids, mask)
    assert given.dtype is dtype
    close(given[live], expected[live], tolerance)
    assert (given[~live] == 0).all()
    linear = Masked().to(dtype).eval()
    x, weights = torch.randn(33, 64, dtype=dtype), PATTERNS["32x1"](0.3)
    close(pit.compile(linear, (x, weights))(x, weights), dense(linear, x, weights), tolerance)

"""Architectures of `transformers`, tiny and with random weights, against float64; those that read text with `Padding`."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pit_mlir as pit

transformers: Any = pytest.importorskip("transformers")

VOCABULARY = 97
USUAL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 65,
    "max_position_embeddings": 40,
}


pytestmark = pytest.mark.usefixtures("inference")


def named(name: str, **config: Any) -> nn.Module:
    """`transformers.<name>Model` with the given configuration."""
    return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config))


def mixtral() -> nn.Module:
    """Experts by gathered weights."""
    model: Any = named("Mixtral", **USUAL, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2)
    model.set_experts_implementation("batched_mm")
    return model


GROUPED = {"num_key_value_heads": 2}
TEXT: dict[str, Callable[[], nn.Module]] = {
    "bert": lambda: named("Bert", **USUAL),
    "roberta": lambda: named("Roberta", **USUAL),
    "albert": lambda: named("Albert", **USUAL, embedding_size=16),
    "distilbert": lambda: named(
        "DistilBert",
        vocab_size=VOCABULARY,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=65,
        max_position_embeddings=40,
    ),
    "gpt2": lambda: named("GPT2", vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=40),
    "gpt_neox": lambda: named("GPTNeoX", **USUAL),
    "llama": lambda: named("Llama", **USUAL, **GROUPED),
    "mistral, sliding window": lambda: named("Mistral", **USUAL, **GROUPED, sliding_window=4),
    "t5 encoder": lambda: transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=65, num_layers=2, num_heads=4)
    ),
    "mixtral": mixtral,
}
IMAGES: dict[str, Callable[[], nn.Module]] = {
    "vit": lambda: named(
        "ViT",
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=65,
        image_size=16,
        patch_size=4,
    ),
    "swin": lambda: named(
        "Swin", image_size=16, patch_size=2, embed_dim=16, depths=[2], num_heads=[2], window_size=4
    ),
    "resnet": lambda: named(
        "ResNet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    ),
}


class FirstOutput(nn.Module):
    """The first output of a model of `transformers`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        options = {"use_cache": False} if hasattr(self.model.config, "use_cache") else {}
        return self.model(input_ids=ids, attention_mask=attention_mask, **options)[0]


class OfPixels(FirstOutput):
    """The same of a model for images."""

    def forward(self, pixels: Tensor) -> Tensor:  # type: ignore[override]
        return self.model(pixel_values=pixels)[0]


def assert_close(given: Tensor, expected: Tensor) -> None:
    assert (given.double() - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", TEXT)
def test_text_with_padding(name: str) -> None:
    model = FirstOutput(TEXT[name]()).eval()
    exact = copy.deepcopy(model).double()
    ids = torch.randint(2, VOCABULARY, (3, 8))
    fast = pit.compile(model, (ids, torch.ones_like(ids)), sparsity=[pit.Padding("attention_mask")])
    for lengths in ([8, 8, 8], [8, 3, 1], [2, 7, 5]):
        live = torch.arange(8)[None] < torch.tensor(lengths)[:, None]
        ids = torch.randint(2, VOCABULARY, (3, 8))
        given, expected = fast(ids, live.long()), exact(ids, live.long())
        assert_close(given[live], expected[live])
        assert not given[~live].any()


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str) -> None:
    model = OfPixels(IMAGES[name]()).eval()
    exact = copy.deepcopy(model).double()
    fast = pit.compile(model, (torch.randn(2, 3, 16, 16),))
    pixels = torch.randn(2, 3, 16, 16)
    assert_close(fast(pixels), exact(pixels.double()))


def test_a_model_whose_graph_depends_on_the_data_names_its_line() -> None:
    """Experts one after another, each on the tokens that chose it."""
    model: Any = mixtral()
    model.set_experts_implementation("eager")
    ids = torch.randint(2, VOCABULARY, (3, 8))
    with pytest.raises(pit.UnsupportedError, match=r"modeling_mixtral\.py:\d+"):
        pit.compile(FirstOutput(model).eval(), (ids, torch.ones_like(ids)))

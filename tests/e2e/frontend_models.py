"""Models for the frontend's tests: real architectures with small configurations and random weights."""

from typing import Any

import torch
import transformers
from torch import Tensor, nn

BATCH, LENGTH = 2, 8
IMPLEMENTATIONS = ("eager", "sdpa")


class LastHidden(nn.Module):
    """A transformers model with two inputs and one output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def bert(attention: str) -> nn.Module:
    config = transformers.BertConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        vocab_size=100,
        max_position_embeddings=32,
        attn_implementation=attention,
    )
    return LastHidden(transformers.BertModel(config, add_pooling_layer=False)).eval()


def opt(attention: str) -> nn.Module:
    config = transformers.OPTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=128,
        vocab_size=100,
        max_position_embeddings=32,
        word_embed_proj_dim=64,
        activation_function="relu",
        use_cache=False,
        attn_implementation=attention,
    )
    return LastHidden(transformers.OPTModel(config)).eval()


def gpt2(attention: str) -> nn.Module:
    config = transformers.GPT2Config(
        n_embd=64,
        n_layer=2,
        n_head=4,
        vocab_size=100,
        n_positions=32,
        use_cache=False,
        attn_implementation=attention,
    )
    return LastHidden(transformers.GPT2Model(config)).eval()


MODELS = {"bert": bert, "opt": opt, "gpt2": gpt2}


def tokens() -> tuple[Tensor, Tensor]:
    """Token ids and a mask with lengths 5 and 8."""
    mask = torch.ones(BATCH, LENGTH, dtype=torch.int64)
    mask[0, 5:] = 0
    return torch.randint(3, 100, (BATCH, LENGTH)), mask


def dynamic_tokens() -> dict[str, Any]:
    """Dynamic batch and length of both inputs."""
    batch, length = torch.export.Dim("batch", max=64), torch.export.Dim("length", max=32)
    return {name: {0: batch, 1: length} for name in ("input_ids", "attention_mask")}

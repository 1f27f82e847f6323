"""Tiny models of `transformers` with random weights: their architectures, nothing of their sizes."""

from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

VOCABULARY = 64

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": (
        "Qwen3Moe",
        {"moe_intermediate_size": 24, "num_experts": 6, "num_experts_per_tok": 3, "head_dim": 8},
    ),
    "olmoe": ("Olmoe", {"num_experts": 5, "num_experts_per_tok": 1}),
    "gpt_oss": (
        "GptOss",
        {
            "num_local_experts": 4,
            "num_experts_per_tok": 4,
            "head_dim": 8,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "gemma2": ("Gemma2", {"head_dim": 8, "sliding_window": 4, "attn_logit_softcapping": 3.0}),
}
"""The name of the classes, and what differs from `SIZES`."""

EXPERTS = ("mixtral", "qwen3_moe", "olmoe", "gpt_oss")
"""The families that are mixtures of experts."""


def tiny(family: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A model of `family` in eval mode whose implementations are "eager"."""
    name, settings = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **settings, **changes})
    config._attn_implementation = config._experts_implementation = "eager"
    torch.manual_seed(seed)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.2 if parameter.dim() > 1 else 0.5)
    return model


def use(model: PreTrainedModel, implementation: str) -> PreTrainedModel:
    """`model` with both implementations set."""
    model.set_attn_implementation(implementation)
    model.set_experts_implementation(implementation)
    return model


def prompt(rows: int, length: int, padded: int = 0) -> dict[str, torch.Tensor]:
    """Random tokens; the first row begins with `padded` that are masked."""
    mask = torch.ones(rows, length, dtype=torch.int64)
    mask[0, :padded] = 0
    return {"input_ids": torch.randint(2, VOCABULARY, (rows, length)), "attention_mask": mask}

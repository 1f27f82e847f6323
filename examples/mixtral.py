"""A Mixtral of `transformers` that generates with its own experts and attention, and with ours.

`python -m examples.mixtral`: random weights, no download. Nothing but the names of the implementations differs.
"""

import time
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import MixtralConfig, MixtralForCausalLM

from pit_mlir import hf

IMPLEMENTATIONS = {"transformers": ("eager", "sdpa"), "pit": (hf.NAME, hf.NAME)}
"""Experts and attention of each side."""


def generate(model: MixtralForCausalLM, prompt: torch.Tensor, new: int) -> tuple[torch.Tensor, float]:
    """The tokens that the model prefers, and the seconds it took."""
    start = time.perf_counter()
    tokens = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, do_sample=False, pad_token_id=0
    )
    return tokens, time.perf_counter() - start


def main(
    prompt: Annotated[int, typer.Option(help="tokens to begin with")] = 256,
    new: Annotated[int, typer.Option(help="tokens to generate")] = 16,
    hidden: Annotated[int, typer.Option(help="features of a token")] = 512,
    layers: Annotated[int, typer.Option(help="layers")] = 2,
    experts: Annotated[int, typer.Option(help="experts of a layer, of which a token has two")] = 8,
) -> None:
    """Generates tokens with a random Mixtral twice, compares them and the time."""
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=1000,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=2,
        num_local_experts=experts,
        eos_token_id=None,
    )
    model = MixtralForCausalLM(config).eval()
    ids = torch.randint(1, config.vocab_size, (1, prompt))
    found: dict[str, tuple[torch.Tensor, float]] = {}
    for name, (of_experts, of_attention) in IMPLEMENTATIONS.items():
        model.set_experts_implementation(of_experts)
        model.set_attn_implementation(of_attention)
        generate(model, ids, 2)  # ours compiles at the first call
        found[name] = generate(model, ids, new)
    (expected, theirs), (actual, ours) = found.values()
    table = Table("", "ms", title=f"{prompt} tokens, then {new} more, {experts} experts in {layers} layers")
    for name, (_, seconds) in found.items():
        table.add_row(name, f"{1e3 * seconds:.0f}")
    console = Console()
    console.print(table)
    same = int((actual == expected).sum())
    console.print(f"{same} of {expected.numel()} tokens are the same; ratio {theirs / ours:.2f}x")
    for name, programs in hf.programs(model).items():
        console.print(f"{name}: {len(programs)} program(s)")


if __name__ == "__main__":
    typer.run(main)

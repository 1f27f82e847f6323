"""A Mixtral of `transformers` with its own implementations and ours: `python -m bench.hf --tokens 256 --tokens 1`.

One model, whose implementations are switched between the calls. Many tokens are a prompt at once; one token is a step
of generation after a prompt of 256. Sides: both of ours; ours for experts alone; `transformers` with its loop over the
experts, with `grouped_mm`, with `batched_mm` (one token only: it copies the weights for each), all with torch's
attention. A case is type, tokens.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import DynamicCache, MixtralConfig, MixtralForCausalLM

import pit_mlir.hf  # noqa: F401  (registers "pit")
from bench.before import Row, interleaved, relative_error, show, write

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
SIDES = {
    "pit": ("pit", "pit"),
    "pit experts": ("pit", "sdpa"),
    "eager": ("eager", "sdpa"),
    "grouped_mm": ("grouped_mm", "sdpa"),
    "batched_mm": ("batched_mm", "sdpa"),
}
"""The implementations of experts and attention."""

PROMPT = 256
"""The tokens in the cache before a single one."""


def switch(model: MixtralForCausalLM, side: str) -> MixtralForCausalLM:
    """`model` with the implementations of `side`."""
    experts, attention = SIDES[side]
    model.set_experts_implementation(experts)
    model.set_attn_implementation(attention)
    return model


def prompt_run(model: MixtralForCausalLM, ids: torch.Tensor, side: str) -> torch.Tensor:
    """The logits of all tokens, without a cache."""
    return switch(model, side)(ids, use_cache=False).logits


def step_run(model: MixtralForCausalLM, cache: Any, ids: torch.Tensor, side: str) -> torch.Tensor:
    """The logits of one more token; the cache is as before afterwards."""
    logits = switch(model, side)(ids, past_key_values=cache).logits
    cache.crop(-ids.shape[1])
    return logits


def sides_of(model: MixtralForCausalLM, tokens: int) -> dict[str, Callable[[], torch.Tensor]]:
    """What is timed."""
    ids = torch.randint(0, model.config.vocab_size, (1, tokens))
    if tokens > 1:
        return {side: partial(prompt_run, model, ids, side) for side in SIDES if side != "batched_mm"}
    cache = DynamicCache(config=model.config)
    switch(model, "eager")(torch.randint(0, model.config.vocab_size, (1, PROMPT)), past_key_values=cache)
    return {side: partial(step_run, model, cache, ids, side) for side in SIDES}


def measure(model: MixtralForCausalLM, case: str, tokens: int, rounds: int) -> Row:
    """One case: the answers are compared first."""
    sides = sides_of(model, tokens)
    answers = {side: run() for side, run in sides.items()}
    error = relative_error(answers["pit"].double(), answers["eager"].double())
    return Row(case, error, interleaved(sides, rounds))


def main(
    tokens: Annotated[list[int], typer.Option(help="tokens of a call")] = [256, 1],
    dtypes: Annotated[list[str], typer.Option("--dtype", help="f32 or bf16")] = ["f32"],
    hidden: Annotated[int, typer.Option(help="features of a token")] = 1024,
    intermediate: Annotated[int, typer.Option(help="features inside of an expert")] = 1792,
    experts: Annotated[int, typer.Option(help="experts of a layer")] = 8,
    chosen: Annotated[int, typer.Option(help="experts of a token")] = 2,
    layers: Annotated[int, typer.Option(help="layers")] = 2,
    rounds: Annotated[int, typer.Option(help="calls of each side")] = 9,
    output: Annotated[Path | None, typer.Option(help="a file for the figures, as JSON")] = None,
) -> None:
    """Measures a Mixtral with random weights."""
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=1000,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 256 or 1,
        num_local_experts=experts,
        num_experts_per_tok=chosen,
    )
    model = MixtralForCausalLM(config).eval()
    rows: list[Row] = []
    with torch.inference_mode():
        for dtype in dtypes:
            typed = copy.deepcopy(model).to(DTYPES[dtype])
            rows += [measure(typed, f"{dtype}, {count} tokens", count, rounds) for count in tokens]
    show(f"Mixtral, {experts} experts, {chosen} of them a token", rows)
    if output is not None:
        write(output, rows)


if __name__ == "__main__":
    typer.run(main)

"""A Mixtral of `transformers` with its own implementations and ours: `python -m bench.hf --tokens 256 --tokens 1`.

One model, whose implementations are switched between the calls. Many tokens are a prompt at once; one token is a step
of generation after a prompt of 256.

Peers: `transformers` with its loop over the experts (`eager`), with `grouped_mm`, with `batched_mm` (one token only: it
copies the weights for each), all with torch's attention; `pit experts`: ours for experts alone.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from transformers import DynamicCache, MixtralConfig, MixtralForCausalLM

import pit_mlir.hf  # noqa: F401  (registers "pit")
from bench.family import Absent, Dtypes, Run, chosen, need, positive, start
from bench.protocol import DTYPES, OURS, Case

PEERS = ("eager", "grouped_mm", "batched_mm", "pit experts")
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


def measure(run: Run, model: MixtralForCausalLM, case: Case, tokens: int) -> None:
    """One case: the answers are compared with the loop of `transformers`."""
    sides = sides_of(model, tokens)
    peers = {side: lambda side=side: found(sides, side) for side in PEERS}
    expected = sides["eager"]().double()
    run.measure(case, {OURS: sides["pit"]} | run.others(peers), tuple, lambda: expected)


def found(sides: dict[str, Callable[[], torch.Tensor]], side: str) -> Callable[[], torch.Tensor]:
    """A peer, where it takes part."""
    if side not in sides:
        raise Absent("takes part with one token: it copies the weights for each")
    return sides[side]


def main(
    run: Run,
    tokens: Annotated[list[int], typer.Option(help="Tokens of a call. Repeat for more.")] = [256, 1],
    dtype: Dtypes = ["f32"],
    hidden: Annotated[int, typer.Option(help="Features of a token.")] = 1024,
    intermediate: Annotated[int, typer.Option(help="Features inside of an expert.")] = 1792,
    experts: Annotated[int, typer.Option(help="Experts of a layer.")] = 8,
    top_k: Annotated[int, typer.Option(help="Experts of a token.")] = 2,
    layers: Annotated[int, typer.Option(help="Layers.")] = 2,
) -> None:
    """Measures a Mixtral with random weights."""
    positive([*tokens, hidden, intermediate, experts, top_k, layers], "sizes")
    need(hidden % 256 == 0, f"--hidden {hidden}", "a multiple of 256")
    need(top_k <= experts, f"--top-k {top_k}", f"at most {experts} experts")
    config = MixtralConfig(
        vocab_size=1000,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 256,
        num_local_experts=experts,
        num_experts_per_tok=top_k,
    )
    model = MixtralForCausalLM(config).eval()
    types = chosen(dtype, list(DTYPES), "--dtype")
    models = {type_: copy.deepcopy(model).to(DTYPES[type_]) for type_ in types}
    shape = f"{layers}x{hidden}x{intermediate}x{experts}x{top_k}"
    cases = [(Case("mixtral", f"{shape} T={count}", type_), count) for type_ in types for count in tokens]
    for case, count in run.each(cases, lambda case: case[0]):
        run.attempt(case, partial(measure, run, models[case.dtype], case, count))


if __name__ == "__main__":
    start(main, "hf", "Mixtral of transformers", PEERS, ("eager", "grouped_mm"))

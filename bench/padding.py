"""Padded batches through a BERT encoder: `python -m bench.padding --shape 16x256 --fill 0.5`.

The encoder of `transformers` with random weights, BERT-base by default; lengths are drawn anew for every call: as in
GLUE (`--fill glue`), or so that a share of the tokens is real. Ours is compiled with `Padding("attention_mask")`:
what is not a token is not computed, and is 0 in the result.

Peers: `torch`, the model as it is; `packed`, written by hand: tokens flat through linear layers, norms and
activations, attention one sequence after another; `nested`, the same with torch's nested (jagged) tensors; `dense`,
ours without being told of padding.

The floor: the operations on tokens and their pairs, or reading the weights once, whichever takes longer.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

import pit_mlir as pit
from bench.family import Absent, Dtypes, Run, chosen, need, not_installed, positive, share, sides_of, start
from bench.machine import limits
from bench.protocol import DTYPES, OURS, Case, Side

PEERS = ("torch", "packed", "nested", "dense")
GLUE = "glue"


class Encoder(nn.Module):
    """A BERT encoder: (ids, attention_mask), both (batch, token), to (batch, token, hidden)."""

    def __init__(self, layers: int, hidden: int, heads: int) -> None:
        super().__init__()
        try:
            from transformers import BertConfig, BertModel
        except ImportError:
            raise not_installed("transformers") from None
        sizes = {"hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": 4 * hidden}
        config = BertConfig(num_hidden_layers=layers, max_position_embeddings=4096, **sizes)
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.bert(input_ids=ids, attention_mask=attention_mask).last_hidden_state


def embedded(bert: Any, ids: Tensor, positions: Tensor) -> Tensor:
    """Embeddings of tokens that lie flat (token, hidden)."""
    table = bert.embeddings
    words = table.word_embeddings(ids) + table.token_type_embeddings.weight[0]
    return table.LayerNorm(words + table.position_embeddings(positions))


def layered(bert: Any, x: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """The layers over tokens (.., hidden), of which `attend` alone knows sequences."""
    for layer in bert.encoder.layer:
        inner, out = layer.attention.self, layer.attention.output
        mixed = attend(inner.query(x), inner.key(x), inner.value(x))
        x = out.LayerNorm(out.dense(mixed) + x)
        hidden = functional.gelu(layer.intermediate.dense(x))
        x = layer.output.LayerNorm(layer.output.dense(hidden) + x)
    return x


def packed(encoder: Encoder, ids: Tensor, mask: Tensor) -> Tensor:
    """By hand: only tokens, flat; attention one sequence after another."""
    bert, heads = encoder.bert, encoder.bert.config.num_attention_heads
    lengths = mask.sum(1).tolist()
    live = mask.flatten().nonzero()[:, 0]
    positions = live % mask.shape[1]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts: list[Tensor] = []
        for one in zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True):
            split = [x.unflatten(-1, (heads, -1)).transpose(0, 1)[None] for x in one]
            parts.append(functional.scaled_dot_product_attention(*split)[0].transpose(0, 1).flatten(1))
        return torch.cat(parts)

    flat = layered(bert, embedded(bert, ids.flatten()[live], positions), attend)
    out = flat.new_zeros(mask.numel(), flat.shape[1])
    return out.index_copy_(0, live, flat).view(*mask.shape, -1)


def nested(encoder: Encoder, ids: Tensor, mask: Tensor) -> Tensor:
    """By torch's jagged tensors (batch, tokens of each, hidden)."""
    bert, heads = encoder.bert, encoder.bert.config.num_attention_heads
    lengths = mask.sum(1)
    live = mask.flatten().nonzero()[:, 0]
    offsets = functional.pad(lengths.cumsum(0), (1, 0))

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mixed = functional.scaled_dot_product_attention(split(q), split(k), split(v))
        return mixed.transpose(1, 2).flatten(2)

    flat = embedded(bert, ids.flatten()[live], live % mask.shape[1])
    rows = torch.nested.nested_tensor_from_jagged(flat, offsets)
    return layered(bert, rows, attend).to_padded_tensor(0.0, (*mask.shape, flat.shape[1]))


def checked(side: Callable[..., Tensor], args: tuple[Tensor, Tensor]) -> Side:
    """`side`, if torch can do it here."""
    try:
        side(*args)
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise Absent(f"torch cannot do it here: {str(error).splitlines()[0][:150]}") from None
    return side


def lengths_of(batch: int, longest: int, fill: str) -> Tensor:
    """Lengths of sequences: of GLUE's MNLI, or uniform such that a share `fill` of all places is tokens."""
    if fill == GLUE:
        return (3.55 + 0.45 * torch.randn(batch)).exp().round().clamp(6, longest).long().clamp_max(longest)
    wanted = float(fill)
    low, high = max(0.0, 2 * wanted - 1), min(1.0, 2 * wanted)
    # Evenly spread and shuffled: a small batch has its share, too.
    spread = low + (high - low) * (torch.randperm(batch) + torch.rand(batch)) / batch
    return (spread * longest).round().long().clamp(1, longest)


def fresh(batch: int, longest: int, fill: str) -> tuple[Tensor, Tensor]:
    """Ids and mask, right-padded."""
    mask = (torch.arange(longest)[None] < lengths_of(batch, longest, fill)[:, None]).long()
    return torch.randint(1, 30522, (batch, longest)) * mask, mask


def floor(encoder: Encoder, dtype: str, threads: int, _: Tensor, mask: Tensor) -> float:
    """Milliseconds that operations and weights need at least."""
    lengths, config = mask.sum(1), encoder.bert.config
    weights = sum(p.numel() for p in encoder.bert.encoder.parameters())
    pairs = 4.0 * float((lengths**2).sum()) * config.hidden_size * config.num_hidden_layers
    compute = limits().compute_ms(2.0 * weights * float(lengths.sum()) + pairs, dtype, threads)
    return max(compute, limits().read_ms(weights * DTYPES[dtype].itemsize))


def measure(
    run: Run, encoder: Encoder, dtype: str, size: tuple[int, ...], fills: list[str], freeze: bool
) -> None:
    """All rows of one shape."""
    example = fresh(size[0], size[1], "0.5")
    options = pit.CompileOptions(freeze=freeze)
    ours = run.compile(encoder, example, sparsity=[pit.Padding("attention_mask")], options=options)
    sides = {OURS: ours} | run.others(
        {
            "torch": lambda: encoder,
            "packed": lambda: partial(packed, encoder),
            "nested": lambda: checked(partial(nested, encoder), example),
            "dense": lambda: run.compile(encoder, example, options=options),
        }
    )
    # What a peer says of padding nobody promises: all are compared where tokens are.
    compared = {
        side: (lambda *args, call=call: call(*args) * args[1][..., None]) for side, call in sides.items()
    }
    config = encoder.bert.config
    sizes = f"{config.num_hidden_layers}x{config.hidden_size} {size[0]}x{size[1]}"
    for fill in fills:
        drawn = partial(fresh, size[0], size[1], fill)
        zeros = round(1 - float(drawn()[1].float().mean()), 2) if fill == GLUE else round(1 - float(fill), 6)
        case = Case(f"bert {'frozen' if freeze else 'live'}", sizes, dtype, zeros, "token")
        run.attempt(
            case,
            lambda case=case, drawn=drawn: run.measure(
                case,
                sides,
                drawn,
                lambda ids, mask: encoder(ids, mask).double() * mask[..., None],
                floor=partial(floor, encoder, dtype, run.threads),
                checks=compared,
            ),
        )


def main(
    run: Run,
    shape: Annotated[list[str], typer.Option(help="Sequences x tokens. Repeat for more.")] = ["16x256"],
    fill: Annotated[list[str], typer.Option(help="Share of real tokens, or glue. Repeat for more.")] = [
        "0.5"
    ],
    dtype: Dtypes = ["f32"],
    layers: Annotated[int, typer.Option(help="Layers.")] = 12,
    hidden: Annotated[int, typer.Option(help="Width.")] = 768,
    heads: Annotated[int, typer.Option(help="Heads.")] = 12,
    freeze: Annotated[bool, typer.Option("--freeze", help="Ours packs the weights once.")] = False,
) -> None:
    """Measures all combinations."""
    positive([layers, hidden, heads], "--layers, --hidden, --heads")
    need(hidden % heads == 0, f"--hidden {hidden}", f"a multiple of --heads {heads}")
    for text in fill:
        number = text.replace(".", "", 1).isdigit()
        need(
            text == GLUE or (number and share(float(text), "--fill") > 0),
            f"--fill {text}",
            f"above 0 to 1, or {GLUE}",
        )
    sizes = [sides_of(text, 2, "--shape") for text in shape]
    for text, size in zip(shape, sizes, strict=True):
        need(size[1] <= 4096, f"--shape {text}", "at most 4096 tokens")
    cases = [(type_, size) for type_ in chosen(dtype, list(DTYPES), "--dtype") for size in sizes]
    try:
        encoder = Encoder(layers, hidden, heads).eval()
    except Absent as reason:
        run.notes[f"not measured: {reason}"] = None
        return
    for type_, size in run.each(cases, lambda case: f"{case[0]} {case[1]}"):
        typed = encoder.to(DTYPES[type_])
        run.attempt(
            f"{type_} {size}",
            lambda type_=type_, size=size, typed=typed: measure(run, typed, type_, size, fill, freeze),
        )


if __name__ == "__main__":
    start(main, "padding", "padded batches", PEERS, ("torch", "packed"))

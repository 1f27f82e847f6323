"""The demonstration models: real architectures with random weights, and fresh inputs for every call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

import pit_mlir as pit

Inputs = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Case:
    """One model at one shape: how to build it, how to make inputs, what the compiler is told."""

    title: str
    model: Callable[[], nn.Module]
    inputs: Callable[[torch.Generator], Inputs]
    zeros: Callable[[nn.Module, Inputs], float]
    note: str
    sparsity: Sequence[Any] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    reference: Callable[[nn.Module, Inputs], torch.Tensor] | None = None


class Encoder(nn.Module):
    """BERT-base of `transformers` with random weights: (ids, attention_mask) to (batch, token, 768)."""

    def __init__(self, layers: int = 12) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        self.bert = BertModel(BertConfig(num_hidden_layers=layers), add_pooling_layer=False)

    def forward(self, ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The last hidden state."""
        return self.bert(input_ids=ids, attention_mask=attention_mask).last_hidden_state


class Decoder(nn.Module):
    """The decoder blocks of OPT-125m (ReLU) with random weights: embedded tokens to hidden states."""

    def __init__(self, layers: int = 12) -> None:
        super().__init__()
        from transformers import OPTConfig, OPTModel

        config = OPTConfig(num_hidden_layers=layers, vocab_size=1024)
        config.use_cache = False
        self.decoder = OPTModel(config).decoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last hidden state of `x` (batch, token, 768)."""
        return self.decoder(inputs_embeds=x, use_cache=False).last_hidden_state


class MaskedMLP(nn.Module):
    """Two linear layers whose weights are masked by an input that changes every call."""

    def __init__(self, width: int = 1024, hidden: int = 4096) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """`x` (rows, width); the masks are bool, of the weights' shapes (or a column of them: rows of weights)."""
        y = torch.relu(nn.functional.linear(x, self.first.weight * first, self.first.bias))
        return nn.functional.linear(y, self.second.weight * second, self.second.bias)


def glue_lengths(batch: int, longest: int, generator: torch.Generator) -> torch.Tensor:
    """Sentence lengths as in GLUE's MNLI: log-normal around 35 tokens, at most `longest`."""
    normal = torch.randn(batch, generator=generator)
    return (3.55 + 0.45 * normal).exp().round().clamp(6, longest).long()


def padded_batch(generator: torch.Generator, batch: int = 16, longest: int = 128) -> Inputs:
    """Token ids and an attention mask, right-padded."""
    lengths = glue_lengths(batch, longest, generator)
    ids = torch.randint(0, 30522, (batch, longest), generator=generator)
    mask = (torch.arange(longest)[None] < lengths[:, None]).long()
    return ids * mask, mask


def block_mask(
    rows: int, columns: int, generator: torch.Generator, zeros: float, height: int
) -> torch.Tensor:
    """A bool mask of `rows` x `columns` whose blocks of `height` x 1 are zero with probability `zeros`."""
    blocks = torch.rand(rows // height, columns, generator=generator) >= zeros
    return blocks.repeat_interleave(height, 0)


def relu_zeros(model: nn.Module, inputs: Inputs) -> float:
    """The share of zeros behind the ReLUs of an OPT decoder for `inputs`."""
    shares: list[float] = []

    def count(_: nn.Module, __: Any, output: torch.Tensor) -> None:
        shares.append((output == 0).float().mean().item())

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.ReLU)]
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return sum(shares) / max(len(shares), 1)


def live_rows(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    """The dense model's answer with the unused rows set to 0, as `Padding` promises."""
    return model(*inputs) * inputs[1][..., None]


def mask_zeros(_: nn.Module, inputs: Inputs) -> float:
    """The share of zeros in the masks among `inputs`."""
    masks = inputs[1:]
    return 1.0 - sum(mask.float().mean().item() for mask in masks) / len(masks)


def masked_case(title: str, zeros: float, rows: bool) -> Case:
    """The masked MLP with blocks of 32x1, or with whole rows of weights, masked."""

    def inputs(generator: torch.Generator) -> Inputs:
        x = torch.randn(512, 1024, generator=generator)
        if rows:
            live = [torch.rand(size, 1, generator=generator) >= zeros for size in (4096, 1024)]
            return x, live[0], live[1]
        return (
            x,
            block_mask(4096, 1024, generator, zeros, 32),
            block_mask(1024, 4096, generator, zeros, 32),
        )

    return Case(title, MaskedMLP, inputs, mask_zeros, "the mask is an input; it changes every call")


CASES = (
    Case(
        "BERT-base 16x128, padded",
        Encoder,
        padded_batch,
        lambda _, inputs: 1.0 - inputs[1].float().mean().item(),
        "12 layers; unused tokens are skipped from the embedding to the output",
        sparsity=(pit.Padding("attention_mask"),),
        reference=live_rows,
    ),
    Case(
        "OPT-125m blocks, 1 token",
        Decoder,
        lambda generator: (torch.randn(1, 1, 768, generator=generator),),
        relu_zeros,
        "fc2 reads only the columns of its weights that a live value meets: here ReLU pays",
        options={"freeze": True},
    ),
    Case(
        "OPT-125m blocks, 16x128",
        Decoder,
        lambda generator: (torch.randn(16, 128, 768, generator=generator),),
        relu_zeros,
        "random zeros hardly pay here: 32 rows rarely have a column that is 0 in all of them",
    ),
    masked_case("MLP, weight masks 32x1, 90 %", 0.9, rows=False),
    masked_case("MLP, weight rows masked, 90 %", 0.9, rows=True),
)

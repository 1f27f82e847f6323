"""Layers of mixtures of experts as models say them, and by hand: what `bench.moe` compares."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.family import not_installed


class Experts(nn.Module):
    """A router, and SwiGLU experts whose weights are one tensor for each of the three products."""

    def __init__(
        self, hidden: int, intermediate: int, experts: int, chosen: int, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()

        def weights(rows: int, columns: int) -> nn.Parameter:
            made = torch.empty(experts, rows, columns, dtype=dtype)
            return nn.Parameter(made.normal_(std=columns**-0.5), requires_grad=False)

        self.router = nn.Linear(hidden, experts, dtype=dtype)
        self.gate, self.up = weights(intermediate, hidden), weights(intermediate, hidden)
        self.down = weights(hidden, intermediate)
        self.experts, self.chosen = experts, chosen

    def route(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weights and the numbers of the experts of each token, best first."""
        # In f32: scores that are equal in bf16 would be chosen by rounding.
        scores = functional.linear(x.float(), self.router.weight.float(), self.router.bias.float())
        weights, chosen = functional.softmax(scores, -1).topk(self.chosen, -1)
        return weights.to(x.dtype), chosen


class Combined(Experts):
    """All experts for all tokens, as far as the text goes; the sum weighs those that were not chosen with 0."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        gates = (functional.one_hot(chosen, self.experts).to(x.dtype) * weights[..., None]).sum(1)
        gate = functional.silu(torch.einsum("td,ehd->eth", x, self.gate))
        hidden = gate * torch.einsum("td,ehd->eth", x, self.up)
        return torch.einsum("etd,te->td", torch.einsum("eth,edh->etd", hidden, self.down), gates)


class Dispatched(Experts):
    """Tokens are dispatched to their experts and combined by products with one-hot rows."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        one_hot = functional.one_hot(chosen, self.experts).to(x.dtype)
        inputs = torch.einsum("te,td->etd", one_hot.sum(1), x)
        gate = functional.silu(torch.einsum("etd,ehd->eth", inputs, self.gate))
        hidden = gate * torch.einsum("etd,ehd->eth", inputs, self.up)
        outputs = torch.einsum("eth,edh->etd", hidden, self.down)
        return torch.einsum("etd,te->td", outputs, (one_hot * weights[..., None]).sum(1))


class Loop(Experts):
    """One expert after another adds its outputs, times a weight that is 0 for the tokens of others."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.route(x)
        out = torch.zeros_like(x)
        for number in range(self.experts):
            hidden = functional.silu(x @ self.gate[number].T) * (x @ self.up[number].T)
            share = (weights * (chosen == number)).sum(-1)
            out = out + (hidden @ self.down[number].T) * share[:, None]
        return out


STYLES: dict[str, type[Experts]] = {"combined": Combined, "dispatched": Dispatched, "loop": Loop}


SKEWS = ("balanced", "skewed", "one")


def skew(model: Experts, kind: str) -> None:
    """Makes the router like some experts: "skewed" as 1 / rank, "one" the first ones for all tokens."""
    rank = torch.arange(1, model.experts + 1, dtype=torch.float32)
    bias = {"balanced": rank * 0, "skewed": -rank.log(), "one": -rank * 100}[kind]
    model.router.bias.data.copy_(bias)


def gathered(model: Experts, x: Tensor) -> Tensor:
    """A loop over the experts that gathers the tokens of each."""
    return by_expert(model, x, x, lambda weight: weight)


def exact(model: Experts, x: Tensor) -> Tensor:
    """The result in a wider type, one expert after another: all of a model may not fit."""
    wide = torch.float32 if x.element_size() == 2 else torch.float64
    return by_expert(model, x, x.to(wide), lambda weight: weight.to(wide))


def by_expert(model: Experts, x: Tensor, rows: Tensor, as_type: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum over experts of what each makes of its tokens among `rows`; `x` is what the router sees."""
    weights, chosen = model.route(x)
    weights, out = as_type(weights), torch.zeros_like(rows)
    for number in range(model.experts):
        token, rank = (chosen == number).nonzero(as_tuple=True)
        if len(token):
            mine = rows[token]
            gate, up, down = (as_type(w[number]) for w in (model.gate, model.up, model.down))
            hidden = functional.silu(mine @ gate.T) * (mine @ up.T)
            out.index_add_(0, token, (hidden @ down.T) * weights[token, rank, None])
    return out


def grouped(model: Experts, x: Tensor) -> Tensor:
    """Tokens sorted by expert, one grouped product for each of the three weights."""
    weights, chosen = model.route(x)
    order = chosen.flatten().argsort(stable=True)
    # Every row belongs to an expert: grouped_mm leaves rows behind the last offset uninitialised.
    ends = torch.bincount(chosen.flatten(), minlength=model.experts).cumsum(0).to(torch.int32)
    token = order // model.chosen
    mine = x[token]
    gate = functional.silu(functional.grouped_mm(mine, model.gate.mT, offs=ends))
    hidden = gate * functional.grouped_mm(mine, model.up.mT, offs=ends)
    outputs = functional.grouped_mm(hidden, model.down.mT, offs=ends)
    return torch.zeros_like(x).index_add_(0, token, outputs * weights.flatten()[order, None])


class Zentorch:
    """`zentorch_fused_moe` with copies of the weights: it rewrites what it is given."""

    def __init__(self, model: Experts) -> None:
        try:
            import zentorch  # noqa: F401  (registers the operation)
        except ImportError:
            raise not_installed("zentorch") from None
        self.model = model
        self.gate_up = torch.cat([model.gate, model.up], 1)
        self.down = model.down.detach().clone()
        # It packs an expert's weights when it first meets it, which is not what is measured.
        every = torch.arange(model.experts).repeat(model.chosen).view(-1, model.chosen)
        x = self.down.new_zeros(len(every), self.down.shape[1])
        self.run(x, torch.ones(every.shape), every)

    def update(self) -> None:
        """Copies the model's weights again, in place, as one does who trains or loads others."""
        half = self.model.gate.shape[1]
        self.gate_up[:, :half].copy_(self.model.gate)
        self.gate_up[:, half:].copy_(self.model.up)
        self.down.copy_(self.model.down)

    def run(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """The experts `chosen` of `x`."""
        out, fused = torch.empty_like(x), torch.ops.zentorch.zentorch_fused_moe
        fused(out, x, self.gate_up, self.down, None, None, weights.float(), chosen.int(), False, "silu")
        return out

    def __call__(self, x: Tensor) -> Tensor:
        return self.run(x, *self.model.route(x))

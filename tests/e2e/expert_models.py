"""Mixtures of experts as people write them: nothing in them says that most of the work is not needed."""

import torch
from torch import Tensor, nn
from torch.nn import functional

DIM, HIDDEN = 24, 40


class Stacked(nn.Module):
    """A router, and the weights of all experts in one tensor each."""

    def __init__(self, experts: int, chosen: int) -> None:
        super().__init__()
        self.router = nn.Linear(DIM, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, HIDDEN, DIM) * DIM**-0.5)
        self.down = nn.Parameter(torch.randn(experts, DIM, HIDDEN) * HIDDEN**-0.5)
        self.experts, self.chosen = experts, chosen

    def gates(self, x: Tensor) -> Tensor:
        """The weight of each expert for each token (tokens, experts); 0 where it was not chosen."""
        weights, chosen = functional.softmax(self.router(x), -1).topk(self.chosen, -1)
        return (functional.one_hot(chosen, self.experts).to(x.dtype) * weights[..., None]).sum(1)


class Switch(Stacked):
    """The best expert alone; tokens are dispatched and combined by products with one-hot rows."""

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = functional.softmax(self.router(x), -1).max(-1)
        dispatch = functional.one_hot(chosen, self.experts).to(x.dtype)
        inputs = torch.einsum("te,td->etd", dispatch, x)
        hidden = functional.relu(torch.einsum("etd,ehd->eth", inputs, self.up))
        outputs = torch.einsum("eth,edh->etd", hidden, self.down)
        return torch.einsum("etd,te->td", outputs, dispatch * weight[:, None])


class Combined(Stacked):
    """All experts on all tokens, as far as the text goes; the sum takes the chosen ones."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(torch.einsum("td,ehd->eth", x, self.up))
        return torch.einsum("etd,te->td", torch.einsum("eth,edh->etd", hidden, self.down), self.gates(x))


class Gated(Stacked):
    """SwiGLU experts with biases."""

    def __init__(self, experts: int, chosen: int) -> None:
        super().__init__(experts, chosen)
        self.gate = nn.Parameter(torch.randn(experts, HIDDEN, DIM) * DIM**-0.5)
        self.bias = nn.Parameter(torch.randn(experts, DIM))

    def forward(self, x: Tensor) -> Tensor:
        gate = functional.silu(torch.einsum("td,ehd->eth", x, self.gate))
        hidden = gate * torch.einsum("td,ehd->eth", x, self.up)
        outputs = torch.einsum("eth,edh->etd", hidden, self.down) + self.bias[:, None]
        return torch.einsum("etd,te->td", outputs, self.gates(x))


class Loop(nn.Module):
    """One module an expert; each adds its outputs, times a weight that is 0 for tokens of others."""

    def __init__(self, experts: int, chosen: int) -> None:
        super().__init__()
        self.router = nn.Linear(DIM, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(DIM, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, DIM)) for _ in range(experts)
        )
        self.chosen = chosen

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = functional.softmax(self.router(x), -1).topk(self.chosen, -1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            out = out + expert(x) * (weights * (chosen == number)).sum(-1)[:, None]
        return out


class Scattered(Loop):
    """The weights of the chosen experts are scattered into zeros."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = functional.softmax(self.router(x), -1).topk(self.chosen, -1)
        gates = torch.zeros(len(x), len(self.experts), dtype=x.dtype).scatter(-1, chosen, weights)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            out = out + gates[:, number, None] * expert(x)
        return out


class Batched(Stacked):
    """The weights of the experts that each token chose, gathered for it: SwiGLU with biases, weights either way round."""

    def __init__(self, experts: int, chosen: int, transposed: bool = False) -> None:
        super().__init__(experts, chosen)
        up, down = torch.randn(experts, 2 * HIDDEN, DIM) * DIM**-0.5, self.down.detach()
        self.up, self.down = (
            nn.Parameter(weight.transpose(1, 2).contiguous() if transposed else weight)
            for weight in (up, down)
        )
        self.up_bias = nn.Parameter(torch.randn(experts, 2 * HIDDEN))
        self.down_bias = nn.Parameter(torch.randn(experts, DIM))
        self.transposed = transposed

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Each row of `x` by its own weight and bias."""
        if self.transposed:
            return torch.bmm(x.unsqueeze(1), weight).squeeze(1) + bias
        return torch.bmm(weight, x.unsqueeze(-1)).squeeze(-1) + bias

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = functional.softmax(self.router(x), -1).topk(self.chosen, -1)
        expert = chosen.reshape(-1)
        rows = x.repeat_interleave(self.chosen, dim=0)
        gate, up = self.linear(rows, self.up[expert], self.up_bias[expert]).chunk(2, -1)
        rows = self.linear(functional.silu(gate) * up, self.down[expert], self.down_bias[expert])
        return (rows * weights.reshape(-1, 1)).view(x.shape[0], self.chosen, DIM).sum(1)


class Chosen(Stacked):
    """As `Batched`, in the words of einsum, without flattening."""

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = functional.softmax(self.router(x), -1).topk(self.chosen, -1)
        hidden = functional.relu(torch.einsum("td,tkhd->tkh", x, self.up[chosen]))
        outputs = torch.einsum("tkh,tkdh->tkd", hidden, self.down[chosen])
        return (outputs * weights[..., None]).sum(1)


class ExpertChoice(Stacked):
    """Each expert chooses as many tokens as it has places; they are dispatched and combined by one-hot rows."""

    def forward(self, x: Tensor) -> Tensor:
        weights, tokens = functional.softmax(self.router(x), -1).t().topk(self.chosen, -1)
        places = functional.one_hot(tokens, x.shape[0]).to(x.dtype)
        inputs = torch.einsum("ect,td->ecd", places, x)
        hidden = functional.relu(torch.einsum("ecd,ehd->ech", inputs, self.up))
        outputs = torch.einsum("ech,edh->ecd", hidden, self.down)
        return torch.einsum("ect,ec,ecd->td", places, weights, outputs)


class Capacity(Stacked):
    """The best expert alone, with so many places each: tokens that find none are dropped."""

    def forward(self, x: Tensor) -> Tensor:
        weight, chosen = functional.softmax(self.router(x), -1).max(-1)
        expert = functional.one_hot(chosen, self.experts)
        place = expert.cumsum(0) * expert - 1
        kept = (place >= 0) & (place < self.chosen)
        places = functional.one_hot(place.clamp(0, self.chosen - 1), self.chosen).to(x.dtype)
        dispatch = places * kept[..., None].to(x.dtype)
        inputs = torch.einsum("tec,td->ecd", dispatch, x)
        hidden = functional.relu(torch.einsum("ecd,ehd->ech", inputs, self.up))
        outputs = torch.einsum("ech,edh->ecd", hidden, self.down)
        return torch.einsum("ecd,tec->td", outputs, dispatch * weight[:, None, None])

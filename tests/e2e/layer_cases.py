"""Cases of `test_operators`: contractions, layers of models, no elements, no dimensions, other floats."""

import torch
from operator_inputs import Case, Group, both, integers, reals
from torch import Tensor
from torch.nn import functional

CONTRACTIONS: Group = {
    "matmul 1 1": Case(torch.matmul, reals((7,), (7,))),
    "matmul 1 2": Case(torch.matmul, reals((7,), (7, 5))),
    "matmul 2 1": Case(torch.matmul, reals((3, 7), (7,))),
    "matmul 2 2": Case(torch.matmul, reals((3, 7), (7, 5))),
    "matmul 1 3": Case(torch.matmul, reals((7,), (2, 7, 5))),
    "matmul 3 1": Case(torch.matmul, reals((2, 3, 7), (7,))),
    "matmul 3 2": Case(torch.matmul, reals((2, 3, 7), (7, 5))),
    "matmul 2 3": Case(torch.matmul, reals((3, 7), (2, 7, 5))),
    "matmul 3 3": Case(torch.matmul, reals((2, 3, 7), (2, 7, 5))),
    "matmul 4 4": Case(torch.matmul, reals((2, 3, 4, 7), (2, 3, 7, 5))),
    "matmul 4 4 broadcast": Case(torch.matmul, reals((2, 1, 4, 7), (3, 7, 5))),
    "matmul big": Case(torch.matmul, reals((65, 127), (127, 33))),
    "matmul k = 1": Case(torch.matmul, reals((3, 1), (1, 5))),
    "matmul k = 0": Case(torch.matmul, reals((3, 0), (0, 5))),
    "mm transposed": Case(lambda x, y: (x.t() @ y, y.t() @ x, x @ y.t()), reals((7, 5), (7, 5))),
    "bmm": Case(torch.bmm, reals((2, 3, 7), (2, 7, 5))),
    "bmm transposed": Case(lambda x, y: torch.bmm(x.transpose(1, 2), y), reals((2, 7, 3), (2, 7, 5))),
    "baddbmm": Case(
        lambda c, x, y: torch.baddbmm(c, x, y, beta=0.5, alpha=2.0), reals((2, 3, 5), (2, 3, 7), (2, 7, 5))
    ),
    "addmm": Case(lambda c, x, y: torch.addmm(c, x, y, beta=0.5, alpha=2.0), reals((5,), (3, 7), (7, 5))),
    "addmv outer": Case(
        lambda c, x, y: (torch.addmv(c, x, y), torch.outer(c, y), torch.dot(c, c)), reals((3,), (3, 7), (7,))
    ),
    "linear": Case(functional.linear, reals((2, 3, 7), (5, 7), (5,))),
    "linear 1d": Case(functional.linear, reals((7,), (5, 7), (5,))),
    "bilinear": Case(functional.bilinear, reals((3, 4), (3, 5), (2, 4, 5), (2,))),
    "kron": Case(torch.kron, reals((2, 3), (4, 2))),
    "tensordot": Case(lambda x, y: torch.tensordot(x, y, dims=([1, 2], [0, 1])), reals((3, 4, 5), (4, 5, 6))),
    "chain": Case(lambda x, y, z: torch.chain_matmul(x, y, z), reals((3, 4), (4, 5), (5, 2))),
} | {
    f"einsum {equation}": Case(lambda *xs, e=equation: torch.einsum(e, *xs), reals(*shapes))
    for equation, shapes in {
        "ij,jk->ik": ((3, 7), (7, 5)),
        "bhqd,bhkd->bhqk": ((2, 3, 4, 7), (2, 3, 5, 7)),
        "bqhd,bkhd->bhqk": ((2, 4, 3, 7), (2, 5, 3, 7)),
        "ij->ji": ((3, 7),),
        "ij->": ((3, 7),),
        "ii->i": ((4, 4),),
        "i,j->ij": ((3,), (7,)),
        "bij,bij->b": ((2, 3, 7), (2, 3, 7)),
        "te,td->etd": ((5, 3), (5, 7)),
        "etd,edf->etf": ((3, 5, 7), (3, 7, 4)),
        "tec,td->ecd": ((5, 3, 2), (5, 7)),
        "ab,bc,cd->ad": ((3, 4), (4, 5), (5, 2)),
        "...ij,...jk->...ik": ((2, 3, 7), (2, 7, 5)),
    }.items()
}


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def _rotary(x: Tensor, position: Tensor) -> Tensor:
    frequencies = 1.0 / 10000 ** (torch.arange(0, 8, 2).float() / 8)
    angles = position[:, :, None].float() * frequencies
    angles = torch.cat([angles, angles], -1)
    half = torch.cat([-x[..., 4:], x[..., :4]], -1)
    return x * angles.cos() + half * angles.sin()


def _gru(x: Tensor, w: Tensor, u: Tensor) -> Tensor:
    hidden, states = x.new_zeros(x.shape[0], 4), []
    for step in range(x.shape[1]):
        z, r, n = (x[:, step] @ w).chunk(3, -1)
        a, b, c = (hidden @ u).chunk(3, -1)
        z, r = torch.sigmoid(z + a), torch.sigmoid(r + b)
        hidden = (1 - z) * torch.tanh(n + r * c) + z * hidden
        states.append(hidden)
    return torch.stack(states, 1)


def _top2_moe(x: Tensor, router: Tensor, w: Tensor) -> Tensor:
    """Routing by top-2, dispatch by one-hot and einsum."""
    weights, experts = (x @ router).softmax(-1).topk(2, -1)
    onehot = functional.one_hot(experts, 3).to(x.dtype)
    share = (onehot * weights[..., None]).sum(1)
    return torch.einsum("te,etd->td", share, torch.relu(torch.einsum("td,edf->etf", x, w)))


def _loop_moe(x: Tensor, router: Tensor, w: Tensor) -> Tensor:
    weights, experts = (x @ router).softmax(-1).topk(2, -1)
    out = torch.zeros_like(x)
    for e in range(3):
        share = (weights * (experts == e)).sum(-1, keepdim=True)
        out = out + torch.relu(x @ w[e]) * share
    return out


def _gathered_moe(x: Tensor, router: Tensor, w: Tensor) -> Tensor:
    weights, expert = (x @ router).softmax(-1).max(-1)
    return torch.bmm(x[:, None], w[expert])[:, 0] * weights[:, None]


def _graph(x: Tensor, adjacency: Tensor, w: Tensor) -> Tensor:
    degree = adjacency.sum(-1, keepdim=True).clamp(min=1)
    return torch.relu((adjacency / degree) @ x @ w)


def _write_beside_product(x: Tensor, w: Tensor, s: Tensor) -> Tensor:
    """A copy of y is written in part, and y is read after that."""
    y = x @ w
    z = y.clone()
    z[:, 1:3] = s
    return torch.cat([z, y @ w])


def _edges(x: Tensor, source: Tensor, target: Tensor, w: Tensor) -> Tensor:
    return torch.zeros_like(x).index_add(0, target, x[source] @ w)


MODELS: Group = {
    "sdpa": Case(functional.scaled_dot_product_attention, reals((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8))),
    "sdpa causal": Case(_causal, reals((2, 3, 5, 8), (2, 3, 5, 8), (2, 3, 5, 8))),
    "sdpa bool mask": Case(
        functional.scaled_dot_product_attention,
        both(reals((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8)), lambda: (torch.rand(2, 1, 5, 6) > 0.3,)),
    ),
    "sdpa dead row": Case(
        functional.scaled_dot_product_attention,
        both(
            reals((1, 2, 3, 8), (1, 2, 3, 8), (1, 2, 3, 8)),
            lambda: (torch.tensor([[True, False, True], [False] * 3, [True] * 3]),),
        ),
    ),
    "sdpa float mask": Case(
        functional.scaled_dot_product_attention, reals((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8), (5, 6))
    ),
    "sdpa gqa": Case(
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        reals((2, 4, 5, 8), (2, 2, 5, 8), (2, 2, 5, 8)),
    ),
    "attention by hand": Case(
        lambda q, k, v, m: ((q @ k.transpose(-2, -1)) / 8**0.5 + m).softmax(-1) @ v,
        reals((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8), (2, 1, 1, 6)),
    ),
    "rotary": Case(_rotary, both(reals((2, 5, 8)), integers(0, 40, (2, 5)))),
    "gru": Case(_gru, reals((2, 5, 3), (3, 12), (4, 12))),
    "moe one-hot": Case(_top2_moe, reals((5, 4), (4, 3), (3, 4, 4))),
    "moe loop": Case(_loop_moe, reals((5, 4), (4, 3), (3, 4, 4))),
    "moe gathered": Case(_gathered_moe, reals((5, 4), (4, 3), (3, 4, 4))),
    "graph conv": Case(
        _graph, both(reals((5, 4)), lambda: ((torch.rand(5, 5) > 0.6).float(),), reals((4, 3)))
    ),
    "graph edges": Case(_edges, both(reals((5, 4)), integers(0, 5, (9,), (9,)), reals((4, 4)))),
    "complex rotary": Case(
        lambda x: torch.view_as_real(
            torch.view_as_complex(x) * torch.polar(torch.ones(3), torch.arange(3.0))
        ),
        reals((2, 3, 2)),
    ),
    "fft": Case(lambda x: torch.fft.rfft(x).abs(), reals((3, 8)), 1e-4),
    "write beside product": Case(_write_beside_product, reals((5, 5), (5, 5), (5, 2))),
    "relative bias": Case(
        lambda b: b[(torch.arange(4)[:, None] - torch.arange(4)[None]).clamp(-2, 2) + 2].permute(2, 0, 1),
        reals((5, 3)),
    ),
}

EMPTY: Group = {
    "elementwise": Case(lambda x: (x + 1, x.exp(), x.relu()), reals((0, 7))),
    "sum": Case(lambda x: (x.sum(), x.sum(0), x.sum(1), x.prod(0)), reals((0, 7))),
    "mean": Case(lambda x: x.mean(0), reals((0, 7))),
    "softmax": Case(lambda x: (x.softmax(0), x.softmax(1)), reals((0, 7))),
    "layer_norm": Case(lambda x: functional.layer_norm(x, (7,)), reals((0, 7))),
    "linear": Case(functional.linear, reals((0, 7), (5, 7), (5,))),
    "matmul n": Case(torch.matmul, reals((3, 7), (7, 0))),
    "linear k": Case(functional.linear, reals((3, 0), (5, 0), (5,))),
    "bmm": Case(torch.bmm, reals((0, 3, 7), (0, 7, 5))),
    "cumsum": Case(lambda x: x.cumsum(0), reals((0, 7))),
    "sort": Case(lambda x: x.sort(0), reals((0, 7))),
    "embedding": Case(functional.embedding, both(integers(0, 1, (0, 5)), reals((9, 7)))),
    "cat": Case(lambda x, y: torch.cat([x, y]), reals((0, 7), (0, 7))),
    "sdpa": Case(functional.scaled_dot_product_attention, reals((2, 3, 0, 8), (2, 3, 6, 8), (2, 3, 6, 8))),
    "max": Case(lambda x: x.max(1), reals((0, 7))),
    "conv1d": Case(functional.conv1d, reals((0, 3, 9), (4, 3, 3)), 1e-4),
    "x[i]": Case(lambda x, i: x[i], both(reals((5, 3)), integers(0, 1, (0,)))),
    "scatter": Case(
        lambda x, i, s: x.scatter_add(0, i, s), both(reals((5,)), integers(0, 1, (0,)), reals((0,)))
    ),
}

SCALARS: Group = {
    "elementwise": Case(lambda x, y: (x + y, x * y, x.exp(), x > y, torch.where(x > y, x, y)), reals((), ())),
    "reductions": Case(lambda x: (x.sum(), x.mean(), x.amax(), x.softmax(0)), reals(())),
    "broadcast": Case(lambda x, y: x * y, reals((), (3, 7))),
    "to and from": Case(lambda x: (x.reshape(1), x.reshape(1, 1), x.expand(3), x[None]), reals(())),
    "from vector": Case(lambda x: (x[2], x.sum() / x.numel(), x.max()), reals((5,))),
    "index": Case(lambda x, i: x[i], both(reals((5, 7)), integers(0, 5, ()))),
    "integers": Case(lambda i, j: (i + j, i * j, i // 2, i == j), integers(1, 9, (), ())),
}


def typed(dtype: torch.dtype, tolerance: float) -> Group:
    """What layers need, in another type of floats."""
    layer = reals((2, 3, 8), (8,), (8,), dtype=dtype)
    return {
        "elementwise": Case(
            lambda x, y, _: (
                x + y,
                x * y,
                functional.gelu(x),
                functional.silu(x),
                x.exp(),
                x.rsqrt().nan_to_num(),
            ),
            layer,
            tolerance,
        ),
        "sum mean": Case(lambda x, *_: (x.sum(-1), x.mean((0, 1)), x.amax(1)), layer, tolerance),
        "softmax": Case(lambda x, *_: x.softmax(-1), layer, tolerance),
        "layer_norm": Case(lambda x, w, b: functional.layer_norm(x, (8,), w, b), layer, tolerance),
        "rms_norm": Case(lambda x, w, b: functional.rms_norm(x, (8,), w, 1e-5), layer, tolerance),
        "linear": Case(functional.linear, reals((2, 3, 33), (17, 33), (17,), dtype=dtype), tolerance),
        "matmul": Case(torch.matmul, reals((2, 3, 33), (2, 33, 17), dtype=dtype), tolerance),
        "sdpa": Case(
            functional.scaled_dot_product_attention,
            reals((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 8), dtype=dtype),
            tolerance,
        ),
        "sdpa causal": Case(_causal, reals((2, 3, 5, 8), (2, 3, 5, 8), (2, 3, 5, 8), dtype=dtype), tolerance),
        "embedding": Case(
            functional.embedding, both(integers(0, 9, (2, 5)), reals((9, 8), dtype=dtype)), tolerance
        ),
        "conv2d": Case(functional.conv2d, reals((2, 3, 6, 7), (4, 3, 3, 2), (4,), dtype=dtype), tolerance),
        "cumsum": Case(lambda x, *_: x.cumsum(1), layer, tolerance),
        "topk": Case(lambda x, *_: x.topk(2, -1)[0], layer, tolerance),
        "compare": Case(
            lambda x, y, _: (x > y, x == x, torch.maximum(x, y), torch.where(x > 0, x, y)), layer, tolerance
        ),
        "casts": Case(
            lambda x, *_: (x.float(), x.double(), x.int(), x.bool(), x.to(torch.bfloat16)), layer, tolerance
        ),
        "max": Case(lambda x, *_: x.max(1), layer, tolerance),
        "pad cat": Case(
            lambda x, *_: (functional.pad(x, (1, 1)), torch.cat([x, x], 1), x.flip(1)), layer, tolerance
        ),
    }

"""Drops the guard of a safe softmax (rows that are -inf throughout give 0) where no score can be -inf.

With a finite mask the guard never acts, but it is a further reader of the masked scores, which would keep
them dense. A score is not -inf if its mask is built from constants that a sum cannot push out of range; what a
contraction gives counts as finite data.
"""

import math
from typing import Any

import torch
from torch import fx

aten = torch.ops.aten

CONTRACTIONS = frozenset(
    [aten.bmm.default, aten.mm.default, aten.linear.default, aten.matmul.default, aten.addmm.default]
)
MOVES = frozenset(
    [
        aten.expand.default,
        aten.view.default,
        aten._unsafe_view.default,
        aten.unsqueeze.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.slice.Tensor,
        aten.permute.default,
        aten.clone.default,
        aten.alias.default,
        aten.select.int,
        aten.embedding.default,
        aten.neg.default,
        aten.lift_fresh_copy.default,
    ]
)
CONVERSIONS = frozenset([torch.ops.prims.convert_element_type.default, aten._to_copy.default])


def drop_softmax_guards(graph: fx.Graph) -> int:
    """Removes the guards of `graph` that cannot act; how many these were."""
    dropped = 0
    for node in graph.nodes:
        if node.target is not aten.all.dim or not _compares_with_minus_inf(node.args[0]):
            continue
        scores = node.args[0].args[0]
        if magnitude(scores, {}) > torch.finfo(scores.meta["val"].dtype).max:
            continue
        for user in list(node.users):
            if user.target is aten.where.self and user.args[0] is node:
                user.replace_all_uses_with(user.args[2])
                dropped += 1
    graph.eliminate_dead_code()
    return dropped


def _compares_with_minus_inf(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.target is aten.eq.Scalar and bool(node.args[1] == -math.inf)


def magnitude(value: Any, known: dict[fx.Node, float]) -> float:
    """A bound on the absolute values of `value` that leaves data out of account; inf where there is none.

    Data (results of contractions, weights) counts as 0, since it is lost beside the range of its type, except in
    f16, whose range is small.
    """
    if isinstance(value, bool | int | float):
        return abs(value)
    if not isinstance(value, fx.Node):
        return math.inf
    if value not in known:
        known[value] = math.inf
        known[value] = _node_magnitude(value, known)
    return known[value]


def _node_magnitude(node: fx.Node, known: dict[fx.Node, float]) -> float:
    tensor = node.meta.get("val")
    if not isinstance(tensor, torch.Tensor):
        return math.inf
    if not tensor.dtype.is_floating_point:
        return 1.0 if tensor.dtype is torch.bool else float(torch.iinfo(tensor.dtype).max)
    data = 1024.0 if tensor.dtype is torch.float16 else 0.0
    if node.target in CONTRACTIONS or (node.op == "placeholder" and node.name.startswith("p_")):
        return data
    args = node.args
    if node.target in MOVES:
        return magnitude(args[0], known)
    if node.target in CONVERSIONS:
        source = args[0].meta["val"]  # type: ignore[union-attr]
        return 1.0 if source.dtype is torch.bool else magnitude(args[0], known)
    if node.target in (aten.add.Tensor, aten.sub.Tensor, aten.add.Scalar, aten.sub.Scalar, aten.rsub.Scalar):
        return magnitude(args[0], known) + magnitude(args[1], known)
    if node.target in (aten.mul.Tensor, aten.mul.Scalar):
        return magnitude(args[0], known) * magnitude(args[1], known)
    if node.target is aten.div.Tensor and isinstance(args[1], int | float) and args[1]:
        return magnitude(args[0], known) / abs(args[1])
    if node.target is aten.where.self:
        return max(magnitude(args[1], known), magnitude(args[2], known))
    if node.target is aten.masked_fill.Scalar:
        return max(magnitude(args[0], known), magnitude(args[2], known))
    if node.target in (aten.full.default, aten.full_like.default):
        return magnitude(args[1], known)
    if node.target is aten.scalar_tensor.default:
        return magnitude(args[0], known)
    return math.inf

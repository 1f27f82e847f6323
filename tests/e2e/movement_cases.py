"""Cases of `test_operators`: data that moves, is gathered, scattered, sorted; convolutions."""

import math

import torch
from operator_inputs import Case, Group, both, given, integers, reals, truths
from torch import Tensor
from torch.nn import functional

MOVEMENT: Group = {
    "pad": Case(
        lambda x: (
            functional.pad(x, (1, 2)),
            functional.pad(x, (1, 0, 2, 1), value=3.5),
            functional.pad(x, (-1, 1)),
        ),
        reals((3, 7)),
    ),
    "pad reflect": Case(lambda x: functional.pad(x, (2, 1), mode="reflect"), reals((2, 3, 7))),
    "pad replicate": Case(lambda x: functional.pad(x, (2, 1), mode="replicate"), reals((2, 3, 7))),
    "pad circular": Case(lambda x: functional.pad(x, (2, 1), mode="circular"), reals((2, 3, 7))),
    "cat": Case(
        lambda x, y: (torch.cat([x, y], 1), torch.cat([x, x], 0), torch.cat([x, y, x], -1)),
        reals((3, 7), (3, 2)),
    ),
    "cat empty": Case(lambda x, y: torch.cat([x, y], 0), reals((3, 7), (0, 7))),
    "stack": Case(lambda x, y: (torch.stack([x, y]), torch.stack([x, y], -1)), reals((3, 7), (3, 7))),
    "slices": Case(lambda x: (x[1:], x[:, 1:6:2], x[::2, ::3], x[-2:, :-1], x[..., 3], x[2]), reals((4, 7))),
    "slice empty": Case(lambda x: x[2:2], reals((3, 7))),
    "index_fill": Case(lambda x, y: x.index_fill(0, torch.tensor([1]), 2.0) + y, reals((3, 7), (7,))),
    "slice_scatter": Case(lambda x, y: torch.slice_scatter(x, y, 1, 1, 6, 2), reals((3, 7), (3, 3))),
    "select_scatter": Case(lambda x, y: torch.select_scatter(x, y, 0, 1), reals((3, 7), (7,))),
    "roll": Case(lambda x: (x.roll(2, 1), x.roll((1, -1), (0, 1)), x.roll(1)), reals((3, 7))),
    "flip": Case(lambda x: (x.flip(0), x.flip(0, 1)), reals((3, 7))),
    "split chunk": Case(lambda x: (*x.split(3, 1), *x.chunk(2, 0), *x.tensor_split(2, 1)), reals((4, 7))),
    "unbind": Case(lambda x: x.unbind(1), reals((3, 4))),
    "permutes": Case(
        lambda x: (x.t(), x.transpose(0, 1).contiguous(), x.permute(1, 0)[:, None]), reals((3, 7))
    ),
    "reshapes": Case(
        lambda x: (x.reshape(6, 4), x.view(2, 12), x.flatten(), x.unflatten(1, (2, 2)), x.reshape(-1, 3)),
        reals((6, 4)),
    ),
    "reshape transposed": Case(lambda x: x.transpose(0, 1).reshape(3, 8), reals((6, 4))),
    "squeeze": Case(lambda x: (x.squeeze(), x.squeeze(1), x.unsqueeze(-1)), reals((3, 1, 7))),
    "expand repeat": Case(
        lambda x: (x.expand(4, 3, 7), x.repeat(2, 3), x.repeat_interleave(2, 1), x.tile(2)), reals((3, 7))
    ),
    "meshgrid": Case(lambda x, y: torch.meshgrid(x, y, indexing="ij"), reals((3,), (4,))),
    "rot90 movedim": Case(lambda x: (x.rot90(), x.movedim(0, 1)), reals((3, 7))),
    "unfold": Case(lambda x: x.unfold(1, 3, 2), reals((3, 7))),
    "F.unfold": Case(lambda x: functional.unfold(x, 2), reals((2, 3, 4, 5))),
    "pixel_shuffle": Case(
        lambda x: (functional.pixel_shuffle(x, 2), functional.pixel_unshuffle(x, 2)), reals((1, 8, 4, 6))
    ),
    "arange full": Case(
        lambda x: (
            x + torch.arange(7),
            torch.full_like(x, 2.0),
            torch.zeros(3, 2),
            torch.ones_like(x),
            torch.eye(3),
        ),
        reals((3, 7)),
    ),
    "linspace": Case(lambda x: x + torch.linspace(0, 1, 7), reals((3, 7))),
    "new tensors": Case(
        lambda x: (x.new_zeros(2, 3), x.new_full((2,), 5.0), x.new_tensor([1.0, 2.0])), reals((3, 7))
    ),
    "interpolate": Case(
        lambda x: (
            functional.interpolate(x, scale_factor=2),
            functional.interpolate(x, size=(6, 7), mode="bilinear"),
        ),
        reals((1, 2, 3, 4)),
    ),
    "as_strided": Case(lambda x: torch.as_strided(x, (3, 3), (7, 2)), reals((3, 7))),
}

GATHERS: Group = {
    "embedding": Case(functional.embedding, both(integers(0, 9, (2, 5)), reals((9, 7)))),
    "embedding padding_idx": Case(
        lambda i, w: functional.embedding(i, w, padding_idx=0), both(integers(0, 9, (2, 5)), reals((9, 7)))
    ),
    "embedding int32": Case(
        functional.embedding, both(integers(0, 9, (2, 5), dtype=torch.int32), reals((9, 7)))
    ),
    "embedding_bag": Case(
        lambda i, o, w: functional.embedding_bag(i, w, o),
        both(integers(0, 9, (6,)), given([0, 2, 5]), reals((9, 7))),
    ),
    "index_select": Case(
        lambda x, i: (x.index_select(0, i), x.index_select(1, i)), both(reals((5, 6)), integers(0, 5, (4,)))
    ),
    "gather": Case(
        lambda x, i: (x.gather(1, i), x.gather(0, i % 3)), both(reals((3, 7)), integers(0, 7, (3, 4)))
    ),
    "take_along_dim": Case(lambda x: torch.take_along_dim(x, x.argsort(1), 1), reals((3, 7))),
    "x[i]": Case(lambda x, i: (x[i], x[:, i]), both(reals((5, 6, 2)), integers(-5, 5, (4,)))),
    "x[i, j]": Case(
        lambda x, i, j: x[i, j], both(reals((5, 6, 2)), integers(0, 5, (4,)), integers(0, 6, (4,)))
    ),
    "x[i][:, None], j": Case(
        lambda x, i, j: x[i[:, None], j], both(reals((5, 6)), integers(0, 5, (4,)), integers(0, 6, (3,)))
    ),
    "x[arange, i]": Case(lambda x, i: x[torch.arange(5), i], both(reals((5, 6, 2)), integers(0, 6, (5,)))),
    "x[:, i, :, j]": Case(lambda x, i: x[:, i, :, i], both(reals((2, 5, 3, 5)), integers(0, 5, (4,)))),
    "x[mask]": Case(lambda x, c: x[c], both(reals((3, 7)), truths((3,)))),
    "nonzero": Case(lambda c: c.nonzero(), truths((3, 7))),
    "masked_select": Case(lambda x, c: x.masked_select(c), both(reals((3, 7)), truths((3, 7)))),
    "take": Case(torch.take, both(reals((3, 7)), integers(0, 21, (4,)))),
    "one_hot": Case(lambda i: functional.one_hot(i, 6), integers(0, 6, (2, 5))),
    "one_hot float": Case(lambda i: functional.one_hot(i, 6).float(), integers(0, 6, (2, 5))),
    "tril_indices": Case(lambda x: x[torch.tril_indices(4, 4)[0]], reals((4, 7))),
    "bucketize": Case(torch.bucketize, both(reals((5,)), given([-1.0, 0.0, 1.0]))),
    "searchsorted": Case(torch.searchsorted, both(given([-1.0, 0.0, 1.0]), reals((5,)))),
    "bincount": Case(lambda i: torch.bincount(i, minlength=5), integers(0, 5, (9,))),
    "isin": Case(lambda i: torch.isin(i, torch.tensor([1, 3])), integers(0, 5, (9,))),
}

SCATTERS: Group = {
    "scatter": Case(
        lambda x, i, s: x.scatter(1, i, s),
        lambda: (torch.randn(3, 7), torch.randperm(7)[:4].expand(3, 4).contiguous(), torch.randn(3, 4)),
    ),
    "scatter value": Case(lambda x, i: x.scatter(1, i, 2.0), both(reals((3, 7)), integers(0, 7, (3, 4)))),
    "scatter value from the end": Case(
        lambda x, i: torch.zeros_like(x).scatter(-1, i, 1.0), both(reals((3, 7)), integers(0, 7, (3, 4)))
    ),
    "scatter_add from the end": Case(
        lambda x, i: x.scatter_add(-1, i, torch.ones_like(x)), both(reals((3, 7)), integers(0, 7, (3, 4)))
    ),
    "scatter_reduce from the end": Case(
        lambda x, i: x.scatter_reduce(-1, i, torch.ones_like(x), "amax"),
        both(reals((3, 7)), integers(0, 7, (3, 4))),
    ),
    "scatter dim 0": Case(lambda x, s: x.scatter(0, torch.tensor([[2, 0, 1]]), s), reals((3, 3), (1, 3))),
    "scatter_add": Case(
        lambda x, i, s: x.scatter_add(1, i, s), both(reals((3, 7)), integers(0, 7, (3, 9)), reals((3, 9)))
    ),
    "scatter_add dim 0": Case(
        lambda x, i, s: x.scatter_add(0, i, s), both(reals((4, 7)), integers(0, 4, (9, 7)), reals((9, 7)))
    ),
    "scatter_add rows": Case(
        lambda x, i, s: x.scatter_add(0, i[:, None].expand(9, 7), s),
        both(reals((4, 7)), integers(0, 4, (9,)), reals((9, 7))),
    ),
    "scatter_reduce": Case(
        lambda x, i, s: tuple(x.scatter_reduce(0, i, s, r) for r in ("sum", "amax", "amin", "prod")),
        both(reals((5,)), integers(0, 5, (9,)), reals((9,))),
    ),
    "scatter_reduce mean": Case(
        lambda x, i, s: x.scatter_reduce(0, i, s, "mean"),
        both(reals((5,)), integers(0, 5, (9,)), reals((9,))),
    ),
    "index_add": Case(
        lambda x, i, s: x.index_add(0, i, s), both(reals((4, 7)), integers(0, 4, (9,)), reals((9, 7)))
    ),
    "index_add dim 1": Case(
        lambda x, i, s: x.index_add(1, i, s), both(reals((3, 4)), integers(0, 4, (9,)), reals((3, 9)))
    ),
    "index_copy": Case(lambda x, s: x.index_copy(0, torch.tensor([2, 0]), s), reals((4, 7), (2, 7))),
    "index_put": Case(
        lambda x, i, s: x.index_put((i,), s),
        lambda: (torch.randn(5, 7), torch.randperm(5)[:3], torch.randn(3, 7)),
    ),
    "index_put add": Case(
        lambda x, i, s: x.index_put((i,), s, accumulate=True),
        both(reals((5, 7)), integers(0, 5, (9,)), reals((9, 7))),
    ),
    "index_put 2": Case(
        lambda x, i, j, s: x.index_put((i, j), s),
        lambda: (torch.randn(5, 7), torch.arange(4), torch.randint(0, 7, (4,)), torch.randn(4)),
    ),
    "index_put mask": Case(
        lambda x, c: x.index_put((c,), torch.tensor(0.5)), both(reals((3, 7)), truths((3, 7)))
    ),
    "masked_scatter": Case(
        lambda x, c, s: x.masked_scatter(c, s), both(reals((3, 7)), truths((3, 7)), reals((3, 7)))
    ),
    "diagonal_scatter": Case(lambda x, s: x.diagonal_scatter(s), reals((4, 4), (4,))),
}


def _assign_rows(x: Tensor, i: Tensor, s: Tensor) -> Tensor:
    y = x.clone()
    y[i] = s
    return y


def _assign_slice(x: Tensor, s: Tensor) -> Tensor:
    y = x.clone()
    y[:, 1:3] = s
    y[0] += 1
    return y


SCATTERS["x[i] = s"] = Case(
    _assign_rows, lambda: (torch.randn(5, 7), torch.randperm(5)[:3], torch.randn(3, 7))
)
SCATTERS["x[:, 1:3] = s"] = Case(_assign_slice, reals((4, 7), (4, 2)))

SORTS: Group = {
    "sort": Case(lambda x: x.sort(1), reals((3, 7))),
    "sort descending": Case(lambda x: x.sort(0, descending=True), reals((5, 3))),
    "sort long": Case(lambda x: x.sort(-1), reals((2, 127))),
    "sort stable": Case(lambda x: x.sort(dim=-1, stable=True), integers(0, 4, (2, 60))),
    "argsort": Case(lambda x: x.argsort(1, descending=True), reals((3, 7))),
    "topk": Case(lambda x: x.topk(3, -1), reals((4, 9))),
    "topk 1": Case(lambda x: x.topk(1, 0), reals((4, 9))),
    "topk smallest": Case(lambda x: x.topk(2, -1, largest=False), reals((4, 9))),
    "topk all": Case(lambda x: x.topk(9, -1), reals((4, 9))),
    "topk int": Case(lambda x: x.topk(2, -1)[0], integers(-50, 50, (4, 9))),
    "kthvalue": Case(lambda x: x.kthvalue(2, 1), reals((3, 7))),
    "median": Case(lambda x: (x.median(), x.median(1)), reals((3, 7))),
    "msort": Case(torch.msort, reals((7, 3))),
    "sort of truths": Case(lambda c: c.sort(dim=-1, stable=True), truths((4, 9))),
    "sort nan": Case(lambda x: x.sort()[0], given([1.0, math.nan, -1.0, 3.0])),
    "quantile": Case(lambda x: x.quantile(0.3, 1), reals((3, 7))),
}

CONVOLUTIONS: Group = {
    "conv1d": Case(functional.conv1d, reals((2, 3, 9), (4, 3, 3), (4,)), 1e-4),
    "conv1d stride": Case(
        lambda x, w: functional.conv1d(x, w, stride=2, padding=1), reals((2, 3, 9), (4, 3, 3)), 1e-4
    ),
    "conv1d groups": Case(lambda x, w: functional.conv1d(x, w, groups=2), reals((2, 4, 9), (6, 2, 3)), 1e-4),
    "conv1d depthwise": Case(
        lambda x, w, b: functional.conv1d(x, w, b, padding=2, groups=4),
        reals((2, 4, 9), (4, 1, 3), (4,)),
        1e-4,
    ),
    "conv1d same": Case(
        lambda x, w: functional.conv1d(x, w, padding="same", dilation=2), reals((2, 3, 9), (4, 3, 3)), 1e-4
    ),
    "conv2d": Case(functional.conv2d, reals((2, 3, 6, 7), (4, 3, 3, 2), (4,)), 1e-4),
    "conv2d stride": Case(
        lambda x, w: functional.conv2d(x, w, stride=(2, 3), padding=(1, 0)),
        reals((2, 3, 6, 7), (4, 3, 3, 2)),
        1e-4,
    ),
    "conv2d groups": Case(
        lambda x, w: functional.conv2d(x, w, groups=3), reals((2, 3, 6, 7), (6, 1, 3, 3)), 1e-4
    ),
    "conv2d depthwise": Case(
        lambda x, w, b: functional.conv2d(x, w, b, padding=1, groups=3),
        reals((2, 3, 6, 7), (3, 1, 3, 3), (3,)),
        1e-4,
    ),
    "conv2d dilation": Case(
        lambda x, w: functional.conv2d(x, w, dilation=2), reals((2, 3, 6, 7), (4, 3, 2, 2)), 1e-4
    ),
    "conv2d patch": Case(
        lambda x, w, b: functional.conv2d(x, w, b, stride=4).flatten(2).transpose(1, 2),
        reals((2, 3, 8, 8), (5, 3, 4, 4), (5,)),
        1e-4,
    ),
    "conv2d 1x1": Case(functional.conv2d, reals((2, 3, 6, 7), (4, 3, 1, 1)), 1e-4),
    "conv3d": Case(functional.conv3d, reals((1, 2, 4, 5, 6), (3, 2, 2, 2, 2)), 1e-4),
    "conv_transpose1d": Case(
        lambda x, w: functional.conv_transpose1d(x, w, stride=2), reals((2, 3, 5), (3, 4, 3)), 1e-4
    ),
    "conv_transpose2d": Case(
        lambda x, w: functional.conv_transpose2d(x, w, stride=2, padding=1),
        reals((2, 3, 4, 5), (3, 4, 3, 3)),
        1e-4,
    ),
    "max_pool1d": Case(lambda x: functional.max_pool1d(x, 2), reals((2, 3, 9))),
    "max_pool2d": Case(lambda x: functional.max_pool2d(x, 3, 2, 1), reals((2, 3, 6, 7))),
    "max_pool2d indices": Case(
        lambda x: functional.max_pool2d(x, 2, return_indices=True), reals((2, 3, 6, 7))
    ),
    "avg_pool1d": Case(lambda x: functional.avg_pool1d(x, 3, 2), reals((2, 3, 9))),
    "avg_pool2d": Case(lambda x: functional.avg_pool2d(x, 2, padding=1), reals((2, 3, 6, 7))),
    "avg_pool2d once": Case(
        lambda x: (
            functional.avg_pool2d(x, (2, 5), (2, 1), (1, 0)),
            functional.max_pool2d(x[:, :, :, :6], (1, 5), 2),
            functional.conv2d(x, x.new_ones(3, 17, 1, 5), stride=3),
            functional.conv2d(x, x.new_ones(17, 1, 1, 5), stride=3, groups=17),
        ),
        reals((2, 17, 1, 7)),
    ),
    "avg_pool2d no pad": Case(
        lambda x: functional.avg_pool2d(x, 2, padding=1, count_include_pad=False), reals((2, 3, 6, 7))
    ),
    "adaptive_avg_pool": Case(
        lambda x: (functional.adaptive_avg_pool2d(x, 1), functional.adaptive_avg_pool2d(x, (3, 7))),
        reals((2, 3, 6, 7)),
    ),
    "adaptive_avg_pool1d": Case(lambda x: functional.adaptive_avg_pool1d(x, 1), reals((2, 3, 6))),
    "adaptive_max_pool2d": Case(lambda x: functional.adaptive_max_pool2d(x, 1), reals((2, 3, 6, 7))),
}

"""Attention of `transformers`: the definition, in plain tensor code, and the call in its place."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

from pit_mlir.compiled_module import CompiledModule
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.hf.programs import (
    LARGEST,
    autocast,
    compile_form,
    is_traced,
    program,
    refuse_gradients,
    verify_tensors,
)

EXAMPLE_SIZES = {"batch": 2, "queries": 5, "keys": 7}
"""A program is compiled for these sizes, and any others."""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    sinks: Tensor | None = None,
    *,
    scaling: float,
    softcap: float | None = None,
    is_causal: bool = False,
) -> Tensor:
    """`softmax(scores) @ value` over the keys that `mask` shows; `scores = cap(query @ key^T * scaling) + bias`.

    `query` is (batch, heads, queries, features), `key` and `value` are (batch, kv heads, keys, features); each of their
    heads serves a group of the query's. The result is (batch, queries, heads, features of `value`).

    `mask` is of truth values or added, `bias` is added; both are 4-dimensional and of size 1 where they are the same
    for all; `sinks` (heads) are scores of one more key, whose value is 0. `is_causal` lets query i see the keys 0 to i.
    Queries that see no key, and have no sink, give 0.
    """
    heads, kv_heads = query.shape[1], key.shape[1]
    group = (kv_heads, heads // kv_heads)
    if is_causal:
        seen = torch.arange(key.shape[2], device=key.device)[None, :]
        mask = (seen <= torch.arange(query.shape[2], device=key.device)[:, None])[None, None]
    if sinks is not None:
        # A key of zeros has the score 0, to which the sink is added, and a value of zeros.
        key, value = functional.pad(key, (0, 0, 0, 1)), functional.pad(value, (0, 0, 0, 1))
        last = torch.arange(key.shape[2], device=key.device) == key.shape[2] - 1
        sink = torch.where(last, sinks[None, :, None, None], 0)
        bias = sink if bias is None else functional.pad(bias, (0, 1)) + sink
        if mask is not None:
            mask = functional.pad(mask, (0, 1), value=mask.dtype is torch.bool)
    # A group of heads that share their keys is an axis which keys and values lack: they are not repeated.
    query, key, value = query.unflatten(1, group), key[:, :, None], value[:, :, None]
    mask, bias = (None if extra is None else _grouped(extra, group) for extra in (mask, bias))
    scores = torch.matmul(query, key.transpose(-2, -1)) * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if bias is not None:
        scores = scores + bias
    probabilities = _masked_softmax(scores, mask).to(value.dtype)
    return torch.matmul(probabilities, value).flatten(1, 2).transpose(1, 2)


def _grouped(extra: Tensor, group: tuple[int, int]) -> Tensor:
    """A mask or bias over heads as one over groups of heads."""
    return extra[:, :, None] if extra.shape[1] == 1 else extra.unflatten(1, group)


def _masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax over the keys that `mask` leaves; 0 where it leaves none."""
    if mask is None:
        return torch.softmax(scores, -1)
    if mask.dtype is not torch.bool:
        return torch.ops.aten._safe_softmax(scores + mask, -1)
    lowest = torch.finfo(scores.dtype).min
    return torch.where(mask, torch.softmax(torch.where(mask, scores, lowest), -1), 0)


def attention_forward(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """`attend` in the place of a model's attention function; raises `PitError` for what it cannot do.

    Arguments and result are those of `AttentionInterface`; there are no attention weights. Without a mask, more than
    one query is causal if the module is, as torch's own attention has it.
    """
    name = type(module).__name__
    _refuse(name, dropout, others)
    if is_causal is None:
        is_causal = bool(getattr(module, "is_causal", True))
    is_causal = attention_mask is None and is_causal and query.shape[2] != 1
    factor = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    tensors = (query, key, value, attention_mask, position_bias, s_aux)
    constants = _Constants(factor, softcap, is_causal)
    if is_traced():
        return _attend(tensors, constants), None
    refuse_gradients(name, (tensor for tensor in tensors if tensor is not None))
    form = _Form.of(tensors, constants)
    tensors = form.arranged(tensors)
    return program(module, form, lambda: form.compile(name, tensors))(*tensors), None


def _refuse(name: str, dropout: float, others: dict[str, Any]) -> None:
    """Raises `PitError` for what changes the answer and is not built."""
    if dropout:
        raise UnsupportedError(f"{name}: dropout = {dropout} in attention is not built; call model.eval()")
    if others.get("output_attentions"):
        raise UnsupportedError(
            f"{name}: output_attentions asks for the scores, which are never kept; use the implementation 'eager'"
        )
    if others.get("cache") is not None:
        raise UnsupportedError(
            f"{name}: a paged cache (continuous batching) is not built; use the implementation 'sdpa'"
        )


@dataclass(frozen=True)
class _Constants:
    """What is a number in a program, not an argument."""

    scaling: float
    softcap: float | None
    is_causal: bool


_Tensors = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]
"""Query, key, value, mask, bias and sinks."""


def _attend(tensors: _Tensors, constants: _Constants) -> Tensor:
    query, key, value, mask, bias, sinks = tensors
    return attend(
        query,
        key,
        value,
        mask,
        bias,
        sinks,
        scaling=constants.scaling,
        softcap=constants.softcap,
        is_causal=constants.is_causal,
    )


def _turned(tensors: _Tensors, transposed: tuple[bool, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value with heads and tokens exchanged where it says so."""
    query, key, value = (
        tensor.transpose(1, 2) if turn else tensor
        for tensor, turn in zip(tensors[:_EXTRAS], transposed, strict=True)
    )
    return query, key, value


_AXES = (
    ("batch", None, "queries", None),
    ("batch", None, "keys", None),
    ("batch", None, "keys", None),
    ("batch", None, "queries", "keys"),
    ("batch", None, "queries", "keys"),
    (None,),
)
"""The sizes of query, key, value, mask, bias and sinks that differ from call to call."""

_EXTRAS = 3
"""The first of them that may be of size 1 where others are not."""


@dataclass(frozen=True)
class _Form:
    """What a program is compiled for: of each tensor its type, its axes, and whether it comes transposed.

    An axis is a number, or the name of a size. Heads and tokens are transposed where that is how they lie in memory:
    nothing is copied to pass them.
    """

    constants: _Constants
    device: torch.device
    autocast: str | None
    dtypes: tuple[torch.dtype | None, ...]
    axes: tuple[tuple[int | str, ...], ...]
    transposed: tuple[bool, ...]

    @staticmethod
    def of(tensors: _Tensors, constants: _Constants) -> "_Form":
        """The form of a call."""
        sizes = {"batch": len(tensors[0]), "queries": tensors[0].shape[2], "keys": tensors[1].shape[2]}
        axes: list[tuple[int | str, ...]] = []
        for number, tensor in enumerate(tensors):
            if tensor is None:
                axes.append(())
                continue
            if tensor.dim() != len(_AXES[number]):
                raise InputError(
                    f"attention: argument {number} is of shape {list(tensor.shape)}, expected {len(_AXES[number])} "
                    "dimensions"
                )
            axes.append(
                tuple(
                    size if axis is None or (number >= _EXTRAS and size == 1 != sizes[axis]) else axis
                    for axis, size in zip(_AXES[number], tensor.shape, strict=True)
                )
            )
        return _Form(
            constants,
            tensors[0].device,
            autocast(),
            tuple(None if tensor is None else tensor.dtype for tensor in tensors),
            tuple(axes),
            tuple(tensor.transpose(1, 2).is_contiguous() for tensor in tensors[:_EXTRAS]),
        )

    def arranged(self, tensors: _Tensors) -> Any:
        """The arguments of the program."""
        return (*_turned(tensors, self.transposed), *tensors[_EXTRAS:])

    def compile(self, name: str, arranged: Any) -> CompiledModule:
        """The program; `arranged` are arguments to check."""
        names = ("query", "key", "value", "mask", "position bias", "sinks")
        verify_tensors(name, {n: t for n, t in zip(names, arranged, strict=True) if t is not None})
        dims = {axis: Dim(axis, max=LARGEST) for axis in EXAMPLE_SIZES}
        args: list[Tensor | None] = []
        dynamic: list[dict[int, Any] | None] = []
        for number, dtype in enumerate(self.dtypes):
            axes = self.axes[number]
            if number < _EXTRAS and self.transposed[number]:
                axes = (axes[0], axes[2], axes[1], axes[3])
            shape = [EXAMPLE_SIZES[axis] if isinstance(axis, str) else axis for axis in axes]
            args.append(None if dtype is None else torch.zeros(shape, dtype=dtype))
            where = {place: dims[axis] for place, axis in enumerate(axes) if isinstance(axis, str)}
            dynamic.append(None if dtype is None else where)
        return compile_form(_Attention(self.constants, self.transposed), tuple(args), tuple(dynamic))


class _Attention(nn.Module):
    """`attend` as a module, whose first arguments may come transposed."""

    def __init__(self, constants: _Constants, transposed: tuple[bool, ...]) -> None:
        super().__init__()
        self.constants, self.transposed = constants, transposed

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        turned = _turned((query, key, value, mask, bias, sinks), self.transposed)
        return _attend((*turned, mask, bias, sinks), self.constants)

"""Mixtures of experts of `transformers`: the definition, in plain tensor code, and the call in its place."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.func import functional_call

from pit_mlir.compiled_module import CompiledModule
from pit_mlir.errors import InputError, UnsupportedError
from pit_mlir.hf.programs import (
    LARGEST,
    autocast,
    compile_form,
    fingerprint,
    is_traced,
    program,
    refuse_gradients,
    settings,
    verify_tensors,
)

EXAMPLE_TOKENS = 7
"""A program is compiled for this many tokens, and any number."""


def combine_experts(
    experts: nn.Module, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor
) -> Tensor:
    """What a mixture of experts computes: each expert on each token, weighed by the router, added up.

    `hidden_states` is (tokens, features), `top_k_index` and `top_k_weights` are (tokens, k): the experts chosen for
    each token and their weights. `experts` has stacked weights as `transformers` keeps them: `gate_up_proj` or
    `up_proj`, `down_proj`, their biases, how they lie (`has_gate`, `has_bias`, `is_transposed`), the activation. A
    number that no expert has, as expert parallelism uses, chooses none. Sums are taken in f32 at least.

    Nothing here says what need not be computed: a weight of 0 does, and the rules find it.
    """
    e: Any = experts
    up = "gate_up_proj" if e.has_gate else "up_proj"
    hidden = _project(e, up, "td,edh->eth", "td,ehd->eth", hidden_states)
    hidden = e._apply_gate(hidden) if e.has_gate else e.act_fn(hidden)
    outputs = _project(e, "down_proj", "eth,ehd->etd", "eth,edh->etd", hidden)
    if e.has_post_expert_norm:
        outputs = e.post_expert_norm(outputs)
    chosen = top_k_index[..., None] == torch.arange(len(e.down_proj), device=top_k_index.device)
    # A product, not a choice of weights: zeros are sought in the numbers of experts, not in their weights as well.
    gates = torch.einsum("tk,tke->te", top_k_weights, chosen.to(top_k_weights.dtype))
    dtype = torch.promote_types(torch.promote_types(gates.dtype, outputs.dtype), torch.float32)
    combined = torch.einsum("etd,te->td", outputs.to(dtype), gates.to(dtype))
    return combined.to(hidden_states.dtype)


def _project(experts: Any, name: str, transposed: str, stored: str, inputs: Tensor) -> Tensor:
    """The linear layers `name` of all experts; the equations are for transposed weights and for others."""
    weight = getattr(experts, name)
    outputs = torch.einsum(transposed if experts.is_transposed else stored, inputs, weight)
    return outputs + getattr(experts, f"{name}_bias")[:, None] if experts.has_bias else outputs


def experts_forward(
    self: nn.Module, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor
) -> Tensor:
    """`combine_experts` in the place of an experts module's `forward`; raises `PitError` for what it cannot do.

    Called as usual it runs a program of ours, in which each expert computes its tokens alone.
    """
    if is_traced():
        return combine_experts(self, hidden_states, top_k_index, top_k_weights)
    tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
    routed = (hidden_states, top_k_index, top_k_weights)
    refuse_gradients(type(self).__name__, (hidden_states, top_k_weights, *tensors.values()))
    form = (
        "experts",
        _fingerprint(self),
        autocast(),
        hidden_states.device,
        *((tensor.dtype, *tensor.shape[1:]) for tensor in routed),
        *((name, tensor.dtype, tensor.shape) for name, tensor in tensors.items()),
    )
    return program(self, form, lambda: _compile(self, tensors, *routed))(*routed, tensors)


def refuse_quantised(self: nn.Module, *_args: Any, **_kwargs: Any) -> Tensor:
    """Raises `UnsupportedError`: experts with weights of 8 bits have an interface of their own."""
    raise UnsupportedError(
        f"{type(self).__name__}: quantised experts are not built; load the model without quantisation, or use another "
        "experts implementation"
    )


@dataclass(frozen=True)
class _Known:
    """The fingerprint of a module, and the settings it was taken at."""

    settings: tuple[Any, ...]
    fingerprint: Hashable


_KNOWN: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


def _fingerprint(experts: nn.Module) -> Hashable:
    """The fingerprint of `experts`, taken anew where a setting was changed."""
    now = settings(experts)
    known = _KNOWN.get(experts)
    if known is None or known.settings != now:
        known = _KNOWN[experts] = _Known(now, fingerprint(experts))
    return known.fingerprint


class _Definition(nn.Module):
    """`combine_experts` as a module."""

    def __init__(self, experts: nn.Module) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, *routed: Tensor) -> Tensor:
        return combine_experts(self.experts, *routed)


class _Form(nn.Module):
    """The experts of a module with their weights as arguments; it has none of its own."""

    definition: _Definition | None

    def __init__(self, definition: _Definition) -> None:
        super().__init__()
        # Beside the module's registry: what is registered there is a weight of the program.
        object.__setattr__(self, "definition", definition)

    def forward(
        self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor, weights: dict[str, Tensor]
    ) -> Tensor:
        assert self.definition is not None
        named = {f"experts.{name}": tensor for name, tensor in weights.items()}
        return functional_call(self.definition, named, (hidden_states, top_k_index, top_k_weights))


def _skeleton(module: nn.Module) -> nn.Module:
    """`module` with registries of its own: other threads that call `module` do not see weights that are put in here."""
    copy = type(module).__new__(type(module))
    copy.__dict__.update(
        vars(module),
        _parameters=dict(module._parameters),
        _buffers=dict(module._buffers),
        _modules={name: None if part is None else _skeleton(part) for name, part in module._modules.items()},
    )
    return copy


def _compile(
    experts: nn.Module, tensors: dict[str, Tensor], hidden_states: Tensor, index: Tensor, weights: Tensor
) -> CompiledModule:
    """The program for any number of tokens."""
    name = type(experts).__name__
    verify_tensors(name, {"hidden_states": hidden_states, "top_k_weights": weights, **tensors})
    if not (hidden_states.dim() == index.dim() == 2 and index.shape == weights.shape):
        raise InputError(
            f"{name}: hidden_states {list(hidden_states.shape)}, top_k_index {list(index.shape)} and top_k_weights "
            f"{list(weights.shape)}; expected (tokens, features), (tokens, k) and (tokens, k)"
        )
    routed = tuple(
        torch.zeros(EXAMPLE_TOKENS, tensor.shape[1], dtype=tensor.dtype)
        for tensor in (hidden_states, index, weights)
    )
    tokens = {0: Dim("tokens", min=0, max=LARGEST)}
    form = _Form(_Definition(_skeleton(experts)))
    try:
        plain = {name: tensor.detach() for name, tensor in tensors.items()}
        return compile_form(form, (*routed, plain), (tokens, tokens, tokens, dict.fromkeys(tensors)))
    finally:
        # The program outlives the module that it was compiled for, if others share it.
        form.definition = None

"""Programs by their form: compiled when they are first needed, shared by all modules of the form, gone with them."""

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import Tensor, nn

from pit_mlir.borders import autocast_type, describe, is_tracing
from pit_mlir.compile import compile as compile_model
from pit_mlir.compiled_module import CompiledModule
from pit_mlir.errors import InputError, UnsupportedError

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SCALARS = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
NAMED = (type, FunctionType, BuiltinFunctionType)
"""Kinds of attributes that say the same wherever they are found."""

LARGEST = 1 << 30
"""The largest size of a dimension that differs from call to call."""

logger = logging.getLogger(__name__)

_LOCK = threading.RLock()
"""One thread compiles at a time, and a fork waits for it."""
os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)

_SHARED: WeakValueDictionary[Hashable, CompiledModule] = WeakValueDictionary()
_OWNED: WeakKeyDictionary[nn.Module, dict[Hashable, CompiledModule]] = WeakKeyDictionary()
"""What keeps programs alive. Nothing is kept in a module itself: copies and pickles of it are what they always were."""


def program(owner: nn.Module, form: Hashable, build: Callable[[], CompiledModule]) -> CompiledModule:
    """The program of `form` for `owner`, built by `build` if no living module has one."""
    owned = _OWNED.get(owner)
    found = owned.get(form) if owned is not None else None
    if found is not None:
        return found
    with _LOCK:
        found = _SHARED.get(form)
        if found is None:
            start = time.perf_counter()
            found = _SHARED[form] = build()
            seconds = time.perf_counter() - start
            logger.info("compiled %s in %.1f s", type(owner).__name__, seconds)
        _OWNED.setdefault(owner, {})[form] = found
    return found


def programs(model: nn.Module) -> dict[str, list[CompiledModule]]:
    """What was compiled for the modules of `model` so far, by the names of the modules; ask them to `explain()`."""
    found = {name: list(_OWNED.get(module, {}).values()) for name, module in model.named_modules()}
    return {name: compiled for name, compiled in found.items() if compiled}


def is_traced() -> bool:
    """Whether the call is written down for someone (torch.export, torch.compile, torch.jit.trace), not answered."""
    # Not torch.compiler.is_compiling(): that is true in all threads while one exports.
    return torch.compiler.is_dynamo_compiling() or is_tracing(torch)


def autocast() -> str | None:
    """What torch.autocast casts to at the moment: a program is compiled under the autocast it is called under."""
    return autocast_type(torch, "cpu")


def refuse_gradients(what: str, tensors: Iterable[Tensor]) -> None:
    """Raises `InputError` if gradients would flow through `tensors`."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise InputError(
            f"{what}: compiled programs have no gradients; call the model under torch.no_grad() or "
            "torch.inference_mode(), or train it with the implementation 'eager'"
        )


def verify_tensors(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Raises `UnsupportedError` for a tensor that no program takes: quantised, sharded, on another device."""
    for name, tensor in tensors.items():
        if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer) or tensor.layout is not torch.strided:
            raise UnsupportedError(
                f"{what}: '{name}' is a {type(tensor).__name__} of layout {tensor.layout}; expected plain tensors, "
                "neither quantised nor sharded"
            )
        if tensor.device.type != "cpu":
            raise UnsupportedError(
                f"{what}: '{name}' is {describe(tensor)}; programs run on the CPU: model.to('cpu')"
            )
        if not tensor.dtype.is_floating_point or tensor.dtype in FLOATS:
            continue
        raise UnsupportedError(f"{what}: '{name}' holds {tensor.dtype}; expected one of {list(FLOATS)}")


def compile_form(definition: nn.Module, args: tuple[Any, ...], dynamic_shapes: Any) -> CompiledModule:
    """`definition` compiled for calls like `definition(*args)`, all of whose tensors are arguments."""
    return compile_model(definition.eval(), args, dynamic_shapes=dynamic_shapes)


def fingerprint(module: nn.Module) -> Hashable:
    """What `module` computes, as far as attributes tell: equal for modules whose code and settings are the same.

    Weights count by name only. Where an attribute does not say what it means, the module equals itself alone.
    """
    return tuple(
        (name, type(part), tuple(_setting(key, value) for key, value in vars(part).items()))
        for name, part in module.named_modules()
    )


def settings(module: nn.Module) -> tuple[Any, ...]:
    """The numbers and words among the attributes of `module` and its parts, which `fingerprint` depends on."""
    return tuple(
        value for part in module.modules() for value in vars(part).values() if type(value) in SCALARS
    )


class _Itself:
    """Something that equals nothing else."""


def _setting(key: str, value: Any) -> Hashable:
    """An attribute of a module as a part of its fingerprint."""
    if key in ("_parameters", "_buffers"):
        return key, tuple(name for name, tensor in value.items() if tensor is not None)
    if key == "_modules" or (isinstance(value, dict | set | list | tuple) and not value):
        return key
    if type(value) in SCALARS or isinstance(value, NAMED):
        return key, value
    in_words = getattr(value, "to_json_string", None)
    if callable(in_words):
        # The configuration of a model: the same words, the same settings.
        return key, in_words()
    return key, _Itself()

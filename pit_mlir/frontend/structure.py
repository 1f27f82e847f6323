"""The structure of calls and answers in JSON: torch's pytrees, and what torch says of a call beside tensors.

Classes in a structure (named tuples, the answers of transformers) are written by name and imported when it is read.
"""

import importlib
import inspect
from collections import OrderedDict, namedtuple
from typing import Any

import torch
from torch.utils import _pytree as pytree

from pit_mlir.errors import InputError, MissingPackageError, UnsupportedError
from pit_mlir.frontend.calls import Leaf, ModelCall, Opaque
from pit_mlir.frontend.signature import ConstantInput
from pit_mlir.plain import constant, constant_of

_PLAIN: dict[Any, str] = {tuple: "tuple", list: "list", dict: "dict", OrderedDict: "ordered"}
_TYPES = {name: type_ for type_, name in _PLAIN.items()}
_TORCH = (torch.dtype, torch.layout, torch.memory_format)


def model_call_to_data(call: ModelCall) -> Any:
    """`call` in JSON; raises `UnsupportedError` where it has a value that cannot be written."""
    return {
        "in": structure_to_data(call.in_spec),
        "out": structure_to_data(call.out_spec),
        "leaves": [_leaf_to_data(leaf) for leaf in call.leaves],
        "signature": None if call.signature is None else _signature_to_data(call.signature),
    }


def model_call_of_data(data: Any) -> ModelCall:
    """The call that `data` was made of."""
    signature = data["signature"]
    return ModelCall(
        None if signature is None else _signature_of_data(signature),
        structure_of_data(data["in"]),
        [
            leaf if isinstance(leaf, str) else ConstantInput(leaf[0], _value_of(leaf[1]))
            for leaf in data["leaves"]
        ],
        structure_of_data(data["out"]),
    )


def structure_to_data(spec: pytree.TreeSpec) -> Any:
    """A pytree's structure in JSON; None is a leaf."""
    if spec.is_leaf():
        return None
    children = [structure_to_data(child) for child in spec.children()]
    if spec.type in _PLAIN:
        return [_PLAIN[spec.type], constant(spec.context), children]
    if spec.type is namedtuple:
        return ["named", _name(spec.context), children]
    try:
        return [_name(spec.type), constant(spec.context), children]
    except UnsupportedError as error:
        raise UnsupportedError(f"in a {_name(spec.type)} of a call or an answer: {error.message}") from None


def structure_of_data(data: Any) -> pytree.TreeSpec:
    """The structure that `data` was made of; raises `MissingPackageError` where its classes are not there."""
    if data is None:
        return pytree.tree_structure(0)
    name, context, children = data[0], data[1], [structure_of_data(child) for child in data[2]]
    if name in _TYPES:
        return pytree.TreeSpec(_TYPES[name], constant_of(context), children)
    if name == "named":
        return pytree.TreeSpec(namedtuple, _class(context), children)
    return pytree.TreeSpec(_class(name), constant_of(context), children)


def _name(type_: Any) -> str:
    name = f"{type_.__module__}:{type_.__qualname__}"
    if "<locals>" in name or type_.__module__ == "__main__":
        raise UnsupportedError(
            f"the class {type_.__qualname__} of a call or an answer is made in a function or a script, where no other "
            "process finds it: put it into a module"
        )
    return name


def _class(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise MissingPackageError(
            f"calls or answers of this program have a {path} of the module {module}: {error}"
        ) from None
    if not isinstance(found, type):
        raise InputError(f"{name} is no class")
    return found


def _leaf_to_data(leaf: Leaf) -> Any:
    return leaf if isinstance(leaf, str) else [leaf.name, _value_to_data(leaf.value)]


def _value_to_data(value: Any) -> Any:
    """A constant, or one of torch's."""
    if isinstance(value, _TORCH):
        return {"torch": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    return constant(value)


def _value_of(data: Any) -> Any:
    if isinstance(data, dict) and "torch" in data:
        return getattr(torch, data["torch"])
    if isinstance(data, dict) and "device" in data:
        return torch.device(data["device"])
    return constant_of(data)


def _signature_to_data(signature: inspect.Signature) -> Any:
    return [
        [parameter.name, parameter.kind.name, _default_to_data(parameter.default)]
        for parameter in signature.parameters.values()
    ]


def _default_to_data(default: Any) -> Any:
    """A default in a list, which is empty where there is none; one that cannot be written by its text."""
    if default is inspect.Parameter.empty:
        return []
    try:
        return [_value_to_data(default)]
    except UnsupportedError:
        return [{"opaque": repr(default)}]


def _signature_of_data(data: Any) -> inspect.Signature:
    def default(given: Any) -> Any:
        if not given:
            return inspect.Parameter.empty
        (value,) = given
        if isinstance(value, dict) and "opaque" in value:
            return Opaque(value["opaque"])
        return _value_of(value)

    kinds = {kind.name: kind for kind in inspect._ParameterKind}
    return inspect.Signature(
        [inspect.Parameter(name, kinds[kind], default=default(given)) for name, kind, given in data],
        __validate_parameters__=False,
    )

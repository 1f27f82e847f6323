"""Weights, read live: each call gets the tensors the model holds at that moment."""

import copy
import weakref
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from pit_mlir.errors import InputError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
STORES = ("_parameters", "_buffers", "__dict__")
"""The dictionaries in which a module keeps tensors."""


@dataclass(frozen=True)
class _Place:
    """A tensor of a module: the module's number in the walk, and the attribute."""

    module: int
    attribute: str


Owner = TypeVar("Owner", nn.Module, ExportedProgram)


class _Owned(Generic[Owner]):
    """What is read from an owner of tensors, which lives as long as this, or as long as others hold it."""

    def __init__(self, owner: Owner) -> None:
        self._strong: Owner | None = owner
        self._weak = weakref.ref(owner)

    def let_go(self) -> None:
        """From now on the owner lives as long as others hold it."""
        self._strong = None

    def owner(self) -> Owner:
        """The owner; raises `InputError` where it is gone."""
        owner = self._found()
        if owner is None:
            raise InputError(
                "the model of this program is gone: a program with frozen weights does not keep it; hold the model to "
                "refresh() the weights"
            )
        return owner

    def _found(self) -> Owner | None:
        return self._weak() if self._strong is None else self._strong

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Owned[Owner]":
        """The same of a copy of the owner, which it keeps; where the owner is gone there is nothing to copy."""
        twin = memo[id(self)] = copy.copy(self)
        if (owner := self._found()) is not None:
            twin._strong = copy.deepcopy(owner, memo)
            twin._weak = weakref.ref(twin._strong)
        return twin


class LiveWeights:
    """The weights of an `nn.Module` by their paths; nothing is kept but the module and the paths.

    So `load_state_dict(assign=True)`, `p.data = t` and the replacement of parameters, buffers or whole modules
    are seen by the next `read`. Tensors that the exporter found outside the module's attributes are held.
    """

    def __init__(self, model: nn.Module, paths: list[str], held: dict[int, Tensor]) -> None:
        self._model = _Owned(model)
        self._paths = paths
        self._held = held
        self._walk: list[tuple[int, str]] = []
        numbers = {"": 0}
        self._places = [
            None if number in held else self._place(path, numbers) for number, path in enumerate(paths)
        ]
        self._lengths = [
            (number, len(module))
            for number, module in enumerate(self._modules())
            if isinstance(module, CONTAINERS)
        ]
        self._stores: list[tuple[int, str]] = []
        self._found = [self._find(number, place) for number, place in enumerate(self._places)]
        self._tied = self._tied_places(numbers)

    def let_go(self) -> None:
        """See `WeightSource`."""
        self._model.let_go()

    def unnamed(self) -> set[int]:
        """See `WeightSource`."""
        named = self._model.owner().state_dict()
        return {number for number, path in enumerate(self._paths) if path not in named}

    def read(self) -> list[Tensor]:
        """The current tensor of each weight, in argument order; raises `InputError` for one that is gone."""
        modules = self._modules()
        for module, length in self._lengths:
            if len(modules[module]._modules) != length:
                raise InputError(
                    f"a {type(modules[module]).__name__} of the model has {len(modules[module]._modules)} modules, "
                    f"{length} when the model was compiled; compile it again"
                )
        stores: list[Any] = [self._held, *(getattr(modules[number], name) for number, name in self._stores)]
        try:
            tensors = [stores[store][key] for store, key in self._found]
        except KeyError:
            # Some tensor is kept elsewhere than when the model was compiled, or is gone.
            tensors = self._search(modules)
        for number, place, path in self._tied:
            other = getattr(modules[place.module], place.attribute, None)
            if other is not tensors[number] and not _same_data(other, tensors[number]):
                raise InputError(
                    f"'{self._paths[number]}' and '{path}' were one tensor when the model was compiled and are two "
                    "now; tie them again or compile the model again"
                )
        return tensors

    def _find(self, number: int, place: _Place | None) -> tuple[int, int | str]:
        """Where `read` finds a weight: the number of a dictionary (0 is that of the tensors held) and the key."""
        if place is None:
            return 0, number
        module = self._modules()[place.module]
        # Not there: `read` searches at every call, for instance for a tensor that is a property.
        name = next((name for name in STORES if place.attribute in getattr(module, name)), STORES[0])
        store = (place.module, name)
        if store not in self._stores:
            self._stores.append(store)
        return 1 + self._stores.index(store), place.attribute

    def _search(self, modules: list[nn.Module]) -> list[Tensor]:
        """The tensors as attribute access finds them."""
        return [
            self._held[number]
            if place is None
            else self._tensor(modules[place.module], place.attribute, number)
            for number, place in enumerate(self._places)
        ]

    def _modules(self) -> list[nn.Module]:
        modules: list[nn.Module] = [self._model.owner()]
        for parent, child in self._walk:
            found = modules[parent]._modules.get(child)
            if found is None:
                raise InputError(f"the model has no module '{child}' any more; compile it again")
            modules.append(found)
        return modules

    def _tensor(self, module: nn.Module, attribute: str, number: int) -> Tensor:
        tensor = module._parameters.get(attribute)
        if tensor is None:
            tensor = getattr(module, attribute, None)
        if not isinstance(tensor, Tensor):
            raise InputError(
                f"weight '{self._paths[number]}' is {type(tensor).__name__} now, compiled for a tensor"
            )
        return tensor

    def _place(self, path: str, numbers: dict[str, int]) -> _Place:
        """Where `path` lies; modules on the way get their number in the walk."""
        *parents, attribute = path.split(".")
        prefix = ""
        for child in parents:
            parent, prefix = prefix, f"{prefix}.{child}" if prefix else child
            if prefix not in numbers:
                self._walk.append((numbers[parent], child))
                numbers[prefix] = len(self._walk)
        return _Place(numbers[prefix], attribute)

    def _tied_places(self, numbers: dict[str, int]) -> list[tuple[int, _Place, str]]:
        """Other paths of the same tensors, which must stay the same tensors: the graph reads one path only."""
        by_identity = {id(tensor): number for number, tensor in enumerate(self._read_places())}
        known = set(self._paths)
        named = [
            *self._model.owner().named_parameters(remove_duplicate=False),
            *self._model.owner().named_buffers(remove_duplicate=False),
        ]
        return [
            (by_identity[id(tensor)], self._place(path, numbers), path)
            for path, tensor in named
            if path not in known and id(tensor) in by_identity
        ]

    def _read_places(self) -> list[Tensor]:
        self._tied = []
        return self.read()


class ProgramWeights:
    """The weights of an `ExportedProgram`: its state dict and constants, looked up at each call."""

    def __init__(self, program: ExportedProgram, names: list[str]) -> None:
        self._program = _Owned(program)
        self._names = names

    def let_go(self) -> None:
        """See `WeightSource`."""
        self._program.let_go()

    def unnamed(self) -> set[int]:
        """See `WeightSource`."""
        state = self._program.owner().state_dict
        return {number for number, name in enumerate(self._names) if name not in state}

    def read(self) -> list[Tensor]:
        """The current tensor of each weight, in argument order; raises `InputError` where the program is gone."""
        program = self._program.owner()
        state, constants = program.state_dict, program.constants
        return [cast(Tensor, state[name] if name in state else constants[name]) for name in self._names]


def weight_source(
    model: nn.Module | ExportedProgram, program: ExportedProgram, names: list[str]
) -> LiveWeights | ProgramWeights:
    """Reads the weights `names` of the exported `program` from the `model` they came from."""
    if isinstance(model, ExportedProgram):
        return ProgramWeights(model, names)
    constants = {
        spec.target for spec in program.graph_signature.input_specs if spec.kind is InputKind.CONSTANT_TENSOR
    }
    held = {
        number: cast(Tensor, program.constants[name])
        for number, name in enumerate(names)
        if name in constants and not _is_attribute(model, name, program.constants[name])
    }
    return LiveWeights(model, names, held)


def _is_attribute(model: nn.Module, path: str, tensor: Any) -> bool:
    """Whether `path` leads to `tensor`: a tensor that is a plain attribute of a module, not a buffer."""
    value: Any = model
    for name in path.split("."):
        value = getattr(value, name, None)
    return value is tensor


def _same_data(a: Any, b: Tensor) -> bool:
    return (
        isinstance(a, torch.Tensor)
        and a.data_ptr() == b.data_ptr()
        and a.shape == b.shape
        and a.stride() == b.stride()
    )

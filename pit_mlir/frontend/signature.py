"""What a compiled program takes and gives: arguments, inputs, outputs, write-backs. No torch in here.

dtypes are named as torch and numpy name them ("float32", "bfloat16", "int64", "bool"). A size is an `int`, the
name of a symbol ("batch"), or the text of an expression over symbols ("2*batch") where torch derived one.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy

from pit_mlir.errors import InputError

if TYPE_CHECKING:
    from pit_mlir.bindings import ir

Size = int | str
ArgumentKind = Literal["weight", "input"]


@dataclass(frozen=True)
class SymbolRange:
    """The sizes a symbol may have, both ends included; `maximum` is None where nothing bounds it."""

    minimum: int = 0
    maximum: int | None = None

    def __contains__(self, size: int) -> bool:
        return self.minimum <= size and (self.maximum is None or size <= self.maximum)

    def __str__(self) -> str:
        return f"{self.minimum}..{'' if self.maximum is None else self.maximum}"


@dataclass(frozen=True)
class Argument:
    """One argument of `@main`: `name` is the parameter's path in the model or the input's name."""

    name: str
    kind: ArgumentKind
    dtype: str
    shape: tuple[Size, ...]


@dataclass(frozen=True)
class ConstantInput:
    """A leaf of the call that is not a tensor: it was compiled in, a call must pass the same value."""

    name: str
    value: Any


@dataclass(frozen=True)
class ResultOutput:
    """An output that is result `result` of `@main`; its integers are unsigned, which MLIR's types do not say, if
    `unsigned`."""

    result: int
    unsigned: bool = False


@dataclass(frozen=True)
class ArgumentOutput:
    """An output that is argument `argument` of `@main`: the very tensor, or a copy of it if `copy`."""

    argument: int
    copy: bool


@dataclass(frozen=True)
class SizeOutput:
    """An output that is a size, an int: see `evaluate_size`."""

    size: str


@dataclass(frozen=True)
class ConstantOutput:
    """An output that is no tensor and the same for every call (None, an int, a string)."""

    value: Any


Output = ResultOutput | ArgumentOutput | SizeOutput | ConstantOutput


@dataclass(frozen=True)
class WriteBack:
    """After the call, `value` is copied into the tensor that was passed as argument `argument`."""

    value: Output
    argument: int


@dataclass(frozen=True)
class Condition:
    """What must hold of the sizes of a call: the exporter's `text`, and the line of the model that asks, if known."""

    text: str
    location: str | None = None


class WeightSource(Protocol):
    """Where the weights of a program are read before each call."""

    def read(self) -> list[Any]:
        """The current tensor of each weight argument, in argument order."""
        ...

    def let_go(self) -> None:
        """From now on the model lives only as long as others hold it."""
        ...

    def unnamed(self) -> set[int]:
        """The numbers of the tensors that no state dict has."""
        ...


class CallSource(Protocol):
    """How the arguments of a call become the inputs of a program, and its outputs the answer."""

    def flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The tensors of a call in the order of the input arguments; raises `InputError`."""
        ...

    def unflatten(self, outputs: list[Any]) -> Any:
        """The answer in the structure the model gives it."""
        ...

    def with_values(self, named: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the call that has the tensors `named` by the names of inputs; raises `InputError`."""
        ...


@dataclass(frozen=True)
class Interface:
    """What a program takes and gives, apart from the model's own tensors: it can be kept, like its code.

    `arguments` are those of `@main`, in order, `outputs` the leaves of the answer. `symbols` are the sizes that differ
    from call to call, `conditions` what the program takes for granted of them.
    """

    arguments: tuple[Argument, ...]
    outputs: tuple[Output, ...]
    symbols: dict[str, SymbolRange] = field(default_factory=dict[str, SymbolRange])
    conditions: tuple[Condition, ...] = ()
    write_backs: tuple[WriteBack, ...] = ()

    @property
    def inputs(self) -> list[Argument]:
        """The arguments that a call passes, in order."""
        return [argument for argument in self.arguments if argument.kind == "input"]

    @property
    def weights(self) -> list[Argument]:
        """The arguments that are the model's own tensors, in order."""
        return [argument for argument in self.arguments if argument.kind == "weight"]

    @property
    def argument_names(self) -> list[str]:
        """The names of all arguments of `@main`, in order."""
        return [argument.name for argument in self.arguments]


@dataclass(frozen=True)
class BoundModel:
    """The interface of a program, and the model that calls of it are about.

    `weights` gives the tensors of the arguments of kind "weight", `call` those of kind "input".
    """

    interface: Interface
    call: CallSource
    weights: WeightSource


@dataclass(frozen=True)
class ImportedModel(BoundModel):
    """A model as `@main` on tensors in `module`."""

    module: "ir.Module"


def bind_sizes(
    arguments: Sequence[Argument], shapes: Sequence[Sequence[int]], symbols: dict[str, SymbolRange]
) -> dict[str, int]:
    """The value of every symbol for a call with `shapes`; raises `InputError` where a shape does not fit.

    The message names the argument and the dimension, with the size compiled for and the size given.
    """
    bound: dict[str, int] = {}
    first_use: dict[str, str] = {}
    for argument, shape in zip(arguments, shapes, strict=True):
        if len(shape) != len(argument.shape):
            raise InputError(
                f"'{argument.name}' has shape {list(shape)}, compiled for rank {len(argument.shape)}: "
                f"{shape_text(argument.shape)}"
            )
        for dim, (expected, given) in enumerate(zip(argument.shape, shape, strict=True)):
            place = f"dimension {dim} of '{argument.name}'"
            if isinstance(expected, int):
                _require(given == expected, f"{place} is {given}, compiled for {expected}")
            elif expected in symbols and expected not in bound:
                allowed = symbols[expected]
                _require(given in allowed, f"{place} is {given}, compiled for {expected} in {allowed}")
                bound[expected], first_use[expected] = given, place
            elif expected in bound:
                _require(
                    given == bound[expected],
                    f"{place} is {given}, compiled to equal {first_use[expected]}, which is {bound[expected]}",
                )
    _check_derived(arguments, shapes, symbols, bound)
    return bound


def _check_derived(
    arguments: Sequence[Argument],
    shapes: Sequence[Sequence[int]],
    symbols: dict[str, SymbolRange],
    bound: dict[str, int],
) -> None:
    """Sizes that torch derived from others, such as `2*batch`, must come out as derived.

    A symbol that is no dimension's own size is bound by the first size that was derived from it.
    """
    for argument, shape in zip(arguments, shapes, strict=True):
        for dim, (expected, given) in enumerate(zip(argument.shape, shape, strict=True)):
            if isinstance(expected, int) or expected in bound:
                continue
            place = f"dimension {dim} of '{argument.name}' is {given}, compiled for {expected}"
            for symbol in set(_code(expected).co_names) & set(symbols) - set(bound):
                allowed = symbols[symbol]
                root = _root(expected, symbol, given, bound)
                _require(root is not None and root in allowed, f"{place} with {symbol} in {allowed}")
                assert root is not None
                bound[symbol] = root
            value = evaluate_size(expected, bound)
            _require(value == given, f"{place} = {value}")


def _root(size: str, symbol: str, given: int, bound: dict[str, int]) -> int | None:
    """What `symbol` must be for the expression `size` to be `given`; None if no number does. torch derives linearly."""
    at_zero, at_one = (evaluate_size(size, {**bound, symbol: value}) for value in (0, 1))
    root, rest = divmod(given - at_zero, at_one - at_zero)
    return None if rest else root


def check_conditions(conditions: Sequence[Condition], sizes: dict[str, int]) -> None:
    """Raises `InputError` where `sizes`, the values of the symbols, are such that the program would be wrong."""
    for condition in conditions:
        if not _holds(condition.text, sizes):
            given = ", ".join(f"{name} = {size}" for name, size in sizes.items() if name in condition.text)
            raise InputError(
                f"the sizes {given} do not fit: torch.export compiled the model for {condition.text}; compile again "
                "for these sizes",
                location=condition.location,
            )


def _holds(text: str, sizes: dict[str, int]) -> bool:
    """Whether a condition holds; what divides by zero does not."""
    try:
        return bool(_evaluate(text, sizes))
    except ZeroDivisionError:
        return False


def evaluate_size(size: str, values: dict[str, int]) -> int:
    """The value of the expression `size`, the exporter's own text."""
    return int(_evaluate(size, values))


def _evaluate(text: str, values: dict[str, int]) -> int:
    """The value of an expression of the exporter, in which its printer writes max, min and functions of math."""
    return eval(
        _code(text), {"__builtins__": {}, "float": float, "max": max, "min": min, "math": math}, dict(values)
    )


@cache
def _code(text: str) -> CodeType:
    return compile(text, "<size>", "eval")


def value_text(value: Any) -> str:
    """Something that was passed where a tensor was expected, for a message: in a line, however large it is."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        kind = "numpy array" if isinstance(value, numpy.ndarray) else type(value).__name__
        return f"a {kind} of {value.dtype} and shape {list(value.shape)}"
    short = reprlib.Repr()
    short.maxother = short.maxstring = 60
    return " ".join(short.repr(value).split())


def shape_text(shape: Sequence[Size]) -> str:
    """A shape for a message: `[batch, 128]`."""
    return f"[{', '.join(map(str, shape))}]"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)

"""Tensor types at the border of a compiled program, and the words that describe a call to native code."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy


@dataclass(frozen=True)
class Element:
    """An element type: its name in MLIR, bytes in memory, and DLPack's code and bits for it."""

    name: str
    bytes: int
    dlpack_code: int
    dlpack_bits: int

    @property
    def numpy(self) -> numpy.dtype[numpy.generic]:
        """The numpy type; bf16 is that of the package ml_dtypes."""
        return _numpy_type(self.name)


RESULTS_START = 2
"""Status and missing bytes stand before the results of native `pit_invoke`."""

_INT, _FLOAT, _BFLOAT, _BOOL = 0, 2, 4, 6
ELEMENTS: dict[str, Element] = {
    element.name: element
    for element in (
        Element("i1", 1, _BOOL, 8),
        Element("i8", 1, _INT, 8),
        Element("i16", 2, _INT, 16),
        Element("i32", 4, _INT, 32),
        Element("i64", 8, _INT, 64),
        Element("index", 8, _INT, 64),
        Element("bf16", 2, _BFLOAT, 16),
        Element("f16", 2, _FLOAT, 16),
        Element("f32", 4, _FLOAT, 32),
        Element("f64", 8, _FLOAT, 64),
    )
}
_NUMPY_NAMES = {"i1": "bool", "index": "int64", "f16": "float16", "f32": "float32", "f64": "float64"}


@cache
def _numpy_type(name: str) -> numpy.dtype[numpy.generic]:
    if name == "bf16":
        import ml_dtypes

        return numpy.dtype(ml_dtypes.bfloat16)
    return numpy.dtype(_NUMPY_NAMES.get(name, name.replace("i", "int")))


@dataclass(frozen=True)
class TensorType:
    """Shape and element type of an argument or result; a size of None is dynamic, a shape of None is a scalar."""

    shape: tuple[int | None, ...] | None
    element: Element

    def __str__(self) -> str:
        sizes = "" if self.shape is None else "".join("?x" if n is None else f"{n}x" for n in self.shape)
        return f"{sizes}{self.element.name}" if self.shape is None else f"tensor<{sizes}{self.element.name}>"


@dataclass(frozen=True)
class Signature:
    """The types of a program's arguments and results."""

    arguments: tuple[TensorType, ...]
    results: tuple[TensorType, ...]

    def words(self) -> "array[int]":
        """The `signature` of native `pit_invoke`: counts, then each argument's sizes, then the results."""
        words = array("q", [len(self.arguments), len(self.results)])
        for argument in self.arguments:
            if argument.shape is None:
                words.append(-1)
                continue
            words.append(len(argument.shape))
            words.extend(-1 if size is None else size for size in argument.shape)
        for result in self.results:
            words.extend((len(result.shape or ()), result.element.dlpack_code, result.element.dlpack_bits))
        return words

    def result_words(self) -> tuple[slice, ...]:
        """Where `pit_invoke` puts each result: block, data pointer, sizes."""
        places: list[slice] = []
        start = RESULTS_START
        for result in self.results:
            end = start + 2 + len(result.shape or ())
            places.append(slice(start, end))
            start = end
        return tuple(places)


def describe_mismatch(expected: TensorType, dtype: object, shape: Sequence[int]) -> str | None:
    """Why an array of `dtype` (numpy's) and `shape` does not fit `expected`; None if it does."""
    if dtype != expected.element.numpy:
        return f"has dtype {dtype}, expected {expected.element.numpy}"
    wanted = expected.shape or ()
    fits = len(wanted) == len(shape) and all(w in (None, s) for w, s in zip(wanted, shape, strict=True))
    return None if fits else f"has shape {tuple(shape)}, expected {expected}"

"""Contractions as text: modules with one of them, written like an einsum, and what numpy says it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import ml_dtypes
import numpy

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program

NUMPY = {
    "f32": numpy.float32,
    "f64": numpy.float64,
    "bf16": ml_dtypes.bfloat16,
    "f16": numpy.float16,
    "i32": numpy.int32,
    "i64": numpy.int64,
    "i8": numpy.int8,
    "i1": numpy.bool_,
}
TOLERANCE = {"f32": 1e-4, "f64": 1e-12, "bf16": 2e-2, "f16": 4e-3, "i32": 0, "i64": 0}


def tensor(shape: Sequence[int | str], type_: str) -> str:
    """The text of a tensor type; sizes may be `?`."""
    return "tensor<" + "".join(f"{size}x" for size in shape) + type_ + ">"


@dataclass(frozen=True)
class Contraction:
    """`equation` as an einsum takes it, with operands of `types`; iterators in `dynamic` have dynamic sizes."""

    equation: str
    type: str = "f32"
    result: str = "f32"
    dynamic: bool = True

    @property
    def terms(self) -> tuple[str, str, str]:
        """The iterators of both operands and of the result."""
        inputs, result = self.equation.split("->")
        left, right = inputs.split(",")
        return left, right, result

    @property
    def iterators(self) -> str:
        """All iterators, those of the result first."""
        left, right, result = self.terms
        return "".join(dict.fromkeys(result + left + right))

    def map(self, term: str) -> str:
        """The indexing map of an operand over `term`."""
        return f"affine_map<({', '.join(self.iterators)}) -> ({', '.join(term)})>"

    def shape(self, term: str, sizes: Mapping[str, int]) -> list[int | str]:
        """The sizes of an operand as its type has them."""
        return ["?" if self.dynamic else sizes[i] for i in term]

    def body(self) -> str:
        """The product and the sum, in f32 for narrow floats."""
        is_float = self.type[0] in "bf"
        wide = "f32" if self.type in ("bf16", "f16") else self.result
        casts, names = "", []
        for name in ("x", "y"):
            if self.type != wide:
                casts += (
                    f"%{name}w = arith.{'extf' if is_float else 'extsi'} %{name} : {self.type} to {wide}\n"
                )
            names.append(f"%{name}w" if self.type != wide else f"%{name}")
        kind = "f" if is_float else "i"
        text = casts + f"%p = arith.mul{kind} {names[0]}, {names[1]} : {wide}\n"
        if wide == self.result:
            return text + f"%s = arith.add{kind} %acc, %p : {wide}\n"
        return text + (
            f"%old = arith.extf %acc : {self.result} to {wide}\n%t = arith.addf %old, %p : {wide}\n"
            f"%s = arith.truncf %t : {wide} to {self.result}\n"
        )

    def text(self, sizes: Mapping[str, int]) -> str:
        """A module whose @main takes both operands and the init of the result, all zero."""
        types = [tensor(self.shape(t, sizes), self.type) for t in self.terms[:2]]
        result = tensor(self.shape(self.terms[2], sizes), self.result)
        kinds = ", ".join(f'"{"parallel" if i in self.terms[2] else "reduction"}"' for i in self.iterators)
        maps = ", ".join(self.map(term) for term in self.terms)
        return f"""
func.func @main(%a: {types[0]}, %b: {types[1]}, %c: {result}) -> {result} {{
  %r = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}}
      ins(%a, %b : {types[0]}, {types[1]}) outs(%c : {result}) {{
  ^bb0(%x: {self.type}, %y: {self.type}, %acc: {self.result}):
    {self.body()}
    linalg.yield %s : {self.result}
  }} -> {result}
  return %r : {result}
}}"""


def program(text: str, *, expect: str = "pit.contract", choice: str = "") -> Program:
    """`text` with its contractions formed, with the list `choice` alone, if said; `expect` must be in it then."""
    context = make_context()
    with context, ir.Location.unknown():
        module = ir.Module.parse(text)
        SelectTiles(choice).run(module.operation, Report())
        assert module.operation.verify()
        assert expect in str(module), str(module)
        return build_program(module)


@cache
def cached(text: str, expect: str = "pit.contract", choice: str = "") -> Program:
    """`program`, compiled once for a text."""
    return program(text, expect=expect, choice=choice)


def random(rng: numpy.random.Generator, shape: Sequence[int], type_: str) -> numpy.ndarray:
    """Small random values of `type_`."""
    if type_ == "i1":
        return rng.random(shape) < 0.5
    if type_[0] == "i":
        return rng.integers(-5, 6, shape).astype(NUMPY[type_])
    return rng.standard_normal(shape).astype(NUMPY[type_])


def wide(array: numpy.ndarray) -> numpy.ndarray:
    """`array` in the precision that results are compared in."""
    return array.astype(numpy.int64 if array.dtype.kind == "i" else numpy.float64)


def poisoned(array: numpy.ndarray) -> numpy.ndarray:
    """NaN throughout: a run on it leaves NaN in the buffers that the next run gets."""
    return numpy.full_like(array, numpy.nan) if array.dtype.kind not in "ib" else array


def assert_close(actual: numpy.ndarray, expected: numpy.ndarray, type_: str, terms: int) -> None:
    """Equal within the rounding of sums of `terms` products."""
    assert actual.shape == expected.shape
    if not expected.size:
        return
    scale = max(1.0, terms**0.5)
    numpy.testing.assert_allclose(
        wide(actual), expected, rtol=TOLERANCE[type_], atol=TOLERANCE[type_] * scale
    )

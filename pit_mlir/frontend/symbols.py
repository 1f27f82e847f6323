"""Sizes of the exporter as text: the user's names for symbols, ranges, expressions over them."""

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
import torch
from torch import fx
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._sympy.printers import PythonPrinter

from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.signature import Size, SymbolRange


class Symbols:
    """The symbols of a program, by the names its author gave them with `torch.export.Dim` where there are any."""

    def __init__(self, program: ExportedProgram, dynamic_shapes: Any) -> None:
        self._names: dict[sympy.Symbol, str] = {}
        inputs = [node for node in program.graph.nodes if node.op == "placeholder"]
        for input_name, dims in named_dims(dynamic_shapes).items():
            for node in inputs:
                if node.name == input_name:
                    self._take_names(node, dims)
        self.ranges = {
            self._name(symbol): SymbolRange(_number(range_.lower) or 0, _number(range_.upper))
            for symbol, range_ in program.range_constraints.items()
            if isinstance(symbol, sympy.Symbol)  # pyright: ignore[reportUnnecessaryIsInstance]
        }

    def size(self, value: int | torch.SymInt, place: str) -> Size:
        """`value` as a number or text; raises `UnsupportedError` for one that depends on data."""
        if isinstance(value, int):
            return value
        expression = value.node.expr
        if expression.is_Integer:
            return int(expression)
        text = self.text(expression)
        if text is None:
            raise UnsupportedError(
                f"{place} is {expression}, which does not follow from the sizes of the inputs"
            )
        return text

    def text(self, expression: sympy.Expr) -> str | None:
        """`expression` as Python over the names of symbols; None if it depends on data."""
        names = {s: self._name(s) for s in expression.free_symbols if isinstance(s, sympy.Symbol)}
        if not self.ranges.keys() >= set(names.values()):
            return None
        named = {symbol: sympy.Symbol(name, integer=True) for symbol, name in names.items()}
        return PythonPrinter().doprint(expression.xreplace(named)).replace("torch.sym_float", "float")

    def _name(self, symbol: sympy.Symbol) -> str:
        return self._names.get(symbol, str(symbol))

    def _take_names(self, node: fx.Node, dims: Mapping[int, str]) -> None:
        shape = node.meta["val"].shape
        for dim, name in dims.items():
            if isinstance(shape[dim], torch.SymInt) and isinstance(shape[dim].node.expr, sympy.Symbol):
                self._names.setdefault(shape[dim].node.expr, name)


def named_dims(dynamic_shapes: Any) -> dict[str, dict[int, str]]:
    """For each input named in `dynamic_shapes`, the names of its dimensions; nested inputs are left out."""
    if not isinstance(dynamic_shapes, Mapping):
        return {}
    named: dict[str, dict[int, str]] = {}
    for input_name, dims in dynamic_shapes.items():
        pairs = dims.items() if isinstance(dims, Mapping) else enumerate(dims) if _is_sequence(dims) else ()
        named[input_name] = {
            dim: size.__name__
            for dim, size in pairs
            if isinstance(dim, int) and isinstance(size, torch.export.Dim) and _is_plain(size)
        }
    return named


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_plain(size: Any) -> bool:
    """A named symbol, not an expression over one such as `2 * batch`."""
    return size.__name__.isidentifier()


def _number(bound: Any) -> int | None:
    """A bound of a range; None for the infinite one."""
    return int(bound) if getattr(bound, "is_Integer", isinstance(bound, int)) else None


def shape_env_of(program: ExportedProgram) -> ShapeEnv | None:
    """Where the exporter keeps symbols and guards; None for a program without tensors."""
    for node in program.graph.nodes:
        mode = getattr(node.meta.get("val"), "fake_mode", None) if node.op == "placeholder" else None
        if mode is not None:
            return mode.shape_env
    return None


def is_number(size: object) -> bool:
    """Whether a size of a traced tensor is a number; torch's stubs call its symbols `int` too."""
    return isinstance(size, int)

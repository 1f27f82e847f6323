"""The terms of a sum at a point: what a thread takes of them, where it starts from and where the end goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen.buffers import load, store
from pit_mlir.codegen.build import Index, add, fold
from pit_mlir.codegen.gpu.bodies import copy_body
from pit_mlir.codegen.nest import Nest


@dataclass(frozen=True)
class Part:
    """The places `start .. stop` of a reduction's iterator."""

    iterator: int
    start: Index
    stop: Index


def fold_terms(
    nest: Nest,
    reductions: Sequence[int],
    coordinates: list[Index],
    accumulators: Sequence[ir.Value],
    start: Index,
    step: Index,
    part: Part | None = None,
) -> list[ir.Value]:
    """The accumulators after the terms of one point: those of the last iterator from `start` in strides of `step`.

    With `part` they are those of a part of one iterator.
    """
    if not reductions:
        return run(nest, coordinates, accumulators)
    iterator, *inside = reductions

    def body(counter: ir.Value, values: list[ir.Value]) -> list[ir.Value]:
        coordinates[iterator] = counter
        return fold_terms(nest, inside, coordinates, values, start, step, part)

    is_cut = part is not None and part.iterator == iterator
    first, stop = (part.start, part.stop) if part is not None and is_cut else (0, nest.extents[iterator])
    low, stride = (first, 1) if inside else (add(first, start), step)
    return fold(low, stop, stride, accumulators, body)


def run(nest: Nest, coordinates: Sequence[Index], accumulators: Sequence[ir.Value]) -> list[ir.Value]:
    """The body at one point."""
    inputs = list(zip(nest.operands, nest.maps, strict=True))[: nest.inputs]
    arguments = list(nest.body.arguments)
    known: dict[ir.Value, ir.Value] = dict(zip(arguments[nest.inputs :], accumulators, strict=True))
    for argument, (operand, map_) in zip(arguments, inputs, strict=False):
        if any(True for _ in argument.uses):
            known[argument] = load(operand, map_, coordinates)
    return copy_body(nest.body, known, coordinates)


def place(coordinates: list[Index], iterators: Sequence[int], values: Sequence[Index]) -> None:
    """Sets the coordinates of `iterators`."""
    for iterator, value in zip(iterators, values, strict=True):
        coordinates[iterator] = value


def initial_values(nest: Nest, coordinates: Sequence[Index]) -> list[ir.Value]:
    """What the outputs hold at a point."""
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    return [load(operand, map_, coordinates) for operand, map_ in outputs]


def store_values(nest: Nest, coordinates: Sequence[Index], values: Sequence[ir.Value]) -> None:
    """Writes the outputs at a point."""
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    for value, (operand, map_) in zip(values, outputs, strict=True):
        store(value, operand, map_, coordinates)

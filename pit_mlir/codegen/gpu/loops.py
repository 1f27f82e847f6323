"""Structured operations on buffers become kernels: a thread, or the lanes of a warp, for each point of the outputs."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.buffers import has_unit_stride, load, store
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    fold,
    is_less,
    loop,
    minimum,
    mul,
    product,
    when,
)
from pit_mlir.codegen.fastmath import relax
from pit_mlir.codegen.gpu.block_sums import LONGEST_OF_WARP, across_block, partial_buffers
from pit_mlir.codegen.gpu.bodies import Combination, combinations, copy_body
from pit_mlir.codegen.gpu.elementwise import emit_elementwise
from pit_mlir.codegen.gpu.launch import MOST_BLOCKS, THREADS, WARP, across_warp, each, launch
from pit_mlir.codegen.gpu.sizes import device_extents
from pit_mlir.codegen.nest import Nest, collapsed, mentions, ordered_as_output

SHORTEST_LINE = 16
"""Terms of a sum that lanes share; of fewer each thread takes those of its own point."""


def emit(nest: Nest) -> None:
    """Builds the kernel of `nest` at the insertion point."""
    nest = collapsed(nest, device_extents(nest))
    parallels = nest.parallels()
    reductions = [d for d in range(len(nest.extents)) if d not in parallels]
    outer = ordered_as_output(nest, parallels)
    relax(nest.body, nest.inputs, reassociate=bool(reductions))
    if not reductions:
        emit_elementwise(nest, outer)
        return
    combined = combinations(nest)
    if combined is not None and is_along_lanes(nest, outer, reductions):
        emit_lanes(nest, outer, reductions, combined)
    else:
        emit_serial(nest, outer, reductions)


def is_along_lanes(nest: Nest, outer: Sequence[int], reductions: Sequence[int]) -> bool:
    """Whether the terms of a point are neighbours in memory, or there are too few points for a thread each."""
    extents = [nest.extents[d] for d in reductions]
    terms = product([size for size in extents if isinstance(size, int)])
    if all(isinstance(size, int) for size in extents) and isinstance(terms, int) and terms < SHORTEST_LINE:
        return False
    inner = reductions[-1]
    inputs = list(zip(nest.operands, nest.maps, strict=True))[: nest.inputs]
    along = [
        mentions(list(map_.results)[-1], inner) and has_unit_stride(operand)
        for operand, map_ in inputs
        if isinstance(operand.type, ir.MemRefType) and any(mentions(e, inner) for e in map_.results)
    ]
    points = product([nest.extents[d] for d in outer])
    return any(along) or (isinstance(points, int) and points < THREADS)


def emit_serial(nest: Nest, outer: Sequence[int], reductions: Sequence[int]) -> None:
    """A thread for each point of the outputs, which takes all terms of it, one after another."""
    sizes = [nest.extents[d] for d in outer]
    with each(product(sizes)) as number:
        coordinates: list[Index] = [0] * len(nest.extents)
        place(coordinates, outer, delinearize(number, sizes))
        finals = fold_terms(nest, reductions, coordinates, initial_values(nest, coordinates), 0, 1)
        store_values(nest, coordinates, finals)


def emit_lanes(
    nest: Nest, outer: Sequence[int], reductions: Sequence[int], combined: Sequence[Combination]
) -> None:
    """A warp or a block for each point of the outputs: threads take terms in turn, and combine what they have."""
    sizes = [nest.extents[d] for d in outer]
    points, terms = product(sizes), product([nest.extents[d] for d in reductions])
    is_block = isinstance(terms, int) and terms > LONGEST_OF_WARP
    per_block = 1 if is_block else THREADS // WARP
    with launch(blocks_for(points, per_block)) as grid:
        partials = partial_buffers(grid, [nest]) if is_block else {}
        first = grid.block if is_block else add(mul(grid.block, per_block), grid.warp)
        thread, threads = (grid.thread, THREADS) if is_block else (grid.lane, WARP)
        with loop(first, points, mul(grid.blocks, per_block)) as number:
            coordinates: list[Index] = [0] * len(nest.extents)
            place(coordinates, outer, delinearize(number, sizes))
            neutral = [one.neutral() for one in combined]
            partial = fold_terms(nest, reductions, coordinates, neutral, thread, threads)
            whole = [
                across_block(grid, number, one, partials[number.type])
                if is_block
                else across_warp(number, one.apply)
                for number, one in zip(partial, combined, strict=True)
            ]
            # One thread alone reads what it then writes.
            with when(is_less(thread, 1)):
                initial = initial_values(nest, coordinates)
                finals = [one.apply(a, b) for one, a, b in zip(combined, initial, whole, strict=True)]
                store_values(nest, coordinates, finals)


def blocks_for(points: Index, per_block: int) -> Index:
    """Blocks that take `per_block` of `points` at a time."""
    return minimum(ceil_div(points, per_block), MOST_BLOCKS)


def fold_terms(
    nest: Nest,
    reductions: Sequence[int],
    coordinates: list[Index],
    accumulators: Sequence[ir.Value],
    start: Index,
    step: Index,
) -> list[ir.Value]:
    """The accumulators after the terms of one point: those of the last iterator from `start` in strides of `step`."""
    if not reductions:
        return run(nest, coordinates, accumulators)
    iterator, *inside = reductions

    def body(counter: ir.Value, values: list[ir.Value]) -> list[ir.Value]:
        coordinates[iterator] = counter
        return fold_terms(nest, inside, coordinates, values, start, step)

    low, stride = (0, 1) if inside else (start, step)
    return fold(low, nest.extents[iterator], stride, accumulators, body)


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

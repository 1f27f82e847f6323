"""Structured operations on buffers become kernels: a thread, or the lanes of a warp, for each point of the outputs."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.buffers import has_unit_stride
from pit_mlir.codegen.build import (
    Index,
    add,
    delinearize,
    is_less,
    loop,
    mul,
    product,
    when,
)
from pit_mlir.codegen.fastmath import relax
from pit_mlir.codegen.gpu.block_sums import LONGEST_OF_WARP, across_block, partial_buffers
from pit_mlir.codegen.gpu.bodies import Combination, combinations
from pit_mlir.codegen.gpu.cut_sums import blocks_for, cut_of, emit_cut
from pit_mlir.codegen.gpu.elementwise import emit_elementwise
from pit_mlir.codegen.gpu.launch import THREADS, WARP, across_warp, each, launch
from pit_mlir.codegen.gpu.sizes import device_extents
from pit_mlir.codegen.gpu.terms import fold_terms, initial_values, place, store_values
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
    if combined is None:
        emit_serial(nest, outer, reductions)
        return
    cut = cut_of(nest, outer, reductions, along_lanes=is_along_memory(nest, reductions))
    if cut is not None:
        emit_cut(nest, outer, reductions, combined, cut)
    elif is_along_lanes(nest, outer, reductions):
        emit_lanes(nest, outer, reductions, combined)
    else:
        emit_serial(nest, outer, reductions)


def is_along_lanes(nest: Nest, outer: Sequence[int], reductions: Sequence[int]) -> bool:
    """Whether the terms of a point are neighbours in memory, or there are too few points for a thread each."""
    extents = [nest.extents[d] for d in reductions]
    terms = product([size for size in extents if isinstance(size, int)])
    if all(isinstance(size, int) for size in extents) and isinstance(terms, int) and terms < SHORTEST_LINE:
        return False
    points = product([nest.extents[d] for d in outer])
    return is_along_memory(nest, reductions) or (isinstance(points, int) and points < THREADS)


def is_along_memory(nest: Nest, reductions: Sequence[int]) -> bool:
    """Whether the terms of a point are neighbours in memory."""
    inner = reductions[-1]
    inputs = list(zip(nest.operands, nest.maps, strict=True))[: nest.inputs]
    along = [
        mentions(list(map_.results)[-1], inner) and has_unit_stride(operand)
        for operand, map_ in inputs
        if isinstance(operand.type, ir.MemRefType) and any(mentions(e, inner) for e in map_.results)
    ]
    return any(along)


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

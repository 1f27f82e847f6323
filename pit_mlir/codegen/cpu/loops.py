"""Structured operations on buffers become loops: parallel chunks outside, the contiguous iterator innermost."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pit_mlir.bindings import arith, ir
from pit_mlir.codegen.buffers import load, store
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    fold,
    loop,
    minimum,
    move_here,
    mul,
    parallel,
    product,
    value,
)
from pit_mlir.codegen.cpu.stencil import Stencil
from pit_mlir.codegen.fastmath import relax
from pit_mlir.codegen.nest import Nest, innermost, mentions, ordered_as_output
from pit_mlir.dialect.structured import is_used

# Elements of simple work that one thread takes at once: about 10 us, ten times what waking a team costs.
GRAIN = 32768
# What one operation of a body costs, in the time of an addition; 1 where it is not listed.
COSTS = {"math.exp": 8, "math.tanh": 16, "math.erf": 16, "math.log": 8, "math.powf": 32, "arith.divf": 2}


def emit(nest: Nest) -> None:
    """Builds the loops of `nest` at the insertion point; its body is moved into them."""
    count = len(nest.extents)
    if count == 0:
        emit_point(nest, [])
        return
    parallels = nest.parallels()
    stencil = Stencil.of(nest)
    if stencil is not None:
        emit_stencil(stencil)
        return
    inner = innermost(nest, parallels, range(count))
    outer = ordered_as_output(nest, [d for d in parallels if d != inner])
    reductions = [d for d in range(count) if d not in parallels and d != inner]
    emit_parallel(nest, outer, reductions, inner, inner in parallels)


def emit_stencil(stencil: Stencil) -> None:
    """Shares the blocks of rows of `stencil` among threads."""
    nest = stencil.nest
    relax(nest.body, nest.inputs, reassociate=False)
    work = product([body_cost(nest.body), *(nest.extents[d] for d in (*stencil.reductions, stencil.inner))])
    at_once = rows_at_once(mul(work, stencil.rows_at_once))
    with chunks(product(stencil.tasks), at_once) as (start, stop), loop(start, stop) as linear:
        stencil.emit_task(linear)


def body_cost(body: ir.Block) -> int:
    """What one run of the body costs, in additions."""
    return 1 + sum(COSTS.get(op.operation.name, 1) for op in body.operations)


def emit_parallel(
    nest: Nest, outer: Sequence[int], reductions: Sequence[int], inner: int, inner_is_parallel: bool
) -> None:
    """The chunks that threads share: of the outer iterators, or of the innermost where there is no other."""
    coordinates: list[Index] = [0] * len(nest.extents)
    cost = body_cost(nest.body)
    total = product([nest.extents[d] for d in outer])
    row = product([cost, *(nest.extents[d] for d in (*reductions, inner))])
    if not outer:
        if not inner_is_parallel:
            emit_serial(nest, reductions, inner, False, coordinates, 0, nest.extents[inner])
            return
        work = product([cost, *(nest.extents[d] for d in reductions)])
        with chunks(nest.extents[inner], rows_at_once(work)) as (start, stop):
            emit_serial(nest, reductions, inner, True, coordinates, start, stop)
        return
    sizes = [nest.extents[d] for d in outer]
    with chunks(total, rows_at_once(row)) as (start, stop), loop(start, stop) as linear:
        for iterator, coordinate in zip(outer, delinearize(linear, sizes), strict=True):
            coordinates[iterator] = coordinate
        emit_serial(nest, reductions, inner, inner_is_parallel, coordinates, 0, nest.extents[inner])


def rows_at_once(work: Index) -> Index:
    """How many rows of `work` make a chunk worth a thread; the work of an empty row counts as 1."""
    if isinstance(work, int):
        return max(1, GRAIN // max(1, work))
    at_least_one = arith.maxui(work, value(1))
    return arith.maxui(arith.divui(value(GRAIN), at_least_one), value(1))


@contextmanager
def chunks(count: Index, size: Index) -> Iterator[tuple[Index, Index]]:
    """Shares `0 .. count` among threads in pieces of `size`; inside, where a piece starts and stops."""
    if isinstance(count, int) and isinstance(size, int) and count <= size:
        yield 0, count
        return
    with parallel(ceil_div(count, size)) as number:
        start = mul(number, size)
        yield start, minimum(count, add(start, size))


def emit_serial(
    nest: Nest,
    reductions: Sequence[int],
    inner: int,
    inner_is_parallel: bool,
    coordinates: list[Index],
    start: Index,
    stop: Index,
) -> None:
    """One thread's loops: `reductions`, and innermost `inner` from `start` to `stop`.

    Accumulators stay in registers where the innermost loop is a reduction.
    """
    order = [*reductions, inner]
    bounds = [*((0, nest.extents[d]) for d in reductions), (start, stop)]
    carried = not inner_is_parallel and not any(
        mentions(expression, d) for map_ in nest.output_maps for expression in map_.results for d in order
    )
    relax(nest.body, nest.inputs, reassociate=carried)
    if not carried:
        with ExitStack() as stack:
            for iterator, (low, high) in zip(order, bounds, strict=True):
                coordinates[iterator] = stack.enter_context(loop(low, high))
            emit_point(nest, coordinates)
        return
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    initial = [load(operand, map_, coordinates) for operand, map_ in outputs]
    finals = reduce_into(nest, list(zip(order, bounds, strict=True)), coordinates, initial)
    for final, (operand, map_) in zip(finals, outputs, strict=True):
        store(final, operand, map_, coordinates)


def reduce_into(
    nest: Nest,
    loops: Sequence[tuple[int, tuple[Index, Index]]],
    coordinates: list[Index],
    accumulators: Sequence[ir.Value],
) -> list[ir.Value]:
    """Nested loops that carry `accumulators`; their values after the last one."""
    if not loops:
        return emit_body(nest, coordinates, accumulators)
    iterator, (low, high) = loops[0]

    def body(counter: ir.Value, values: list[ir.Value]) -> list[ir.Value]:
        coordinates[iterator] = counter
        return reduce_into(nest, loops[1:], coordinates, values)

    return fold(low, high, 1, accumulators, body)


def emit_point(nest: Nest, coordinates: Sequence[Index]) -> None:
    """The body at one point, outputs read where the body wants them and written."""
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    accumulators = [
        load(operand, map_, coordinates) if is_used(argument) else None
        for (operand, map_), argument in zip(outputs, list(nest.body.arguments)[nest.inputs :], strict=True)
    ]
    for final, (operand, map_) in zip(emit_body(nest, coordinates, accumulators), outputs, strict=True):
        store(final, operand, map_, coordinates)


def emit_body(
    nest: Nest, coordinates: Sequence[Index], accumulators: Sequence[ir.Value | None]
) -> list[ir.Value]:
    """Moves the body to the insertion point; returns what it yields there."""
    arguments = list(nest.body.arguments)
    for argument, operand, map_ in zip(arguments, nest.operands[: nest.inputs], nest.maps, strict=False):
        if is_used(argument):
            argument.replace_all_uses_with(load(operand, map_, coordinates))
    for argument, accumulator in zip(arguments[nest.inputs :], accumulators, strict=True):
        if accumulator is not None:
            argument.replace_all_uses_with(accumulator)
    *operations, terminator = [op.operation for op in nest.body.operations]
    for op in operations:
        if op.name == "linalg.index":
            iterator = ir.IntegerAttr(op.attributes["dim"]).value
            op.results[0].replace_all_uses_with(value(coordinates[iterator]))
        else:
            move_here(op)
    return list(terminator.operands)

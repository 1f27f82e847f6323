"""Structured operations on buffers become loops: parallel chunks outside, the contiguous iterator innermost."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

from pit_mlir.bindings import affine, arith, ir, memref
from pit_mlir.codegen.cpu.buffers import extent, is_contiguous, load, same, store
from pit_mlir.codegen.cpu.build import (
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
    select,
    value,
)
from pit_mlir.codegen.cpu.checks import check
from pit_mlir.dialect.structured import Structured

# Elements of simple work that one thread takes at once: about 10 us, ten times what waking a team costs.
GRAIN = 32768
# What one operation of a body costs, in the time of an addition; 1 where it is not listed.
COSTS = {"math.exp": 8, "math.tanh": 16, "math.erf": 16, "math.log": 8, "math.powf": 32, "arith.divf": 2}


@dataclass(frozen=True)
class Nest:
    """A structured operation on buffers: `operands` with a map each over iterators of `extents`."""

    operands: tuple[ir.Value, ...]
    maps: tuple[ir.AffineMap, ...]
    extents: tuple[Index, ...]
    inputs: int
    body: ir.Block

    @property
    def output_maps(self) -> tuple[ir.AffineMap, ...]:
        """The maps of the outputs."""
        return self.maps[self.inputs :]

    def parallels(self) -> list[int]:
        """The iterators that stand as a whole in the map of every output: their points are independent."""
        return [
            d
            for d in range(len(self.extents))
            if all(any(position(e) == d for e in map_.results) for map_ in self.output_maps)
        ]


def position(expression: ir.AffineExpr) -> int | None:
    """The iterator that `expression` is as a whole, else None."""
    return expression.position if isinstance(expression, ir.AffineDimExpr) else None


def mentions(expression: ir.AffineExpr, iterator: int) -> bool:
    """Whether `iterator` occurs anywhere in `expression`."""
    if isinstance(expression, ir.AffineBinaryExpr):
        return mentions(expression.lhs, iterator) or mentions(expression.rhs, iterator)
    return position(expression) == iterator


def lower_structured(view: Structured) -> None:
    """Replaces a `linalg.generic` on buffers by loops.

    Extents that differ at run time fail a check and leave the outputs as they are, so that nothing is read or
    written out of bounds.
    """
    with ir.InsertionPoint(view.op), view.location:
        operands = (*view.inputs, *view.outputs)
        nest = Nest(operands, view.maps, extents_of(view), len(view.inputs), view.body)
        emit(collapsed(nest))
    view.op.erase()


def extents_of(view: Structured) -> tuple[Index, ...]:
    """The extent of each iterator, all of them 0 at run time if operands disagree."""
    known: list[Index | None] = [None] * len(view.iterators)
    fits: list[ir.Value] = []
    windows: list[tuple[ir.Value, int, ir.AffineExpr]] = []
    for operand, map_ in zip((*view.inputs, *view.outputs), view.maps, strict=True):
        for dim, expression in enumerate(map_.results):
            iterator = position(expression)
            if iterator is None:
                windows.append((operand, dim, expression))
                continue
            size, first = extent(operand, dim), known[iterator]
            if first is None or (isinstance(size, int) and not isinstance(first, int)):
                known[iterator], size, first = size, first, size
            if first is not None and size is not None and not same(size, first):
                fits.append(arith.cmpi(arith.CmpIPredicate.eq, value(size), value(first)))
    assert all(size is not None for size in known), f"an iterator without an extent in {view.op}"
    extents = [size for size in known if size is not None]
    fits.extend(filter(None, (window_fits(*window, extents) for window in windows)))
    if not fits:
        return tuple(extents)
    all_fit = fits[0]
    for other in fits[1:]:
        all_fit = arith.andi(all_fit, other)
    check(all_fit, "sizes of the operands of an operation differ", view.op)
    return tuple(select(all_fit, size, 0) for size in extents)


def window_fits(
    operand: ir.Value, dim: int, expression: ir.AffineExpr, extents: Sequence[Index]
) -> ir.Value | None:
    """Whether the largest value of `expression` is inside `operand`'s `dim`; None where the types say so."""
    size = extent(operand, dim)
    if isinstance(size, int) and all(isinstance(other, int) for other in extents):
        return None
    last = [arith.subi(value(other), value(1)) for other in extents]
    largest = affine.apply(ir.AffineMap.get(len(extents), 0, [expression]), last)
    return arith.cmpi(arith.CmpIPredicate.slt, largest, value(size))


def collapsed(nest: Nest) -> Nest:
    """`nest` with neighbouring iterators made one where every operand is contiguous over both."""
    fixed = {
        ir.IntegerAttr(op.operation.attributes["dim"]).value
        for op in nest.body.operations
        if op.operation.name == "linalg.index"
    }
    groups: list[list[int]] = []
    parallels = nest.parallels()
    for iterator in range(len(nest.extents)):
        if (
            groups
            and not {groups[-1][-1], iterator} & fixed
            and (groups[-1][-1] in parallels) == (iterator in parallels)
            and all(
                adjacent(operand, map_, groups[-1][-1], iterator)
                for operand, map_ in zip(nest.operands, nest.maps, strict=True)
            )
        ):
            groups[-1].append(iterator)
        else:
            groups.append([iterator])
    if len(groups) == len(nest.extents):
        return nest
    operands: list[ir.Value] = []
    maps: list[ir.AffineMap] = []
    for operand, map_ in zip(nest.operands, nest.maps, strict=True):
        new_operand, new_map = collapse_operand(operand, map_, groups)
        operands.append(new_operand)
        maps.append(new_map)
    for op in nest.body.operations:
        if op.operation.name == "linalg.index":
            old = ir.IntegerAttr(op.operation.attributes["dim"]).value
            new = next(number for number, group in enumerate(groups) if group == [old])
            op.operation.attributes["dim"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), new)
    extents = tuple(product([nest.extents[d] for d in group]) for group in groups)
    return replace(nest, operands=tuple(operands), maps=tuple(maps), extents=extents)


def adjacent(operand: ir.Value, map_: ir.AffineMap, left: int, right: int) -> bool:
    """Whether `operand` lacks both iterators or has them side by side in contiguous memory."""
    positions = [position(expression) for expression in map_.results]
    mixed = [e for e, d in zip(map_.results, positions, strict=True) if d is None]
    if any(mentions(e, left) or mentions(e, right) for e in mixed):
        return False
    if left not in positions and right not in positions:
        return True
    return (left, right) in pairwise(positions) and is_contiguous(operand) and positions.count(left) == 1


def collapse_operand(
    operand: ir.Value, map_: ir.AffineMap, groups: Sequence[Sequence[int]]
) -> tuple[ir.Value, ir.AffineMap]:
    """`operand` with the dimensions of each group made one, and its map over the groups."""
    number_of = {d: number for number, group in enumerate(groups) for d in group}
    leaders = {group[0] for group in groups}
    reassociation: list[list[int]] = []
    results: list[ir.AffineExpr] = []
    new_dims = [ir.AffineDimExpr.get(number_of[d]) for d in range(len(number_of))]
    for dim, expression in enumerate(map_.results):
        iterator = position(expression)
        if iterator is not None and iterator not in leaders:
            reassociation[-1].append(dim)
            continue
        reassociation.append([dim])
        results.append(expression.compose(ir.AffineMap.get(len(groups), 0, new_dims)))
    new_map = ir.AffineMap.get(len(groups), 0, results)
    if all(len(group) == 1 for group in reassociation):
        return operand, new_map
    type_ = ir.MemRefType(operand.type)
    dynamic = ir.ShapedType.get_dynamic_size()
    shape = [
        dynamic if any(type_.shape[d] == dynamic for d in group) else product([type_.shape[d] for d in group])
        for group in reassociation
    ]
    result = ir.MemRefType.get(shape, type_.element_type, memory_space=type_.memory_space)
    return memref.collapse_shape(result, operand, reassociation), new_map


def emit(nest: Nest) -> None:
    """Builds the loops of `nest` at the insertion point; its body is moved into them."""
    count = len(nest.extents)
    if count == 0:
        emit_point(nest, [])
        return
    parallels = nest.parallels()
    inner = innermost(nest, parallels)
    outer = ordered_as_output(nest, [d for d in parallels if d != inner])
    reductions = [d for d in range(count) if d not in parallels and d != inner]
    emit_parallel(nest, outer, reductions, inner, inner in parallels)


def innermost(nest: Nest, parallels: Sequence[int]) -> int:
    """The iterator over which most operands are contiguous; a short one only if there is no other."""

    def penalty(iterator: int) -> tuple[int, bool, int]:
        strided = 0
        for operand, map_ in zip(nest.operands, nest.maps, strict=True):
            results = list(map_.results)
            used = [e for e in results if mentions(e, iterator)]
            if used and not (len(used) == 1 and mentions(results[-1], iterator) and has_unit_stride(operand)):
                strided += 1
        size = nest.extents[iterator]
        short = 4 if isinstance(size, int) and size < 4 else 0
        return strided + short, iterator in parallels and len(parallels) < len(nest.extents), -iterator

    return min(range(len(nest.extents)), key=penalty)


def has_unit_stride(operand: ir.Value) -> bool:
    """Whether neighbours along the last dimension are neighbours in memory, as far as the type tells."""
    strides, _ = ir.MemRefType(operand.type).get_strides_and_offset()
    return bool(strides) and strides[-1] == 1


def ordered_as_output(nest: Nest, iterators: Sequence[int]) -> list[int]:
    """`iterators` in the order of the first output's dimensions."""
    order = [position(expression) for expression in nest.output_maps[0].results]
    return sorted(iterators, key=order.index)


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


def is_used(value_: ir.Value) -> bool:
    """Whether anything reads `value_`."""
    return next(iter(value_.uses), None) is not None


def relax(body: ir.Block, inputs: int, *, reassociate: bool) -> None:
    """Floats are reals: products and sums may fuse, and what folds into an accumulator may be reordered."""
    accumulators = {(argument.arg_number) for argument in list(body.arguments)[inputs:]}
    for op in body.operations:
        operation = op.operation
        if operation.name not in ("arith.addf", "arith.subf", "arith.mulf"):
            continue
        folds = reassociate and any(
            isinstance(operand.owner, ir.Block)
            and operand.owner == body
            and ir.BlockArgument(operand).arg_number in accumulators
            for operand in operation.operands
        )
        flags = "reassoc,contract" if folds else "contract"
        operation.attributes["fastmath"] = ir.Attribute.parse(f"#arith.fastmath<{flags}>")

"""What loops are built from: a structured operation on buffers with the extents of its iterators."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pit_mlir.bindings import affine, arith, ir, memref
from pit_mlir.codegen.buffers import extent, has_unit_stride, is_contiguous, same
from pit_mlir.codegen.build import Index, compare, product, value
from pit_mlir.codegen.checks import where_all
from pit_mlir.dialect.structured import Structured


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


def nest_of(view: Structured) -> Nest:
    """The nest of a `linalg.generic` on buffers.

    Extents that differ at run time fail a check and are all 0, so that nothing is read or written out of bounds.
    """
    return Nest((*view.inputs, *view.outputs), view.maps, extents_of(view), len(view.inputs), view.body)


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
            if first is not None and size is not None and not same(size, first):  # pyright: ignore[reportUnnecessaryComparison]
                fits.append(compare("eq", size, first))
    assert all(size is not None for size in known), f"an iterator without an extent in {view.op}"
    extents = [size for size in known if size is not None]
    fits.extend(filter(None, (window_fits(*window, extents) for window in windows)))
    return tuple(where_all(fits, extents, "sizes of the operands of an operation differ", view.op))


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


def collapsed(nest: Nest, kept: Collection[int] = ()) -> Nest:
    """`nest` with neighbouring iterators made one where every operand is contiguous over both.

    Iterators in `kept` stay as they are.
    """
    fixed = set(kept) | {
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
    result = ir.MemRefType.get(shape, type_.element_type, memory_space=type_.memory_space)  # pyright: ignore[reportArgumentType]
    return memref.collapse_shape(result, operand, reassociation), new_map


def innermost(nest: Nest, parallels: Sequence[int], candidates: Sequence[int]) -> int:
    """The one of `candidates` over which most operands are contiguous; a short one only if there is no other."""

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

    return min(candidates, key=penalty)


def ordered_as_output(nest: Nest, iterators: Sequence[int]) -> list[int]:
    """`iterators` in the order of the first output's dimensions."""
    order = [position(expression) for expression in nest.output_maps[0].results]
    return sorted(iterators, key=order.index)

"""How many neighbouring rows share one list of live coordinates."""

import math
from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.dialect.detect import DetectOp, segment_rank
from pit_mlir.dialect.structured import Structured, projection
from pit_mlir.dialect.window import is_window
from pit_mlir.passes.contractions.form import parallel_iterators, product_of

BLOCK = 32
"""Rows of a block: 14 + 14 + 4 of the register tile; fewer reuse a gathered column less, more share fewer zeros."""
SMALL_BLOCK = 18
"""Rows up to which all are one block: 14 + 4 of the register tile."""
ENOUGH_ROWS = 14
"""Rows inside of a segment, such as those of a block of a mask, that need no more: the height of the register tile."""


def choose_block(op: DetectOp) -> None:
    """Sets the blocks and the micro-tile of `op` that are open (0)."""
    chosen, segments = list(op.operation.attributes["block"]), list(op.operation.attributes["segments"])
    last = listed_rows(op)
    shape = ir.RankedTensorType(op.operation.operands[0].type).shape
    for number, dim in enumerate(segments):
        if chosen[number] == 0:
            chosen[number] = block_for(shape[dim]) if number == last else 1
    attributes = op.operation.attributes
    attributes["block"] = ir.DenseI64ArrayAttr.get(chosen)
    if attributes["micro_tile"].value == 0:
        size = max(chosen, default=1)
        attributes["micro_tile"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), size)


def block_for(rows: int) -> int:
    """The block for a number of rows, which may be dynamic (negative)."""
    if rows < 0 or rows >= BLOCK:
        return BLOCK
    return max(1, rows if rows <= SMALL_BLOCK else -(-rows // 2))


def listed_rows(op: DetectOp) -> int | None:
    """Which segment is one of rows, so that neighbours may share a list: the last one that one factor alone carries.

    None where the index lists no reduction, and no weights (see `contract_strips`), of a contraction; nor where a
    segment is an image, which has places enough for a list of its own.
    """
    segments = segment_rank(op.operation)
    for use in op.operation.results[0].uses:
        view = Structured.on_tensors(use.owner)
        product = None if view is None else product_of(view)
        if view is None or product is None or any(is_window(value) for value in view.inputs):
            continue
        sides = [set().union(*(parallel_iterators(view, term) for term in side)) for side in product.factors]
        if view.iterators[view.group[-1]] != "reduction" and not any(
            view.group[-1] in side and not side & set(view.group[:segments]) for side in sides
        ):
            continue
        own = [n for n, p in enumerate(view.group[:segments]) if not all(p in side for side in sides)]
        if own:
            return None if rows_inside(view, sides, view.group[own[-1]]) >= ENOUGH_ROWS else own[-1]
    return None


def rows_inside(view: Structured, sides: Sequence[set[int]], segment: int) -> int:
    """How many rows share a coordinate of iterator `segment`, as far as types tell; 1 if they do not."""
    side = next((side for side in sides if segment in side), set[int]())
    other = set().union(*(others for others in sides if others is not side))
    sizes: dict[int, int] = {}
    for value, map_ in zip(view.inputs, view.input_maps, strict=True):
        sizes.update(zip(projection(map_) or (), ir.ShapedType(value.type).shape, strict=False))
    return math.prod(max(1, sizes.get(p, 1)) for p in side - other - set(view.group))

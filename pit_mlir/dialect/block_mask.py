"""`pit.block_mask`: which blocks of keys a block of queries has to look at."""

from collections.abc import Callable, Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.element import element, elements, verify_elements
from pit_mlir.dialect.generic import verify_body
from pit_mlir.dialect.group import group_size
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, require, require_dims
from pit_mlir.dialect.structured import projection
from pit_mlir.dialect.yield_ import yield_

BLOCK = (64, 64)
"""Queries and keys of a block: what the kernel of `pit.attend` has in its cache at a time."""


class BlockMaskOp(PitOperation, name="block_mask", traits=[ext.Pure]):
    """Lists, for each block of queries, the blocks of keys with which some pair of it may be live.

    The iterators are those of `sizes`, their extents: any number of segments, then q (queries) and k (keys). The
    body reads masks, positions and whatever else over them by `pit.element` and yields whether a pair (q, k) is live.
    A block is `block[0]` neighbouring queries by `block[1]` neighbouring keys; it is listed if the body is true
    anywhere in it, and may be listed if it is not: the body is evaluated on intervals, what its elements range over
    in a block, so that no pair of positions is looked at where the body compares positions alone.

    In the result a segment is a point of the segment iterators and a block of queries, one after another, and an entry
    is the number of a block of keys.

    With rows, an index over the segment iterators `segments` and one axis, queries and keys are both the entries of
    the segment that these select; blocks are of neighbouring entries, and elements are read at their coordinates.

    A sliding window over any number of keys:

    ```mlir
    %K = "pit.block_mask"(%n, %n) ({
      %i = "pit.element"(%positions) {map = affine_map<(q, k) -> (q)>, compact = false} : (tensor<?xindex>) -> index
      %j = "pit.element"(%positions) {map = affine_map<(q, k) -> (k)>, compact = false} : (tensor<?xindex>) -> index
      %d = arith.subi %i, %j : index
      %a = math.absi %d : index
      %live = arith.cmpi sle, %a, %w : index
      "pit.yield"(%live) : (i1) -> ()
    }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>}
        : (index, index) -> !pit.index
    ```
    """

    sizes: Sequence[ext.Operand[Any]]
    rows: Sequence[ext.Operand[Any]]
    index: ext.Result[IndexType]
    block: Any
    segments: Any
    body: ext.Region

    def verify_op(self) -> None:
        """Two sizes at least, at most one index that fits `segments`, and a body of one truth value."""
        sizes, rows = split_operands(self.operation)
        require(len(sizes) >= 2, "takes the sizes of queries and keys, got {} sizes", len(sizes))
        require(len(rows) <= 1, "takes at most one index, got {}", len(rows))
        for size in sizes:
            require(isinstance(size.type, ir.IndexType), "a size must be an index, got {}", size.type)
        block, segments = int_array(self, "block"), int_array(self, "segments")
        require(
            len(block) == 2 and min(block) > 0, "attribute 'block' = {} must be two lengths above 0", block
        )
        require_dims("segments", segments, len(sizes) - 2)
        require(bool(rows) or not segments, "has segments {} of rows but no index", segments)
        size = group_size(rows[0]) if rows else None
        require(
            size is None or size == len(segments) + 1,
            "index over {} coordinates does not fit {} segment iterators and one axis",
            size,
            len(segments),
        )
        verify_body(self.operation.regions[0], [], [ir.IntegerType.get_signless(1)])
        body = self.operation.regions[0].blocks[0]
        verify_elements(body, len(sizes), [])
        for op in elements(body):
            map_ = op.operation.attributes["map"]
            require(projection(map_.value) is not None, "map {} must select iterators", map_)


def split_operands(op: ir.Operation) -> tuple[list[ir.Value], list[ir.Value]]:
    """The sizes and the indices among the operands of a `pit.block_mask`."""
    sizes = [operand for operand in op.operands if not isinstance(operand.type, IndexType)]
    return sizes, [operand for operand in op.operands if isinstance(operand.type, IndexType)]


def block_mask(
    sizes: Sequence[ir.Value],
    extras: Sequence[tuple[ir.Value, ir.AffineMap]],
    body: Callable[..., ir.Value],
    *,
    rows: ir.Value | None = None,
    segments: Sequence[int] = (),
    block: Sequence[int] = BLOCK,
) -> ir.Value:
    """The index of the blocks that may be live, at the insertion point; see `BlockMaskOp`.

    `body` gets one scalar for each of `extras`, and returns whether the pair is live.
    """
    op = BlockMaskOp(
        list(sizes),
        [] if rows is None else [rows],
        IndexType.get(),
        ir.DenseI64ArrayAttr.get(list(block)),
        ir.DenseI64ArrayAttr.get(list(segments)),
    )
    with ir.InsertionPoint(op.operation.regions[0].blocks.append()):
        yield_([body(*(element(source, map_) for source, map_ in extras))])
    return op.index

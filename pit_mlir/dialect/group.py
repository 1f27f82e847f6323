"""The group of an index: the dimensions or iterators, segments first, whose live coordinates it lists."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ir
from pit_mlir.dialect.detect import DetectOp, is_by_key
from pit_mlir.dialect.pit import require, require_dims
from pit_mlir.dialect.segment import SegmentOp


def detection(index: ir.Value) -> ir.Operation | None:
    """The `pit.detect` that made `index`, or the index that it is a segment of; None where it is not visible."""
    owner = index.owner
    if isinstance(owner, ir.Block):
        return None
    if isinstance(owner.opview, SegmentOp):
        return detection(owner.operands[0])
    return owner.operation if isinstance(owner.opview, DetectOp) else None


def segment_blocks(index: ir.Value) -> tuple[int, ...] | None:
    """The block of each coordinate of the group of `index` that says which segment; None where it is not visible."""
    maker = detection(index)
    if maker is None:
        return None
    return () if isinstance(index.owner.opview, SegmentOp) else tuple(maker.attributes["block"])


def group_size(index: ir.Value) -> int | None:
    """How many coordinates the group of `index` has (segments and axis), None where its maker is not visible."""
    maker, blocks = detection(index), segment_blocks(index)
    return None if maker is None or blocks is None else len(blocks) + len(list(maker.attributes["axis"]))


def tells_rows_apart(index: ir.Value, group: Sequence[int]) -> bool:
    """Whether the coordinates `group` differ between any two rows of `index`; not known without its maker.

    All coordinates do, but those that have one value only. Where each element of the source has one key, its place
    alone does.
    """
    maker, blocks = detection(index), segment_blocks(index)
    if maker is None or blocks is None:
        return False
    segments, axis = len(blocks), list(maker.attributes["axis"])
    needed = range(segments + len(axis))
    if is_by_key(maker) and len(axis) == ir.RankedTensorType(maker.operands[0].type).rank:
        needed = range(segments, segments + len(axis))
    return set(needed) <= set(group) | single_coordinates(index)


def single_coordinates(index: ir.Value) -> set[int]:
    """The coordinates of the axis of `index` that have one value only: they run over a dimension of size 1."""
    maker, blocks = detection(index), segment_blocks(index)
    if maker is None or blocks is None:
        return set()
    shape = ir.RankedTensorType(maker.operands[0].type).shape
    return {len(blocks) + number for number, dim in enumerate(maker.attributes["axis"]) if shape[dim] == 1}


def verify_iterators(group: Sequence[int], index: ir.Value, iterators: int) -> None:
    """Checks `group`, of an operation with so many `iterators`, against the `pit.detect` that made `index`."""
    require_dims("group", group, iterators)
    size = group_size(index)
    require(
        size is None or size == len(group),
        "attribute 'group' = {} has {} iterators for an index over {} coordinates",
        group,
        len(group),
        size,
    )


def verify_group(op: Any, axis: Sequence[int], group: Sequence[int], rank: int) -> None:
    """Checks `axis` against a tensor's `rank` and `group` against the `pit.detect` that made the index."""
    require_dims("axis", axis, rank)
    require(bool(axis), "attribute 'axis' must name at least one dimension")
    require(
        len(axis) == len(group),
        "attribute 'axis' has {} dimensions but 'group' has {} coordinates",
        len(axis),
        len(group),
    )
    size = group_size(op.index)
    require_dims("group", group, len(group) + max(group, default=0) + 1 if size is None else size)


def compact_type(source: ir.Type, axis: Sequence[int]) -> ir.RankedTensorType:
    """The type of `source` with the dimensions `axis` replaced by one dynamic dimension of rows."""
    tensor = ir.RankedTensorType(source)
    dynamic = ir.ShapedType.get_dynamic_size()
    shape = [
        dynamic if dim == min(axis) else size
        for dim, size in enumerate(tensor.shape)
        if dim == min(axis) or dim not in axis
    ]
    return ir.RankedTensorType.get(shape, tensor.element_type)

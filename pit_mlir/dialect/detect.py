"""`pit.detect`: the index of the live micro-tiles of a tensor."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import IndexType, PitOperation, int_array, integer, require, require_dims


class DetectOp(PitOperation, name="detect", traits=[ext.Pure]):
    """Lists the coordinates along `axis` at which `source` is live, per segment.

    `source` holds values, or a mask (i1 or integers); an element is live if it is not zero (NaN, inf and
    denormals are live, -0.0 is not). `segments` and `axis` name distinct dimensions of `source`; an entry is live
    if any element over the remaining dimensions is. `block` gives, for each of `segments`, how many neighbouring
    coordinates share one segment; an entry is then live if any of them is. `micro_tile` is the length of the
    micro-tile along the remaining dimensions that will be gathered as one. A block or micro-tile of 0 means "not
    chosen yet": tiles are selected late.

    With `values = N` the elements are keys, integers that say to which of N segments they belong: segment v lists
    the coordinates along `axis` at which any element over the remaining dimensions is v. A key that is negative or
    at least N is listed nowhere. Then `segments` is empty, and `block` has one entry, 1, for the segments of values.

    Tokens of a padded batch, one segment per batch entry:

    ```mlir
    %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>,
                              micro_tile = 1 : i64} : (tensor<?x?xi1>) -> !pit.index
    ```

    Live columns of A (m, k) for each block of 32 rows:

    ```mlir
    %K = "pit.detect"(%A) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 32>,
                           micro_tile = 32 : i64} : (tensor<?x?xf32>) -> !pit.index
    ```

    The tokens of each of 8 experts, by the numbers of the two experts that each token was sent to:

    ```mlir
    %E = "pit.detect"(%chosen) {values = 8 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>,
                                micro_tile = 1 : i64} : (tensor<?x2xi64>) -> !pit.index
    ```
    """

    source: ext.Operand[ir.RankedTensorType]
    index: ext.Result[IndexType]
    segments: Any
    axis: Any
    block: Any
    micro_tile: Any

    def verify_op(self) -> None:
        """Dimensions must be distinct and in range, and every segment dimension needs its block."""
        rank = ir.RankedTensorType(self.source.type).rank
        segments, axis, block = int_array(self, "segments"), int_array(self, "axis"), int_array(self, "block")
        require_dims("segments", segments, rank)
        require_dims("axis", axis, rank)
        require(bool(axis), "attribute 'axis' must name at least one dimension")
        shared = sorted(set(segments) & set(axis))
        require(not shared, "dimensions {} are both in 'segments' and in 'axis'", shared)
        if "values" in self.operation.attributes:
            verify_keys(self, segments, block)
        else:
            require(
                len(block) == len(segments),
                "attribute 'block' has {} entries for {} segment dimensions",
                len(block),
                len(segments),
            )
        require(all(size >= 0 for size in block), "attribute 'block' = {} must not be negative", block)
        micro_tile = integer(self, "micro_tile")
        require(micro_tile >= 0, "attribute 'micro_tile' = {} must not be negative", micro_tile)


def verify_keys(op: DetectOp, segments: Sequence[int], block: Sequence[int]) -> None:
    """Keys are integers, at least one value is counted, and nothing else makes segments."""
    values = integer(op, "values")
    require(values > 0, "attribute 'values' = {} must be positive", values)
    element = ir.RankedTensorType(op.source.type).element_type
    is_key = isinstance(element, ir.IndexType) or (isinstance(element, ir.IntegerType) and element.width > 1)
    require(is_key, "attribute 'values' needs keys, integers of more than one bit, got {}", element)
    require(not segments, "attribute 'values' makes the segments, 'segments' = {} must be empty", segments)
    require(list(block) == [1], "attribute 'block' = {} must be [1], for the segments of values", block)


def segment_rank(op: ir.Operation) -> int:
    """How many coordinates say which segment, of a `pit.detect`: the first ones of its group."""
    return len(list(op.attributes["block"]))


def is_by_key(op: ir.Operation) -> bool:
    """Whether the elements of the source of a `pit.detect` say to which segment they belong."""
    return "values" in op.attributes


def detect_keys(source: ir.Value, *, values: int, axis: Sequence[int]) -> ir.Value:
    """The index of the coordinates along `axis` at which `source` holds 0, 1, .. `values` - 1, a segment for each."""
    made = detect(source, axis=axis, block=[1], micro_tile=1)
    owner = made.owner
    assert not isinstance(owner, ir.Block)
    owner.operation.attributes["values"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), values)
    return made


def detect(
    source: ir.Value,
    *,
    axis: Sequence[int],
    segments: Sequence[int] = (),
    block: Sequence[int] | None = None,
    micro_tile: int = 0,
) -> ir.Value:
    """The index of the live micro-tiles of `source`; see `DetectOp`. `block` defaults to "not chosen"."""
    i64 = ir.IntegerType.get_signless(64)
    return DetectOp(
        source,
        IndexType.get(),
        ir.DenseI64ArrayAttr.get(list(segments)),
        ir.DenseI64ArrayAttr.get(list(axis)),
        ir.DenseI64ArrayAttr.get(list(block) if block is not None else [0] * len(segments)),
        ir.IntegerAttr.get(i64, micro_tile),
    ).index

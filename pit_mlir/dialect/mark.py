"""`pit.mark`: a declaration by the model's author that a value is sparse."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation, require


class MarkOp(PitOperation, name="mark", traits=[ext.Pure]):
    """The identity on `source`, which its author declares to be sparse.

    Without `mask` the zeros are found in the values; with one (same rank, extents equal or 1, i1 or integers),
    `source` is zero wherever the mask is. The optional attribute `approximation` says what its author takes for zero.

    ```mlir
    %y = "pit.mark"(%x, %m)
        : (tensor<?x64xf32>, tensor<?x64xi1>) -> tensor<?x64xf32>
    ```
    """

    source: ext.Operand[ir.RankedTensorType]
    mask: Sequence[ext.Operand[Any]]
    result: ext.Result[ir.RankedTensorType]

    def verify_op(self) -> None:
        """The result has the type of the source; a mask fits it and holds truth values."""
        source, *masks = self.operation.operands
        require(
            self.result.type == source.type,
            "result {} must have the type of the source {}",
            self.result.type,
            source.type,
        )
        attributes = self.operation.attributes
        if "approximation" in attributes:
            given = attributes["approximation"]
            require(
                isinstance(given, ir.StringAttr), "attribute 'approximation' must be a text, got {}", given
            )
        require(len(masks) <= 1, "takes at most one mask, got {}", len(masks))
        for mask in masks:
            verify_mask(ir.RankedTensorType(source.type), ir.RankedTensorType(mask.type))


def verify_mask(source: ir.RankedTensorType, mask: ir.RankedTensorType) -> None:
    """A mask broadcasts to its source dimension by dimension and holds integers or i1."""
    require(isinstance(mask.element_type, ir.IntegerType), "mask must hold i1 or integers, got {}", mask)
    dynamic = ir.ShapedType.get_dynamic_size()
    fits = mask.rank == source.rank and all(
        m in (1, s, dynamic) or s == dynamic for m, s in zip(mask.shape, source.shape, strict=True)
    )
    require(fits, "mask {} does not broadcast to source {}", mask, source)


def mark(source: ir.Value, mask: ir.Value | None = None, approximation: str | None = None) -> ir.Value:
    """`source`, declared sparse: where `mask` is zero, or where its own values are."""
    made = MarkOp(source, [] if mask is None else [mask], source.type)
    if approximation is not None:
        made.operation.attributes["approximation"] = ir.StringAttr.get(approximation)
    return made.result

"""R3, spread, at a mark: mark(x, m) = swrite(sread(x, I), into 0, I), I the live rows of m.

The author of the model declares that x is 0 where m is; nothing is left to prove. It is done where m is a mask of
rows, that is where it is broadcast along some dimension of x; a mask of single elements makes lists in contractions.
"""

from pit_mlir.analysis.masks import unbroadcast
from pit_mlir.bindings import ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.passes.rules.spread import Masked, is_float, is_read_by_rows, name_of, spread


def spread_marks(function: ir.Operation, report: Report) -> None:
    """R3 at every `pit.mark` of `function` with a mask of rows."""
    for op in list(function.regions[0].blocks[0].operations):
        operation = op.operation
        if operation.name != "pit.mark" or len(operation.operands) == 1 or not is_float(operation.results[0]):
            continue
        if is_read_by_rows(operation):
            continue
        source, mask = operation.operands
        with op.location, ir.InsertionPoint(operation):
            rows, axis = rows_of(mask, source)
        if not axis or len(axis) == ir.RankedTensorType(source.type).rank:
            continue
        with op.location:
            spread(operation, Masked(rows, axis, source))
        report.count("num-marked")
        report.remark(
            location_text(op.location),
            f"compact through the index of the live rows of {name_of(rows, function)}: marked as 0 elsewhere",
            topic="index",
        )


def rows_of(mask: ir.Value, source: ir.Value) -> tuple[ir.Value, tuple[int, ...]]:
    """`mask` without its dimensions of size 1, and the dimensions of `source` that are left."""
    tensor_, dims = unbroadcast(mask, source)
    axis = tuple(dim for dim in dims if dim is not None)
    if len(axis) == len(dims) or not axis:
        return tensor_, axis
    groups = grouping(dims)
    type_ = ir.RankedTensorType(tensor_.type)
    kept = ir.RankedTensorType.get([type_.shape[dim] for dim in axis], type_.element_type)
    return tensor.CollapseShapeOp(kept, tensor_, groups).result, axis


def grouping(dims: tuple[int | None, ...]) -> list[list[int]]:
    """The dimensions of a mask in groups of one that stays (not None) and of those of size 1 next to it."""
    groups: list[list[int]] = []
    started = False
    for position, dim in enumerate(dims):
        if not groups or (dim is not None and started):
            groups.append([])
            started = False
        groups[-1].append(position)
        started = started or dim is not None
    return groups

"""The index of the places where a mask is live: by the key that names them, where there is one, else by a scan."""

from collections.abc import Sequence

from pit_mlir.analysis.keys import Key, key_of
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.detect import detect, detect_keys, is_by_key
from pit_mlir.dialect.segment import segment


def index_of_live(mask: ir.Value, *, axis: Sequence[int], segments: Sequence[int]) -> ir.Value:
    """An index over the dimensions `segments` and `axis` of `mask` that lists at least where it is live.

    Where a key names the places, these are all the places of the key, also those that are 0 all the same.
    """
    by_key = index_by_key(mask, axis, segments)
    if by_key is not None:
        return by_key
    return detect(mask, axis=axis, segments=segments, block=[1] * len(segments), micro_tile=1)


def index_by_key(mask: ir.Value, axis: Sequence[int], segments: Sequence[int]) -> ir.Value | None:
    """As `index_of_live`, by a key for each place along `axis`; None where none is known."""
    type_ = ir.RankedTensorType(mask.type)
    if len(segments) == 1 and not type_.is_dynamic_dim(segments[0]):
        key = key_of(mask, segments[0])
        places = None if key is None else places_of(key, axis)
        if key is not None and places is not None:
            return detect_keys(key.tensor, values=type_.get_dim_size(segments[0]), axis=places)
    key = key_of(mask, None)
    places = None if key is None else places_of(key, [*segments, *axis])
    if key is None or places is None or key.number is None or key.number < 0:
        return None
    return segment(detect_keys(key.tensor, values=key.number + 1, axis=places), key.number)


def places_of(key: Key, dims: Sequence[int]) -> list[int] | None:
    """The dimension of the key that each of `dims` is; None if it has not all of them, or others."""
    if sorted(dim for dim in key.dims if dim is not None) != sorted(dims):
        return None
    return [key.dims.index(dim) for dim in dims]


def share_keys(function: ir.Operation, report: Report) -> None:
    """Makes one of the indices by one key that are asked for segments alone, of as many as any of them has."""
    shared: dict[tuple[ir.Value, str], ir.Operation] = {}
    for op in list(function.regions[0].blocks[0].operations):
        operation = op.operation
        if operation.name != "pit.detect" or not is_by_key(operation):
            continue
        if any(use.owner.operation.name != "pit.segment" for use in operation.results[0].uses):
            continue
        first = shared.setdefault((operation.operands[0], str(operation.attributes["axis"])), operation)
        if first == operation:
            continue
        counts = [ir.IntegerAttr(one.attributes["values"]) for one in (first, operation)]
        first.attributes["values"] = max(counts, key=lambda count: count.value)
        operation.results[0].replace_all_uses_with(first.results[0])
        operation.erase()

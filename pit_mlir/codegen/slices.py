"""Slices that are read where they lie: which are, and which of their dimensions have one stride together."""

from pit_mlir.bindings import bufferization, ir
from pit_mlir.dialect.structured import owner

VIEWS = ("tensor.cast", "tensor.collapse_shape", "tensor.expand_shape", "tensor.extract_slice")


def slice_in_place(source: ir.Value) -> ir.Operation | None:
    """The `tensor.extract_slice` that makes `source`, if its rows are whole: their elements are neighbours."""
    maker = owner(source)
    if maker is None or maker.name != "tensor.extract_slice":
        return None
    shape, whole = (list(ir.RankedTensorType(value.type).shape) for value in (source, maker.operands[0]))
    # Of a column the last dimension is dropped: that of the slice is another one, be it of the same size.
    keeps_last = len(shape) == len(whole) or list(maker.attributes["static_sizes"])[-1] != 1
    is_in_rows = bool(shape) and shape[-1] == whole[-1] and list(maker.attributes["static_strides"])[-1] == 1
    return maker if is_in_rows and keeps_last else None


def strided_buffer(source: ir.Value) -> ir.Value:
    """The contents of a slice in place as a buffer that is only read."""
    type_ = ir.RankedTensorType(source.type)
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    layout = ir.StridedLayoutAttr.get(dynamic, [dynamic] * (type_.rank - 1) + [1])
    return bufferization.to_buffer(
        ir.MemRefType.get(type_.shape, type_.element_type, layout), source, read_only=True
    )


def is_even(source: ir.Value, dim: int) -> bool:
    """Whether dimensions `dim` and `dim + 1` of `source`, as it is read, have one stride together.

    All of a tensor that is read as a whole do. Those of a slice in place do if it takes all of the inner one.
    """
    maker = slice_in_place(source)
    if maker is None:
        return True
    whole = list(ir.RankedTensorType(maker.operands[0].type).shape)
    sizes = list(maker.attributes["static_sizes"])
    rank = ir.RankedTensorType(source.type).rank
    dropped = [number for number, size in enumerate(sizes) if size == 1] if rank < len(sizes) else []
    kept = [number for number in range(len(sizes)) if number not in dropped]
    # Of several dimensions of size 1 some are dropped: nothing says which.
    if len(kept) != rank or is_part(maker.operands[0]):
        return False
    outer, inner = kept[dim], kept[dim + 1]
    if list(maker.attributes["static_strides"])[outer] != 1:
        return False
    is_whole = sizes[inner] == whole[inner] and not ir.ShapedType.is_dynamic_size(whole[inner])
    return is_whole and all(size == 1 for size in whole[outer + 1 : inner])


def is_part(value: ir.Value) -> bool:
    """Whether `value` is a slice, reshaped or not: it may lie with gaps."""
    maker = owner(value)
    while maker is not None and maker.name in VIEWS:
        if maker.name == "tensor.extract_slice":
            return True
        maker = owner(maker.operands[0])
    return False

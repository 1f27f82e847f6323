"""`pit.sread` and `pit.swrite` on buffers: the listed rows of a tensor, and how rows are combined."""

from collections.abc import Callable, Sequence

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.index_buffers import IndexBuffers

COMBINERS: dict[str, tuple[Callable[..., ir.Value], Callable[..., ir.Value]]] = {
    "add": (arith.addf, arith.addi),
    "max": (arith.maximumf, arith.maxsi),
    "min": (arith.minimumf, arith.minsi),
}


def combined(combine: str, left: ir.Value, right: ir.Value) -> ir.Value:
    """`left` and `right` by add, max or min; of truth values, or and and."""
    if left.type == ir.IntegerType.get_signless(1):
        return arith.andi(left, right) if combine == "min" else arith.ori(left, right)
    floats, integers = COMBINERS[combine]
    return floats(left, right) if isinstance(left.type, ir.FloatType) else integers(left, right)


def compact(extents: Sequence[Index], axis: Sequence[int], total: Index) -> list[Index]:
    """`extents` with the dimensions `axis` replaced by `total` rows at the first of them."""
    return [
        total if dim == min(axis) else size
        for dim, size in enumerate(extents)
        if dim == min(axis) or dim not in axis
    ]


def usable_rows(
    op: ir.Operation, index: IndexBuffers, extents: Sequence[Index], axis: Sequence[int], group: Sequence[int]
) -> Index:
    """The rows of the index; none, and a failed check, where its coordinates do not fit the tensor's sizes."""
    pairs = [(extents[dim], index.extents[coordinate]) for dim, coordinate in zip(axis, group, strict=True)]
    fits = [build.compare("eq", size, expected) for size, expected in pairs if size != expected]
    message = "an index is used for a tensor of another size than that it was made for"
    return where_all(fits, [index.total], message, op)[0]


def same_rows(op: ir.Operation, rows: ir.Value, dim: int, total: Index) -> Index:
    """`total`; none, and a failed check, where the buffer of compact `rows` has another number of them."""
    fits = build.compare("eq", memref.dim(rows, value(dim)), total)
    message = "the compact rows are not those of the index they are written through"
    return where_all([fits], [total], message, op)[0]

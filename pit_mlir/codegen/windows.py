"""`pit.window` on buffers: the windows are read where their source lies."""

from pit_mlir.bindings import bufferization, ir, memref
from pit_mlir.codegen.brackets import allocate_like, read, read_in_place, sizes
from pit_mlir.codegen.buffers import metadata
from pit_mlir.codegen.build import dot
from pit_mlir.codegen.lowering import Lowering
from pit_mlir.dialect.structured import owner
from pit_mlir.dialect.window import window_coefficients


def read_windows(source: ir.Value) -> ir.Value:
    """The contents of a tensor as a buffer that is only read; windows are seen in that of their source."""
    maker = owner(source)
    return read_in_place(source) if maker is None or maker.name != "pit.window" else windows_of(maker)


def windows_of(op: ir.Operation) -> ir.Value:
    """The windows of `op`, a `pit.window`, as a strided view of the buffer of its source."""
    buffer = read(op.operands[0])
    result = ir.RankedTensorType(op.results[0].type)
    _, _, strides = metadata(buffer)
    rows = window_coefficients(op.attributes["map"].value)
    steps = [dot([row[dim] for row in rows], strides) for dim in range(result.rank)]
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    static = [step if isinstance(step, int) else dynamic for step in steps]
    layout = ir.StridedLayoutAttr.get(0, static)
    return memref.reinterpret_cast(
        ir.MemRefType.get(result.shape, result.element_type, layout),
        buffer,
        [],
        list(op.operands)[1:],
        [step for step in steps if not isinstance(step, int)],
        [0],
        result.shape,
        static,
    )


def window_stride(source: ir.Value, dimension: int) -> int | None:
    """The stride of a dimension of windows where their map tells: that of the last dimension of their source."""
    maker = owner(source)
    assert maker is not None
    rows = window_coefficients(maker.attributes["map"].value)
    if any(row[dimension] for row in rows[:-1]):
        return None
    return rows[-1][dimension] if rows else 0


def lower_window(op: ir.Operation, lowering: Lowering) -> None:
    """A copy of the windows for whoever reads them otherwise than through a contraction."""
    others = [
        use for use in op.results[0].uses if use.owner.operation.parent.operation.name != "pit.contract"
    ]
    if not others:
        return
    copy = allocate_like(op.results[0].type, sizes(op.results[0]))
    memref.copy(windows_of(op), copy)
    copied = bufferization.to_tensor(op.results[0].type, copy, restrict=True, writable=True)
    for use in others:
        use.owner.operation.operands[use.operand_number] = copied

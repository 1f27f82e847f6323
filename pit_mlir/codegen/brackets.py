"""The bracket form: code on buffers in the middle of tensors, folded away by bufferization."""

from collections.abc import Sequence

from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import bufferization, ir, linalg, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.slices import slice_in_place, strided_buffer
from pit_mlir.dialect.structured import owner


def read(source: ir.Value) -> ir.Value:
    """The contents of a tensor as a buffer that is only read."""
    type_ = ir.RankedTensorType(source.type)
    return bufferization.to_buffer(ir.MemRefType.get(type_.shape, type_.element_type), source, read_only=True)


def read_in_place(source: ir.Value) -> ir.Value:
    """As `read`, but a slice is read where it lies, in rows whose elements are neighbours, and not copied together."""
    return read(source) if slice_in_place(source) is None else strided_buffer(source)


def sizes(source: ir.Value) -> list[Index]:
    """The sizes of a tensor: numbers, or values made at the insertion point."""
    return [extent(source, dim) for dim in range(ir.RankedTensorType(source.type).rank)]


def allocate(shape: Sequence[Index], element: ir.Type) -> ir.Value:
    """A new buffer; a size that is a value is dynamic in its type."""
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [size if isinstance(size, int) else dynamic for size in shape]
    values = [size for size in shape if not isinstance(size, int)]
    return memref.alloc(ir.MemRefType.get(static, element), values, [])


def allocate_like(tensor_type: ir.Type, shape: Sequence[Index]) -> ir.Value:
    """A new buffer for a tensor of `tensor_type`, whose dynamic sizes are those of `shape`."""
    type_ = ir.RankedTensorType(tensor_type)
    values = [value(size) for dim, size in enumerate(shape) if type_.is_dynamic_dim(dim)]
    return memref.alloc(ir.MemRefType.get(type_.shape, type_.element_type), values, [])


def private_copy(init: ir.Value) -> ir.Value:
    """A buffer that holds what the tensor `init` does, to write to.

    It is the buffer of `init` itself where code between brackets made that, and nothing else uses it. Else it is a
    new one: of a fill it is filled, of an empty tensor it is not.
    """
    maker = owner(init)
    if maker is not None and maker.name == "bufferization.to_tensor" and len(list(init.uses)) == 1:
        return maker.operands[0]
    buffer = allocate_like(init.type, sizes(init))
    scalar = None if maker is None else filled_with(maker)
    if scalar is not None:
        linalg.fill(scalar, outs=[buffer])
    elif maker is None or maker.name != "tensor.empty":
        memref.copy(read(init), buffer)
    return buffer


def filled_with(maker: ir.Operation) -> ir.Value | None:
    """The scalar that `maker`, a `linalg.fill` or what generalizing makes of one, puts everywhere."""
    if maker.name == "linalg.fill":
        return maker.operands[0]
    if maker.name != "linalg.generic" or len(maker.results) != 1:
        return None
    block = maker.regions[0].blocks[0]
    if len(list(block.operations)) != 1:
        return None
    yielded = block.operations[0].operation.operands[0]
    operands = dict(zip(block.arguments, maker.operands, strict=True))
    scalar = operands.get(yielded, yielded)
    return None if isinstance(scalar.type, ir.ShapedType) else scalar


def give(buffer: ir.Value, result: ir.Value) -> None:
    """Makes the tensor of `buffer`, which nothing else writes from now on, stand for `result`."""
    done = bufferization.to_tensor(result.type, buffer, restrict=True, writable=True)
    result.replace_all_uses_with(done)


def give_list(buffer: ir.Value, result: ir.Value) -> None:
    """As `give`, of a one-dimensional buffer whose size `result` does not say."""
    dynamic = build.flat(ir.MemRefType(buffer.type).element_type)
    give(buffer if buffer.type == dynamic else memref.cast(dynamic, buffer), result)

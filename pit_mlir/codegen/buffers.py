"""Buffers as loops see them: extents, layout, and elements through an indexing map."""

from collections.abc import Iterator, Sequence

from pit_mlir.bindings import affine, arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index, flat, value

VIEWS = frozenset(
    f"memref.{name}"
    for name in ("cast", "collapse_shape", "expand_shape", "reinterpret_cast", "reshape", "subview", "view")
)


def extent(buffer: ir.Value, dim: int) -> Index:
    """The size of `buffer` along `dim`: a number, or the value it was allocated with, or a `memref.dim`."""
    type_ = ir.MemRefType(buffer.type)
    dynamic = ir.ShapedType.get_dynamic_size()
    if type_.shape[dim] != dynamic:
        return type_.shape[dim]
    maker = buffer.owner
    if not isinstance(maker, ir.Block) and maker.operation.name == "memref.alloc":
        return maker.operation.operands[type_.shape[:dim].count(dynamic)]
    return memref.dim(buffer, value(dim))


def same(left: Index, right: Index) -> bool:
    """Whether both are known to be equal; a `memref.dim` of one buffer is, however often it is asked."""
    if isinstance(left, int) or isinstance(right, int):
        return isinstance(left, int) and isinstance(right, int) and left == right
    return left == right or (dim_key(left) is not None and dim_key(left) == dim_key(right))


def dim_key(size: ir.Value) -> tuple[ir.Value, int] | None:
    """The buffer and the dimension that a `memref.dim` asks for, else None."""
    maker = size.owner
    if isinstance(maker, ir.Block) or maker.operation.name != "memref.dim":
        return None
    buffer, dim = maker.operation.operands
    if isinstance(dim.owner, ir.Block) or dim.owner.operation.name != "arith.constant":
        return None
    return buffer, ir.IntegerAttr(dim.owner.operation.attributes["value"]).value


def is_contiguous(buffer: ir.Value) -> bool:
    """Whether the type says that all elements follow one another in row-major order."""
    layout = ir.MemRefType(buffer.type).affine_map
    return layout == ir.AffineMap.get_identity(layout.n_dims)


def root(buffer: ir.Value) -> ir.Value:
    """The buffer that `buffer` is a view of."""
    while True:
        maker = buffer.owner
        if isinstance(maker, ir.Block) or maker.operation.name not in VIEWS:
            return buffer
        buffer = maker.operation.operands[0]


def coordinates_of(map_: ir.AffineMap, coordinates: Sequence[Index]) -> list[ir.Value]:
    """`map_` at `coordinates`."""
    values: list[ir.Value] = []
    for expression in map_.results:
        if isinstance(expression, ir.AffineDimExpr):
            values.append(value(coordinates[expression.position]))
        elif isinstance(expression, ir.AffineConstantExpr):
            values.append(value(expression.value))
        else:
            point = [value(coordinate) for coordinate in coordinates]
            values.append(affine.apply(ir.AffineMap.get(map_.n_dims, 0, [expression]), point))
    return values


def load(buffer: ir.Value, map_: ir.AffineMap, coordinates: Sequence[Index]) -> ir.Value:
    """The element of `buffer` that `map_` selects; a scalar stands for itself."""
    if not isinstance(buffer.type, ir.MemRefType):
        return buffer
    return memref.load(buffer, coordinates_of(map_, coordinates))


def store(element: ir.Value, buffer: ir.Value, map_: ir.AffineMap, coordinates: Sequence[Index]) -> None:
    """Writes `element` where `map_` says."""
    memref.store(element, buffer, coordinates_of(map_, coordinates))


def has_unit_stride(operand: ir.Value) -> bool:
    """Whether neighbours along the last dimension are neighbours in memory, as far as the type tells."""
    strides, _ = ir.MemRefType(operand.type).get_strides_and_offset()
    return bool(strides) and strides[-1] == 1


def is_allocated(buffer: ir.Value) -> bool:
    """Whether the program makes `buffer` itself, and on the heap."""
    maker = buffer.owner
    return not isinstance(maker, ir.Block) and maker.operation.name == "memref.alloc"


def users(buffer: ir.Value) -> Iterator[ir.Operation]:
    """The operations that read or write `buffer`, or views of it; asking for a size is neither."""
    for use in buffer.uses:
        user = use.owner.operation
        if user.name in VIEWS:
            yield from users(user.results[0])
        elif user.name != "memref.dim":
            yield user


def load_index(buffer: ir.Value, position: Index) -> ir.Value:
    """The i32 at `position` of `buffer` as an `index`."""
    return arith.index_cast(ir.IndexType.get(), memref.load(buffer, [build.value(position)]))


def metadata(buffer: ir.Value) -> tuple[ir.Value, Index, list[Index]]:
    """The memory that `buffer` lies in, where it begins there, and its strides: numbers where the type has them."""
    memory, offset, *others = memref.ExtractStridedMetadataOp(buffer).operation.results
    known_strides, known_offset = ir.MemRefType(buffer.type).get_strides_and_offset()
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    strides: list[Index] = [
        known if known != dynamic else given
        for known, given in zip(known_strides, others[len(known_strides) :], strict=True)
    ]
    return memory, offset if known_offset == dynamic else known_offset, strides


FLAT_SIZE = 1 << 40
"""The nominal size of a flat buffer: addresses are computed inside the tensor, nothing reads the size."""


def flattened(buffer: ir.Value) -> tuple[ir.Value, Index, list[Index]]:
    """All that `buffer` lies in as a flat buffer, where it begins there, and its strides."""
    memory, offset, strides = metadata(buffer)
    dynamic = ir.ShapedType.get_dynamic_size()
    type_ = flat(ir.MemRefType(buffer.type).element_type)
    return (
        memref.reinterpret_cast(type_, memory, [], [value(FLAT_SIZE)], [], [0], [dynamic], [1]),
        offset,
        strides,
    )

"""Copies between buffers of any layout: one more element-wise operation."""

from pit_mlir.bindings import ir, linalg


def emit_copy(source: ir.Value, target: ir.Value) -> None:
    """Builds the kernel that copies `source` to `target`, of one shape."""
    from pit_mlir.codegen.gpu.loops import emit
    from pit_mlir.codegen.nest import nest_of
    from pit_mlir.dialect.structured import Structured

    identity = ir.AffineMap.get_identity(ir.MemRefType(source.type).rank)
    element = ir.MemRefType(source.type).element_type
    op = ir.Operation.create(
        "linalg.generic",
        operands=[source, target],
        attributes={
            "indexing_maps": ir.ArrayAttr.get([ir.AffineMapAttr.get(identity)] * 2),
            "iterator_types": ir.ArrayAttr.get(
                [ir.Attribute.parse("#linalg.iterator_type<parallel>")] * identity.n_dims
            ),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 1]),
        },
        regions=1,
    )
    block = op.regions[0].blocks.append(element, element)
    with ir.InsertionPoint(block):
        linalg.yield_([block.arguments[0]])
    view = Structured.of(op)
    assert view is not None
    emit(nest_of(view))
    op.erase()

"""Named linalg operations become `linalg.generic`, except those whose name says more than their maps."""

from pit_mlir.bindings import ir, linalg
from pit_mlir.dialect.structured import Iterator, empty_generic
from pit_mlir.passes.normal_form.scope import tensor_blocks

# Fills tell the init of a reduction from data. The rest has no generic form.
_KEPT = frozenset({"linalg.fill", "linalg.generic", "linalg.pack", "linalg.softmax", "linalg.unpack"})
_KEPT_KINDS = ("linalg.winograd",)


def generalize_named(module: ir.Operation) -> None:
    """Generalises the transposes, broadcasts, contractions and element-wise operations below `module`."""
    for block in tensor_blocks(module):
        for child in list(block.operations):
            op = child.operation
            if op.name.startswith("linalg.") and len(op.results) > 0 and not _is_kept(op.name):
                _generalize(op)


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith(_KEPT_KINDS)


def _generalize(op: ir.Operation) -> None:
    """Moves the body, which every named operation carries unprinted, into a generic with the same maps."""
    attributes = linalg.get_indexing_maps(op)  # pyright: ignore[reportAttributeAccessIssue]
    maps = [ir.AffineMapAttr(attribute).value for attribute in attributes]
    count = len(op.results)
    operands = list(op.operands)
    kept = {
        dim
        for map_ in maps[-count:]
        for dim in range(map_.n_dims)
        if any(isinstance(e, ir.AffineDimExpr) and e.position == dim for e in map_.results)
    }
    iterators: list[Iterator] = ["parallel" if dim in kept else "reduction" for dim in range(maps[0].n_dims)]
    with ir.InsertionPoint(op), op.location:
        generic = empty_generic(operands[:-count], operands[-count:], maps, iterators)
    op.regions[0].blocks[0].append_to(generic.regions[0])
    for old, new in zip(op.results, generic.results, strict=True):
        old.replace_all_uses_with(new)
    op.erase()

"""Where normalisation works: the blocks that hold tensor code, and upstream passes run over all of it."""

from collections.abc import Collection, Iterator

from pit_mlir.bindings import PassManager, ir

# The body of one of these, if any, is scalar code, not a place where tensors are made.
_SCALAR_BODIES = ("linalg.", "tm_tensor.", "tensor.", "arith.")


def tensor_blocks(op: ir.Operation) -> Iterator[ir.Block]:
    """Every block below `op` that may hold tensor operations, outer ones first."""
    for region in op.regions:
        for block in region.blocks:
            yield block
            for child in block.operations:
                operation = child.operation
                if not operation.name.startswith(_SCALAR_BODIES) and len(operation.regions) > 0:
                    yield from tensor_blocks(operation)


def generics(op: ir.Operation) -> list[ir.Operation]:
    """Every `linalg.generic` on tensors below `op`, in order; safe to rewrite while going through it."""
    children = (child.operation for block in tensor_blocks(op) for child in block.operations)
    return [child for child in children if child.name == "linalg.generic" and len(child.results) > 0]


def operations(op: ir.Operation, names: Collection[str]) -> dict[str, list[ir.Operation]]:
    """Every operation below `op` that has one of `names`, bodies included, by name."""
    found: dict[str, list[ir.Operation]] = {name: [] for name in names}

    def collect(child: ir.Operation) -> ir.WalkResult:
        if child.name in found:
            found[child.name].append(child.operation)
        return ir.WalkResult.ADVANCE

    op.walk(collect)
    return found


def upstream(pipeline: str, context: ir.Context) -> PassManager:
    """A runner of upstream passes on a module.

    Verification between passes would take most of the time (8 of 11 ms for a 12-layer BERT); the result of
    normalisation is verified once, at its end.
    """
    manager = PassManager.parse(f"builtin.module({pipeline})", context)
    manager.enable_verifier(False)
    return manager

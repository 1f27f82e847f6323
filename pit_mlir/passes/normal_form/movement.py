"""Pure movement of values: transposes, broadcasts, copies, reshapes and iotas; it folds into maps."""

from pit_mlir.bindings import ir
from pit_mlir.passes.normal_form.scope import tensor_blocks

_RESHAPES = frozenset({"tensor.expand_shape", "tensor.collapse_shape"})
_FOLDING_USERS = _RESHAPES | {"linalg.generic"}


def is_reshape(op: ir.Operation) -> bool:
    """Whether `op` only regroups dimensions."""
    return op.name in _RESHAPES


def is_copy(op: ir.Operation) -> bool:
    """Whether `op` is a generic that yields an input unchanged: a transpose, a broadcast, a copy."""
    if op.name != "linalg.generic" or len(op.results) != 1:
        return False
    body = op.regions[0].blocks[0].operations
    if len(body) != 1:
        return False
    value = body[0].operation.operands[0]
    inputs = op.attributes["operandSegmentSizes"][0]
    return isinstance(value, ir.BlockArgument) and value.arg_number < inputs


def is_iota(op: ir.Operation) -> bool:
    """Whether `op` is a generic without inputs whose elements are their position along one dimension."""
    if op.name != "linalg.generic" or len(op.results) != 1 or op.attributes["operandSegmentSizes"][0] != 0:
        return False
    names = [child.operation.name for child in op.regions[0].blocks[0].operations]
    return names in (["linalg.index", "linalg.yield"], ["linalg.index", "arith.index_cast", "linalg.yield"])


def is_movement(op: ir.Operation) -> bool:
    """Whether `op` computes nothing and can fold into the maps of its users."""
    return is_reshape(op) or is_copy(op) or is_iota(op)


def separate_users(module: ir.Operation) -> None:
    """Gives each user that movement can fold into a copy of its own: upstream folds single-use producers.

    The copies that do not fold become one again by CSE.
    """
    for block in tensor_blocks(module):
        for child in list(block.operations):
            op = child.operation
            if is_movement(op):
                _clone_per_user(op)


def _clone_per_user(op: ir.Operation) -> None:
    uses = list(op.results[0].uses)
    folding = [use for use in uses if use.owner.operation.name in _FOLDING_USERS]
    if len(folding) == len(uses):
        folding = folding[1:]
    for use in folding:
        clone = op.clone(ir.InsertionPoint(op))
        use.owner.operation.operands[use.operand_number] = clone.results[0]

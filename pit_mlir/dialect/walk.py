"""Finds operations, and collects them by name, so that a pass may change them while it goes through the list."""

from collections.abc import Callable

from pit_mlir.bindings import ir


def operations(root: ir.Operation, *names: str) -> list[ir.Operation]:
    """All operations in `root` whose name is one of `names`, in order; an operation comes before what it holds."""
    found: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name in names:
            found.append(op)
        return ir.WalkResult.ADVANCE

    root.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def outermost(root: ir.Operation, *names: str) -> list[ir.Operation]:
    """The operations in `root` whose name is one of `names` and that stand in no other such one, in order."""
    found: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name not in names:
            return ir.WalkResult.ADVANCE
        found.append(op)
        return ir.WalkResult.SKIP

    root.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def has_any(root: ir.Operation, is_wanted: Callable[[ir.Operation], bool]) -> bool:
    """Whether `is_wanted` says so of `root` or an operation in it."""
    found = False

    def visit(op: ir.Operation) -> ir.WalkResult:
        nonlocal found
        found = is_wanted(op)
        return ir.WalkResult.INTERRUPT if found else ir.WalkResult.ADVANCE

    root.walk(visit)
    return found


def is_inside(op: ir.Operation, name: str) -> bool:
    """Whether an operation `name` holds `op`."""
    parent = op.parent
    while parent is not None:
        if parent.operation.name == name:
            return True
        parent = parent.operation.parent
    return False

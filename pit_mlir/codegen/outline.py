"""Code in functions of its own: shared by all that need the same, with a stack frame that ends where it ends."""

from collections.abc import Callable, Sequence

from pit_mlir.bindings import func, ir


def outline(name: str, arguments: Sequence[ir.Value], emit: Callable[[Sequence[ir.Value]], None]) -> None:
    """Calls the private function `name` with `arguments` at the insertion point; it is made on first use.

    `emit` gets the function's own arguments, in the same order, and builds its body, which returns nothing. What the
    body allocates on the stack is freed at each return: tasks that one thread runs do not pile up.
    """
    anchor = ir.InsertionPoint.current.block.owner.operation
    while anchor.parent.operation.name != "builtin.module":
        anchor = anchor.parent.operation
    if name not in ir.SymbolTable(anchor.parent.operation):
        with ir.InsertionPoint(anchor.block):
            function = func.FuncOp(name, ([value.type for value in arguments], []), visibility="private")
        with ir.InsertionPoint(function.add_entry_block()):
            emit(list(function.arguments))
            func.ReturnOp([])
    func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))

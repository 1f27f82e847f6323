"""Code in a function of its own: what a task allocates on the stack is freed when the task ends."""

from collections.abc import Callable, Sequence

from pit_mlir.bindings import func, ir


def outline(name: str, arguments: Sequence[ir.Value], emit: Callable[[Sequence[ir.Value]], None]) -> None:
    """Makes the private function `name` and calls it here with `arguments`.

    `emit` gets the function's own arguments, in the same order, and builds its body, which returns nothing.
    """
    block = ir.InsertionPoint.current.block
    anchor = block.owner
    while anchor.operation.parent.operation.name != "builtin.module":
        anchor = anchor.operation.parent
    with ir.InsertionPoint(anchor):
        function = func.FuncOp(name, ([value.type for value in arguments], []), visibility="private")
    with ir.InsertionPoint(function.add_entry_block()):
        emit(list(function.arguments))
        func.ReturnOp([])
    func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))

"""What the rules work on: functions of one block."""

from collections.abc import Iterator

from pit_mlir.bindings import PassManager, ir
from pit_mlir.dialect.structured import owner


def functions_of(op: ir.Operation) -> Iterator[ir.Operation]:
    """The functions of the module `op` (or `op` itself) whose body is one block."""
    if op.name == "func.func":
        candidates = [op]
    else:
        candidates = [child.operation for child in op.regions[0].blocks[0].operations]
    for function in candidates:
        if function.name == "func.func" and len(function.regions[0].blocks) == 1:
            yield function


def merge_equal(op: ir.Operation) -> None:
    """Equal pure operations become one, unused ones vanish."""
    PassManager.parse(f"{op.name}(cse,trivial-dce)").run(op)


def erase_unused(value: ir.Value) -> None:
    """Erases the structured operation that makes `value` if nothing uses it, and so on with what it read."""
    maker = owner(value)
    if maker is None or maker.name != "linalg.generic" or any(list(result.uses) for result in maker.results):
        return
    operands = list(maker.operands)
    maker.erase()
    for operand in dict.fromkeys(operands):
        erase_unused(operand)

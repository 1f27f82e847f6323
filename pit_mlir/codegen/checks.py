"""Conditions that compiled code checks: a failure is recorded by the runtime and raised after the call."""

from collections.abc import Sequence
from functools import reduce

from pit_mlir.bindings import arith, func, ir
from pit_mlir.codegen.build import Index, select, when
from pit_mlir.dialect.location import location_text

CHECKS_ATTRIBUTE = "pit.checks"
FAILED_FUNCTION = "pit_check_failed"


def check(condition: ir.Value, message: str, op: ir.Operation) -> None:
    """Records a failure where the `i1` `condition` is false; the call raises `message` with the place of `op`."""
    failure = arith.xori(condition, arith.constant(condition.type, 1))
    with when(failure):
        fail(message, op)


def where_all(
    fits: Sequence[ir.Value], sizes: Sequence[Index], message: str, op: ir.Operation
) -> list[Index]:
    """`sizes`; all 0, so that no loop leaves a buffer, and a failed check, where one of `fits` (i1) is false."""
    if not fits:
        return list(sizes)
    all_fit = reduce(arith.andi, fits)
    check(all_fit, message, op)
    return [select(all_fit, size, 0) for size in sizes]


def fail(message: str, op: ir.Operation) -> None:
    """Records that the check `message` at `op` failed; the program goes on."""
    module = enclosing_module(op)
    number = check_number(module, f"{location_text(op.location)}: {message}")
    i64 = ir.IntegerType.get_signless(64)
    declare(module, FAILED_FUNCTION, [i64])
    func.call([], FAILED_FUNCTION, [arith.constant(i64, number)])


def enclosing_module(op: ir.Operation) -> ir.Operation:
    """The outermost operation around `op`."""
    operation = op.operation
    while (parent := operation.parent) is not None:
        operation = parent.operation
    return operation


def check_number(module: ir.Operation, message: str) -> int:
    """The number of `message` in the module's table, where it is put if it is new."""
    attributes = module.attributes
    known = [text.value for text in attributes[CHECKS_ATTRIBUTE]] if CHECKS_ATTRIBUTE in attributes else []
    if message not in known:
        known.append(message)
        attributes[CHECKS_ATTRIBUTE] = ir.ArrayAttr.get([ir.StringAttr.get(text) for text in known])
    return known.index(message)


def declare(
    module: ir.Operation, name: str, inputs: list[ir.Type], results: tuple[ir.Type, ...] = ()
) -> None:
    """Declares the runtime's function `name` in `module` unless it is."""
    block = module.regions[0].blocks[0]
    for op in block.operations:
        attributes = op.operation.attributes
        if "sym_name" in attributes and ir.StringAttr(attributes["sym_name"]).value == name:
            return
    with ir.InsertionPoint.at_block_begin(block), ir.Location.unknown():
        func.FuncOp(name, ir.FunctionType.get(inputs, list(results)), visibility="private")

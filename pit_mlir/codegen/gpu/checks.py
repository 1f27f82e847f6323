"""Conditions that kernels check: the first failure in the program's order is kept in a word in the device's memory."""

from pit_mlir.bindings import arith, func, ir, memref
from pit_mlir.codegen.build import value
from pit_mlir.codegen.checks import check_number, enclosing_module
from pit_mlir.dialect.location import location_text

WORD_FUNCTION = "pit_gpu_check_word"
"""The runtime's function that gives the word: all ones, or the smallest number of a check that failed."""


def check_word(op: ir.Operation) -> ir.Value:
    """The word as a buffer, asked for once at the start of the function around `op`."""
    function = op.operation
    while function.name != "func.func":
        function = function.parent.operation
    entry = function.regions[0].blocks[0]
    for known in entry.operations:
        operation = known.operation
        if operation.name == "func.call" and operation.attributes["callee"] == ir.FlatSymbolRefAttr.get(
            WORD_FUNCTION
        ):
            return operation.results[0]
    type_ = ir.MemRefType.get([1], ir.IntegerType.get_signless(32))
    declare_word(enclosing_module(op), type_)
    with ir.InsertionPoint.at_block_begin(entry):
        return func.CallOp([type_], ir.FlatSymbolRefAttr.get(WORD_FUNCTION), []).results[0]


def declare_word(module: ir.Operation, type_: ir.Type) -> None:
    """Declares the runtime's function in `module` unless it is."""
    if WORD_FUNCTION in ir.SymbolTable(module):
        return
    with ir.InsertionPoint.at_block_begin(module.regions[0].blocks[0]), ir.Location.unknown():
        made = func.FuncOp(WORD_FUNCTION, ir.FunctionType.get([], [type_]), visibility="private")
        made.operation.attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()


def fail(word: ir.Value, message: str, op: ir.Operation) -> None:
    """Inside of a kernel: records that the check `message` at `op` failed; the program goes on."""
    number = check_number(enclosing_module(op), f"{location_text(op.location)}: {message}")
    i32 = ir.IntegerType.get_signless(32)
    memref.atomic_rmw(arith.AtomicRMWKind.minu, arith.constant(i32, number), word, [value(0)])

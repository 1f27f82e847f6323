"""`pit-widen-booleans`: truth values in memory are bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir, llvm
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class WidenBooleans(Pass):
    """Makes loads and stores of `i1` in the LLVM dialect ones of `i8`, which LLVM vectorises.

    An `i1` takes a byte in memory either way; a byte that is not 0 counts as true.
    """

    name: ClassVar[str] = "pit-widen-booleans"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-widened": "Accesses of one byte instead of one bit",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Scalars only: vectors of `i1` are packed bits in LLVM, and nobody may load them."""
        with op.context:
            truth, byte = ir.IntegerType.get_signless(1), ir.IntegerType.get_signless(8)
            for access in operations(op, "llvm.load", "llvm.store", "llvm.getelementptr"):
                report.count("num-widened", widen(access, truth, byte))


def widen(op: ir.Operation, truth: ir.Type, byte: ir.Type) -> bool:
    """Makes `op`, if it reads, writes or finds an element of type `truth`, do so with a `byte`; whether it does."""
    if op.name == "llvm.load" and op.results[0].type == truth:
        with ir.InsertionPoint(op), op.location:
            value = llvm.load(byte, op.operands[0])
            zero = llvm.mlir_constant(ir.IntegerAttr.get(byte, 0))
            result = llvm.icmp(llvm.ICmpPredicate.ne, value, zero)
        op.results[0].replace_all_uses_with(result)
        op.erase()
    elif op.name == "llvm.store" and op.operands[0].type == truth:
        with ir.InsertionPoint(op), op.location:
            llvm.store(llvm.zext(byte, op.operands[0]), op.operands[1])
        op.erase()
    elif op.name == "llvm.getelementptr" and ir.TypeAttr(op.attributes["elem_type"]).value == truth:
        op.attributes["elem_type"] = ir.TypeAttr.get(byte)
    else:
        return False
    return True

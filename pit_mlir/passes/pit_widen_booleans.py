"""`pit-widen-booleans`: truth values in memory are bytes."""

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

    def run(self, op: ir.Operation, report: Report) -> None:
        """Scalars only: vectors of `i1` are packed bits in LLVM, and nobody may load them."""
        with op.context:
            truth, byte = ir.IntegerType.get_signless(1), ir.IntegerType.get_signless(8)
            for load in operations(op, "llvm.load"):
                if load.results[0].type == truth:
                    with ir.InsertionPoint(load), load.location:
                        value = llvm.load(byte, load.operands[0])
                        zero = llvm.mlir_constant(ir.IntegerAttr.get(byte, 0))
                        result = llvm.icmp(llvm.ICmpPredicate.ne, value, zero)
                    load.results[0].replace_all_uses_with(result)
                    load.erase()
            for store in operations(op, "llvm.store"):
                if store.operands[0].type == truth:
                    with ir.InsertionPoint(store), store.location:
                        llvm.store(llvm.zext(byte, store.operands[0]), store.operands[1])
                    store.erase()
            for address in operations(op, "llvm.getelementptr"):
                if ir.TypeAttr(address.attributes["elem_type"]).value == truth:
                    address.attributes["elem_type"] = ir.TypeAttr.get(byte)

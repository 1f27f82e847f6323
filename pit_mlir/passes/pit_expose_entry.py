"""`pit-expose-entry`: the calling convention of a program's function."""

from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class ExposeEntry(Pass):
    """Gives `entry` a C interface and declares its arguments read-only; other functions become private."""

    name: ClassVar[str] = "pit-expose-entry"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    entry: str = "main"

    def run(self, op: ir.Operation, report: Report) -> None:
        """Sets the attributes; argument attributes of ours, which translation does not know, are dropped."""
        with op.context:
            for function in op.regions[0].blocks[0].operations:
                if function.operation.name != "func.func" or not function.operation.regions[0].blocks:
                    continue
                attributes = function.operation.attributes
                if ir.StringAttr(attributes["sym_name"]).value != self.entry:
                    attributes["sym_visibility"] = ir.StringAttr.get("private")
                    continue
                attributes["llvm.emit_c_interface"] = ir.UnitAttr.get()
                # Arguments are the caller's weights and inputs: bufferization must not reuse their memory.
                read_only = ir.DictAttr.get({"bufferization.writable": ir.BoolAttr.get(False)})
                count = len(function.operation.regions[0].blocks[0].arguments)
                attributes["arg_attrs"] = ir.ArrayAttr.get([read_only] * count)

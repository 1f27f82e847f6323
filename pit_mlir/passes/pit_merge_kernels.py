"""`pit-merge-kernels`: one module of kernels, each of them once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

MODULE = "kernels"
"""The name of the module that holds all kernels of a program."""
ALIGNMENT, LARGE_ALIGNMENT = 16, 1024
"""In bytes: what one instruction reads at once, and after how many the pattern of a 128-byte swizzle repeats."""


@dataclass(frozen=True)
class MergeKernels(Pass):
    """Moves the kernels of all `gpu.module` operations into one, and launches one of those that are equal.

    What the layers of a model repeat is compiled once; a program is one image that is loaded once.
    """

    name: ClassVar[str] = "pit-merge-kernels"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    statistics: ClassVar[Mapping[str, str]] = {
        "num-kernels": "Kernels of the program",
        "num-equal": "Kernels that were equal to another one",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Kernels are named `<what they are>_<number>`; a program without any has an empty module."""
        modules = operations(op, "gpu.module")
        if [ir.StringAttr(module.attributes["sym_name"]).value for module in modules] == [MODULE]:
            return
        with op.context, ir.Location.unknown():
            with ir.InsertionPoint.at_block_begin(op.regions[0].blocks[0]):
                merged = ir.Operation.create(
                    "gpu.module", attributes={"sym_name": ir.StringAttr.get(MODULE)}, regions=1
                )
            target = merged.regions[0].blocks.append()
            new_names = move_all(modules, target, report)
            for launch in operations(op, "gpu.launch_func"):
                name = new_names[tuple(ir.SymbolRefAttr(launch.attributes["kernel"]).value)]
                launch.attributes["kernel"] = ir.SymbolRefAttr.get([MODULE, name])


def move_all(modules: list[ir.Operation], target: ir.Block, report: Report) -> dict[tuple[str, ...], str]:
    """Moves what `modules` hold to `target`; the new name of each kernel by its old path."""
    renamed: dict[tuple[str, ...], str] = {}
    by_text: dict[str, str] = {}
    symbols: set[str] = set()
    for module in modules:
        path = ir.StringAttr(module.attributes["sym_name"]).value
        for view in list(module.regions[0].blocks[0].operations):
            inner = view.operation
            name = ir.StringAttr(inner.attributes["sym_name"]).value
            if inner.name != "gpu.func":
                # Globals have the names that they had in the program.
                if name not in symbols:
                    symbols.add(name)
                    target.append(inner)
                continue
            align_shared(inner)
            text = text_without_name(inner)
            if text in by_text:
                report.count("num-equal")
            else:
                report.count("num-kernels")
                by_text[text] = f"{re.sub(r'_kernel(_[0-9]+)?$', '', name)}_{len(by_text)}"
                inner.attributes["sym_name"] = ir.StringAttr.get(by_text[text])
                target.append(inner)
            renamed[path, name] = by_text[text]
        module.erase()
    return renamed


def align_shared(kernel: ir.Operation) -> None:
    """Buffers in shared memory start where instructions that read many bytes, and patterns of banks, need it."""
    count = (
        ir.IntegerAttr(kernel.attributes["workgroup_attributions"]).value
        if ("workgroup_attributions" in kernel.attributes)
        else 0
    )
    inputs = len(ir.FunctionType(ir.TypeAttr(kernel.attributes["function_type"]).value).inputs)
    buffers = list(kernel.regions[0].blocks[0].arguments)[inputs : inputs + count]
    if not buffers:
        return
    i64 = ir.IntegerType.get_signless(64)
    kernel.attributes["workgroup_attrib_attrs"] = ir.ArrayAttr.get(
        [
            ir.DictAttr.get({"llvm.align": ir.IntegerAttr.get(i64, alignment_of(ir.MemRefType(buffer.type)))})
            for buffer in buffers
        ]
    )


def alignment_of(type_: ir.MemRefType) -> int:
    """The alignment of a buffer in shared memory: that of the swizzle of tensor cores where it is large."""
    return LARGE_ALIGNMENT if prod(type_.shape) >= LARGE_ALIGNMENT else ALIGNMENT


def text_without_name(kernel: ir.Operation) -> str:
    """What two equal kernels have in common."""
    name = kernel.attributes["sym_name"]
    kernel.attributes["sym_name"] = ir.StringAttr.get("kernel")
    text = kernel.get_asm(use_local_scope=True)
    kernel.attributes["sym_name"] = name
    return text

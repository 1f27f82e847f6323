"""`pit-serialize-kernels`: kernels become the images that a program carries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import gpu_object, ir
from pit_mlir.codegen.gpu.ptx import Image, build_image, llvm_ir, ptx
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass
from pit_mlir.target import OLDEST_CHIP

CUBIN, PTX = 2, 3
"""How `gpu.binary` numbers the formats of objects."""


@dataclass(frozen=True)
class SerializeKernels(Pass):
    """Compiles each `gpu.module` for `chip`, and keeps its machine code, and PTX for newer chips, in a `gpu.binary`.

    The features of a chip such as sm_90a belong to it alone, so its PTX would help no other one. Without ptxas, or
    where kernels are not to be `assembled`, there is only PTX, which the driver compiles.
    """

    name: ClassVar[str] = "pit-serialize-kernels"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    statistics: ClassVar[Mapping[str, str]] = {
        "num-images": "Images of kernels",
        "num-spills": "Bytes that threads spill in all kernels",
    }

    chip: str = OLDEST_CHIP
    assembled: bool = True

    def run(self, op: ir.Operation, report: Report) -> None:
        """Raises `PlatformError` without a compiler for GPUs, `PassError` for what it refuses."""
        with op.context:
            for module in operations(op, "gpu.module"):
                image = build_image(module, self.chip, assembled=self.assembled)
                objects = list(objects_of(module, image))
                report.count("num-images", len(objects))
                spilled = [use.spill_loads + use.spill_stores for use in image.use.values()]
                report.count("num-spills", sum(spilled))
                with ir.InsertionPoint(module), module.location:
                    ir.Operation.create(
                        "gpu.binary",
                        attributes={
                            "sym_name": module.attributes["sym_name"],
                            "objects": ir.ArrayAttr.get(objects),
                            "offloadingHandler": ir.Attribute.parse("#gpu.select_object"),
                        },
                    )
                module.erase()


def objects_of(module: ir.Operation, image: Image) -> Iterator[ir.Attribute]:
    """The objects of a `gpu.binary` for `image`."""
    if image.cubin:
        yield gpu_object(nvvm_target(image.chip), CUBIN, image.cubin)
    if not image.chip.endswith("a"):
        text = image.ptx if image.chip == OLDEST_CHIP else ptx(llvm_ir(module), OLDEST_CHIP)
        yield gpu_object(nvvm_target(OLDEST_CHIP), PTX, text.encode())
    elif not image.cubin:
        yield gpu_object(nvvm_target(image.chip), PTX, image.ptx.encode())


def nvvm_target(chip: str) -> ir.Attribute:
    """The attribute that names a chip."""
    return ir.Attribute.parse(f'#nvvm.target<chip = "{chip}">')

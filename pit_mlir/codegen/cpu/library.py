"""`tm_tensor` operations on buffers that upstream has loops for."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.brackets import give, private_copy, read
from pit_mlir.codegen.cpu.lowering import CpuLowering


def lower_library(op: ir.Operation, lowering: CpuLowering) -> None:
    """A `tm_tensor` operation, on buffers: the loops it stands for are built after bufferization."""
    count = len(op.results)
    inputs = [
        read(operand) if isinstance(operand.type, ir.RankedTensorType) else operand
        for operand in list(op.operands)[: len(op.operands) - count]
    ]
    outputs = [private_copy(operand) for operand in list(op.operands)[len(op.operands) - count :]]
    on_buffers = ir.Operation.create(
        op.name,
        operands=[*inputs, *outputs],
        attributes={name: op.attributes[name] for name in op.attributes},
        regions=len(op.regions),
    )
    for region, old in zip(on_buffers.regions, op.regions, strict=True):
        while list(old.blocks):
            old.blocks[0].append_to(region)
    for buffer, result in zip(outputs, op.results, strict=True):
        give(buffer, result)

"""`pit.attend` on buffers: a call of a kernel that all attentions of the same form share."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.attention import Attention, attention_of
from pit_mlir.codegen.brackets import allocate_like, give, sizes
from pit_mlir.codegen.cpu.attend_kernel import emit_attend
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.fingerprint import block_lines, digest
from pit_mlir.codegen.outline import outline
from pit_mlir.dialect.attend import AttendOp
from pit_mlir.dialect.element import elements
from pit_mlir.target import Host


def lower_attend(operation: ir.Operation, lowering: CpuLowering) -> None:
    """Code for a `pit.attend` at the insertion point, and its result in the place of the operation's."""
    op = operation.opview
    assert isinstance(op, AttendOp)
    init = operation.operands[3]
    result = allocate_like(init.type, sizes(init))
    attention = attention_of(op, lowering.indices, result)
    call_kernel(op, attention, lowering.host)
    give(result, operation.results[0])


def call_kernel(op: AttendOp, attention: Attention, host: Host) -> None:
    """Calls the kernel for `attention`, which is built on first use."""
    types = [str(value.type) for value in attention.values]
    name = f"pit_attend_{digest([*fingerprint(op, attention), str(host.vector_bits), str(types)])}"

    def emit(arguments: Sequence[ir.Value]) -> None:
        inside, _ = attention.rebound(arguments)
        emit_attend(inside, host, f"{name}_task")

    outline(name, attention.values, emit)


def fingerprint(op: AttendOp, attention: Attention) -> list[str]:
    """Lines that two attentions share if one kernel serves both."""
    attributes = op.operation.attributes
    lines = [f"{name}={attributes[name]}" for name in sorted(attributes)]
    lines += [str(element.positions) for element in attention.elements]
    numbers = {element.source: f"t{number}" for number, element in enumerate(elements(attention.body))}
    numbers |= {scalar: f"c{number}" for number, scalar in enumerate(attention.captured)}
    return lines + block_lines(attention.body, numbers)

"""What the lowering of a function to code on buffers knows on every machine, and the rule that needs no machine."""

from dataclasses import dataclass, field

from pit_mlir.bindings import ir
from pit_mlir.codegen.index_buffers import IndexBuffers


@dataclass
class Lowering:
    """The buffers of each `!pit.index`."""

    indices: dict[ir.Value, IndexBuffers] = field(default_factory=dict[ir.Value, IndexBuffers], kw_only=True)


def lower_mark(op: ir.Operation, lowering: Lowering) -> None:
    """A mark has said what it had to say."""
    op.results[0].replace_all_uses_with(op.operands[0])

"""What the lowering of one function to code for the CPU knows."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pit_mlir.bindings import ir
from pit_mlir.codegen.index_buffers import Sample
from pit_mlir.codegen.lowering import Lowering
from pit_mlir.target import Host


@dataclass
class CpuLowering(Lowering):
    """The machine, what is expected of each tensor whose lists are not made yet (see `deferred_lists`), and what each
    `pit.choice` says."""

    host: Host
    samples: dict[ir.Value, Sample] = field(default_factory=dict[ir.Value, Sample])
    choices: dict[ir.Value, ir.Value] = field(default_factory=dict[ir.Value, ir.Value])


Rule = Callable[[ir.Operation, CpuLowering], None]
"""Code at the insertion point in the place of an operation, whose results it replaces."""

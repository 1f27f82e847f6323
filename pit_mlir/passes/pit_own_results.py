"""`pit-own-results`: results are whole buffers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import bufferization, ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

VIEWS = frozenset({"tensor.cast", "tensor.collapse_shape", "tensor.expand_shape", "tensor.reshape"})
"""Operations whose result has the memory of their first operand, in the same order."""
FRESH = frozenset(
    {
        *("arith.constant", "bufferization.alloc_tensor", "bufferization.to_tensor", "tensor.empty"),
        *("tensor.from_elements", "tensor.generate", "tensor.pad", "tensor.splat"),
    }
)
"""Operations whose result has contiguous memory of its own."""


@dataclass(frozen=True)
class OwnResults(Pass):
    """Copies a returned tensor whose buffer may be a part of another one.

    Bufferization casts such a buffer to the contiguous type of the result, which it does not have.
    """

    name: ClassVar[str] = "pit-own-results"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-copied": "Results that are copied",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Arguments and constants may be returned as they are: the runtime copies them."""
        with op.context:
            for back in operations(op, "func.return"):
                for number, result in enumerate(list(back.operands)):
                    if isinstance(result.type, ir.RankedTensorType) and not is_whole(result):
                        with ir.InsertionPoint(back), back.location:
                            back.operands[number] = bufferization.alloc_tensor(result.type, [], copy=result)
                        report.count("num-copied")


def is_whole(value: ir.Value) -> bool:
    """Whether the buffer of the tensor `value` will be contiguous and not a part of another one."""
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        if op.name in FRESH:
            return True
        if op.name in VIEWS:
            value = op.operands[0]
        elif op.name == "tensor.insert_slice":
            value = op.operands[1]
        elif op.name.startswith("linalg.") and "operandSegmentSizes" in op.attributes:
            inputs = op.attributes["operandSegmentSizes"][0]
            value = op.operands[inputs + list(op.results).index(value)]
        else:
            return False
    return True

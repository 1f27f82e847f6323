"""`pit.choice`: what a contraction expected of each list that it could follow, for somebody who wants to look at it."""

from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation, require


class ChoiceOp(PitOperation, name="choice", traits=[ext.Pure]):
    """How the `pit.contract` that makes `result` has chosen among its lists, and none.

    `numbers` begin with the number of the one that was followed. Then come as many numbers for each candidate, in the
    order of the indices, the last one without a list: the entries that its list was expected to have, and what each
    phase of the work was expected to cost (see `codegen/cpu/contract_choice.py`).

    ```mlir
    %numbers = "pit.choice"(%result) : (tensor<4x8xf32>) -> tensor<?xi64>
    ```
    """

    result: ext.Operand[ir.RankedTensorType]
    numbers: ext.Result[ir.RankedTensorType]

    def verify_op(self) -> None:
        """The result is that of a contraction, and the numbers are i64."""
        given, expected = self.operation.results[0].type, numbers_type()
        require(given == expected, "gives {}, expected {}", given, expected)
        maker = self.operation.operands[0].owner
        is_made = isinstance(maker, ir.Operation | ir.OpView) and maker.operation.name == "pit.contract"
        require(is_made, "asks about {}, expected the result of a pit.contract", self.operation.operands[0])


def numbers_type() -> ir.Type:
    """The type of the numbers."""
    dynamic = ir.ShapedType.get_dynamic_size()
    return ir.RankedTensorType.get([dynamic], ir.IntegerType.get_signless(64))


def choice(result: ir.Value) -> ir.Value:
    """The numbers of the choice behind `result`; see `ChoiceOp`."""
    op: Any = ChoiceOp(result, numbers_type())
    return op.operation.results[0]

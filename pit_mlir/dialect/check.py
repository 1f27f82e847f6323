"""`pit.check`: a condition that must hold at run time; where it does not, the call raises."""

from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation, require


class CheckOp(PitOperation, name="check"):
    """Raises an error with `message` at the end of the call if `condition` is false.

    It replaces the `cf.assert` of imported models, which would abort the process. `condition` is an `i1` or a
    tensor of rank 0 of it. The program goes on after a failed check, so nothing may rely on one for its safety.

    ```mlir
    "pit.check"(%ok) {message = "index out of range"} : (i1) -> ()
    ```
    """

    condition: ext.Operand[Any]
    message: Any

    def verify_op(self) -> None:
        """The condition is a truth value, the message a text."""
        given = self.condition.type
        i1 = ir.IntegerType.get_signless(1, given.context)
        scalar = given == i1
        rank_zero = isinstance(given, ir.RankedTensorType) and given.rank == 0 and given.element_type == i1
        require(scalar or rank_zero, "condition must be i1 or tensor<i1>, got {}", given)
        attributes = self.operation.attributes
        require("message" in attributes, "requires attribute 'message'")
        require(
            isinstance(attributes["message"], ir.StringAttr),
            "attribute 'message' must be a string, got {}",
            attributes["message"],
        )


def check(condition: ir.Value, message: str) -> None:
    """Makes the call raise `message` if `condition` (i1 or tensor<i1>) is false."""
    CheckOp(condition, ir.StringAttr.get(message))

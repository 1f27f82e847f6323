"""Which code stands for which operation on a GPU."""

from pit_mlir.codegen.gpu.contract import lower_contract
from pit_mlir.codegen.gpu.lowering import Rule

RULES: dict[str, Rule] = {
    "pit.contract": lower_contract,
}
"""For each operation that `pit-lower-to-gpu` lowers, the rule that does it."""

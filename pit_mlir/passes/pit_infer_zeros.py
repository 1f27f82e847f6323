"""`pit-infer-zeros`: shows where zeros come from and who knows where they are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.analysis.facts import Assumptions
from pit_mlir.analysis.zeros import Fact, MaskedKeys, Zeros, masked_keys
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import owner
from pit_mlir.passes.base import Pass
from pit_mlir.passes.rules.functions import functions_of


@dataclass(frozen=True)
class InferZeros(Pass):
    """Says of each value where it is 0, -inf or false, and which tensor knows where.

    The facts are remarks: nothing is written into the module, for attributes cannot name masks. With `masks`
    values that hold integers or truth values are shown as well.
    """

    name: ClassVar[str] = "pit-infer-zeros"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {
        "num-facts": "Facts about zeros in values that were shown",
    }

    masks: bool = False

    def run(self, op: ir.Operation, report: Report) -> None:
        """Remarks on every function in the module."""
        for function in functions_of(op):
            self.show(function, report)

    def show(self, function: ir.Operation, report: Report) -> None:
        """One remark for each fact about a value of `function`."""
        names = Names(function)
        for value, fact in Zeros(function.regions[0].blocks[0]):
            maker = owner(value)
            is_float = isinstance(ir.RankedTensorType(value.type).element_type, ir.FloatType)
            if maker is not None and (is_float or self.masks):
                report.count("num-facts")
                report.remark(location_text(maker.location), fact_text(value, fact, names), topic="zeros")
        for op in function.regions[0].blocks[0].operations:
            if op.operation.name == "pit.mark" and "approximation" in op.operation.attributes:
                approximation = ir.StringAttr(op.operation.attributes["approximation"]).value
                text = f"an approximation that the model asks for; assumes: {approximation}"
                report.remark(location_text(op.location), text)
            for masked in masked_keys(op.operation) if op.operation.name == "pit.attend" else ():
                report.remark(location_text(op.location), keys_text(masked, names), topic="zeros")


class Names:
    """How values are called in messages: arguments as the model calls them, others by their places."""

    def __init__(self, function: ir.Operation) -> None:
        self.function = function

    def of(self, value: ir.Value) -> str:
        """The name of `value`."""
        maker = owner(value)
        if maker is not None:
            return f"the result at {location_text(maker.location)}"
        number = ir.BlockArgument(value).arg_number
        if "arg_attrs" in self.function.attributes:
            attributes = self.function.attributes["arg_attrs"][number]
            if "pit.name" in attributes:
                return f"'{attributes['pit.name'].value}'"
        return f"argument {number}"


def fact_text(value: ir.Value, fact: Fact, names: Names) -> str:
    """`its result is 0 where 'mask' is 0 (product)`: who knows where, and what made it so."""
    is_bool = ir.RankedTensorType(value.type).element_type == ir.IntegerType.get_signless(1)
    if is_bool:
        held = "true" if fact.value else "false"
    else:
        held = "-inf" if fact.value == -math.inf else str(fact.value)
    where = "is 0" if fact.source.where_zero else "is not 0"
    teller = "the value itself" if fact.source.tensor == value else names.of(fact.source.tensor)
    maker = owner(value)
    here = "" if maker is None else f" at {location_text(maker.location)}"
    cause = fact.origin.removesuffix(here)
    if fact.source.tensor == value and fact.source.where_zero:
        return (
            f"its result is {held} at places that only its values tell ({cause}){assumed(fact.assumptions)}"
        )
    return f"its result is {held} where {teller} {where} ({cause}){assumed(fact.assumptions)}"


def keys_text(masked: MaskedKeys, names: Names) -> str:
    """What masks the keys of an attention."""
    where = "is 0" if masked.condition.where_zero else "is not 0"
    mask = names.of(masked.condition.tensor)
    return f"keys are left out, their scores are -inf, where {mask} {where}{assumed(masked.assumptions)}"


def assumed(assumptions: Assumptions) -> str:
    """What a fact assumes, for the end of a message."""
    return "".join(f"; assumes: {name}" for name in sorted(assumptions))

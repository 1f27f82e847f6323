"""Fingerprints: texts that two pieces of code share if one function serves both."""

import hashlib
from collections.abc import Iterable, MutableMapping

from pit_mlir.bindings import ir


def operation_lines(operation: ir.Operation, numbers: MutableMapping[ir.Value, str]) -> list[str]:
    """`operation`, and what it holds, as text in which values stand under their names in `numbers`.

    What it defines gets a name there. A value from outside that has no name must be a constant and stands for
    itself. Locations do not count.
    """
    operands = [numbers.get(operand) or constant_text(operand) for operand in operation.operands]
    attributes = operation.attributes
    properties = sorted(f"{name}={attributes[name]}" for name in attributes)
    name_all(operation.results, numbers)
    results = [str(result.type) for result in operation.results]
    lines = [f"{operation.name} {operands} {properties} {results}"]
    for region in operation.regions:
        for block in region.blocks:
            lines += block_lines(block, numbers)
    return lines


def block_lines(block: ir.Block, numbers: MutableMapping[ir.Value, str]) -> list[str]:
    """The arguments of `block`, which get names unless they have them, and its operations."""
    name_all((argument for argument in block.arguments if argument not in numbers), numbers)
    lines = [f"block {[str(argument.type) for argument in block.arguments]}"]
    for op in block.operations:
        lines += operation_lines(op.operation, numbers)
    return lines


def name_all(values: Iterable[ir.Value], numbers: MutableMapping[ir.Value, str]) -> None:
    """Gives each of `values` the next name."""
    for value in values:
        numbers[value] = f"v{len(numbers)}"


def is_constant(value: ir.Value) -> bool:
    """Whether `value` is made by `arith.constant`."""
    owner = value.owner
    return not isinstance(owner, ir.Block) and owner.operation.name == "arith.constant"


def constant_text(value: ir.Value) -> str:
    """What the constant `value` is. Its operation is not printed: that numbers all values of the function around."""
    assert is_constant(value), f"a value from outside without a name: {value.type}"
    return str(value.owner.operation.attributes["value"])


def digest(lines: Iterable[str]) -> str:
    """A short name for `lines`."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

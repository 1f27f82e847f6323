"""Which results stay tensors of their own while upstream's element-wise fusion folds movement around them."""

from collections.abc import Iterator
from contextlib import contextmanager

from pit_mlir.bindings import ir
from pit_mlir.dialect.pin import pin
from pit_mlir.passes.normal_form.movement import is_copy, is_iota
from pit_mlir.passes.normal_form.scope import tensor_blocks


@contextmanager
def pinned(module: ir.Operation) -> Iterator[None]:
    """Pins, for the time of the block, every value that fusion must not swallow."""
    pins: list[ir.Operation] = []
    for block in tensor_blocks(module):
        values = [value for child in block.operations for value in _values_to_pin(child.operation)]
        if values:
            end = block.operations[len(block.operations) - 1]
            with ir.InsertionPoint(end), ir.Location.unknown(module.context):
                pins.append(pin(values))
    try:
        yield
    finally:
        for op in pins:
            op.erase()


def _values_to_pin(op: ir.Operation) -> Iterator[ir.Value]:
    """Float results of what computes, and what a contraction reads: in its body no zeros would be seen."""
    if op.name != "linalg.generic" or is_copy(op) or is_iota(op):
        return
    for result in op.results:
        if _is_float(result) or any(_is_contraction(use.owner.operation) for use in result.uses):
            yield _end_of_expansion(result)


def _is_float(value: ir.Value) -> bool:
    element = ir.ShapedType(value.type).element_type
    return isinstance(element, (ir.FloatType, ir.ComplexType))


def _is_contraction(op: ir.Operation) -> bool:
    """Whether `op` is a generic that combines several inputs under a reduction."""
    if op.name != "linalg.generic" or op.attributes["operandSegmentSizes"][0] < 2:
        return False
    return any("reduction" in str(kind) for kind in op.attributes["iterator_types"])


def _end_of_expansion(value: ir.Value) -> ir.Value:
    """`value`, or what `expand_shape` makes of it where that is its only use, so that the two still fold."""
    while True:
        uses = list(value.uses)
        if len(uses) != 1 or uses[0].owner.operation.name != "tensor.expand_shape":
            return value
        value = uses[0].owner.operation.results[0]

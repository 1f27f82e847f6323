"""One-hot tensors: along an iterator their elements are zero but at one position, that of an integer.

What routes work is made so: `one_hot` of chosen experts, comparisons of an expert's number with all of them. Where
the zeros are is then the very content of the tensor, which tells it like a mask.
"""

from pit_mlir.analysis.facts import Operand
from pit_mlir.analysis.permutation import deltas
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner, projection

CASTS = ("arith.index_cast", "arith.index_castui", "arith.trunci", "arith.extsi", "arith.extui")


def is_one_hot(view: Structured) -> bool:
    """Whether the result of `view` is proved to be zero but at one position along one of its iterators."""
    if "reduction" in view.iterators or not any(is_integer(value) for value in view.inputs):
        return False
    for iterator, delta in enumerate(deltas(view.op)):
        if delta is None or not isinstance(delta.position, Operand) or delta.value is None:
            continue
        number = delta.position.number
        positions = projection(view.maps[number]) or ()
        if iterator in positions and counts(view.inputs[number], positions.index(iterator)):
            return True
    return False


def is_integer(value: ir.Value) -> bool:
    """Whether `value` is a tensor of integers or indices."""
    element = ir.ShapedType(value.type).element_type if isinstance(value.type, ir.ShapedType) else value.type
    return isinstance(element, ir.IntegerType | ir.IndexType)


def counts(value: ir.Value, dim: int) -> bool:
    """Whether the elements of `value` are the positions along `dim`, hence distinct."""
    maker = owner(value)
    view = None if maker is None else Structured.of(maker)
    if view is None or view.inputs or len(view.outputs) != 1:
        return False
    found = owner(view.yields[0])
    while found is not None and found.name in CASTS:
        found = owner(found.operands[0])
    out = projection(view.output_maps[0])
    return (
        found is not None
        and out is not None
        and found.name == "linalg.index"
        and found.attributes["dim"].value == out[dim]
    )

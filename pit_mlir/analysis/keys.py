"""Keys: what names the places at which a mask is live.

One-hot rows, the gates of routed experts, a comparison with the number of one expert: they are 0 wherever a tensor of
integers, the key, differs from the position along a dimension, or from a number (delta facts, T12). Who wants the live
places then asks the key, which is much smaller than the mask and whose places are all listed in one pass.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pit_mlir.analysis.axes import RESHAPES
from pit_mlir.analysis.expressions import constant_of
from pit_mlir.analysis.gathers import counts_up
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner, projection

DELTA = re.compile(r"(d|operand )(\d+) = (operand )?(-?\d+)")
"""A delta fact in `pit.deltas` whose position has a name: an operand or a number."""


@dataclass(frozen=True)
class Key:
    """A value is 0 where `tensor` differs from its position along dimension `along`, or from `number` if that is given.

    Dimension i of `tensor` is dimension `dims[i]` of the value; None is one that the value sums over: it is 0 where no
    element along it is equal.
    """

    tensor: ir.Value
    dims: tuple[int | None, ...]
    along: int | None = None
    number: int | None = None


def key_of(value: ir.Value, along: int | None) -> Key | None:
    """The key of `value` along the dimension `along`, or, for None, one that is compared with a number."""
    op = owner(value)
    if op is None:
        return None
    if op.name in RESHAPES and op.name != "tensor.pad":
        return moved(op, along)
    view = Structured.on_tensors(op)
    if view is None or view.index is not None or len(view.outputs) != 1:
        return None
    output = projection(view.output_maps[0])
    if output is None or len(set(output)) != len(output) or not rests_at_zero(view):
        return None
    iterator = None if along is None else output[along]
    return compared(view, output, iterator) or carried(view, output, iterator)


def rests_at_zero(view: Structured) -> bool:
    """Whether the result of `view` is 0 where nothing is added to it."""
    start = constant_of(view.outputs[0])
    return "reduction" not in view.iterators or (start is not None and start.value == 0)


def moved(op: ir.Operation, along: int | None) -> Key | None:
    """The key of a value that is reshaped, sliced or joined, in terms of what it is then."""
    sources = RESHAPES[op.name](op)
    if len(sources) != 1:
        return None
    source, dims = sources[0]
    before = None if along is None else dims[along]
    found = None if along is not None and before is None else key_of(source, before)
    if found is None or any(dim is not None and dim not in dims for dim in found.dims):
        return None
    return replace(found, dims=renamed(found.dims, dims), along=along)


def compared(view: Structured, output: Sequence[int], iterator: int | None) -> Key | None:
    """The key that the body of `view` compares, by its delta facts."""
    if "pit.deltas" not in view.op.attributes:
        return None
    facts = [ir.StringAttr(fact).value for fact in view.op.attributes["pit.deltas"]]
    for at, fact in enumerate(facts):
        found = DELTA.fullmatch(fact)
        if found is None or (iterator is not None and at != iterator):
            continue
        position, is_operand, number = int(found[2]), found[3] is not None, int(found[4])
        if iterator is None and found[1] != "d" and not is_operand:
            return Key(view.inputs[position], key_dims(view, position, output), number=number)
        if iterator is not None and is_operand and is_position(view, found[1], position, iterator):
            along = list(output).index(iterator)
            return Key(view.inputs[number], key_dims(view, number, output), along=along)
    return None


def is_position(view: Structured, kind: str, number: int, iterator: int) -> bool:
    """Whether the iterator, or the operand, `number` is the position along `iterator`."""
    if kind == "d":
        return number == iterator
    return projection(view.maps[number]) == (iterator,) and counts_up(view.inputs[number])


def carried(view: Structured, output: Sequence[int], iterator: int | None) -> Key | None:
    """The key of an operand of `view`, whose result is 0 (or nothing is added) where the operand is."""
    if "pit.annihilates" not in view.op.attributes:
        return None
    for number, annihilates in enumerate(view.op.attributes["pit.annihilates"]):
        positions = projection(view.maps[number])
        if not annihilates.value or positions is None or len(set(positions)) != len(positions):
            continue
        if not isinstance(view.inputs[number].type, ir.RankedTensorType):
            continue
        if iterator is not None and iterator not in positions:
            continue
        found = key_of(view.inputs[number], None if iterator is None else positions.index(iterator))
        if found is not None:
            iterators = [None if dim is None else positions[dim] for dim in found.dims]
            along = None if iterator is None else list(output).index(iterator)
            return replace(found, dims=renamed(iterators, output), along=along)
    return None


def key_dims(view: Structured, number: int, output: Sequence[int]) -> tuple[int | None, ...]:
    """The dimensions of the result of `view` that those of input `number` are."""
    return renamed(projection(view.maps[number]) or (), output)


def renamed(dims: Sequence[int | None], names: Sequence[int | None]) -> tuple[int | None, ...]:
    """The place of each of `dims` among `names`; None for one that is not there."""
    return tuple(list(names).index(dim) if dim is not None and dim in names else None for dim in dims)

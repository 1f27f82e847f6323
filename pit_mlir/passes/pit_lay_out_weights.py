"""`pit-lay-out-weights`: frozen weights lie the way their contractions read them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import func, ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.element import ElementOp, element, elements
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.pit import int_array
from pit_mlir.dialect.structured import Iterator as Kind
from pit_mlir.dialect.structured import build_generic, iterators_of, projection, projection_map
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass
from pit_mlir.passes.contractions.panels import pack_weights
from pit_mlir.passes.pit_split_frozen import Split, functions


@dataclass(frozen=True)
class LayOutWeights(Pass):
    """Lay weights out the way that contractions read them fastest: in panels, or transposed for a list.

    What a contraction would pack of a weight in every call is packed once: into panels as wide as the register tile,
    which its kernel reads in place. A weight that something else reads as it is stays as it is, since packed weights
    replace the others and do not double them.

    A `pit.contract` that lists entries of a reduction iterator k reads, of the operand that the list was not made
    of, one row for each entry. Of a weight (n, k), as torch keeps it, that is a column: every cache line for one
    element of it. So it is kept transposed.

    Both cost more than they save if they are done at every call, so the pass is for frozen weights
    (`pit-split-frozen` moves the work out of @main).
    """

    name: ClassVar[str] = "pit-lay-out-weights"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-packed": "Weights kept in panels",
        "num-transposed": "Weights kept transposed",
        "num-left": "Weights left as they are, because something else reads them too",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """See `Pass`."""
        with op.context:
            for contract in list(operations(op, "pit.contract")):
                for read, order in list(strided_weights(contract)):
                    report.remark(
                        location_text(contract.location), "the frozen weight is kept transposed, for its list"
                    )
                    transpose(contract, read, order)
                    report.count("num-transposed")
            for function in functions(op):
                pack_weights(function, frozen_values(function), report)


def frozen_values(function: func.FuncOp) -> set[ir.Value]:
    """The weights of `function`, and what is computed from them alone."""
    split = Split.of(function)
    return {*split.weights, *(result for op in split.frozen for result in op.results)}


def strided_weights(contract: ir.Operation) -> Iterator[tuple[ElementOp, list[int]]]:
    """The reads of weights that a list addresses along the innermost dimension, and a better order of dimensions."""
    iterators, group = iterators_of(contract), int_array(contract, "group")
    listed = [position for position in group if iterators[position] == "reduction"]
    if len(listed) != 1:
        return
    segments = [position for position in group if position not in listed]
    for read in elements(contract.regions[0].blocks[0]):
        dims = projection(read.operation.attributes["map"].value)
        if dims is None or not is_weight(read.source) or read.operation.attributes["compact"].value:
            continue
        is_other = not set(segments) & set(dims)
        if len(dims) > 1 and dims[-1] == listed[0] and is_other:
            yield read, [len(dims) - 1, *range(len(dims) - 1)]


def is_weight(value: ir.Value) -> bool:
    """Whether `value` is an argument of its function with `pit.kind = "weight"`."""
    if not isinstance(value.owner, ir.Block):
        return False
    function = value.owner.owner.operation
    if function.name != "func.func" or "arg_attrs" not in function.attributes:
        return False
    named = ir.DictAttr(function.attributes["arg_attrs"][ir.BlockArgument(value).arg_number])
    return "pit.kind" in named and ir.StringAttr(named["pit.kind"]).value == "weight"


def transpose(contract: ir.Operation, read: ElementOp, order: Sequence[int]) -> None:
    """Lets `contract` read the weight of `read` with its dimensions in `order`."""
    type_ = ir.RankedTensorType(read.source.type)
    map_ = read.operation.attributes["map"].value
    dims = projection(map_)
    assert dims is not None, "the caller saw to it"
    with ir.InsertionPoint(contract), contract.location:
        empty = tensor.empty([extent(read.source, dim) for dim in order], type_.element_type)
        maps = [projection_map(type_.rank, range(type_.rank)), projection_map(type_.rank, order)]
        kinds: list[Kind] = ["parallel"] * type_.rank
        weight = build_generic([read.source], [empty], maps, kinds, lambda given, _: [given]).results[0]
    with ir.InsertionPoint(read.operation), read.operation.location:
        made = element(weight, projection_map(map_.n_dims, [dims[dim] for dim in order]))
    read.operation.results[0].replace_all_uses_with(made)
    read.operation.erase()

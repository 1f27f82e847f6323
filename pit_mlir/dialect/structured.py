"""One view of structured operations, `linalg.generic` and `pit.generic` alike: operands, maps, iterators, body."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pit_mlir.bindings import ir

Iterator = Literal["parallel", "reduction"]


@dataclass(frozen=True)
class Structured:
    """`inputs` and `outputs` with one indexing map each over `iterators`; `body` is the region's block.

    `scalars` are the values in the body that stand for the elements: one per input, then one per output. A
    `pit.generic` has an `index` over the iterators `group`, and the operands numbered `compact` hold rows.
    """

    op: ir.Operation
    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    maps: tuple[ir.AffineMap, ...]
    iterators: tuple[Iterator, ...]
    body: ir.Block
    scalars: tuple[ir.Value, ...]
    index: ir.Value | None = None
    group: tuple[int, ...] = ()
    compact: frozenset[int] = frozenset()

    @staticmethod
    def of(op: ir.Operation | ir.OpView) -> "Structured | None":
        """The view of `op` if it is a `linalg.generic` or a `pit.generic`, else None."""
        operation = op.operation
        if operation.name == "linalg.generic":
            return linalg_view(operation)
        return pit_view(operation) if operation.name == "pit.generic" else None

    @staticmethod
    def on_tensors(op: ir.Operation | ir.OpView) -> "Structured | None":
        """As `of`, but None for an operation on buffers, which has no values to follow."""
        has_buffers = any(isinstance(operand.type, ir.MemRefType) for operand in op.operation.operands)
        return None if has_buffers else Structured.of(op)

    @property
    def input_maps(self) -> tuple[ir.AffineMap, ...]:
        """The maps of the inputs."""
        return self.maps[: len(self.inputs)]

    @property
    def output_maps(self) -> tuple[ir.AffineMap, ...]:
        """The maps of the outputs."""
        return self.maps[len(self.inputs) :]

    @property
    def yields(self) -> tuple[ir.Value, ...]:
        """What the body yields, one value an output."""
        return tuple(self.body.operations[len(self.body.operations) - 1].operands)

    @property
    def location(self) -> ir.Location:
        """The source location of the operation."""
        return self.op.location


def linalg_view(operation: ir.Operation) -> Structured:
    """The view of a `linalg.generic`: every operand has its argument of the body."""
    inputs = operation.attributes["operandSegmentSizes"][0]
    operands = list(operation.operands)
    body = operation.regions[0].blocks[0]
    return Structured(
        operation,
        tuple(operands[:inputs]),
        tuple(operands[inputs:]),
        maps_of(operation),
        iterators_of(operation),
        body,
        tuple(body.arguments),
    )


def pit_view(operation: ir.Operation) -> Structured:
    """The view of a `pit.generic`: the inputs are what `pit.element` reads in the body."""
    body = operation.regions[0].blocks[0]
    reads = [op.operation for op in body.operations if op.operation.name == "pit.element"]
    outputs = list(operation.operands)[:-1]
    flags = [read.attributes["compact"].value for read in reads]
    flags += [operation.attributes["compact"].value] * len(outputs)
    return Structured(
        operation,
        tuple(read.operands[0] for read in reads),
        tuple(outputs),
        (*(read.attributes["map"].value for read in reads), *maps_of(operation)),
        iterators_of(operation),
        body,
        (*(read.results[0] for read in reads), *body.arguments),
        operation.operands[len(outputs)],
        tuple(operation.attributes["group"]),
        frozenset(number for number, flag in enumerate(flags) if flag),
    )


def maps_of(operation: ir.Operation) -> tuple[ir.AffineMap, ...]:
    """The maps of the attribute `indexing_maps`."""
    return tuple(attribute.value for attribute in operation.attributes["indexing_maps"])


def iterators_of(operation: ir.Operation) -> tuple[Iterator, ...]:
    """The kinds of the attribute `iterator_types`."""
    # One text for all of them: printing is what costs here, and every view of an operation asks.
    kinds = operation.attributes["iterator_types"]
    texts = str(kinds).split(",") if len(kinds) else []
    return tuple("reduction" if "reduction" in text else "parallel" for text in texts)


def projection(map_: ir.AffineMap) -> tuple[int, ...] | None:
    """The iterators `map_` selects, in order, if each of its results is one iterator as a whole; else None."""
    positions: list[int] = []
    for expression in map_.results:
        if not isinstance(expression, ir.AffineDimExpr):
            return None
        positions.append(expression.position)
    return tuple(positions)


def projection_map(count: int, positions: Sequence[int]) -> ir.AffineMap:
    """The map over `count` iterators that selects `positions`."""
    return ir.AffineMap.get(count, 0, [ir.AffineDimExpr.get(position) for position in positions])


def iterator_attribute(iterators: Sequence[Iterator]) -> ir.ArrayAttr:
    """`iterators` as linalg's `iterator_types` attribute."""
    return ir.ArrayAttr.get([ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in iterators])


def build_generic(
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    maps: Sequence[ir.AffineMap],
    iterators: Sequence[Iterator],
    body: Callable[..., Sequence[ir.Value]],
) -> ir.Operation:
    """A `linalg.generic` on tensors at the current insertion point.

    `body` gets one scalar per input and then per output, and returns the values to yield; one result per output.
    """
    op = empty_generic(inputs, outputs, maps, iterators)
    types = [ir.ShapedType(value.type).element_type for value in (*inputs, *outputs)]
    block = op.regions[0].blocks.append(*types)
    with ir.InsertionPoint(block):
        # Not linalg.YieldOp: importing linalg's op classes takes longer than everything else a tool does at its start.
        ir.Operation.create("linalg.yield", operands=list(body(*block.arguments)))
    return op


def empty_generic(
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    maps: Sequence[ir.AffineMap],
    iterators: Sequence[Iterator],
) -> ir.Operation:
    """A `linalg.generic` on tensors whose region has no block yet: the caller appends or moves one there."""
    return ir.Operation.create(
        "linalg.generic",
        results=[value.type for value in outputs],
        operands=[*inputs, *outputs],
        attributes={
            "indexing_maps": ir.ArrayAttr.get([ir.AffineMapAttr.get(map_) for map_ in maps]),
            "iterator_types": iterator_attribute(iterators),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(inputs), len(outputs)]),
        },
        regions=1,
    )


def owner(value: ir.Value) -> ir.Operation | None:
    """The operation that makes `value`; None for a block argument."""
    maker = value.owner
    return None if isinstance(maker, ir.Block) else maker.operation


def is_used(value: ir.Value) -> bool:
    """Whether anything reads `value`."""
    return next(iter(value.uses), None) is not None

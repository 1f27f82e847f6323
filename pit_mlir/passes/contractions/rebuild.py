"""A `pit.contract` made anew with something changed; its regions move over."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.element import ElementOp
from pit_mlir.dialect.structured import Iterator, iterator_attribute, iterators_of, projection, projection_map
from pit_mlir.dialect.yield_ import yield_


@dataclass(frozen=True)
class Header:
    """Everything of a `pit.contract` but its regions; `positions` are the iterators of the result's dimensions."""

    init: ir.Value
    positions: tuple[int, ...]
    iterators: tuple[Iterator, ...]
    index: ir.Value | None
    group: tuple[int, ...]
    block: tuple[int, ...]
    compact: bool
    combine: str

    @staticmethod
    def of(op: ContractOp) -> "Header":
        """The header of `op`."""
        operation = op.operation
        operands, attributes = list(operation.operands), operation.attributes
        return Header(
            operands[0],
            projection(attributes["indexing_maps"][0].value) or (),
            iterators_of(operation),
            operands[1] if len(operands) == 2 else None,
            tuple(attributes["group"]),
            tuple(attributes["block"]),
            attributes["compact"].value,
            attributes["combine"].value,
        )


def rebuild(op: ContractOp, header: Header, *, before: ir.Operation | None = None) -> ContractOp:
    """Makes `op` anew with `header`, before `before` or in its place, and moves its regions.

    The uses of the old result are left to the caller, who erases `op`.
    """
    with ir.InsertionPoint(op.operation if before is None else before), op.operation.location:
        made = ContractOp(
            header.init,
            [] if header.index is None else [header.index],
            header.init.type,
            ir.ArrayAttr.get([ir.AffineMapAttr.get(projection_map(len(header.iterators), header.positions))]),
            iterator_attribute(header.iterators),
            ir.DenseI64ArrayAttr.get(list(header.group)),
            ir.DenseI64ArrayAttr.get(list(header.block)),
            ir.BoolAttr.get(header.compact),
            ir.StringAttr.get(header.combine),
        )
    for old, new in zip(op.operation.regions, made.operation.regions, strict=True):
        old.blocks[0].append_to(new)
        for inner in new.blocks[0].operations:
            if isinstance(inner.operation.opview, ElementOp):
                widen_map(inner.operation, len(header.iterators))
    return made


def widen_map(operation: ir.Operation, iterators: int) -> None:
    """Makes the map of a `pit.element` one over `iterators`, of which it uses the first ones."""
    positions = projection(operation.attributes["map"].value)
    assert positions is not None, "contractions read through selections of iterators"
    operation.attributes["map"] = ir.AffineMapAttr.get(projection_map(iterators, positions))


def replace_yield(block: ir.Block, values: Sequence[ir.Value]) -> None:
    """Makes `block` yield `values` instead."""
    last = block.operations[len(block.operations) - 1].operation
    location = last.location
    last.erase()
    with ir.InsertionPoint(block), location:
        yield_(list(values))

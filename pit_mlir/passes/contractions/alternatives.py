"""The lists that a contraction may follow: micro-tiles of several shapes, the best of which only a call can tell."""

from collections.abc import Sequence

from pit_mlir.analysis.cover import DENSE
from pit_mlir.bindings import ir
from pit_mlir.codegen.contract_alternatives import Alternative, micro_tile_of
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.index_buffers import WORD
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.detect import detect
from pit_mlir.dialect.structured import owner

HEIGHTS = (8, 16, 32)
"""Rows that may share a list."""


def name_of(alternative: Alternative | None) -> str:
    """What a user calls a list: the shape of its micro-tiles, rows by steps of the depth."""
    return DENSE if alternative is None else "{}x{}".format(*alternative.micro_tile)


def offer(op: ContractOp, open_indices: Sequence[ir.Value], choice: str) -> ContractOp:
    """`op` with all lists that it may follow, or with `choice` alone; one whose blocks were given keeps its list.

    `open_indices` are those whose blocks were not given.
    """
    operation = op.operation
    operands = list(operation.operands)
    plan = ContractPlan.of(op)
    if len(operands) != 2 or isinstance(plan, str) or plan.listed != "depth":
        return op
    block, group = list(operation.attributes["block"]), list(operation.attributes["group"])
    first = Alternative(operands[1], tuple(group), tuple(block))
    maker = owner(operands[1])
    lists = [first]
    if maker is not None and operands[1] in open_indices and micro_tile_of(maker) and plan.block_of("row"):
        lower = [list_of(maker, first, height) for height in heights_below(block[-1])]
        lists = [*lower, *(parts_of(maker, first, op) if lower else []), first]
    if choice:
        chosen = [one for one in lists if name_of(one) == choice]
        if not chosen and choice != DENSE:
            return op
        made = rebuilt(op, chosen, always=bool(chosen))
        for one in lists:
            erase_unused(one.index)
        return made
    return op if len(lists) == 1 else rebuilt(op, lists)


def erase_unused(index: ir.Value) -> None:
    """Erases what makes `index` if nothing uses it."""
    maker = owner(index)
    if maker is not None and not any(True for _ in index.uses):
        maker.erase()


def heights_below(block: int) -> list[int]:
    """The heights that are an alternative to blocks of `block` rows."""
    return [height for height in HEIGHTS if 2 * height <= block]


def list_of(maker: ir.Operation, like: Alternative, height: int) -> Alternative:
    """The list `like` for blocks of `height` rows."""
    block = (*like.block[:-1], height)
    with ir.InsertionPoint(maker), maker.location:
        index = detect(
            maker.operands[0],
            axis=list(maker.attributes["axis"]),
            segments=list(maker.attributes["segments"]),
            block=block,
            micro_tile=height,
        )
    return Alternative(index, like.group, block)


def parts_of(maker: ir.Operation, like: Alternative, op: ContractOp) -> list[Alternative]:
    """Lists of rows for each `WORD` steps of the depth, in place of the list `like`, if `op` can follow them."""
    *outer, row, depth = like.group
    group, block = (*outer, depth, row), (*like.block[:-1], WORD)
    plan = ContractPlan.of(op, group, block)
    steps = ir.RankedTensorType(maker.operands[0].type).shape[-1]
    # One part alone is a list of rows that are not zero throughout: all lists leave those out.
    if isinstance(plan, str) or plan.listed != "parts" or plan.has_tables or 0 <= steps <= WORD:
        return []
    *segments, axis = list(maker.attributes["segments"])
    with ir.InsertionPoint(maker), maker.location:
        index = detect(
            maker.operands[0],
            axis=[axis],
            segments=[*segments, *maker.attributes["axis"]],
            block=block,
            micro_tile=WORD,
        )
    return [Alternative(index, group, block, in_parts=True)]


def rebuilt(op: ContractOp, lists: Sequence[Alternative], *, always: bool = False) -> ContractOp:
    """`op` with `lists` in place of its own; without any it is dense."""
    old = op.operation
    attributes = old.attributes
    with ir.InsertionPoint(old), old.location:
        new = ContractOp(
            old.operands[0],
            [one.index for one in lists],
            old.results[0].type,
            attributes["indexing_maps"],
            attributes["iterator_types"],
            integers(lists[0].group if lists else ()),
            integers(lists[0].block if lists else ()),
            attributes["compact"],
            attributes["combine"],
        )
        if "tile" in attributes:
            new.operation.attributes["tile"] = attributes["tile"]
        if lists[1:]:
            new.operation.attributes["alternatives"] = ir.ArrayAttr.get([said(one) for one in lists[1:]])
        if always:
            new.operation.attributes["always"] = ir.UnitAttr.get()
    for mine, theirs in zip(new.operation.regions, old.regions, strict=True):
        theirs.blocks[0].append_to(mine)
    old.results[0].replace_all_uses_with(new.operation.results[0])
    old.erase()
    return new


def said(alternative: Alternative) -> ir.DictAttr:
    """Group and block of `alternative`, as an attribute."""
    return ir.DictAttr.get({"group": integers(alternative.group), "block": integers(alternative.block)})


def integers(numbers: Sequence[int]) -> ir.DenseI64ArrayAttr:
    """`numbers` as an attribute."""
    return ir.DenseI64ArrayAttr.get(list(numbers))

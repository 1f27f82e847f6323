"""The lists that a contraction may follow, and which of them are made where they are followed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pit_mlir.bindings import ir
from pit_mlir.codegen.index_buffers import WORD, MicroTile
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.detect import is_by_key


@dataclass(frozen=True)
class Alternative:
    """An index of a contraction, with its group and its blocks; `in_parts`: it lists rows for parts of the depth."""

    index: ir.Value
    group: tuple[int, ...]
    block: tuple[int, ...]
    in_parts: bool = False

    @property
    def micro_tile(self) -> MicroTile:
        """What an entry stands for, where neighbours share one."""
        size = max(self.block, default=1)
        return MicroTile(1, size) if self.in_parts else MicroTile(size, 1)


def alternatives_of(op: ir.Operation) -> list[Alternative | None]:
    """The indices of a `pit.contract`; one `None` if it has none."""
    operands, attributes = list(op.operands)[1:], op.attributes
    if not operands:
        return [None]
    further = attributes["alternatives"] if "alternatives" in attributes else []  # noqa: SIM401 has no get
    said: list[tuple[Any, Any]] = [(attributes["group"], attributes["block"])]
    said += [(one["group"], one["block"]) for one in map(ir.DictAttr, further)]
    is_depth = ["reduction" in str(kind) for kind in attributes["iterator_types"]]
    return [
        Alternative(index, tuple(group), tuple(block), lists_parts(tuple(group), is_depth))
        for index, (group, block) in zip(operands, said, strict=True)
    ]


def lists_parts(group: Sequence[int], is_depth: Sequence[bool]) -> bool:
    """Whether an index over `group` lists rows for each part of the depth."""
    return bool(group) and not is_depth[group[-1]] and any(is_depth[position] for position in group)


def is_deferred(op: ir.Operation) -> bool:
    """Whether the index of `op`, a `pit.detect`, is made where it is followed: one of several that bits tell.

    Who wants to look at it changes nothing for those.
    """
    users = [use.owner.operation for use in op.results[0].uses]
    followers = [user for user in users if user.name not in ("pit.lists", "pit.size")]
    return micro_tile_of(op) is not None and bool(followers) and all(map(is_choice, followers))


def is_choice(op: ir.Operation) -> bool:
    """Whether `op` is a contraction that may follow several lists, or was told to follow one."""
    return isinstance(op.opview, ContractOp) and (len(list(op.operands)) > 2 or "always" in op.attributes)


def micro_tile_of(op: ir.Operation) -> MicroTile | None:
    """What an entry of `op`, a `pit.detect`, stands for in its source, if bits of the rows of that tell it.

    They do for lists along the rows, for blocks of rows, and for lists of rows for parts that are a word of bits.
    """
    if is_by_key(op):
        return None
    rank = ir.RankedTensorType(op.operands[0].type).rank
    segments, axis, block = (list(op.attributes[name]) for name in ("segments", "axis", "block"))
    outer = list(range(rank - 2))
    if rank < 2 or any(size != 1 for size in block[:-1]):
        return None
    if axis == [rank - 1] and segments == [*outer, rank - 2]:
        return MicroTile(block[-1], 1)
    is_parts = axis == [rank - 2] and segments == [*outer, rank - 1] and block[-1] == WORD
    return MicroTile(1, WORD) if is_parts else None

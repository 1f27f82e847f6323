"""What the users of an index read of it: lists of segments, rows in the space of the whole group, bits."""

from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import iterators_of

WITHOUT_ROWS = frozenset(
    f"pit.{name}" for name in ("attend", "block_mask", "generic", "lists", "segment", "size")
)
"""Users of an index that go through the list of each segment, or only ask how long all are."""


def asks_for_rows(op: ir.Operation) -> bool:
    """Whether a user of the index reads where its rows are in the space of the whole group."""
    users = [use.owner.operation for use in op.results[0].uses]
    return any(user.name not in WITHOUT_ROWS and not sums_along_lists(user) for user in users)


def asks_for_bits(op: ir.Operation) -> bool:
    """Whether a user of the index reads what it lists in order."""
    return any(sums_along_lists(use.owner.operation) for use in op.results[0].uses)


def sums_along_lists(user: ir.Operation) -> bool:
    """Whether `user` is a contraction whose depth is listed."""
    if user.name != "pit.contract":
        return False
    iterators = iterators_of(user)
    return any(iterators[position] == "reduction" for position in user.attributes["group"])

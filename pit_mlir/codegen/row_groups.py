"""Which neighbouring operations work row by row, so that they can share one loop, or one kernel, over the rows."""

from collections.abc import Callable, Iterator, Sequence
from math import prod

from pit_mlir.bindings import ir
from pit_mlir.codegen.buffers import root, same
from pit_mlir.codegen.nest import Nest, innermost, nest_of, position
from pit_mlir.dialect.structured import Structured

SHORTEST_ROW = 32
"""Shorter rows are better off in one long loop per operation."""
FEWEST_ROWS = 16
"""Fewer rows leave threads without work."""
TRANSPARENT = frozenset({"memref.alloc", "memref.dim", "memref.get_global", "memref.cast", "affine.apply"})
"""Operations that may stand between those of a group: none of them touches the contents of a buffer."""


def is_transparent(op: ir.Operation) -> bool:
    """Whether `op` may stand between operations of a group."""
    return op.name in TRANSPARENT or op.name.startswith("arith.")


def rows_in_common(nests: Sequence[Nest]) -> int:
    """How many leading dimensions of all outputs are rows that the `nests` can go through together; 0 if none."""
    ranks = [len(map_.results) for nest in nests for map_ in nest.output_maps]
    most = min(min(ranks), max(ranks) - 1)
    return next((count for count in range(most, 0, -1) if are_rows(nests, count)), 0)


def are_rows(nests: Sequence[Nest], count: int) -> bool:
    """Whether a row, the first `count` dimensions of the outputs, depends on the same row of the others only."""
    leads = [row_iterators(nest, count) for nest in nests]
    if any(lead is None for lead in leads):
        return False
    rows = [lead for lead in leads if lead is not None]
    first = [nests[0].extents[d] for d in rows[0]]
    known = [size for size in first if isinstance(size, int)]
    if len(known) == len(first) and prod(known) < FEWEST_ROWS:
        return False
    for nest, lead in zip(nests, rows, strict=True):
        if not all(same(nest.extents[d], size) for d, size in zip(lead, first, strict=True)):
            return False
        if not has_long_rows(nest, lead):
            return False
    return all_agree(nests, rows, count)


def row_iterators(nest: Nest, count: int) -> list[int] | None:
    """The iterators of the first `count` dimensions of every output; None if outputs differ or one is no iterator."""
    leads = [[position(expression) for expression in list(map_.results)[:count]] for map_ in nest.output_maps]
    lead = [d for d in leads[0] if d is not None]
    parallels = nest.parallels()
    fits = len(lead) == count and len(set(lead)) == count and all(d in parallels for d in lead)
    return lead if fits and all(other == leads[0] for other in leads) else None


def has_long_rows(nest: Nest, rows: Sequence[int]) -> bool:
    """Whether the loops inside of a row are worth their overhead and are the ones that run along memory."""
    inside = [d for d in range(len(nest.extents)) if d not in rows]
    if not inside:
        return True
    # A size that is not known counts as long; no code is built to multiply it.
    sizes = [nest.extents[d] for d in inside]
    known = [size for size in sizes if isinstance(size, int)]
    long = len(known) < len(sizes) or prod(known) >= SHORTEST_ROW
    return long and innermost(nest, nest.parallels(), range(len(nest.extents))) not in rows


def all_agree(nests: Sequence[Nest], rows: Sequence[Sequence[int]], count: int) -> bool:
    """Whether every buffer that one of the `nests` writes is accessed row by row, and under one name, by all."""
    written = {root(operand): operand for nest in nests for operand in nest.operands[nest.inputs :]}
    for nest, lead in zip(nests, rows, strict=True):
        # A body that looks up elements may ask for any row.
        if not written.keys().isdisjoint(looked_up(nest.body)):
            return False
        for operand, map_ in zip(nest.operands, nest.maps, strict=True):
            if not isinstance(operand.type, ir.MemRefType) or root(operand) not in written:
                continue
            dims = [position(expression) for expression in list(map_.results)[:count]]
            if operand != written[root(operand)] or dims != list(lead):
                return False
    return True


def looked_up(body: ir.Block) -> set[ir.Value]:
    """The buffers that operations inside of `body` name themselves, beside what is passed to it."""
    found: set[ir.Value] = set()

    def visit(op: ir.Operation) -> ir.WalkResult:
        found.update(root(operand) for operand in op.operands if isinstance(operand.type, ir.MemRefType))
        return ir.WalkResult.ADVANCE

    for op in body.operations:
        op.operation.walk(visit)
    return found


Group = list[tuple[ir.Operation, Nest]]
"""Neighbouring operations with their nests."""


def groups_of(block: ir.Block, rows_in_common: Callable[[Sequence[Nest]], int]) -> Iterator[Group]:
    """The `linalg.generic` operations on buffers of `block` in order, as many at once as have `rows_in_common`.

    Who gets a group may replace its operations before it asks for the next one.
    """
    group: Group = []
    for op in [inner.operation for inner in block.operations]:
        if op.name != "linalg.generic" or op.results:
            if group and not is_transparent(op):
                yield group
                group = []
            continue
        view = Structured.of(op)
        assert view is not None
        with ir.InsertionPoint(op), op.location:
            nest = nest_of(view)
        if group and not rows_in_common([*(member for _, member in group), nest]):
            yield group
            group = []
        group.append((op, nest))
    if group:
        yield group

"""`pit-free-buffers`: gives each buffer back after its last use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir, llvm, memref
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

CAST = "builtin.unrealized_conversion_cast"
"""Makes bytes of a buffer of truth values, by way of its descriptor."""
ADDRESS = "memref.extract_aligned_pointer_as_index"
"""Who gets it, may use the buffer; so may who has a pointer that was made of it."""


@dataclass(frozen=True)
class FreeBuffers(Pass):
    """Inserts a `memref.dealloc` after the last use of each `memref.alloc`, views of it included.

    A buffer that leaves its block, as a result of the function or of a region, is left to the runtime: what a
    call allocated and does not return is freed at its end.
    """

    name: ClassVar[str] = "pit-free-buffers"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-freed": "Buffers freed",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Looks at each block on its own."""
        with op.context:
            by_block: dict[ir.Block, list[ir.Operation]] = {}
            for alloc in operations(op, "memref.alloc"):
                by_block.setdefault(alloc.block, []).append(alloc)
            for block, allocs in by_block.items():
                order = {inner.operation: number for number, inner in enumerate(block.operations)}
                ends = {number: inner for inner, number in order.items()}
                for alloc in allocs:
                    last = last_use(alloc, order)
                    if last is not None:
                        with ir.InsertionPoint.after(ends[last]), alloc.location:
                            memref.dealloc(alloc.results[0])
                        report.count("num-freed")


def last_use(alloc: ir.Operation, order: dict[ir.Operation, int]) -> int | None:
    """The position in `alloc`'s block of the last operation that may touch it; None if it escapes or is freed."""
    last = order[alloc]
    pending: list[ir.Value] = [alloc.results[0]]
    seen: set[ir.Value] = set(pending)
    while pending:
        for use in pending.pop().uses:
            user = use.owner.operation
            position = position_of(user, order)
            freed = user.name == "memref.dealloc"
            if freed or position is None or is_terminator_of_block(user, position, order):
                return None
            last = max(last, position)
            aliases = list(user.results) if not is_terminator(user) else list(user.parent.operation.results)
            for region in user.regions:
                for block in region.blocks:
                    aliases.extend(block.arguments)
            for alias in aliases:
                is_buffer = isinstance(alias.type, ir.MemRefType | ir.UnrankedMemRefType | llvm.PointerType)
                views = is_buffer or user.name in (CAST, ADDRESS)
                if views and alias not in seen:
                    seen.add(alias)
                    pending.append(alias)
    return last


def position_of(op: ir.Operation, order: dict[ir.Operation, int]) -> int | None:
    """The position of the operation of the block that holds `op`; None if `op` stands outside."""
    current = op
    while current not in order:
        parent = current.parent
        if parent is None:
            return None
        current = parent.operation
    return order[current]


def is_terminator(op: ir.Operation) -> bool:
    """Whether `op` passes values on to the operation around it."""
    return op.name in ("scf.yield", "scf.condition", "func.return", "memref.alloca_scope.return", "omp.yield")


def is_terminator_of_block(op: ir.Operation, position: int, order: dict[ir.Operation, int]) -> bool:
    """Whether `op` is itself the last operation of the block, which hands values out."""
    return position == len(order) - 1 and op in order

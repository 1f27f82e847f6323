"""`pit-select-tiles`: contractions become one operation each, with what stands around them and their tiles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.analysis.tiles import database
from pit_mlir.bindings import ir
from pit_mlir.codegen.contract_alternatives import alternatives_of
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.contract import ContractOp
from pit_mlir.dialect.detect import DetectOp
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Structured
from pit_mlir.passes.base import Pass
from pit_mlir.passes.contractions.absorb import (
    absorb_epilogue,
    absorb_producer,
    absorb_read,
    absorb_write,
)
from pit_mlir.passes.contractions.alternatives import name_of, offer
from pit_mlir.passes.contractions.blocks import choose_block
from pit_mlir.passes.contractions.form import form
from pit_mlir.passes.contractions.join import join_users
from pit_mlir.passes.contractions.parts import part
from pit_mlir.passes.rules.functions import functions_of

Absorb = Callable[[ContractOp], ContractOp | None]

STEPS: tuple[tuple[str, Absorb], ...] = (
    # First what is read, so that a gather behind a cast or a mask is seen.
    ("element-wise work on its operands", absorb_producer),
    ("a gather while packing", absorb_read),
    # Then what becomes of the sums, the scatter last: nothing can follow it.
    ("element-wise work on its results", absorb_epilogue),
    ("a gather while packing", absorb_read),
    ("a scatter on store", absorb_write),
)


@dataclass(frozen=True)
class SelectTiles(Pass):
    """Forms `pit.contract` of contractions, with gathers, element-wise work and scatters around them; chooses tiles.

    A contraction is a `linalg.generic` or `pit.generic` whose body adds a product of two factors over different
    iterators. Blocks and micro-tiles of `pit.detect` that were left open are chosen here. Where rows of a contraction
    share lists along its depth, lists for several heights of micro-tiles are offered, and lists of rows for each 64
    steps of a depth that is longer: each call counts them and follows the cheapest, or none. With `choice`, such a
    contraction always follows that one, named by its micro-tile (`8x1`, `1x64`), or is `dense`.

    For a GPU, `chip`, there is one list, of blocks of 32 rows, and the kernel itself decides whether it is followed.
    """

    name: ClassVar[str] = "pit-select-tiles"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {
        "num-contracts": "Contractions formed",
        "num-absorbed": "Operations that became part of a contraction",
        "num-lists": "Lists offered to contractions",
        "num-parted": "Contractions taken apart, as their results are read in slices of columns",
        "num-joined": "Element-wise operations joined with the next one, so that a contraction can take them",
    }

    choice: str = ""
    chip: str = ""

    def run(self, op: ir.Operation, report: Report) -> None:
        """Rewrites every function in the module."""
        with op.context:
            for function in functions_of(op):
                select_tiles(function.regions[0].blocks[0], report, self.choice, self.chip)


def select_tiles(block: ir.Block, report: Report, choice: str = "", chip: str = "") -> None:
    """Chooses the blocks of every index in `block`, then forms every contraction, with the lists it may follow."""
    drop_marks(block)
    share_indices(block)
    open_indices: list[ir.Value] = []
    for op in list(block.operations):
        if isinstance(op, DetectOp):
            if 0 in list(op.operation.attributes["block"]):
                open_indices.append(op.operation.results[0])
            choose_block(op)
    formed: list[ContractOp] = []
    for op in list(block.operations):
        view = Structured.on_tensors(op)
        made = None if view is None else form(view)
        if made is not None:
            formed.append(made)
    report.count("num-contracts", len(formed))
    for made in formed:
        grown = grow(made, report)
        parts = [] if chip else part(grown)
        report.count("num-parted", 1 if parts else 0)
        for one in [grow(one, report) for one in parts] or [grown]:
            offer_lists(one, open_indices, choice, chip, report)


def offer_lists(
    op: ContractOp, open_indices: Sequence[ir.Value], choice: str, chip: str, report: Report
) -> None:
    """Gives `op` the lists that it may follow."""
    if choice or not chip:
        op = offer(op, open_indices, choice)
    offered = [one for one in alternatives_of(op.operation) if one is not None]
    report.count("num-lists", len(offered))
    if len(offered) > 1:
        names = ", ".join(map(name_of, offered))
        text = (
            f"each call counts the live micro-tiles {names}, and follows the list that costs least, or none; "
            f"costs: {database().origin}"
        )
        report.remark(location_text(op.operation.location), text, topic="kernel")


def drop_marks(block: ir.Block) -> None:
    """Takes out every `pit.mark`: the rules have read it, and nothing could be absorbed across it."""
    for op in list(block.operations):
        if op.operation.name == "pit.mark":
            op.operation.results[0].replace_all_uses_with(op.operation.operands[0])
            op.operation.erase()


def share_indices(block: ir.Block) -> None:
    """Rules that ask the same mask share its index, and so its blocks: the first one serves all."""
    first: dict[tuple[ir.Value, frozenset[tuple[str, str]]], ir.Value] = {}
    for op in list(block.operations):
        if not isinstance(op, DetectOp):
            continue
        operation = op.operation
        attributes = frozenset((name, str(operation.attributes[name])) for name in operation.attributes)
        key = operation.operands[0], attributes
        if key in first:
            operation.results[0].replace_all_uses_with(first[key])
            operation.erase()
        else:
            first[key] = operation.results[0]


def grow(op: ContractOp, report: Report) -> ContractOp:
    """Takes in what stands around `op`, as far as it goes; returns what it has become."""
    where = location_text(op.operation.location)
    taken: list[str] = []
    for name, absorb in STEPS:
        while True:
            # Behind a cast that was taken in there may be several users again.
            report.count("num-joined", join_users(op))
            grown = absorb(op)
            if grown is None:
                break
            op = grown
            report.count("num-absorbed")
            if name not in taken:
                taken.append(name)
    report.remark(where, "one kernel" + (f", with {', '.join(taken)}" if taken else ""), topic="kernel")
    return op

"""How far the iterators of a contraction run, as each operand has it, and whether they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir
from pit_mlir.codegen.buffers import extent, same
from pit_mlir.codegen.build import Index, ceil_div, compare, product
from pit_mlir.codegen.checks import where_all
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.index_buffers import IndexShape


@dataclass(frozen=True)
class Sizes:
    """The sizes of each iterator, and of the rows of a list, as every operand and the index have them.

    Those of segments, which are counted in blocks, have negative keys.
    """

    plan: ContractPlan
    iterators: Mapping[int, Sequence[Index]]
    rows: Sequence[Index]

    @staticmethod
    def of(
        plan: ContractPlan, buffers: Mapping[ir.Value, ir.Value], result: ir.Value, index: IndexShape | None
    ) -> "Sizes":
        """The sizes of `buffers`, by tensor, of `result`, and of the `index` that `plan` follows."""
        found: dict[int, list[Index]] = {}
        rows: list[Index] = [] if index is None else [index.total]
        for access, buffer in [(plan.result, result), *((a, buffers[a.source]) for a in plan.read_accesses)]:
            for dimension, position in enumerate(access.dimensions):
                is_rows = access.compact and position in plan.group
                known = rows if is_rows else found.setdefault(position, [])
                known.append(extent(buffer, dimension))
        if index is not None and plan.listed == "rows":
            for position, count in zip(plan.group, index.extents, strict=True):
                found.setdefault(position, []).append(count)
        if index is not None and plan.listed in ("depth", "parts", "strips"):
            for number, (position, count) in enumerate(zip(plan.group, index.extents, strict=True)):
                block = plan.block[number] if number < len(plan.block) else 1
                # Segments are counted in blocks, so they are compared as such.
                found[-1 - number] = [count, ceil_div(found[position][0], block)]
        return Sizes(plan, found, rows)

    @property
    def extents(self) -> dict[int, Index]:
        """How far each iterator runs: a number where some operand knows it."""
        return {
            position: next((size for size in alike if isinstance(size, int)), alike[0])
            for position, alike in self.iterators.items()
            if position >= 0
        }

    @property
    def of_axes(self) -> list[Index]:
        """How far each axis of the plan runs."""
        return [
            self.rows[0]
            if self.plan.listed == "rows" and axis.role == "row"
            else product([self.iterators[p][0] for p in axis.iterators])
            for axis in self.plan.axes
        ]

    def where_equal(self, given: Sequence[Index]) -> list[Index]:
        """`given`; all 0, and a failed check, if operands disagree at run time."""
        fits = [
            compare("eq", size, alike[0])
            for alike in (*self.iterators.values(), self.rows)
            for size in alike[1:]
            if not same(size, alike[0])
        ]
        return where_all(fits, given, "sizes of the operands of a contraction differ", self.plan.op)

"""The axes of a contraction inside of a kernel, and how far they run, on every machine."""

from collections.abc import Sequence

from pit_mlir.codegen.build import Index, product
from pit_mlir.codegen.contract_plan import ContractPlan


class Axes:
    """The numbers of the axes of a plan by what they run as; `extents` says how far each of them runs."""

    def __init__(self, plan: ContractPlan, extents: Sequence[Index]) -> None:
        self.extents = list(extents)
        self.outer, self.row_axes = plan.of_role("outer"), plan.of_role("row")
        [self.column_axis] = plan.of_role("column")
        self.depth_axes = plan.of_role("depth")

    @property
    def rows(self) -> Index:
        """The number of rows."""
        return product([self.extents[a] for a in self.row_axes])

    @property
    def columns(self) -> Index:
        """The number of columns."""
        return self.extents[self.column_axis]

    @property
    def outer_extents(self) -> list[Index]:
        """The extents of the outer axes."""
        return [self.extents[a] for a in self.outer]

"""`pit-insert-sparsity`: indices appear where values are known to be zero or unused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.passes.base import Pass
from pit_mlir.passes.rules.accumulate import accumulate_writes
from pit_mlir.passes.rules.block_keys import restrict_attentions
from pit_mlir.passes.rules.combine import combine_contractions
from pit_mlir.passes.rules.confine import confine_projections
from pit_mlir.passes.rules.functions import functions_of
from pit_mlir.passes.rules.live_index import share_keys
from pit_mlir.passes.rules.lookup import look_up_terms
from pit_mlir.passes.rules.partition import partition_contractions
from pit_mlir.passes.rules.restrict import restrict_contractions
from pit_mlir.passes.rules.single_row import give_rows
from pit_mlir.passes.rules.spread import spread_masks, spread_results
from pit_mlir.passes.rules.spread_images import spread_images
from pit_mlir.passes.rules.spread_mark import spread_marks

Rule = Callable[[ir.Operation, Report], None]

RESULTS: tuple[Rule, ...] = (
    # R3 over rows: what a mask makes 0 of what is returned, as padding is declared.
    spread_results,
)
ROWS: tuple[Rule, ...] = (
    # R5: what experts computed is added up where a router sent it.
    combine_contractions,
    # R2: what is left of products with one-hot rows looks their one term up.
    look_up_terms,
    # For R3: what a number masks, as the weight of an expert for a single token, is a row.
    give_rows,
    # R3 over rows: what a mask over (batch, token), or over rows, makes 0.
    spread_masks,
    # R3 over rows that the model's author marked.
    spread_marks,
    # R3 over images that come in as 0, and over channels that weights leave out.
    spread_images,
    # R5 where a model adds such rows up by itself.
    accumulate_writes,
    # Loops over experts ask for one value of a key each: one pass lists all.
    share_keys,
)
KEYS: tuple[Rule, ...] = (
    # R6: products with parts of a tensor that a key chooses.
    partition_contractions,
)
LISTS: tuple[Rule, ...] = (
    # R2 and R3 inside contractions: live k for each block of rows, live columns of a masked weight.
    restrict_contractions,
    # R3 over elements that a mask behind a projection makes 0: columns that the next one does not read.
    confine_projections,
    # R2 inside attention: live blocks of keys for each block of queries.
    restrict_attentions,
)
RULES: dict[str, tuple[Rule, ...]] = {
    "all": ROWS + KEYS + LISTS,
    "results": RESULTS,
    "rows": ROWS,
    "keys": KEYS,
    "lists": LISTS,
}
"""The rules that introduce `pit.detect`, in the order in which they are applied to a function."""


@dataclass(frozen=True)
class InsertSparsity(Pass):
    """Introduces indices, and reads, writes and operations through them: R2, R3 and R5 by zeros, R6 by keys.

    Nothing is moved here: `pit-simplify` carries the reads up through the program. What is written through one index
    stops the reads of another, and an operation that is restricted to a list stops any: a model with all of them has
    `only=results`, `only=rows`, then `only=keys`, each followed by `pit-simplify`, then `only=lists`.
    """

    name: ClassVar[str] = "pit-insert-sparsity"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func")
    statistics: ClassVar[Mapping[str, str]] = {
        "num-masked": "Values that are rows by a mask (R3)",
        "num-images": "Convolutions of live images, or to live channels (R3)",
        "num-marked": "Values that are rows by a mark (R3)",
        "num-combined": "Sums over rows that are added where a mask is live (R5)",
        "num-rows-given": "Values that a number masks, computed as a row from here on",
        "num-looked-up": "Sums whose one term is looked up by a key (R2)",
        "num-partitioned": "Products with parts of a tensor that a key chooses (R6)",
        "num-accumulated": "Sums with rows that are added to what is there (R5)",
        "num-confined": "Projections restricted to what a mask behind them leaves live (R3)",
        "num-restricted": "Contractions and attentions restricted to a list (R2, R3)",
        "num-refused": "Facts that no contraction could be restricted by",
    }

    only: Literal["all", "results", "rows", "keys", "lists"] = "all"

    def run(self, op: ir.Operation, report: Report) -> None:
        """Applies `RULES` to every function."""
        with op.context:
            for function in functions_of(op):
                for rule in RULES[self.only]:
                    rule(function, report)

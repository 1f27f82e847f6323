"""`--mlir-pass-statistics`: what passes counted, as MLIR reports it."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pit_mlir.bindings import ir
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pipeline_text import Nested, Step, Upstream
from pit_mlir.passes.registry import pass_class
from pit_mlir.passes.runner import Observer, count_operations
from pit_mlir.tools.opt_observers import heading, step_name, tree

ADDED = "num-ops-added"
_ADDED_TEXT = "Operations added (removed where negative)"


class Statistics(Observer):
    """The statistics of each step of a pipeline, over all operations and inputs.

    Upstream's passes are built without statistics into the wheels of MLIR; for them, as for ours, the operations
    are counted that they add.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
        """By the identity of the step: the same pass may stand twice in a pipeline."""
        self._operations = 0

    def before(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """Counts what is there."""
        self._operations = count_operations(op)

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        """Counts what has come."""
        self.counts[id(step)][ADDED] += count_operations(op) - self._operations

    def counted(self, step: Pass | Upstream, statistics: Mapping[str, int]) -> None:
        """Adds what the pass counted itself."""
        self.counts[id(step)].update(statistics)

    def show(self, display: str) -> None:
        """Prints the report to stderr: one pass after another by name, or in the form of the pipeline."""
        print(heading("Pass statistics report"), file=sys.stderr)
        for line in self.by_name() if display == "list" else self.by_place():
            print(line, file=sys.stderr)
        print(file=sys.stderr)

    def by_name(self) -> Iterator[str]:
        """Each pass once."""
        sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for _, step in tree(self.steps):
            if not isinstance(step, Nested):
                sums[step.name].update(self.counts[id(step)])
        for name, counts in sorted(sums.items()):
            yield name
            yield from statistic_lines(name, counts, "  ")

    def by_place(self) -> Iterator[str]:
        """Each step of the pipeline."""
        for depth, step in tree(self.steps):
            yield "  " * depth + step_name(step)
            if not isinstance(step, Nested):
                yield from statistic_lines(step.name, self.counts[id(step)], "  " * (depth + 1))


def statistic_lines(name: str, counts: Mapping[str, int], indent: str) -> Iterator[str]:
    """`(S) 3 num-sums - Sums that ...` for each statistic of the pass called `name`, zeros included."""
    declared = pass_class(name).statistics if name.startswith("pit-") else {}
    rows = [(counts.get(key, 0), key, text) for key, text in [*declared.items(), (ADDED, _ADDED_TEXT)]]
    digits = max(len(str(count)) for count, _, _ in rows)
    width = max(len(key) for _, key, _ in rows)
    for count, key, text in rows:
        yield f"{indent}(S) {count:{digits}} {key:{width}} - {text}"

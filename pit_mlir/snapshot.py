"""Frozen weights: a copy of them, and of what was computed from them alone."""

from collections.abc import Collection, Sequence
from typing import Any

from pit_mlir.borders import Border
from pit_mlir.runtime.program import Program


class Snapshot:
    """Weights as they were at the last `take`.

    `prepare` computes `prepared`, the further arguments of the program, from all weights; `used` numbers the
    weights that the program also reads or returns as they are, and of which a copy is kept. Of the others nothing is.
    """

    def __init__(self, prepare: Program | None, used: Collection[int], border: Border) -> None:
        self._prepare = prepare
        self.used = frozenset(used)
        self._border = border
        self.state: tuple[list[Any], list[Any]] = ([], [])
        """The weights and what was prepared from them: one object, so that no call sees half of a new snapshot."""

    def take(self, weights: Sequence[Any]) -> None:
        """Copies and prepares `weights`, which are admitted; calls under way keep the old snapshot."""
        prepared: list[Any] = []
        if self._prepare is not None:
            results = self._prepare.call(self._border.pointers(weights))
            self._prepare.make_lasting(results)
            prepared = self._border.results(self._prepare, results)
        copies = [
            self._border.copy(weight) if number in self.used else self._border.placeholder(weight)
            for number, weight in enumerate(weights)
        ]
        self.state = copies, prepared

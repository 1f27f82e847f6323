"""What is proved about a structured operation: the words in which the prover answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from pit_mlir.analysis.counterexample import Counterexample
from pit_mlir.analysis.special_values import Special, special_text

Floats = Literal["real", "strict"]
"""Floats as reals (sums may be reordered) or as they are on the machine."""

Verdict = Literal["parallel", "reduction", "none"]


class Assumption(StrEnum):
    """A condition on the data under which a fact holds; `explain()` shows its text.

    Not among them is what reals always mean: sums may be reordered, and zero has no sign (1/-0 is +inf).
    """

    FINITE_DATA = "the data is finite (no NaN, no infinity)"
    NONZERO_DENOMINATOR = "denominators are not zero"
    LOWEST_IS_INF = "a finite constant <= -1e30 added to a value counts as -inf"


Assumptions = frozenset[Assumption]


@dataclass(frozen=True, order=True)
class Operand:
    """The element of input operand `number`, unchanged."""

    number: int

    def __str__(self) -> str:
        return f"operand {self.number}"


@dataclass(frozen=True, order=True)
class Index:
    """The position along `iterator`."""

    iterator: int

    def __str__(self) -> str:
        return f"d{self.iterator}"


@dataclass(frozen=True)
class Accumulator:
    """The result is its own accumulator, unchanged: over a whole reduction, the init."""


@dataclass(frozen=True)
class Expression:
    """The result is an expression of the input operands `reads` and of the positions along `indices`."""

    reads: frozenset[int]
    indices: frozenset[int]


Outcome = Special | Operand | Accumulator | None
"""What a result becomes: a number, something unchanged, or None: it still depends on what was not given."""


@dataclass(frozen=True)
class Image(Sequence[Outcome]):
    """What each result becomes, one outcome a result (None for a dead one), under `assumptions`."""

    results: tuple[Outcome, ...]
    assumptions: Assumptions = frozenset()

    def __getitem__(self, number: int) -> Outcome:  # type: ignore[override]
        return self.results[number]

    def __len__(self) -> int:
        return len(self.results)


@dataclass(frozen=True)
class Masked:
    """The input operands that are unread, under `assumptions`; `in`, iteration and length work on them."""

    operands: frozenset[int]
    assumptions: Assumptions = frozenset()

    def __contains__(self, operand: object) -> bool:
        return operand in self.operands

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.operands))

    def __len__(self) -> int:
        return len(self.operands)


@dataclass(frozen=True)
class Background:
    """What the results hold where an operand holds `value`: per result an outcome or an expression of the rest."""

    value: Special
    results: tuple[Outcome | Expression, ...]
    assumptions: Assumptions = frozenset()

    def __str__(self) -> str:
        return ", ".join(map(outcome_text, self.results))


@dataclass(frozen=True)
class Axis:
    """The verdict on one iterator. `reason` says why; `counterexample` shows two orders that differ."""

    verdict: Verdict
    reason: str
    counterexample: Counterexample | None = None
    assumptions: Assumptions = frozenset()


@dataclass(frozen=True)
class Delta:
    """Along an iterator the results are zero, or under a reduction their init, but at one position at most.

    The iterators other than this one are held fixed. `position` tells positions apart: the iterator itself, or the
    entry of an operand, on the condition that its entries along the iterator are distinct. Where the results are not
    zero it equals `value`, which does not depend on the iterator: an operand's element, the position along another
    iterator or a number; None if it has no name.
    """

    position: Index | Operand
    value: Operand | Index | int | None
    assumptions: Assumptions = frozenset()

    def __str__(self) -> str:
        return f"{self.position} = {'?' if self.value is None else self.value}"


@dataclass(frozen=True)
class Proof:
    """What is proved about an operation: one `Axis` an iterator, the other facts one an input operand.

    `annihilates`: at 0 the operand contributes nothing to a reduction; without reductions, 0 in is 0 out.
    `neutral`: the values at which every accumulator stays as it is, whatever the rest; empty without reductions.
    `background`: what the results hold where the operand is 0 (or, under a reduction, neutral), None if nothing fixed.
    `fill`, one an iterator: the values, for the operands that carry it, which change nothing; None if there are none.
    `masks`, by special value: the other operands that no result reads where the operand holds it.
    `deltas`, one an iterator: the one position at which the results are not zero, None if there may be several.
    `carried` and `types` are the iterators and the element type of each input operand.
    """

    axes: tuple[Axis, ...]
    annihilates: tuple[bool, ...]
    neutral: tuple[frozenset[float | int], ...]
    background: tuple[Background | None, ...]
    fill: tuple[tuple[Special | None, ...] | None, ...]
    masks: tuple[Mapping[Special, frozenset[int]], ...] = field(hash=False)
    deltas: tuple[Delta | None, ...]
    assumptions: Mapping[str, Assumptions] = field(default_factory=dict[str, Assumptions], hash=False)
    carried: tuple[frozenset[int], ...] = ()
    types: tuple[str, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict of each iterator."""
        return tuple(axis.verdict for axis in self.axes)

    def background_along(self, operand: int, iterator: int) -> Background | None:
        """The background if skipping along `iterator` leaves it in place: nothing it depends on carries it."""
        background = self.background[operand]
        if background is None:
            return None
        for outcome in background.results:
            if isinstance(outcome, Expression) and (
                iterator in outcome.indices or any(iterator in self.carried[read] for read in outcome.reads)
            ):
                return None
        return background


def outcome_text(outcome: Outcome | Expression) -> str:
    """An outcome for a reader and for attributes."""
    if isinstance(outcome, Operand):
        return str(outcome)
    if isinstance(outcome, Accumulator):
        return "init"
    if isinstance(outcome, Expression):
        return f"expression of operands {sorted(outcome.reads)}"
    return "none" if outcome is None else special_text(outcome)

"""What is proved about a structured operation: the words in which the prover answers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Literal

from pit_mlir.analysis.counterexample import Swap

Floats = Literal["real", "strict"]
"""Floats as reals (sums may be reordered) or as they are on the machine."""

Verdict = Literal["parallel", "reduction", "none"]


class Assumption(StrEnum):
    """A condition on the data under which a fact holds; `explain()` shows its text."""

    FINITE_DATA = "the data is finite (no NaN, no infinity)"
    NONZERO_DENOMINATOR = "denominators are not zero"
    LOWEST_IS_INF = "a finite constant <= -1e30 added to a value counts as -inf"


Assumptions = frozenset[Assumption]


class Lowest(Enum):
    """A finite constant of at most -1e30 that masks a score: added to a value it counts as -inf."""

    LOWEST = "lowest"

    def __repr__(self) -> str:
        return "lowest"


LOWEST = Lowest.LOWEST
ALL_ONES = -1
"""The integer of which each bit is one."""

Special = float | int | Lowest
"""A value whose effect is asked for: any number (`False` and `True` are 0 and 1), or `LOWEST`."""


@dataclass(frozen=True, order=True)
class Operand:
    """The result is input operand `number`, unchanged."""

    number: int


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
    counterexample: Swap | None = None
    assumptions: Assumptions = frozenset()


@dataclass(frozen=True)
class Proof:
    """What is proved about an operation: one `Axis` an iterator, the other facts one an input operand.

    `annihilates`: at 0 the operand contributes nothing to a reduction; without reductions, 0 in is 0 out.
    `neutral`: the values at which every accumulator stays as it is, whatever the rest; empty without reductions.
    `background`: what the results hold where the operand is 0 (or, under a reduction, neutral), None if nothing fixed.
    `fill`, one an iterator: the values, for the operands that carry it, which change nothing; None if there are none.
    """

    axes: tuple[Axis, ...]
    annihilates: tuple[bool, ...]
    neutral: tuple[frozenset[float | int], ...]
    background: tuple[Background | None, ...]
    fill: tuple[tuple[Special | None, ...] | None, ...]
    assumptions: Mapping[str, Assumptions] = field(default_factory=dict[str, Assumptions], hash=False)
    carried: tuple[frozenset[int], ...] = ()

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
        return f"operand {outcome.number}"
    if isinstance(outcome, Accumulator):
        return "init"
    if isinstance(outcome, Expression):
        return f"expression of operands {sorted(outcome.reads)}"
    return "none" if outcome is None else special_text(outcome)


def special_text(value: Special) -> str:
    """A special value as attributes have it: 0, 1, -inf, +inf, all-ones, lowest."""
    if isinstance(value, Lowest):
        return "lowest"
    if isinstance(value, float) and math.isinf(value):
        return "+inf" if value > 0 else "-inf"
    if isinstance(value, int) and value == ALL_ONES:
        return "all-ones"
    return f"{value:g}" if isinstance(value, float) else str(int(value))

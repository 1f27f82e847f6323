"""Claims that hold by exp(u + v) = exp(u) exp(v): online softmax and what is folded along with it.

The law itself overwhelms the solver (no answer within 20 s, measured on online softmax). So the order of the values
that the claim compares is split into cases, in each of which every exponent is a sum of leaves; then the law is stated
for the exponents that occur, and what remains is a claim about polynomials.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, combinations_with_replacement
from typing import Any

from pit_mlir.analysis import smt
from pit_mlir.analysis.smt import Answer, Bool, Linear, negate

LAWFUL = ("math.exp", "math.exp2")
MOST_CASES = 64


@dataclass(frozen=True)
class Power:
    """A power of e or of 2: its exponent, as a combination and as a term, and the number that stands for it."""

    exponent: Linear
    term: Any
    value: Any


class _TooHard(Exception):
    """A case that is not proved, or too many cases, or no time left."""


def ask_by_cases(claim: Bool, hypotheses: Sequence[Bool], timeout_ms: int) -> Answer:
    """Whether `claim` follows from `hypotheses` and the law of exponentials; `unknown` if it is not proved."""
    cases = _Cases(hypotheses, time.monotonic() + timeout_ms / 1000)
    try:
        cases.prove(claim, [])
    except _TooHard:
        return Answer("unknown")
    return Answer("proved")


class _Cases:
    """The cases of one claim, until `deadline`."""

    def __init__(self, hypotheses: Sequence[Bool], deadline: float) -> None:
        self.hypotheses, self.deadline, self.count = hypotheses, deadline, 0

    def ask(self, claim: Bool, facts: Sequence[Bool]) -> Answer:
        """The solver's answer within the time that is left."""
        left = int(1000 * (self.deadline - time.monotonic()))
        if left <= 0:
            raise _TooHard
        return smt.ask(claim, facts, left)

    def prove(self, claim: Bool, path: list[Bool]) -> None:
        """Proves `claim` where all of `path` holds, or raises `_TooHard`."""
        claim = smt.simplified(claim)
        while not isinstance(claim, bool) and (atoms := smt.choices(claim)):
            decided = [(atom, known) for atom in atoms if (known := self._known(atom, path)) is not None]
            if not decided:
                for side in (atoms[0], negate(atoms[0])):
                    self.prove(claim, [*path, side])
                return
            claim = smt.simplified(
                smt.replaced(claim, [(atom, smt.known_bool(known)) for atom, known in decided])
            )
        self._prove_one(claim, path)

    def _known(self, atom: Bool, path: list[Bool]) -> bool | None:
        """Whether `atom` holds, or does not, wherever `path` does; None if it may."""
        if self.ask(atom, path).verdict == "proved":
            return True
        return False if self.ask(negate(atom), path).verdict == "proved" else None

    def _prove_one(self, claim: Bool, path: list[Bool]) -> None:
        """Proves a claim without choices."""
        self.count += 1
        if self.count > MOST_CASES:
            raise _TooHard
        if claim is True:
            return
        facts = [*self.hypotheses, *path]
        if not isinstance(claim, bool):
            for name in LAWFUL:
                claim, powers = _without_calls(claim, name)
                facts += self._laws(powers, path)
        if self.ask(claim, facts).verdict != "proved":
            raise _TooHard

    def _laws(self, powers: Sequence[Power], path: list[Bool]) -> list[Bool]:
        """The law for powers whose exponents are sums of others, or equal by `path`; and none is less than 0."""
        by_exponent = {power.exponent: power.value for power in powers}
        laws = [smt.relation("gt", power.value, Fraction(0)) for power in powers]
        for one, other in combinations(powers, 2):
            if self._known(smt.relation("eq", one.term, other.term), path):
                laws.append(smt.relation("eq", one.value, other.value))
        for one, other in combinations_with_replacement(powers, 2):
            total = by_exponent.get(_sum(one.exponent, other.exponent))
            if total is not None:
                laws.append(smt.relation("eq", smt.times(one.value, other.value), total))
        return [law for law in laws if law is not True]


def _without_calls(claim: Bool, name: str) -> tuple[Bool, list[Power]]:
    """`claim` with a number for each power in it, and these powers; the first is that of 0."""
    zero = smt.real(Fraction(0))
    powers = {frozenset(): Power(frozenset(), zero, smt.real(Fraction(1)))}
    pairs: list[tuple[Any, Any]] = []
    for call in smt.calls(claim, name):
        term = smt.simplified(smt.replaced(call.arg(0), pairs))
        exponent = smt.linear(term)
        value = smt.real_variable(f"{name}#{len(powers)}")
        power = powers.setdefault(exponent, Power(exponent, term, value))
        pairs.append((smt.replaced(call, pairs), power.value))
        claim = smt.replaced(claim, pairs[-1:])
    return claim, list(powers.values())


def _sum(one: Linear, other: Linear) -> Linear:
    """The sum of two linear combinations."""
    factors = dict(one)
    for term, factor in other:
        factors[term] = factors.get(term, Fraction(0)) + factor
    return frozenset((term, factor) for term, factor in factors.items() if factor)

"""How sides are compared: in one process, runs interleaved, medians, outputs checked before anything is timed.

Absolute times of a shared machine mean little; ratios of runs that took turns do.
"""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch

from bench.target import timer

ROUNDS = 9
WARM_UP = 2
COLD_BYTES = 96 << 20
"""What is written before a side is timed that is to find nothing in the caches: more than the last one holds."""
OURS = "pit"
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "f64": torch.float64}
TOLERANCE = {"f32": 1e-4, "bf16": 5e-2, "f16": 1e-2, "f64": 1e-9, "mask": 0.0}
"""The largest difference from the exact result that passes, relative to its largest value."""

Side = Callable[..., Any]


@dataclass(frozen=True)
class Times:
    """Milliseconds of one side; of each of the `rounds` where they are compared with those of another."""

    min: float
    median: float
    max: float
    rounds: tuple[float, ...] = ()

    @staticmethod
    def of(rounds: Sequence[float]) -> "Times":
        """What `rounds` took."""
        return Times(min(rounds), statistics.median(rounds), max(rounds), tuple(rounds))

    def flat(self) -> dict[str, float]:
        """As it is written."""
        return {"min": self.min, "median": self.median, "max": self.max}


@dataclass(frozen=True)
class Case:
    """What is measured: `zeros` is a share of 0 to 1, `granularity` the block that is zero or not as a whole."""

    case: str
    shape: str
    dtype: str = "f32"
    zeros: float | None = None
    granularity: str | None = None

    def __str__(self) -> str:
        parts = [self.case, self.shape, self.dtype, self.granularity]
        return " ".join(part for part in parts if part) + (
            "" if self.zeros is None else f" zeros {self.zeros:g}"
        )


@dataclass(frozen=True)
class Row:
    """One case, measured: `times` by side, ours among them; `errors` by side, relative to the largest exact value.

    `index`: what making the indices alone takes, which is part of ours. `floor`: the milliseconds that bytes and
    operations need on this machine at least; None where nobody worked it out. `figures`: what else was measured.
    `compares`: whether our times can be compared with others; those of an emulated GPU cannot.
    """

    case: Case
    times: Mapping[str, Times]
    errors: Mapping[str, float]
    index: Times | None = None
    floor: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    compares: bool = True

    @property
    def ours(self) -> Times:
        """Our times."""
        return self.times[OURS]

    def ratio(self, side: str) -> float:
        """How many times faster than `side` ours is."""
        return self.times[side].median / self.ours.median

    @property
    def peers(self) -> list[str]:
        """All sides but ours."""
        return [side for side in self.times if side != OURS]

    def flat(self) -> list[dict[str, Any]]:
        """As it is written: one dictionary for each peer, or one without a peer."""
        peers = self.peers or [None]
        return [
            {
                **asdict(self.case),
                "peer": peer,
                "peer_ms": self.times[peer].flat() if peer else None,
                "pit_ms": self.ours.flat(),
                "index_ms": self.index.flat() if self.index else None,
                "ratio": self.ratio(peer) if peer and self.compares else None,
                "max_error": self.errors.get(OURS),
                "peer_error": self.errors.get(peer) if peer else None,
                "floor_ms": self.floor if self.compares else None,
                **self.figures,
            }
            for peer in peers
        ]


def interleaved(
    sides: Mapping[str, Side],
    rounds: int = ROUNDS,
    timed: Callable[[Callable[[], object]], float] | None = None,
    fresh: Callable[[], tuple[Any, ...]] = tuple,
    prepared: Mapping[str, Callable[..., Callable[[], object]]] | None = None,
    *,
    cold: bool = False,
) -> dict[str, Times]:
    """The times of `sides`, called in turn, `rounds` times after a warm-up.

    Every round gets arguments of its own from `fresh`, the same for all sides: a pattern that was seen before is not
    dynamic. Each round has an order of its own: what the side before leaves in the caches would favour always the
    same. What `prepared` makes of the arguments, outside of its time, comes last. `timed` counts the milliseconds of a
    call. `cold`: no side finds anything in the caches, where which side ran before would decide.
    """
    timed = timed or timer()
    elsewhere = torch.zeros(COLD_BYTES if cold else 0, dtype=torch.uint8)
    taken: dict[str, list[float]] = {name: [] for name in (*sides, *(prepared or {}))}
    for number in range(rounds + WARM_UP):
        args = fresh()
        turn = [(name, partial(run, *args)) for name, run in sides.items()]
        random.Random(number).shuffle(turn)
        last = [(name, prepare(*args)) for name, prepare in (prepared or {}).items()]
        for name, run in (*turn, *last):
            if name in (prepared or {}):
                # A part of a call never runs with threads asleep and code forgotten.
                run()
            elsewhere += 1
            spent = timed(run)
            if number >= WARM_UP:
                taken[name].append(spent)
    return {name: Times.of(ms) for name, ms in taken.items()}


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, relative to the largest expected value; `expected` is best of a wider type."""
    if expected.numel() == 0:
        return 0.0
    difference = (actual.to(expected.dtype) - expected).abs().max()
    return (difference / expected.abs().max().clamp_min(1e-30)).item()

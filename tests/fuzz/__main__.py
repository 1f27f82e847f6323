"""The fuzzers: random programs, sparse against dense, and mutated text through the driver.

python -m tests.fuzz programs|text|all [--n N] [--seed S] [--time SECONDS] [--jobs J] [--keep STEPS]

Without --n and --time it runs until Ctrl-C. The exit status is 1 if anything was found.
"""

import argparse
import os
import random
import signal
import sys

# Before anything loads OpenMP: workers share the cores, so a thread that waits must not keep one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from rich.console import Console

from tests.fuzz.campaign import FOLDER, Kind, campaign
from tests.fuzz.outcome import Outcome

KINDS = ("programs", "text")
TURN = 1000
"""Without an end, the kinds take turns of so many cases."""


def kind_of(name: str) -> Kind:
    """The fuzzer called `name`."""
    if name == "programs":
        from tests.fuzz import execute, programs

        return Kind(
            "programs",
            lambda case: execute.run_seed(*case),
            lambda seed: len(programs.build(seed).names),
            seconds=60,
            files=lambda case: {"program.mlir": programs.build(*case).text},
        )
    from tests.fuzz import blame, driver

    def explain(seed: int, outcome: Outcome) -> Outcome:
        return blame.blame(driver.build(seed), outcome, 20, FOLDER)

    return Kind(
        "text",
        lambda case: driver.run_seed(*case),
        driver.count_steps,
        seconds=20,
        files=lambda case: driver.build(*case).files,
        explain=explain,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=(*KINDS, "all"))
    parser.add_argument("--n", type=int, help="how many cases, after the kept ones")
    parser.add_argument("--seed", type=int, help="the seed of the first case (default: a random one)")
    parser.add_argument("--time", type=float, help="seconds after which no new case begins")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes")
    parser.add_argument("--keep", help="for one seed: the numbers of the steps to keep, e.g. 0,3")
    given = parser.parse_args()
    kinds = [kind_of(name) for name in (KINDS if given.kind == "all" else (given.kind,))]
    console = Console()
    if given.keep is not None:
        return repeat(kinds[0], given.seed, tuple(int(number) for number in given.keep.split(",") if number))
    # A time limit from outside ends it like Ctrl-C: with the summary.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.randrange(10**9) if given.seed is None else given.seed
    console.print(f"seeds from {seed} on", highlight=False)
    endless = given.n is None and given.time is None
    found, interrupted = False, False
    while not interrupted:
        for kind in kinds:
            tally = campaign(kind, seed, TURN if endless else given.n, given.time, given.jobs, console)
            found |= bool(tally.findings)
            interrupted |= tally.interrupted
            if interrupted:
                break
        seed += TURN
        interrupted |= not endless
    return 1 if found else 0


def repeat(kind: Kind, seed: int, steps: tuple[int, ...]) -> int:
    """Runs one case in this process, for a debugger."""
    outcome = kind.run((seed, steps))
    print(f"{outcome.status}: {outcome.signature}\n{outcome.detail}")
    return 1 if outcome.is_finding else 0


if __name__ == "__main__":
    sys.exit(main())

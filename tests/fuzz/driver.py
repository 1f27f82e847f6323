"""Runs `pit-mlir-opt` on mutated text: it must succeed with valid IR, or fail with errors that have a place."""

import os
import random
import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.tools.pit_mlir_opt import main
from tests.fuzz import programs
from tests.fuzz.corpus import Sample, samples
from tests.fuzz.mutate import command, mutate
from tests.fuzz.outcome import Outcome

ERROR = re.compile(
    r"^(\S.*:\d+:\d+|pass-pipeline:\d+:\d+|pit-mlir-opt|<unknown>:0|loc\(.*\)): error: ", re.MULTILINE
)
INTERNAL = re.compile(r"pass '[\w-]+' failed: (\w+): .*?\((\w+\.py):\d+, in (\w+)\)", re.DOTALL)
INVALID = re.compile(r"error: ('[\w.]+' op|.*?:) .*\(pass '(pit-[\w-]+)' failed\)")


@dataclass(frozen=True)
class Case:
    """A text and the words of the command line that it is given to."""

    name: str
    text: str
    words: tuple[str, ...]

    @property
    def files(self) -> dict[str, str]:
        """The text and the command line."""
        command = shlex.join(("pit-mlir-opt", "input.mlir", *self.words))
        return {"input.mlir": self.text, "command.txt": f"{command}\n"}


def build(seed: int, keep: Collection[int] | None = None) -> Case:
    """The case of `seed` with the mutations numbered in `keep`, all by default."""
    rng = random.Random(seed)
    sample = choose(rng)
    words = command(rng, sample)
    text = sample.text
    for number in range(count_steps(seed)):
        if keep is None or number in keep:
            own = random.Random(f"{seed} {number}")
            text = mutate(own, text)
    return Case(sample.name, text, tuple(words))


def choose(rng: random.Random) -> Sample:
    """A part of a lit test, seldom of one about errors, or a random program."""
    if rng.random() < 0.25:
        seed = rng.randrange(10**6)
        return Sample(f"program {seed}", programs.build(seed).text, ())
    wanted = "invalid" if rng.random() < 0.15 else ""
    return rng.choice([s for s in samples() if (wanted in s.name) and ("invalid" in s.name) == bool(wanted)])


def count_steps(seed: int) -> int:
    """How many mutations the case of `seed` has."""
    return random.Random(~seed).choice((0, 0, 1, 1, 1, 1, 2, 2, 3))


def run_seed(seed: int, keep: Collection[int] | None = None) -> Outcome:
    """The outcome of the case of `seed`."""
    case = build(seed, keep)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.mlir"
        path.write_bytes(case.text.encode())
        # For whoever finds this process dead.
        print(*case.words, file=sys.stderr, flush=True)
        first = run([str(path), *case.words])
        again = run([str(path), *case.words]) if seed % 4 == 0 else first
    status, output, errors = first
    facts = Counter({f"exit {status}": 1})
    if again != first:
        return Outcome("failed", "two runs differ", f"{first}\n\n{again}", facts)
    fault = fault_of(case, status, output, errors)
    if fault:
        return Outcome("failed", fault, errors[-4000:], facts)
    return Outcome("passed", "", "", facts)


def run(words: list[str]) -> tuple[int, bytes, str]:
    """Exit status, output and errors of the driver."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, ExitStack() as stack:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, file in ((1, output), (2, errors)):
            saved = os.dup(number)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, number)
            os.dup2(file.fileno(), number)
        try:
            status = main(words)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        for file in (output, errors):
            file.seek(0)
        return status, output.read(), errors.read().decode(errors="replace")


def fault_of(case: Case, status: int, output: bytes, errors: str) -> str:
    """What is wrong with an outcome; empty if nothing is."""
    if internal := INTERNAL.search(errors):
        return f"{internal[1]} in {internal[2]}:{internal[3]}"
    if "Traceback" in errors or "internal error" in errors:
        return f"an exception: {errors.splitlines()[-1][:100]}"
    if invalid := INVALID.search(errors):
        return f"invalid IR after {invalid[2]}"
    if status not in (0, 1):
        return f"exit status {status}"
    if status == 1:
        return "" if ERROR.search(errors) else f"no error with a place: {errors[:80]!r}"
    if "--verify-each=false" in case.words or b"elided" in output:
        return ""
    return parses(output, unregistered="--allow-unregistered-dialect" in case.words)


def parses(output: bytes, *, unregistered: bool) -> str:
    """Why `output` is no valid IR, or reads back as something else; empty if it is fine."""
    try:
        text = read_back(output.decode(), unregistered)
        again = read_back(text, unregistered)
    except (ir.MLIRError, UnicodeDecodeError) as error:
        return f"invalid output: {re.sub('[0-9]+', 'N', str(error).splitlines()[-1])[:80]}"
    return "" if text == again else "the output reads back as something else"


def read_back(text: str, unregistered: bool) -> str:
    """`text`, parsed and printed, in a context that has seen nothing else."""
    context = make_context()
    context.allow_unregistered_dialects = unregistered
    return str(ir.Module.parse(text, context))

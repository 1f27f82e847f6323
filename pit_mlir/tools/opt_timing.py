"""`--mlir-timing`: what took how long, as MLIR reports it."""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pit_mlir.bindings import ir
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pipeline_text import Nested, Step, Upstream
from pit_mlir.passes.runner import Observer
from pit_mlir.tools.opt_arguments import Arguments
from pit_mlir.tools.opt_observers import heading, step_name

Row = tuple[int, str, float]
"""Depth, name and seconds."""


class Timing(Observer):
    """The seconds of each step of a pipeline, over all operations and inputs, and of the work around the passes."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.seconds: defaultdict[int, float] = defaultdict(float)
        """By the identity of the step: the same pass may stand twice in a pipeline."""
        self.work: defaultdict[str, float] = defaultdict(float)
        self.start = time.perf_counter()

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        """Adds to the time of the step."""
        self.seconds[id(step)] += seconds

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds what is done meanwhile to the time of `name`."""
        start = time.perf_counter()
        yield
        self.work[name] += time.perf_counter() - start

    def of(self, step: Step) -> float:
        """The seconds of `step` with all that is nested in it."""
        return sum(map(self.of, step.steps)) if isinstance(step, Nested) else self.seconds[id(step)]

    def rows(self) -> list[Row]:
        """The report from the top to the total."""
        total = time.perf_counter() - self.start
        timed = sum(self.work.values()) + sum(map(self.of, self.steps))
        return [
            (0, "Parser", self.work["Parser"]),
            *self.passes(self.steps, 0),
            (0, "Output", self.work["Output"]),
            (0, "Rest", total - timed),
            (0, "Total", total),
        ]

    def passes(self, steps: Sequence[Step], depth: int) -> Iterator[Row]:
        """A row for each step, with what is nested in it below it."""
        for step in steps:
            yield depth, step_name(step), self.of(step)
            if isinstance(step, Nested):
                yield from self.passes(step.steps, depth + 1)

    def show(self, arguments: Arguments) -> None:
        """Prints the report to stderr."""
        rows = self.rows()
        if arguments.mlir_timing_display == "list":
            *parts, rest, total = rows
            sums: defaultdict[str, float] = defaultdict(float)
            for _, name, seconds in parts:
                sums[name] += seconds
            by_size = sorted(sums.items(), key=lambda item: -item[1])
            rows = [*((0, name, seconds) for name, seconds in by_size), rest, total]
        total = rows[-1][2]
        if arguments.mlir_output_format == "json":
            print(json_text(rows, total), file=sys.stderr)
            return
        print(heading("Execution time report"), file=sys.stderr)
        print(
            f"  Total Execution Time: {total:.4f} seconds\n\n  ----Wall Time----  ----Name----",
            file=sys.stderr,
        )
        for depth, name, seconds in rows:
            print(f"  {seconds:8.4f} ({share(seconds, total):5.1f}%)  {'  ' * depth}{name}", file=sys.stderr)


def share(seconds: float, total: float) -> float:
    """`seconds` as percents of `total`."""
    return 100 * seconds / total if total else 0.0


def json_text(rows: Sequence[Row], total: float) -> str:
    """The report for programs: an array of nested records."""

    def records(start: int, depth: int) -> tuple[list[dict[str, object]], int]:
        found: list[dict[str, object]] = []
        while start < len(rows) and rows[start][0] == depth:
            _, name, seconds = rows[start]
            inner, start = records(start + 1, depth + 1)
            wall = {"duration": round(seconds, 6), "percentage": round(share(seconds, total), 1)}
            found.append({"wall": wall, "name": name, "passes": inner})
        return found, start

    return json.dumps(records(0, 0)[0], indent=1)

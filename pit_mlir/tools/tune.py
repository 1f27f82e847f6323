"""Measures the tile database of this machine: our own kernels run, the costs of their steps are solved for.

Each run is a contraction that is forced to follow one list, or none. What it takes is a sum of units
(`analysis.cover`), as often as its sizes say; from enough runs of different sizes the cost of each unit follows.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ml_dtypes
import numpy

from pit_mlir.analysis.cover import Term, dense_terms, listed_terms, parts_terms, streamed_terms
from pit_mlir.analysis.tiles import LEAST, MOST, UNITS
from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.contract_packed import TASKS_PER_THREAD
from pit_mlir.codegen.cpu.contract_parts import COLUMNS_OF_TASK
from pit_mlir.codegen.cpu.index_buffers import WORD
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.runtime.engine import Program, build_program
from pit_mlir.target import host

ROUNDS = 7
PRIOR = 0.3
"""How much the costs known before weigh, against a run: they decide only what no run tells apart."""
SPREAD = 0.25
"""A median of runs that differ by more than this share is not trusted."""

PRODUCT = """
func.func @main(%a: tensor<?x?x{type}>, %b: tensor<?x?x{type}>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%c : tensor<?x?xf32>) -> tensor<?x?xf32>
  %I = "pit.detect"(%a) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}}
      : (tensor<?x?x{type}>) -> !pit.index
  %r = "pit.generic"(%z, %I) ({{
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {{map = affine_map<(m, n, k) -> (m, k)>, compact = false}} : (tensor<?x?x{type}>) -> {type}
    %y = "pit.element"(%b) {{map = affine_map<(m, n, k) -> ({columns})>, compact = false}}
        : (tensor<?x?x{type}>) -> {type}
{factors}
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>,
      #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false}}
      : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}}"""
F32 = "    %p = arith.mulf %x, %y : f32"
BF16 = """    %u = arith.extf %x : bf16 to f32
    %v = arith.extf %y : bf16 to f32
    %p = arith.mulf %u, %v : f32"""
LAYOUTS = {"kn": "k, n", "nk": "n, k"}


COMMON = {"call": 2e7, "bit": 200.0}
"""What is in each run whatever is chosen, and about what it costs: the call, and looking at an element."""


@dataclass(frozen=True)
class Form:
    """A kernel: the type and the layout of the columns, and the list that it follows."""

    type: str
    layout: str
    choice: str

    @property
    def is_dense(self) -> bool:
        """Whether no list is followed."""
        return self.choice == "dense"

    @property
    def is_in_parts(self) -> bool:
        """Whether rows are listed for each part of the depth."""
        return self.choice == f"1x{WORD}"

    @property
    def height(self) -> int:
        """The rows of a micro-tile."""
        return 1 if self.is_dense else int(self.choice.partition("x")[0])


@dataclass(frozen=True)
class Shape:
    """Rows, depth, columns; one of `period` steps of the depth is live, or, of parts of the depth, in each row."""

    rows: int
    steps: int
    columns: int
    period: int = 1


@dataclass(frozen=True)
class Measured:
    """A run: what it does, what it took in picoseconds, and how much its rounds differed."""

    terms: Sequence[Term[int]]
    time: float
    spread: float


LISTED_SHAPES = tuple(
    Shape(rows, 1024, columns, period)
    for rows in (64, 448)
    for columns, period in ((32, 8), (512, 8), (512, 2), (64, 2))
)
DENSE_SHAPES = (
    Shape(448, 2048, 512),
    Shape(32, 1024, 256),
    Shape(224, 1024, 64),
    Shape(224, 1024, 512),
    Shape(448, 512, 32),
)
PARTS_SHAPES = tuple(
    Shape(rows, 1024, columns, period)
    for rows in (224, 896)
    for columns, period in ((64, 8), (512, 8), (512, 2))
)
FEW_SHAPES = (Shape(1, 1024, 4096), Shape(4, 1024, 4096))
CASES: tuple[tuple[Form, tuple[Shape, ...]], ...] = (
    *((Form("f32", layout, f"{height}x1"), LISTED_SHAPES) for layout in LAYOUTS for height in (8, 16, 32)),
    (Form("f32", "kn", "1x64"), PARTS_SHAPES),
    (Form("f32", "kn", "dense"), (*DENSE_SHAPES, *FEW_SHAPES)),
    (Form("bf16", "kn", "dense"), DENSE_SHAPES),
)


def terms_of(form: Form, shape: Shape) -> list[Term[int]]:
    """The work of a run: as the choice at run time counts it, and what every choice costs alike."""
    seen = [] if form.is_dense else [Term("bit", (shape.rows, shape.steps))]
    return [Term("call", (1,)), *seen, *chosen_terms(form, shape)]


def chosen_terms(form: Form, shape: Shape) -> list[Term[int]]:
    """The work of a run that depends on the choice."""
    if form.is_dense and shape in FEW_SHAPES:
        return streamed_terms(shape.columns, shape.rows, shape.steps, 4)
    if form.is_dense:
        return dense_terms(shape.rows, shape.columns, shape.steps, pairs=form.type == "bf16")
    live = shape.steps // shape.period
    if form.is_in_parts:
        places = shape.rows * shape.steps // WORD
        tasks = -(-shape.columns // COLUMNS_OF_TASK)
        # Each task packs the columns for its rows, which are fewer where threads would have none.
        packed = shape.steps * -(-TASKS_PER_THREAD * host().threads // tasks)
        return parts_terms(places // shape.period, shape.columns, WORD, tasks, packed, places, pairs=False)
    segments = -(-shape.rows // form.height)
    return listed_terms(
        segments * live,
        shape.rows * live,
        shape.columns,
        shape.steps,
        segments,
        micro_tile=form.height,
        shares=form.layout == "nk",
    )


def build(form: Form) -> Program:
    """The program of `form`."""
    factors = F32 if form.type == "f32" else BF16
    text = PRODUCT.format(type=form.type, columns=LAYOUTS[form.layout], factors=factors)
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        SelectTiles(form.choice).run(module.operation, Report())
        return build_program(module)


def operands(form: Form, shape: Shape) -> list[numpy.ndarray]:
    """Operands of a run."""
    type_ = numpy.float32 if form.type == "f32" else ml_dtypes.bfloat16
    rng = numpy.random.default_rng(0)
    rows = rng.standard_normal((shape.rows, shape.steps)).astype(type_)
    steps = numpy.arange(shape.steps)
    if form.is_in_parts:
        rows[(numpy.arange(shape.rows)[:, None] + steps // WORD) % shape.period != 0] = 0
    else:
        rows[:, steps % shape.period != 0] = 0
    columns = rng.standard_normal((shape.steps, shape.columns)).astype(type_)
    if form.layout == "nk":
        columns = numpy.ascontiguousarray(columns.T)
    return [rows, columns, numpy.zeros((shape.rows, shape.columns), numpy.float32)]


@contextmanager
def one_core() -> Iterator[None]:
    """This process runs on one core, so that its programs take one thread."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def measure(advance: Callable[[str], None], rounds: int = ROUNDS) -> list[Measured]:
    """Runs all cases, the rounds of all in turn; `advance` is told after each step, of which there are `steps_of`."""
    runs: list[tuple[Form, Shape, Program, list[numpy.ndarray]]] = []
    for form, shapes in CASES:
        program = build(form)
        runs += [(form, shape, program, operands(form, shape)) for shape in shapes]
        advance("compiling")
    taken: list[list[float]] = [[] for _ in runs]
    with one_core():
        for number in range(rounds + 1):
            for (_, _, program, given), times in zip(runs, taken, strict=True):
                # Time that others take of this core is not counted.
                start = time.process_time_ns()
                program.run_numpy(*given)
                if number:
                    times.append((time.process_time_ns() - start) * 1e3)
            advance("measuring")
    return [
        Measured(terms_of(form, shape), statistics.median(times), spread_of(times))
        for (form, shape, _, _), times in zip(runs, taken, strict=True)
    ]


def steps_of(rounds: int = ROUNDS) -> int:
    """How often `measure` advances."""
    return len(CASES) + rounds + 1


def spread_of(times: Sequence[float]) -> float:
    """By how much the middle half of `times` differs, as a share of the median."""
    ordered = sorted(times)
    quarter = len(ordered) // 4
    return (ordered[-1 - quarter] - ordered[quarter]) / max(1.0, statistics.median(ordered))


def solve(runs: Sequence[Measured], known: Mapping[str, float]) -> dict[str, float]:
    """The costs with which the terms of all `runs` come closest to what they took, in shares of it.

    Units that no run tells apart stay as they are `known`, in proportion.
    """
    known = {**known, **COMMON}
    units = [*UNITS, *COMMON]
    rows: list[list[float]] = []
    wanted: list[float] = []
    for run in runs:
        amounts = dict.fromkeys(units, 0.0)
        for term in run.terms:
            amount = 1.0
            for factor in term.times:
                amount *= factor
            amounts[term.unit] += amount
        rows.append([amounts[unit] * known[unit] / run.time for unit in units])
        wanted.append(1.0)
    for number in range(len(units)):
        rows.append([PRIOR * (number == other) for other in range(len(units))])
        wanted.append(PRIOR)
    found = least_squares(numpy.array(rows), numpy.array(wanted))
    return {
        unit: float(min(max(scale * known[unit], LEAST), MOST))
        for unit, scale in zip(units, found, strict=True)
        if unit in UNITS
    }


def least_squares(matrix: numpy.ndarray, wanted: numpy.ndarray) -> numpy.ndarray:
    """The least squares solution with entries of at least 0.05: a cost is never negative."""
    least = 0.05
    free = numpy.ones(matrix.shape[1], bool)
    while True:
        solution = numpy.full(matrix.shape[1], least)
        rest = wanted - matrix[:, ~free] @ solution[~free]
        solution[free] = numpy.linalg.lstsq(matrix[:, free], rest, rcond=None)[0]
        low = free & (solution < least)
        if not low.any():
            return solution
        free &= ~low

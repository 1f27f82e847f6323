"""Measures the tile database of this machine: our own kernels run, the costs of their steps are solved for.

Each run is a contraction that is forced to follow one list, or none. What it takes is a sum of units
(`analysis.cover`), as often as its sizes say; from enough runs of different sizes the cost of each unit follows.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy

from pit_mlir.analysis.cover import (
    HEIGHTS,
    Listed,
    Term,
    dense_terms,
    listed_terms,
    parts_terms,
    streamed_terms,
)
from pit_mlir.analysis.tiles import LEAST, MOST, UNITS
from pit_mlir.bindings import ir
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.cpu.compress import moves_together
from pit_mlir.codegen.cpu.contract_blocks import COMPRESSED, MOST_ROWS, PACKED, ROWS_OF_PACKED, ROWS_OF_TASK
from pit_mlir.codegen.cpu.contract_choice import MOVES_OF_PACKED, far, missed
from pit_mlir.codegen.cpu.contract_packed import TASKS_PER_THREAD
from pit_mlir.codegen.cpu.contract_parts import BYTES_OF_SUMS, COLUMNS_OF_TASK
from pit_mlir.codegen.index_buffers import WORD
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program
from pit_mlir.target import LINE_BYTES, host

SWEEPS, ROUNDS = 5, 3
"""All is measured so many times over, each time so often."""
PRIOR = 0.3
"""How much the costs known before weigh, against a run: they decide only what no run tells apart."""
LISTED = tuple(f"listed_{height}" for height in HEIGHTS)
LEAST_MORE = 0.02
"""A multiply-add of a listed step takes at least so much longer than one without, for a start."""
STEPS = 1000
"""Enough for the costs to stand still in their third digit."""
SPREAD = 0.25
"""Sweeps that differ by more than this share are not trusted."""

PRODUCT = """
func.func @main(%a: {rows}, %b: {columns}, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {{
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%c : tensor<?x?xf32>) -> tensor<?x?xf32>
  %I = "pit.detect"(%a) {{segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}}
      : ({rows}) -> !pit.index
  %r = "pit.generic"(%z, %I) ({{
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {{map = affine_map<(m, n, k) -> (m, k)>, compact = false}} : ({rows}) -> {type}
    %y = "pit.element"(%b) {{map = affine_map<(m, n, k) -> ({order})>, compact = false}}
        : ({columns}) -> {type}
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
LAYOUTS = {"kn": ("k, n", "{steps}x?"), "nk": ("n, k", "?x{steps}")}
"""How columns are addressed, and their sizes: the depth is known, as in a model, and so whether it is even."""

COMMON = {"call": 3e8, "result": 250.0}
"""What is in each run whatever is chosen, and about what it costs: the call, and an element of the result."""


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

    @property
    def is_turned(self) -> bool:
        """Whether the columns lie along the depth."""
        return self.layout == "nk"


@dataclass(frozen=True)
class Shape:
    """Rows, depth, columns; one of `period` micro-tiles is live, at random."""

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


LISTED_SHAPES = (
    *(Shape(2048, 2048, 512, period) for period in (1, 2, 6, 16, 100)),
    *(Shape(2048, 2048, 64, period) for period in (2, 24, 100)),
    *(Shape(256, 4096, 1024, period) for period in (2, 4, 8, 20, 100)),
)
"""From rows that fill the last-level cache to some that leave it to the columns; each way to pack either."""
WIDE_SHAPES = tuple(Shape(2048, 2048, 16, period) for period in (2, 8, 24, 100))
"""Large weights in front of few rows: what is sparse is nearly all that is read."""
DENSE_SHAPES = (
    Shape(2048, 2048, 512),
    Shape(2048, 2048, 64),
    Shape(256, 4096, 1024),
    Shape(512, 512, 512),
)
PARTS_SHAPES = tuple(
    Shape(rows, steps, columns, period)
    for rows, steps, columns in ((2048, 2048, 512), (256, 4096, 1024), (2048, 2048, 64))
    for period in (2, 8, 100)
)
FEW_LISTED_SHAPES = tuple(Shape(16, 4096, 4096, period) for period in (2, 4, 8, 20, 100))
"""Few rows, which ask for columns here and there in memory."""
FEW_SHAPES = tuple(Shape(rows, 4096, 4096) for rows in (1, 4, 16, 32))
"""Rows that are so few that columns are streamed."""
CASES: tuple[tuple[Form, tuple[Shape, ...]], ...] = (
    *((Form("f32", "kn", f"{height}x1"), LISTED_SHAPES) for height in HEIGHTS),
    *((Form("f32", "nk", f"{height}x1"), (*LISTED_SHAPES[:3], *WIDE_SHAPES)) for height in HEIGHTS),
    (Form("f32", "kn", "8x1"), FEW_LISTED_SHAPES),
    (Form("f32", "kn", "16x1"), FEW_LISTED_SHAPES),
    (Form("bf16", "kn", "8x1"), LISTED_SHAPES[2:5]),
    (Form("f32", "kn", f"1x{WORD}"), PARTS_SHAPES),
    (Form("f32", "nk", f"1x{WORD}"), (*PARTS_SHAPES[:3], *WIDE_SHAPES)),
    (Form("bf16", "kn", f"1x{WORD}"), PARTS_SHAPES[:3]),
    (Form("f32", "kn", "dense"), (*DENSE_SHAPES, *FEW_SHAPES)),
    (Form("f32", "nk", "dense"), (*DENSE_SHAPES, *FEW_SHAPES)),
    (Form("bf16", "kn", "dense"), DENSE_SHAPES),
    (Form("bf16", "nk", "dense"), DENSE_SHAPES),
)
PROGRAMS = dict.fromkeys((form, shape.steps) for form, shapes in CASES for shape in shapes)
"""What is compiled for them."""


def terms_of(form: Form, shape: Shape) -> list[Term[int]]:
    """The work of a run: as the choice at run time counts it, and what every choice costs alike."""
    return [Term("call", (1,)), Term("result", (shape.rows, shape.columns)), *chosen_terms(form, shape)]


def chosen_terms(form: Form, shape: Shape) -> list[Term[int]]:
    """The work of a run that depends on the choice."""
    pairs = form.type == "bf16"
    elements = shape.rows * shape.steps
    size, cache = (2 if pairs else 4), host().l3_bytes
    of_rows, of_columns = elements * size, shape.steps * shape.columns * size

    def far_of(rows: int, steps: int) -> int:
        """What comes from memory of `rows` bytes of the rows, and of the columns of so many steps."""
        columns = min(steps * shape.columns * size, of_columns)
        return number(far(rows, of_rows, cache)) + number(far(columns, of_columns, cache))

    if form.is_dense:
        if shape in FEW_SHAPES:
            return streamed_terms(shape.columns, shape.rows, shape.steps, 4, turned=form.is_turned)
        far_bytes = far_of(of_rows, shape.steps)
        return dense_terms(
            shape.rows, panels(shape), shape.steps, far_bytes, pairs=pairs, turned=form.is_turned
        )
    if form.is_in_parts:
        places = elements // WORD
        tasks = -(-shape.columns // COLUMNS_OF_TASK)
        # Each task packs the columns for its rows, which are fewer where threads would have none.
        pieces = max(
            -(-TASKS_PER_THREAD * host().threads // tasks),
            -(-shape.rows // BYTES_OF_SUMS // (4 * COLUMNS_OF_TASK)),
        )
        entries = int(places / shape.period)
        packed = min(entries * WORD, shape.steps * pieces)
        return parts_terms(
            entries,
            panels(shape),
            WORD,
            tasks,
            packed,
            places,
            elements,
            far_of((elements + entries * WORD) * size, entries * WORD),
            pairs=pairs,
            turned=form.is_turned,
        )
    possible = -(-shape.rows // form.height) * shape.steps
    entries = int(possible / shape.period)
    once, often = (count * panels(shape) for count in (shape.steps, entries))
    in_blocks = form.height <= MOST_ROWS
    is_whole = in_blocks and moves_together(host()) and entries * COMPRESSED >= possible
    is_packed = entries * PACKED >= possible and entries * form.height >= ROWS_OF_PACKED * shape.steps
    is_lying = in_blocks and not is_packed and not form.is_turned and not pairs
    is_shared = form.is_turned or in_blocks
    gathered = 0 if is_whole else entries * form.height
    fetched = often if is_lying else min(often, once * -(-shape.rows // ROWS_OF_TASK)) if in_blocks else 0
    first = missed(often, shape.steps * shape.columns, of_columns, cache) if is_lying else 0
    moves = 0 if is_lying else MOVES_OF_PACKED if in_blocks else 1
    read = of_rows + (of_rows if is_whole or not in_blocks else min(gathered * LINE_BYTES, of_rows))
    return listed_terms(
        Listed(
            micro_tile=form.height,
            left=elements if in_blocks else 2 * elements,
            possible=possible,
            whole=elements if is_whole else 0,
            gathered=gathered,
            row=0,
            packed=0 if is_lying else once if is_shared else often,
            fetched=fetched,
            missed=number(first),
            multiplied=often * multiplied_rows(form),
            far=far_of(read, 0) + moves * far_of(0, entries),
            turned=form.is_turned,
        )
    )


def number(index: Index) -> int:
    """`index`, of sizes that are numbers: so is what is computed of them."""
    assert isinstance(index, int), "numbers are folded"
    return index


def multiplied_rows(form: Form) -> int:
    """The rows that are multiplied for a block: those of whole register tiles, as many as it takes."""
    if form.height > MOST_ROWS:
        return form.height
    tiles = -(-form.height // (14 if host().registers >= 32 else 6))
    return -(-form.height // tiles) * tiles


def panels(shape: Shape) -> int:
    """The columns of `shape`, whole panels of them."""
    width = 2 * host().lanes(32)
    return -(-shape.columns // width) * width


def build(form: Form, steps: int) -> Program:
    """The program of `form` for a depth of so many `steps`."""
    order, sizes = LAYOUTS[form.layout]
    text = PRODUCT.format(
        type=form.type,
        order=order,
        rows=f"tensor<?x{steps}x{form.type}>",
        columns=f"tensor<{sizes.format(steps=steps)}x{form.type}>",
        factors=F32 if form.type == "f32" else BF16,
    )
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        SelectTiles(form.choice).run(module.operation, Report())
        return build_program(module)


def operands(form: Form, shape: Shape) -> list[numpy.ndarray]:
    """Operands of a run: of its micro-tiles as many are live as its terms say."""
    type_ = numpy.float32 if form.type == "f32" else ml_dtypes.bfloat16
    rng = numpy.random.default_rng(0)
    high, long = (1, WORD) if form.is_in_parts else (form.height, 1)
    tiles = rng.random((shape.rows // high, shape.steps // long)) * shape.period < 1
    live = numpy.repeat(numpy.repeat(tiles, high, axis=0), long, axis=1)
    rows = numpy.where(live, rng.random(live.shape, numpy.float32) + 0.5, 0).astype(type_)
    size = (shape.columns, shape.steps) if form.is_turned else (shape.steps, shape.columns)
    columns = (rng.random(size, numpy.float32) - 0.5).astype(type_)
    return [rows, columns, numpy.zeros((shape.rows, shape.columns), numpy.float32)]


def measure(advance: Callable[[str], None], sweeps: int = SWEEPS) -> list[Measured]:
    """Runs all cases, `sweeps` times over; `advance` is told after each step, of which there are `steps_of`.

    All threads work, as in calls: they share memory and the last-level cache. A unit is what one of them takes. Sweeps
    are seconds apart, so that what else the machine does does not fall on the same runs.
    """
    programs: dict[tuple[Form, int], Program] = {}
    for form, steps in PROGRAMS:
        programs[form, steps] = build(form, steps)
        advance("compiling")
    runs = [(form, shape, programs[form, shape.steps]) for form, shapes in CASES for shape in shapes]
    taken: list[list[float]] = [[] for _ in runs]
    elsewhere = numpy.zeros(2 * host().l3_bytes, numpy.uint8)
    for _ in range(sweeps):
        for (form, shape, program), times in zip(runs, taken, strict=True):
            given = operands(form, shape)
            program.run_numpy(*given)
            times.append(statistics.median(timed(program, given, elsewhere) for _ in range(ROUNDS)))
            advance("measuring")
    # Others make some runs longer, and their absence a single one shorter than it mostly is: the middle is neither.
    return [
        Measured(terms_of(form, shape), statistics.median(times), spread_of(times))
        for (form, shape, _), times in zip(runs, taken, strict=True)
    ]


def timed(program: Program, given: Sequence[numpy.ndarray], elsewhere: numpy.ndarray) -> float:
    """The picoseconds that all threads together take for a run that finds nothing of `given` in the caches.

    That is how a layer finds its weights where all of them do not fit. Bytes of `elsewhere` are there in their place.
    """
    elsewhere += 1
    start = time.perf_counter_ns()
    program.run_numpy(*given)
    return (time.perf_counter_ns() - start) * 1e3 * host().threads


def steps_of(sweeps: int = SWEEPS) -> int:
    """How often `measure` advances."""
    return len(PROGRAMS) + sweeps * sum(len(shapes) for _, shapes in CASES)


def spread_of(times: Sequence[float]) -> float:
    """By how much the median of `times` is above the least, as a share of that."""
    return statistics.median(times) / min(times) - 1


def solve(runs: Sequence[Measured], shipped: Mapping[str, float]) -> dict[str, float]:
    """The costs with which the terms of all `runs` come closest to what they took, in shares of it.

    Units that no run tells apart stay as they are `shipped`, in proportion. A multiply-add of a listed step is one
    without a list and more, which is solved for.
    """
    known = {**shipped, **COMMON}
    for unit in LISTED:
        known[unit] = max(known[unit] - known["dense"], LEAST_MORE * known["dense"])
    units = list(known)
    rows: list[list[float]] = []
    wanted: list[float] = []
    for run in runs:
        amounts = dict.fromkeys(units, 0.0)
        for term in run.terms:
            amount = float(math.prod(term.times))
            amounts[term.unit] += amount
            if term.unit in LISTED:
                amounts["dense"] += amount
        rows.append([amounts[unit] * known[unit] / run.time for unit in units])
        wanted.append(1.0)
    for number in range(len(units)):
        rows.append([PRIOR * (number == other) for other in range(len(units))])
        wanted.append(PRIOR)
    found = least_squares(numpy.array(rows), numpy.array(wanted))
    costs = {unit: float(scale * known[unit]) for unit, scale in zip(units, found, strict=True)}
    costs |= {unit: costs["dense"] + costs[unit] for unit in LISTED}
    return {unit: min(max(costs[unit], LEAST), MOST) for unit in UNITS}


def least_squares(matrix: numpy.ndarray, wanted: numpy.ndarray) -> numpy.ndarray:
    """The least squares solution with entries of at least 0.05: a cost is never negative.

    One entry after another is set to what is best beside the others; that ends at the solution, as all is convex.
    """
    products, goal = matrix.T @ matrix, matrix.T @ wanted
    solution = numpy.ones(len(goal))
    for _ in range(STEPS):
        for unit in range(len(goal)):
            slope = products[unit] @ solution - goal[unit]
            solution[unit] = max(solution[unit] - slope / products[unit, unit], 0.05)
    return solution

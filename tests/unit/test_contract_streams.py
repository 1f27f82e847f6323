"""Columns that are read where they lie: a few streams at a time for a list, as tasks of their own for few rows."""

import numpy
import pytest

from pit_mlir.runtime.program import Program
from pit_mlir.tools.tune import Form, build


def product(program: Program, live: numpy.ndarray, columns: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """What `program` makes of rows that are `live`, and what is right."""
    rng = numpy.random.default_rng(1)
    a = numpy.where(live, rng.random(live.shape, numpy.float32) + 0.5, 0).astype(numpy.float32)
    b = rng.random((live.shape[1], columns), numpy.float32) - 0.5
    poison = numpy.full((live.shape[0], columns), numpy.nan, numpy.float32)
    [found] = program.run_numpy(a, b, poison)
    return found, a.astype(numpy.float64) @ b


@pytest.mark.parametrize("choice", ["8x1", "16x1", "32x1"])
def test_lists_of_any_length_are_followed_in_streams(choice: str) -> None:
    """None, one less than the streams, as many, one more, and more than are packed at once; rows that fill no block."""
    high = int(choice.partition("x")[0])
    counts = (0, 15, 16, 17, 255, 700)
    live = numpy.zeros((len(counts) * high - 3, 700), bool)
    rng = numpy.random.default_rng(0)
    for number, count in enumerate(counts):
        live[number * high : (number + 1) * high, rng.permutation(700)[:count]] = True
    found, right = product(build(Form("f32", "kn", choice), 700), live, 96)
    assert numpy.abs(found - right).max() < 1e-4
    assert not found[:high].any()


@pytest.mark.parametrize("steps", [0, 33])
def test_few_rows_share_columns_in_tasks(steps: int) -> None:
    """Columns that no task and no vector divides, a depth that no step divides."""
    program = build(Form("f32", "kn", "dense"), steps)
    for rows in (1, 7, 32):
        for columns in (1, 127, 1030):
            found, right = product(program, numpy.ones((rows, steps), bool), columns)
            assert numpy.abs(found - right).max(initial=0) < 1e-4

"""Large lists in no order: one reading, and an atomic addition for each warp; who sees the order gets ascending ones."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from programs import function, program

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.passes.pipelines import gpu_pipeline
from pit_mlir.passes.runner import run_pipeline

Array = np.ndarray[Any, Any]
MANY = 140_001
"""Entries of a list whose bits are more than a block counts again."""

ROWS = """
  %z = arith.constant 0.0 : f32
  %I = "pit.detect"(%mask) {{segments = array<i64>, axis = array<i64: {axis}>, block = array<i64>, micro_tile = 1 : i64}}
      : ({mask}) -> !pit.index
  %r = "pit.sread"(%x, %I) {{axis = array<i64: {axis}>, group = array<i64: {group}>}} : ({x}, !pit.index) -> {r}
  %e = tensor.empty({sizes}) : {x}
  %f = linalg.fill ins(%z : f32) outs(%e : {x}) -> {x}
  %y = "pit.swrite"(%r, %f, %I) {{axis = array<i64: {axis}>, group = array<i64: {group}>, combine = "store"}}
      : ({r}, {x}, !pit.index) -> {x}"""


def rows(mask: str, axis: str) -> str:
    """Rows of one element that the mask lists, read and written back, all others 0."""
    shape = mask.removeprefix("tensor<").rsplit("x", 1)[0]
    words = {"mask": mask, "x": f"tensor<{shape}xf32>", "r": "tensor<?xf32>", "axis": axis, "group": axis}
    count = shape.count("?")
    names = [f"%c{number} = arith.constant {number} : index" for number in range(count)]
    names += [f"%n{number} = tensor.dim %x, %c{number} : {words['x']}" for number in range(count)]
    sizes = ", ".join(f"%n{number}" for number in range(count))
    body = "\n".join(names) + ROWS.format(**words, sizes=sizes)
    return function(f"%x: {words['x']}, %mask: {mask}", body, [("%y", words["x"])])


def atomics(text: str, *, deterministic: bool) -> int:
    """The atomic additions in the kernels for `text`."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        phases = gpu_pipeline("sm_80", deterministic=deterministic)
        run_pipeline(module, phases[: phases.index("pit-sink-sizes, canonicalize, cse")])
        return str(module).count("memref.atomic_rmw addi")


@pytest.mark.parametrize(
    ("mask", "axis", "shapes"),
    [
        (f"tensor<{MANY}xi1>", "0", [(MANY,)]),
        ("tensor<?xi8>", "0", [(0,), (1,), (33,), (MANY,)]),
        ("tensor<?x?xi1>", "0, 1", [(3, 127), (1, 1), (0, 7), (7, 0)]),
        ("tensor<?x40xbf16>", "0, 1", [(130, 40)]),
    ],
)
def test_rows_come_back_to_their_places(mask: str, axis: str, shapes: list[tuple[int, ...]]) -> None:
    """None, some and all of them; ends of lists are no multiple of what a warp looks at."""
    kind = mask.rsplit("x", 1)[1].removesuffix(">")
    dtype = {"i1": np.bool_, "i8": np.int8, "bf16": ml_dtypes.bfloat16}[kind]
    text = rows(mask, axis)
    assert atomics(text, deterministic=False) == 1
    assert atomics(text, deterministic=True) == 0
    compiled = program(text)
    for shape in shapes:
        rng = np.random.default_rng(1)
        for ratio in (0.0, 0.4, 1.0):
            live = rng.random(shape) < ratio
            x = rng.standard_normal(shape).astype(np.float32)
            [y] = compiled.run_numpy(np.where(live, x, np.nan).astype(np.float32), live.astype(dtype))
            np.testing.assert_array_equal(y, np.where(live, x, 0))

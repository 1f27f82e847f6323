"""Sums of few points and many terms in two kernels of the emulated GPU, against numpy in f64."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from programs import function, program

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.passes.pipelines import gpu_pipeline
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.program import Program

ROWS, COLUMNS = "affine_map<(r, c) -> (r)>", "affine_map<(r, c) -> (c)>"
WHOLE, NOTHING = "affine_map<(r, c) -> (r, c)>", "affine_map<(r, c) -> ()>"


def reduction(name: str, source: str, map_: str, out: str, combine: str, first: str, element: str) -> str:
    """`%name`: what `combine` makes of `first` and the terms of `%x`."""
    kinds = {
        ROWS: '"parallel", "reduction"',
        COLUMNS: '"reduction", "parallel"',
        NOTHING: '"reduction", "reduction"',
    }
    return f"""
  %z{name} = arith.constant {first} : {element}
  %e{name} = tensor.empty() : {out}
  %f{name} = linalg.fill ins(%z{name} : {element}) outs(%e{name} : {out}) -> {out}
  %{name} = linalg.generic {{indexing_maps = [{WHOLE}, {map_}], iterator_types = [{kinds[map_]}]}}
      ins(%x : {source}) outs(%f{name} : {out}) {{
  ^bb0(%a: {element}, %o: {element}):
    %t = {combine} %a, %o : {element}
    linalg.yield %t : {element}
  }} -> {out}"""


SUMS = {
    "columns": (COLUMNS, "tensor<40xf32>", "arith.addf", "1.5", lambda x: 1.5 + x.sum(0)),
    "lowest": (
        COLUMNS,
        "tensor<40xf32>",
        "arith.minimumf",
        "3.0",
        lambda x: np.minimum(3.0, x.min(0, initial=9)),
    ),
    "all": (NOTHING, "tensor<f32>", "arith.addf", "0.0", lambda x: x.sum()),
    "largest": (NOTHING, "tensor<f32>", "arith.maximumf", "-1.0", lambda x: max(-1.0, x.max(initial=-9))),
}


@cache
def compiled(rows: str) -> Program:
    """All of `SUMS` of an f32 tensor of 40 columns."""
    source = f"tensor<{rows}x40xf32>"
    body = "".join(
        reduction(name, source, map_, out, combine, first, "f32")
        for name, (map_, out, combine, first, _) in SUMS.items()
    )
    return program(
        function(f"%x: {source}", body, [(f"%{name}", out) for name, (_, out, *_) in SUMS.items()])
    )


@pytest.mark.parametrize("rows", ["1001", "?"])
def test_sums(rows: str) -> None:
    """Ends of parts are ragged; of few terms, or none, parts are empty."""
    for count in (1001,) if rows == "1001" else (0, 1, 33, 127, 1001):
        x = np.random.default_rng(count).standard_normal((count, 40)).astype(np.float32)
        for (name, one), actual in zip(SUMS.items(), compiled(rows).run_numpy(x), strict=True):
            np.testing.assert_allclose(actual, one[-1](x.astype(float)), rtol=1e-5, atol=1e-4, err_msg=name)


def test_truth_values() -> None:
    """Any of many."""
    text = reduction("any", "tensor<5000x3xi1>", COLUMNS, "tensor<3xi1>", "arith.ori", "false", "i1")
    text = text.replace("constant false : i1", "constant false")
    any_of = program(function("%x: tensor<5000x3xi1>", text, [("%any", "tensor<3xi1>")]))
    x = np.zeros((5000, 3), np.bool_)
    x[4999, 1] = True
    np.testing.assert_array_equal(any_of.run_numpy(x)[0], [False, True, False])


LISTED = """
  %I = "pit.detect"(%mask) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}
      : (tensor<?xi8>) -> !pit.index
  %x = "pit.sread"(%values, %I) {axis = array<i64: 0>, group = array<i64: 0>}
      : (tensor<?x40xf32>, !pit.index) -> tensor<?x40xf32>"""


def test_rows_that_only_the_device_counts() -> None:
    """What is behind the listed rows is no part of the sums: it was never written."""
    map_, out, combine, first, expected = SUMS["columns"]
    body = LISTED + reduction("s", "tensor<?x40xf32>", map_, out, combine, first, "f32")
    sums = program(function("%values: tensor<?x40xf32>, %mask: tensor<?xi8>", body, [("%s", out)]))
    for count, ratio in ((300, 0.5), (300, 0.0), (7, 1.0), (0, 1.0)):
        rng = np.random.default_rng(count)
        live = rng.random(count) < ratio
        x = np.where(live[:, None], rng.standard_normal((count, 40)), np.nan).astype(np.float32)
        [actual] = sums.run_numpy(x, live.astype(np.int8))
        np.testing.assert_allclose(actual, expected(x[live].astype(float)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("rows", "kernels"), [(64, 1), (128, 2), (100_000, 2)])
def test_few_terms_take_one_kernel(rows: int, kernels: int) -> None:
    map_, out, combine, first, _ = SUMS["columns"]
    source = f"tensor<{rows}x40xf32>"
    body = reduction("s", source, map_, out, combine, first, "f32")
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(function(f"%x: {source}", body, [("%s", out)]))
        phases: Any = gpu_pipeline("sm_80")
        run_pipeline(module, phases[: phases.index("pit-sink-sizes, canonicalize, cse")])
        # One more sets what the sums start from.
        assert str(module).count("gpu.launch ") == kernels + 1

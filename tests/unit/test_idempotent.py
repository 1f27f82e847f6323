"""Passes that run twice do what they do once: what somebody pipes through the driver again stays as it is."""

import re
from pathlib import Path

import pytest

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.passes.registry import PASSES
from pit_mlir.passes.runner import run_pipeline

LIT = Path(__file__).parent.parent.parent / "lit_tests" / "passes"
OPTIONS = {
    "pit-declare-padding": "{argument=1}",
}


def inputs(name: str) -> list[str]:
    """The parts of the examples of the pass `name`."""
    files = [path for path in sorted(LIT.glob(f"{name}*.mlir")) if "reject" not in path.name]
    return [part for path in files for part in re.split(r"^// -----.*$", path.read_text(), flags=re.M)]


@pytest.mark.parametrize("name", sorted(PASSES))
def test_twice_is_once(name: str) -> None:
    step = name + OPTIONS.get(name, "")
    for text in inputs(name):
        module = ir.Module.parse(text, make_context())
        run_pipeline(module, step, reproducer=False)
        once = str(module)
        run_pipeline(module, step, reproducer=False)
        assert str(module) == once


@pytest.mark.parametrize("shape", ["1x?", "4x?"])
def test_padding_is_declared_once(shape: str) -> None:
    text = f"""
    func.func @main(%x: tensor<{shape}x8xf32>, %mask: tensor<{shape}xf32>) -> tensor<{shape}x8xf32> {{
      %c1 = arith.constant 1 : index
      %t = tensor.dim %x, %c1 : tensor<{shape}x8xf32>
      %e = tensor.empty(%t) : tensor<{shape}x8xf32>
      %y = linalg.generic {{indexing_maps = [affine_map<(b, t, d) -> (b, t)>, affine_map<(b, t, d) -> (b, t, d)>,
        affine_map<(b, t, d) -> (b, t, d)>], iterator_types = ["parallel", "parallel", "parallel"]}}
        ins(%mask, %x : tensor<{shape}xf32>, tensor<{shape}x8xf32>) outs(%e : tensor<{shape}x8xf32>) {{
      ^bb0(%m: f32, %a: f32, %o: f32):
        %s = arith.addf %m, %a : f32
        linalg.yield %s : f32
      }} -> tensor<{shape}x8xf32>
      return %y : tensor<{shape}x8xf32>
    }}"""
    module = ir.Module.parse(text, make_context())
    run_pipeline(module, "pit-normalize, pit-declare-padding{argument=1}")
    once = str(module)
    assert once.count("arith.select") == 1
    run_pipeline(module, "pit-declare-padding{argument=1}")
    assert str(module) == once

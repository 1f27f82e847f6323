"""Passes on tensors meet buffers: they leave them alone, or say what is wrong."""

import pytest

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.errors import PitError
from pit_mlir.passes.registry import PASSES
from pit_mlir.passes.runner import run_pipeline

TEXT = """
#i = affine_map<(b, t, d) -> (b, t, d)>
#m = affine_map<(b, t, d) -> (b, t)>
func.func @main(%x: memref<2x?x8xf32>, %mask: memref<2x?xi1>, %w: memref<8x8xf32>, %y: memref<2x?x8xf32>,
                %z: memref<2x?x8xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#i, #m, #i], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %mask : memref<2x?x8xf32>, memref<2x?xi1>) outs(%y : memref<2x?x8xf32>) {
  ^bb0(%a: f32, %l: i1, %o: f32):
    %s = arith.select %l, %a, %zero : f32
    linalg.yield %s : f32
  }
  linalg.fill ins(%zero : f32) outs(%z : memref<2x?x8xf32>)
  linalg.generic {indexing_maps = [affine_map<(b, t, n, k) -> (b, t, k)>, affine_map<(b, t, n, k) -> (k, n)>,
                                   affine_map<(b, t, n, k) -> (b, t, n)>],
                  iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%y, %w : memref<2x?x8xf32>, memref<8x8xf32>) outs(%z : memref<2x?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }
  return
}"""


@pytest.mark.parametrize("name", PASSES)
def test_buffers_are_left_alone(name: str) -> None:
    options = {"pit-declare-padding": "{argument=1}"}.get(name, "")
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(TEXT)
        try:
            run_pipeline(module, name + options, reproducer=None)
        except PitError as error:
            # Not what is said where a pass raises something else.
            assert ".py:" not in str(error), str(error)
        assert module.operation.verify()

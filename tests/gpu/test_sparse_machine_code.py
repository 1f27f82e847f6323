"""The machine code of kernels of indices and of attention: the instructions that matter, and no spilled registers."""

import pytest

from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.ptx import Image, build_image
from pit_mlir.dialect import make_context
from pit_mlir.passes.pipelines import gpu_pipeline
from pit_mlir.passes.runner import run_pipeline

ATTEND = """
func.func @main(%q: tensor<?x{d}x{t}>, %k: tensor<?x{d}x{t}>, %v: tensor<?x{d}x{t}>, %mask: tensor<?x{t}>,
                %init: tensor<?x{d}x{t}>) -> tensor<?x{d}x{t}> {{
  %I = "pit.detect"(%mask) {{segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}}
      : (tensor<?x{t}>) -> !pit.index
  %o = "pit.attend"(%q, %k, %v, %init, %I) ({{
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }}) {{batch = 0 : i64, segments = array<i64>, compact = array<i64>,
      indexing_maps = [affine_map<(q, k, d, e) -> (q, d)>, affine_map<(q, k, d, e) -> (k, d)>,
                       affine_map<(q, k, d, e) -> (k, e)>, affine_map<(q, k, d, e) -> (q, e)>]}}
      : (tensor<?x{d}x{t}>, tensor<?x{d}x{t}>, tensor<?x{d}x{t}>, tensor<?x{d}x{t}>, !pit.index) -> tensor<?x{d}x{t}>
  return %o : tensor<?x{d}x{t}>
}}"""


def image_of(text: str) -> Image:
    """The kernels of @main of `text` for sm_80."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        run_pipeline(module, gpu_pipeline("sm_80"))
        kernels = next(op for op in module.body.operations if op.operation.name == "gpu.module")
        return build_image(kernels.operation, "sm_80")


@pytest.mark.parametrize(("element", "depth"), [("bf16", 64), ("f16", 128), ("f32", 64), ("f32", 128)])
def test_attention_spills_nothing(element: str, depth: int) -> None:
    """Results and queries stay in registers; 16 bits are multiplied by tensor cores, wider numbers are not."""
    image = image_of(ATTEND.format(t=element, d=depth))
    for name, use in image.use.items():
        assert use.spill_stores == use.spill_loads == 0, name
        assert use.shared_bytes <= 48 << 10, name
    on_tensor_cores = (
        "mma.sync.aligned.m16n8k16",
        "ldmatrix.sync.aligned.m8n8.x4",
        "cp.async.cg.shared.global",
    )
    for instruction in on_tensor_cores:
        assert (instruction in image.ptx) == (element != "f32"), instruction


DETECT = """
func.func @main(%a: tensor<256x4096xbf16>) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>) {
  %K = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 32>, micro_tile = 32 : i64}
      : (tensor<256x4096xbf16>) -> !pit.index
  %L:4 = "pit.lists"(%K) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return %L#0, %L#1, %L#2, %L#3 : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>
}"""


def test_an_index_is_made_of_wide_reads() -> None:
    """Sixteen bytes at a time, several of them under way; bits are counted by an instruction."""
    image = image_of(DETECT)
    wide = image.ptx.count("ld.global.v4.b32")
    assert wide >= 4, image.ptx
    assert "popc.b32" in image.ptx
    assert all(use.spill_stores == 0 for use in image.use.values())

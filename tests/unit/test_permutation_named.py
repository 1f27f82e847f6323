"""Upstream's named operations go through the prover: the maps and bodies come from the bindings."""

import pytest
from structured_text import with_op

from pit_mlir.analysis.permutation import prove

NAMES = {"p": "parallel", "r": "reduction", "n": "none"}


def named(name: str, inputs: str, output: str, *, body: str = "", tail: str = "") -> str:
    """`linalg.name` on tensors of the given types; `body` is that of map and reduce, `tail` what follows."""
    types = [f"tensor<{type_}>" for type_ in (*inputs.split(), output)]
    count = len(types) - 1
    arguments = ", ".join(f"%v{number}: {type_}" for number, type_ in enumerate(types))
    values = ", ".join(f"%v{number}" for number in range(count))
    result = "" if body or tail else f" -> {types[-1]}"
    return f"""
      func.func @f({arguments}) -> {types[-1]} {{
        %r = linalg.{name} {body} ins({values} : {", ".join(types[:-1])})
          outs(%v{count} : {types[-1]}) {tail} {result}
        return %r : {types[-1]}
      }}"""


CASES = [
    (named("matmul", "4x5xf32 5x6xf32", "4x6xf32"), "p p r"),
    (named("batch_matmul", "2x4x5xf32 2x5x6xf32", "2x4x6xf32"), "p p p r"),
    (named("batch_reduce_matmul", "2x4x5xf32 2x5x6xf32", "4x6xf32"), "r p p r"),
    (named("quantized_matmul", "4x5xi8 5x6xi8 i32 i32", "4x6xi32").replace("tensor<i32>", "i32"), "p p r"),
    (named("matvec", "4x5xf32 5xf32", "4xf32"), "p r"),
    (named("vecmat", "5xf32 5x4xf32", "4xf32"), "p r"),
    (named("dot", "5xf32 5xf32", "f32"), "r"),
    (named("mmt4d", "2x3x4x5xf32 6x3x7x5xf32", "2x6x4x7xf32"), "p p r p p r"),
    (named("conv_1d", "9xf32 3xf32", "7xf32"), "n n"),
    (named("conv_2d_nchw_fchw", "1x3x8x8xf32 4x3x3x3xf32", "1x4x6x6xf32"), "p p n n r n n"),
    (named("conv_2d_nhwc_hwcf", "1x8x8x3xf32 3x3x3x4xf32", "1x6x6x4xf32"), "p n n p n n r"),
    (named("depthwise_conv_2d_nchw_chw", "1x3x8x8xf32 3x3x3xf32", "1x3x6x6xf32"), "p n n p n n"),
    (named("pooling_nhwc_sum", "1x8x8x3xf32 3x3xf32", "1x6x6x3xf32"), "p n n p n n"),
    (named("pooling_nchw_max", "1x3x8x8xf32 3x3xf32", "1x3x6x6xf32"), "p p n n n n"),
    (named("add", "4x5xf32 4x5xf32", "4x5xf32"), "p p"),
    (named("exp", "4x5xf32", "4x5xf32"), "p p"),
    (named("copy", "4x5xf32", "4x5xf32"), "p p"),
    (named("select", "4x5xi1 4x5xf32 4x5xf32", "4x5xf32"), "p p"),
    (named("transpose", "4x5xf32", "5x4xf32", tail="permutation = [1, 0]"), "p p"),
    (named("broadcast", "4xf32", "4x5xf32", tail="dimensions = [1]"), "p p"),
    (named("reduce", "4x5xf32", "4xf32", body="{ arith.addf }", tail="dimensions = [1]"), "p r"),
    (named("reduce", "4x5xf32", "5xf32", body="{ arith.maximumf }", tail="dimensions = [0]"), "r p"),
    (named("map", "4x5xf32 4x5xf32", "4x5xf32", body="{ arith.mulf }"), "p p"),
]


@pytest.mark.parametrize(
    ("text", "axes"), CASES, ids=[text.split("linalg.")[1].split()[0] for text, _ in CASES]
)
def test_named_operation(text: str, axes: str) -> None:
    proof = with_op(text, prove)
    assert proof is not None
    assert proof.verdicts == tuple(NAMES[letter] for letter in axes.split())


def test_operation_without_maps_has_no_proof() -> None:
    text = """
      func.func @f(%x: tensor<4x5xf32>, %y: tensor<4x5xf32>) -> tensor<4x5xf32> {
        %r = linalg.softmax dimension(1) ins(%x : tensor<4x5xf32>) outs(%y : tensor<4x5xf32>) -> tensor<4x5xf32>
        return %r : tensor<4x5xf32>
      }"""
    assert with_op(text, prove) is None


def test_buffers_may_overlap() -> None:
    text = """
      func.func @f(%x: memref<4x5xf32>, %y: memref<4x5xf32>) {
        linalg.exp ins(%x : memref<4x5xf32>) outs(%y : memref<4x5xf32>)
        return
      }"""
    proof = with_op(text, prove)
    assert proof is not None
    assert proof.axes[0].reason == "it works on buffers, whose elements may overlap"


def test_asking_leaves_the_operation_as_it_was() -> None:
    def attributes(op: object) -> tuple[list[str], list[str]]:
        names = list(op.attributes)  # type: ignore[attr-defined]
        prove(op)  # type: ignore[arg-type]
        return names, list(op.attributes)  # type: ignore[attr-defined]

    text = named("conv_2d_nchw_fchw", "1x3x8x8xf32 4x3x3x3xf32", "1x4x6x6xf32")
    before, after = with_op(text, attributes)
    assert before == after

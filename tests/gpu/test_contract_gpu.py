"""Contractions on the emulated GPU against numpy in higher precision, and what ptxas says of their kernels.

The emulator reports races, reads of what nobody wrote and accesses out of bounds; results lie in memory that is NaN.
"""

import re
from dataclasses import replace
from functools import cache

import ml_dtypes
import numpy as np
import pytest
from programs import program

from pit_mlir.bindings import ir
from pit_mlir.codegen.gpu.ptx import Image, build_image, ptxas
from pit_mlir.dialect import make_context
from pit_mlir.errors import PlatformError
from pit_mlir.passes.pipelines import gpu_pipeline
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.emulator import emulator_device
from pit_mlir.runtime.engine import build_code
from pit_mlir.runtime.program import Code, Program
from pit_mlir.target import Target

TYPES = {"f32": np.float32, "f64": np.float64, "bf16": ml_dtypes.bfloat16, "f16": np.float16, "i32": np.int32}
TOLERANCE = {"f32": 1e-5, "f64": 1e-13, "bf16": 2e-2, "f16": 3e-3, "i32": 0.0}


def contraction(
    equation: str,
    sizes: dict[str, int],
    type_: str,
    *,
    index: str = "",
    group: str = "",
    block: str = "",
    combine: str = "store",
    epilogue: str = "%r = arith.addf %s, %z : f32",
) -> str:
    """A function @main of both operands, the result's init and a mask, for `pit.contract`.

    `index` is the attributes of the `pit.detect` of the mask whose list it follows. `epilogue` makes %r of the sum %s
    and %z, a 0 of its type. Sums of narrow floats are f32.
    """
    inputs, out = equation.split("->")
    left, right = inputs.split(",")
    iterators = "".join(dict.fromkeys(out + left + right))
    wide = "f32" if type_ in ("bf16", "f16") else type_

    def shape(term: str, element: str = type_) -> str:
        return "tensor<" + "".join(f"{sizes[i]}x" for i in term) + element + ">"

    def map_(term: str) -> str:
        return f"affine_map<({', '.join(iterators)}) -> ({', '.join(term)})>"

    narrow = wide != type_
    casts = "".join(f"%{n}w = arith.extf %{n} : {type_} to f32\n" for n in "xy") if narrow else ""
    factors = "%xw, %yw" if narrow else "%x, %y"
    end = f"%t = arith.truncf %r : f32 to {type_}\n" if narrow else ""
    zero = "0" if type_[0] == "i" else "0.0"
    if type_ != "f32" and not narrow:
        epilogue = f"%r = arith.{'addi' if type_[0] == 'i' else 'addf'} %s, %z : {type_}"
    mask = (
        "tensor<" + "".join(f"{sizes[i]}x" for i in ("mk" if "block = array<i64:" in index else "m")) + "f32>"
    )
    kinds = ", ".join(f"#linalg.iterator_type<{'parallel' if i in out else 'reduction'}>" for i in iterators)
    detect = f'%I = "pit.detect"(%mask) {{{index}, micro_tile = 1 : i64}} : ({mask}) -> !pit.index'
    operands, types = ("%c, %I", f"{shape(out)}, !pit.index") if index else ("%c", shape(out))
    return f"""
func.func @main(%a: {shape(left)}, %b: {shape(right)}, %c: {shape(out)}, %mask: {mask}) -> {shape(out)} {{
  %z = arith.constant {zero} : {wide}
  {detect if index else ""}
  %q = "pit.contract"({operands}) ({{
    %x = "pit.element"(%a) {{map = {map_(left)}, compact = false}} : ({shape(left)}) -> {type_}
    %y = "pit.element"(%b) {{map = {map_(right)}, compact = false}} : ({shape(right)}) -> {type_}
    {casts}
    "pit.yield"({factors}) : ({wide}, {wide}) -> ()
  }}, {{
  ^bb0(%s: {wide}):
    {epilogue}
    {end}
    "pit.yield"({"%t" if narrow else "%r"}) : ({type_}) -> ()
  }}) {{indexing_maps = [{map_(out)}], iterator_types = [{kinds}], group = array<i64{group}>,
       block = array<i64{block}>, compact = false, combine = "{combine}"}} : ({types}) -> {shape(out)}
  return %q : {shape(out)}
}}"""


@cache
def cached(text: str, target: str) -> Program:
    """`program`, compiled once."""
    return program(text, target=target)


def values(rng: np.random.Generator, term: str, sizes: dict[str, int], type_: str) -> np.ndarray:
    """Random values of an operand over `term`."""
    shape = [sizes[i] for i in term]
    return rng.integers(-5, 6, shape) if type_[0] == "i" else rng.standard_normal(shape).astype(TYPES[type_])


def check(
    equation: str,
    sizes: dict[str, int],
    type_: str,
    target: str = "emulator",
    *,
    zeros: float | None = None,
    **options: str,
) -> None:
    """Compiles and runs a contraction; `zeros` of the mask and of what it masks are 0."""
    rng = np.random.default_rng(1)
    inputs, out = equation.split("->")
    left, right = inputs.split(",")
    a, b, c = (values(rng, term, sizes, type_).astype(TYPES[type_]) for term in (left, right, out))
    listed = options.get("index", "")
    mask = (
        rng.random([sizes[i] for i in ("mk" if "block = array<i64:" in listed else "m")]) >= (zeros or 0.0)
    ).astype(np.float32)
    kept = np.zeros(c.shape)
    if "block = array<i64:" in listed:
        a = (a * mask).astype(a.dtype)
    elif listed:
        kept = np.where(mask[:, None] != 0, 0.0, c.astype(float))
        a = np.where(mask[:, None] != 0, a, np.nan).astype(a.dtype)
    compiled = cached(contraction(equation, sizes, type_, **options), target)
    [actual] = compiled.run_numpy(a, b, c, mask)
    live = np.where(np.isnan(a.astype(float)), 0.0, a.astype(float))
    expected = np.einsum(equation, live, b.astype(float))
    if "maximum" in options.get("epilogue", ""):
        expected = np.maximum(expected, 0.0)
    if options.get("combine") == "add":
        expected = expected + c.astype(float)
    else:
        expected = expected + kept
    scale = max(1.0, sizes["k"] ** 0.5)
    np.testing.assert_allclose(
        actual.astype(float), expected, rtol=TOLERANCE[type_], atol=TOLERANCE[type_] * scale
    )


ODD = {"m": 33, "n": 127, "k": 127}


@pytest.mark.parametrize(
    ("equation", "sizes", "type_"),
    [
        ("mk,nk->mn", {"m": 127, "n": 130, "k": 96}, "bf16"),
        ("km,kn->mn", {"m": 72, "n": 136, "k": 33}, "bf16"),
        ("mk,kn->mn", ODD, "f16"),
        ("mk,nk->mn", {"m": 7, "n": 33, "k": 1000}, "bf16"),
        ("mk,nk->mn", {"m": 129, "n": 132, "k": 36}, "f32"),
        ("mk,kn->mn", {"m": 1, "n": 64, "k": 513}, "f32"),
        ("km,nk->mn", ODD, "f64"),
        ("bmk,bnk->bmn", {"b": 3, "m": 7, "n": 33, "k": 1}, "i32"),
        ("mk,nk->mn", {"m": 5, "n": 3, "k": 0}, "f32"),
        ("mk,k->m", {"m": 33, "k": 72}, "f32"),
        # Two dimensions with a stride of 1: neighbours along the one that has one place are none.
        ("km,nk->mn", {"m": 1, "n": 7, "k": 1}, "f32"),
    ],
)
def test_dense(equation: str, sizes: dict[str, int], type_: str) -> None:
    check(equation, sizes, type_)


@pytest.mark.parametrize(
    ("equation", "sizes", "type_"),
    [
        ("mk,nk->mn", {"m": 200, "n": 264, "k": 72}, "bf16"),
        ("km,kn->mn", {"m": 136, "n": 72, "k": 1000}, "f16"),
        ("mk,kn->mn", {"m": 64, "n": 64, "k": 448}, "bf16"),
        ("mk,nk->mn", {"m": 64, "n": 72, "k": 1}, "bf16"),
        # Boxes of four dimensions; a depth of two axes, in another order in the second factor, which no box has.
        ("bmhk,bnhk->bhmn", {"b": 2, "h": 2, "m": 65, "n": 80, "k": 72}, "bf16"),
        ("mkj,njk->mn", {"m": 70, "n": 72, "k": 24, "j": 40}, "bf16"),
    ],
)
def test_wgmma(equation: str, sizes: dict[str, int], type_: str) -> None:
    check(equation, sizes, type_, "emulator:sm_90a")


def heads(type_: str, out: str, h: int, m: int, d: int, k: int) -> str:
    """Heads of a projection, each row of them in another place, with a bias, a gate for each row and a residual."""
    shapes = {"x": [m, k], "w": [h, d, k], "b": [h, d], "g": [m], "e": [m, h, d], "c": [h, m, d]}
    types = {n: "x".join(map(str, size)) for n, size in shapes.items()}
    types = {
        n: f"tensor<{size}x{'f32' if n in 'bg' else out if n == 'c' else type_}>" for n, size in types.items()
    }
    dims = {"x": "m, k", "w": "h, d, k", "b": "h, d", "g": "m", "e": "m, h, d", "c": "h, m, d"}
    map_ = {n: f"affine_map<(h, m, d, k) -> ({text})>" for n, text in dims.items()}
    parallel, reduction = "#linalg.iterator_type<parallel>", "#linalg.iterator_type<reduction>"

    def element(name: str, of: str) -> str:
        kind = types[of].rpartition("x")[2][:-1]
        return (
            f'%{name} = "pit.element"(%{of}) {{map = {map_[of]}, compact = false}} : ({types[of]}) -> {kind}'
        )

    narrow = type_ != "f32"
    widen = [f"%{n}w = arith.extf %{n} : {type_} to f32" if narrow else "" for n in ("xs", "ws", "es")]
    last = "w" if narrow else ""
    final = f"%t = arith.truncf %r : f32 to {out}" if out != "f32" else ""
    return f"""
func.func @main({", ".join(f"%{n}: {type_}" for n, type_ in types.items())}) -> {types["c"]} {{
  %z = arith.constant 0.0 : f32
  %q = "pit.contract"(%c) ({{
    {element("xs", "x")}
    {element("ws", "w")}
    {widen[0]}
    {widen[1]}
    "pit.yield"(%xs{last}, %ws{last}) : (f32, f32) -> ()
  }}, {{
  ^bb0(%s: f32):
    {element("bs", "b")}
    {element("gs", "g")}
    {element("es", "e")}
    {widen[2]}
    %p = arith.addf %s, %bs : f32
    %o = arith.mulf %p, %gs : f32
    %r = arith.addf %o, %es{last} : f32
    {final}
    "pit.yield"({"%t" if final else "%r"}) : ({out}) -> ()
  }}) {{indexing_maps = [{map_["c"]}], iterator_types = [{", ".join([parallel] * 3 + [reduction])}], group = array<i64>,
       block = array<i64>, compact = false, combine = "store"}} : ({types["c"]}) -> {types["c"]}
  return %q : {types["c"]}
}}"""


@pytest.mark.parametrize(
    ("target", "type_", "out", "sizes"),
    [
        # As many at once as sixteen bytes have; of an odd number of columns one by one; of even numbers, two.
        ("emulator:sm_90a", "bf16", "bf16", (3, 70, 24, 64)),
        ("emulator:sm_90a", "f16", "f32", (2, 65, 100, 72)),
        ("emulator", "bf16", "bf16", (2, 33, 40, 40)),
        ("emulator", "bf16", "bf16", (2, 7, 33, 16)),
        ("emulator", "f16", "f32", (1, 17, 66, 24)),
        ("emulator", "f32", "f32", (2, 9, 36, 20)),
    ],
)
def test_neighbours_pass_together(
    target: str, type_: str, out: str, sizes: tuple[int, int, int, int]
) -> None:
    """Results, biases and residuals whose columns lie in several pieces of memory."""
    h, m, d, k = sizes
    rng = np.random.default_rng(4)
    x, w, e = (rng.standard_normal(shape).astype(TYPES[type_]) for shape in ((m, k), (h, d, k), (m, h, d)))
    b, g = (rng.standard_normal(shape).astype(np.float32) for shape in ((h, d), (m,)))
    c = np.full((h, m, d), np.nan).astype(TYPES[out])
    [actual] = cached(heads(type_, out, *sizes), target).run_numpy(x, w, b, g, e, c)
    wide = [array.astype(float) for array in (x, w, b, g, e)]
    sums = np.einsum("mk,hdk->hmd", wide[0], wide[1]) + wide[2][:, None]
    expected = sums * wide[3][None, :, None] + wide[4].transpose(1, 0, 2)
    limit = max(TOLERANCE[out], 1e-5)
    np.testing.assert_allclose(actual.astype(float), expected, rtol=limit, atol=limit * k**0.5)


ROWS = {"index": "segments = array<i64>, axis = array<i64: 0>, block = array<i64>", "group": ": 0"}
RELU = "%r = arith.maximumf %s, %z : f32"


@pytest.mark.parametrize(
    ("target", "sizes"), [("emulator", ODD), ("emulator:sm_90a", {"m": 200, "n": 128, "k": 64})]
)
@pytest.mark.parametrize("zeros", [0.0, 0.7, 1.0])
def test_rows_are_gathered_and_scattered(target: str, sizes: dict[str, int], zeros: float) -> None:
    """Rows outside the list are NaN, and keep what the result held."""
    check("mk,nk->mn", sizes, "bf16", target, zeros=zeros, epilogue=RELU, **ROWS)


def test_rows_are_added() -> None:
    check("mk,nk->mn", ODD, "f32", zeros=0.5, combine="add", **ROWS)


@pytest.mark.parametrize("zeros", [0.0, 0.95])
@pytest.mark.parametrize(("type_", "block"), [("f32", 5), ("bf16", 32)])
def test_steps_are_listed_for_blocks_of_rows(type_: str, block: int, zeros: float) -> None:
    """Few zeros: the kernel without the list runs; many: the one that follows it."""
    listed = f"segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: {block}>"
    check("mk,nk->mn", ODD, type_, zeros=zeros, index=listed, group=": 0, 2", block=f": {block}")


@pytest.mark.parametrize("block", [8, 33])
def test_rows_are_listed_for_parts_of_the_depth(block: int) -> None:
    listed = f"segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: {block}>"
    check("mk,nk->mn", ODD, "f32", zeros=0.8, index=listed, group=": 2, 0", block=f": {block}")


@pytest.mark.parametrize("zeros", [0.0, 0.9, 1.0])
def test_many_segments_are_searched(zeros: float) -> None:
    """A list of where each begins; segments without a row among them, the first and the last too."""
    listed = "segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: 1>"
    sizes = {"m": 9, "n": 33, "k": 1057}
    check("mk,nk->mn", sizes, "f32", zeros=zeros, index=listed, group=": 2, 0", block=": 1")


@pytest.mark.skipif(ptxas() is None, reason="no ptxas")
@pytest.mark.parametrize("chip", ["sm_80", "sm_90a"])
@pytest.mark.parametrize(
    ("equation", "sizes", "type_"),
    [
        ("mk,nk->mn", {"m": 512, "n": 512, "k": 512}, "bf16"),
        ("mk,kn->mn", {"m": 8, "n": 512, "k": 512}, "bf16"),
        ("mk,kn->mn", {"m": 512, "n": 512, "k": 512}, "f32"),
        ("mk,nk->mn", {"m": 16, "n": 512, "k": 512}, "f32"),
        ("mk,nk->mn", {"m": 512, "n": 512, "k": 512}, "f64"),
    ],
)
def test_no_register_is_spilled(equation: str, sizes: dict[str, int], type_: str, chip: str) -> None:
    """Of the tiles for each type, large ones and those of few rows."""
    verify_no_spills(image_of(contraction(equation, sizes, type_), chip))


@pytest.mark.skipif(ptxas() is None, reason="no ptxas")
@pytest.mark.parametrize("chip", ["sm_80", "sm_90a"])
def test_an_epilogue_is_of_whole_lines(chip: str) -> None:
    """Sixteen bytes at once: of the result, of a residual, and of a bias, whose eight elements are twice as many."""
    image = image_of(heads("bf16", "bf16", 4, 512, 128, 512), chip)
    verify_no_spills(image)
    stores = re.findall(r"st\.global\.(\S+)", image.ptx)
    assert set(stores) == {"v4.b32"}
    assert len(re.findall(r"ld\.global\.v4\.b32", image.ptx)) == 3 * len(stores)
    assert "cvt.rn.bf16x2.f32" in image.ptx


def image_of(text: str, chip: str) -> Image:
    """The kernels of the program `text`."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text)
        run_pipeline(module, (*gpu_pipeline(chip), "gpu.module(convert-nvvm-to-llvm)"))
        [kernels] = [op.operation for op in module.body.operations if op.operation.name == "gpu.module"]
        return build_image(kernels, chip)


def verify_no_spills(image: Image) -> None:
    """ptxas must report on each kernel, and that it spills nothing."""
    assert image.use, "ptxas reports on each kernel"
    spills = {name: (use.spill_stores, use.spill_loads) for name, use in image.use.items()}
    assert spills == dict.fromkeys(image.use, (0, 0))


def test_channels_are_listed_inside_of_windows() -> None:
    """An entry stands for all places of its channel, in the images and in the weights."""
    window = "affine_map<(n, c, x, i, y, j) -> (n, c, x + i, y + j)>"
    maps = [
        f"affine_map<(n, f, x, y, c, i, j) -> ({dims})>"
        for dims in ("n, c, x, i, y, j", "f, c, i, j", "n, f, x, y")
    ]
    shapes = [f"tensor<{dims}xf32>" for dims in ("2x9x4x3x5x2", "5x9x3x2", "2x5x4x5")]
    kinds = ", ".join(f"#linalg.iterator_type<{k}>" for k in ["parallel"] * 4 + ["reduction"] * 3)
    compiled = program(f"""
func.func @main(%x: tensor<2x9x6x6xf32>, %w: {shapes[1]}, %c: {shapes[2]}, %mask: tensor<9xf32>) -> {shapes[2]} {{
  %I = "pit.detect"(%mask) {{segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}}
      : (tensor<9xf32>) -> !pit.index
  %v = "pit.window"(%x) {{map = {window}, operandSegmentSizes = array<i32: 1, 0>}} : (tensor<2x9x6x6xf32>) -> {shapes[0]}
  %q = "pit.contract"(%c, %I) ({{
    %a = "pit.element"(%v) {{map = {maps[0]}, compact = false}} : ({shapes[0]}) -> f32
    %b = "pit.element"(%w) {{map = {maps[1]}, compact = false}} : ({shapes[1]}) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }}, {{
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }}) {{indexing_maps = [{maps[2]}], iterator_types = [{kinds}], group = array<i64: 4>, block = array<i64>,
       compact = false, combine = "store"}} : ({shapes[2]}, !pit.index) -> {shapes[2]}
  return %q : {shapes[2]}
}}""")
    rng = np.random.default_rng(2)
    mask = (np.arange(9) % 4 == 1).astype(np.float32)
    images = (rng.standard_normal((2, 9, 6, 6)) * mask[:, None, None]).astype(np.float32)
    weights = rng.standard_normal((5, 9, 3, 2)).astype(np.float32)
    [actual] = compiled.run_numpy(images, weights, np.zeros((2, 5, 4, 5), np.float32), mask)
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(float), (3, 2), (2, 3))
    expected = np.einsum("ncxyij,fcij->nfxy", windows, weights.astype(float))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_what_a_device_can_load_is_chosen() -> None:
    """Code of sm_90a is for that chip; to others the program is the general one."""
    sizes = {"m": 70, "n": 64, "k": 72}
    text = contraction("mk,nk->mn", sizes, "bf16")

    def code_for(chip: str) -> Code:
        with make_context(), ir.Location.unknown():
            return build_code(ir.Module.parse(text), target=Target("emulator", chip))

    general = code_for("sm_80")
    code = replace(code_for("sm_90a"), general=general)
    rng = np.random.default_rng(6)
    a, b, c = (values(rng, term, sizes, "bf16") for term in ("mk", "nk", "mn"))
    for chip, chosen in (("sm_90", code), ("sm_100", general), ("sm_86", general)):
        program = Program(code, emulator_device(chip))
        assert program.code is chosen
        [actual] = program.run_numpy(a, b, c, np.zeros(70, np.float32))
        np.testing.assert_allclose(
            actual.astype(float), a.astype(float) @ b.T.astype(float), rtol=2e-2, atol=0.2
        )
    with pytest.raises(
        PlatformError, match=r"the emulator of sm_75, .* an sm_75: there is emulator for sm_80"
    ):
        Program(code, emulator_device("sm_75"))

"""Contractions with a list of rows for each block of columns against numpy: what a mask leaves of a projection."""

import numpy
import pytest
from contraction_text import tensor
from jit import program

PRODUCT = """
  %e = tensor.empty({sizes}) : {o}
  %c = linalg.fill ins(%z : f32) outs(%e : {o}) -> {o}
  %I = "pit.detect"(%p) {{axis = array<i64: {axis}>, block = array<i64: {block}>, micro_tile = 1 : i64,
      segments = array<i64: {segments}>}} : ({p}) -> !pit.index
  %q = "pit.contract"(%c, %I) ({{
    %a = "pit.element"(%x) {{compact = false, map = {x_map}}} : ({x}) -> f32
    %b = "pit.element"(%w) {{compact = false, map = {w_map}}} : ({w}) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }}, {{
  ^bb0(%s: f32):
    %v = "pit.element"(%p) {{compact = false, map = {p_map}}} : ({p}) -> f32
    %r = arith.mulf %v, %s : f32
    "pit.yield"(%r) : (f32) -> ()
  }}) {{block = array<i64: {block}>, combine = "store", compact = false, group = array<i64: {group}>,
      indexing_maps = [{o_map}], iterator_types = [{kinds}]}} : ({o}, !pit.index) -> {o}"""
"""%q of %x, %w and the mask %p, whose last iterator is listed for blocks of its others."""


def product_text(equation: str, sizes: dict[str, int], block: str, rows: str = "") -> str:
    """`PRODUCT` of `equation`, of operands, mask and result; `rows`, if said, are of unknown number %n."""
    inputs, out = equation.split("->")
    x, w, p = inputs.split(",")
    iterators = "".join(dict.fromkeys(out + x))
    names = {"o": out, "x": x, "w": w, "p": p}

    def named(term: str) -> str:
        return f"affine_map<({', '.join(iterators)}) -> ({', '.join(term)})>"

    kinds = ("parallel" if i in out else "reduction" for i in iterators)
    return PRODUCT.format(
        sizes="%n" if rows else "",
        block=block,
        axis=len(p) - 1,
        segments=", ".join(map(str, range(len(p) - 1))),
        group=", ".join(str(iterators.index(i)) for i in p),
        kinds=", ".join(f"#linalg.iterator_type<{kind}>" for kind in kinds),
        **{
            name: tensor(["?" if i == rows else sizes[i] for i in term], "f32")
            for name, term in names.items()
        },
        **{f"{name}_map": named(term) for name, term in names.items()},
    )


def operands(equation: str, sizes: dict[str, int]) -> list[numpy.ndarray]:
    """Random operands and a mask, of which one half is 0."""
    rng = numpy.random.default_rng(5)
    x, w, p = (rng.standard_normal([sizes[i] for i in term]) for term in equation.split("->")[0].split(","))
    return [array.astype(numpy.float32) for array in (x, w, p * (rng.random(p.shape) < 0.5))]


@pytest.mark.parametrize("target", ["cpu", "emulator"])
@pytest.mark.parametrize(
    ("equation", "block"),
    [
        ("tk,hk,th->th", "1"),
        # Heads are listed, and all of each is wanted.
        ("tk,hdk,th->thd", "1"),
        ("tk,dhk,th->thd", "32"),
        # Lists for each token of each sequence.
        ("btk,hk,bth->bth", "1, 1"),
        ("btk,hdk,bth->bthd", "1, 32"),
    ],
)
def test_rows_listed_for_blocks_of_columns(equation: str, block: str, target: str) -> None:
    sizes = {"b": 3, "t": 37, "k": 33, "h": 5, "d": 3}
    text = product_text(equation, sizes, block)
    inputs, out = equation.split("->")
    x, w, p, o = (tensor([sizes[i] for i in term], "f32") for term in (*inputs.split(","), out))
    compiled = program(
        f"func.func @main(%x: {x}, %w: {w}, %p: {p}) -> {o} {{\n  %z = arith.constant 0.0 : f32{text}\n"
        f"  return %q : {o}\n}}",
        target,
    )
    given = operands(equation, sizes)
    [actual] = compiled.run_numpy(*given)
    expected = numpy.einsum(equation, *(array.astype(float) for array in given))
    numpy.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("target", ["cpu", "emulator"])
def test_columns_are_rows_of_another_list(target: str) -> None:
    """How many columns there are is known at run time only: on a GPU, the host has a bound alone."""
    equation, sizes = "tk,hdk,th->thd", {"t": 9, "k": 7, "h": 5, "d": 3}
    text = product_text(equation, sizes, "1", rows="t")
    compiled = program(
        f"""
func.func @main(%all: tensor<9x7xf32>, %w: tensor<5x3x7xf32>, %mask: tensor<9x5xf32>, %live: tensor<9xi1>)
    -> tensor<9x5x3xf32> {{
  %z = arith.constant 0.0 : f32
  %L = "pit.detect"(%live) {{axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64, segments = array<i64>}}
      : (tensor<9xi1>) -> !pit.index
  %n = "pit.size"(%L) : (!pit.index) -> index
  %x = "pit.sread"(%all, %L) {{axis = array<i64: 0>, group = array<i64: 0>}} : (tensor<9x7xf32>, !pit.index)
      -> tensor<?x7xf32>
  %p = "pit.sread"(%mask, %L) {{axis = array<i64: 0>, group = array<i64: 0>}} : (tensor<9x5xf32>, !pit.index)
      -> tensor<?x5xf32>{text}
  %f = tensor.empty() : tensor<9x5x3xf32>
  %g = linalg.fill ins(%z : f32) outs(%f : tensor<9x5x3xf32>) -> tensor<9x5x3xf32>
  %res = "pit.swrite"(%q, %g, %L) {{axis = array<i64: 0>, group = array<i64: 0>, combine = "store"}}
      : (tensor<?x5x3xf32>, tensor<9x5x3xf32>, !pit.index) -> tensor<9x5x3xf32>
  return %res : tensor<9x5x3xf32>
}}""",
        target,
    )
    x, w, p = operands(equation, sizes)
    for live in (numpy.arange(9) % 3 == 1, numpy.zeros(9, bool), numpy.ones(9, bool)):
        [actual] = compiled.run_numpy(x, w, p, live)
        expected = numpy.einsum(equation, *(array.astype(float) for array in (x, w, p))) * live[:, None, None]
        numpy.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)

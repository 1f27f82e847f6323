"""Frozen weights in panels: the numbers, whatever the sizes and types, and which weights lie so."""

from collections.abc import Mapping
from dataclasses import replace

import numpy
import pytest
from contraction_text import Contraction, assert_close, poisoned, random, wide

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.contract_pairs import multiplies_pairs
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.dialect.panels import PanelMap, panel_shape
from pit_mlir.passes import pit_lower_to_cpu
from pit_mlir.passes.contractions import panels
from pit_mlir.passes.pit_lay_out_weights import LayOutWeights
from pit_mlir.passes.pit_select_tiles import SelectTiles
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.program import Program
from pit_mlir.target import host, with_vectors


def laid_out(contraction: Contraction, sizes: Mapping[str, int]) -> tuple[ir.Module, Report]:
    """`contraction`, whose second operand is a weight of `sizes`; other iterators are dynamic."""
    static = replace(contraction, dynamic=False)
    text = static.text({i: sizes.get(i, -1) for i in contraction.iterators}).replace("-1x", "?x")
    weight = text[text.index("%b: ") : text.index(", %c: ")]
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(text.replace(weight, weight + ' {pit.kind = "weight"}'))
        SelectTiles().run(module.operation, Report())
        LayOutWeights().run(module.operation, report := Report())
        assert module.operation.verify()
        return module, report


def compiled(contraction: Contraction, sizes: Mapping[str, int]) -> Program:
    """`laid_out`, which must be in panels, compiled; where bf16 is multiplied in f32, it must be as it was."""
    module, _ = laid_out(contraction, sizes)
    is_packed = contraction.type != "bf16" or multiplies_pairs(host())
    with module.context, ir.Location.unknown():
        assert ("floordiv" in str(module)) == is_packed, str(module)
        return build_program(module)


def check(contraction: Contraction, weight: Mapping[str, int], others: list[dict[str, int]]) -> None:
    """Compares with numpy for each of the `others`, the sizes that the weight does not have."""
    program = compiled(contraction, weight)
    rng = numpy.random.default_rng(0)
    left, right, result = contraction.terms
    for other in others:
        sizes = {**weight, **other}
        operands = [random(rng, [sizes[i] for i in term], contraction.type) for term in (left, right)]
        init = random(rng, [sizes[i] for i in result], contraction.result)
        program.run_numpy(*map(poisoned, operands), init)
        [actual] = program.run_numpy(*operands, init)
        expected = numpy.einsum(contraction.equation, *map(wide, operands)) + wide(init)
        assert_close(actual, expected, contraction.result, sizes["k"])


ROWS = [{"m": rows} for rows in (0, 1, 2, 7, 16, 33, 127, 300)]


@pytest.mark.parametrize(
    ("type_", "n", "k"),
    [
        *[("f32", 127, 33), ("f32", 1, 7), ("f32", 96, 1031), ("f64", 33, 127)],
        *[("bf16", 33, 127), ("bf16", 7, 1), ("bf16", 96, 1031)],
    ],
)
def test_any_size(type_: str, n: int, k: int) -> None:
    """Edges of panels and odd depths, for any number of rows: all are read from the same panels."""
    check(Contraction("mk,nk->mn", type_, "f32" if type_ == "bf16" else type_), {"n": n, "k": k}, ROWS)


@pytest.mark.parametrize(
    ("equation", "type_", "weight", "others"),
    [
        ("mk,kn->mn", "bf16", {"n": 45, "k": 70}, ROWS),
        ("emk,enk->emn", "f32", {"e": 3, "n": 45, "k": 70}, [{"m": 5}, {"m": 130}]),
        ("btk,hnk->bthn", "bf16", {"h": 3, "n": 64, "k": 70}, [{"b": 2, "t": 9}, {"b": 2, "t": 70}]),
        ("btk,hnk->bhtn", "f32", {"h": 3, "n": 64, "k": 70}, [{"b": 2, "t": 9}, {"b": 2, "t": 70}]),
        ("bthk,nhk->btn", "bf16", {"h": 3, "n": 45, "k": 64}, [{"b": 2, "t": 9}, {"b": 2, "t": 70}]),
        ("bhtk,nhk->btn", "bf16", {"h": 3, "n": 45, "k": 64}, [{"b": 2, "t": 9}, {"b": 2, "t": 70}]),
        ("bhtk,nhk->btn", "f32", {"h": 3, "n": 61, "k": 300}, [{"b": 2, "t": 9}]),
    ],
)
def test_any_map(equation: str, type_: str, weight: dict[str, int], others: list[dict[str, int]]) -> None:
    """Whatever lies in front of columns and depth; a depth of two iterators."""
    check(Contraction(equation, type_, "f32"), weight, others)


@pytest.mark.parametrize("bits", [128, 256])
def test_any_vector_width(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    """Panels are as wide as the register tile of the processor that reads them."""
    for module in (pit_lower_to_cpu, panels):
        monkeypatch.setattr(module, "host", lambda: with_vectors(host(), bits))
    check(Contraction("mk,nk->mn"), {"n": 45, "k": 70}, ROWS)


@pytest.mark.parametrize(
    ("equation", "type_", "weight"),
    [
        ("mk,nk->mn", "f16", {"n": 64, "k": 64}),
        ("mk,nk->nm", "f32", {"n": 64, "k": 64}),
        ("mk,hnk->mhn", "f32", {"h": 3, "n": 45, "k": 64}),
        ("mhk,nhk->mn", "bf16", {"h": 3, "n": 64, "k": 33}),
        ("mk,nk->mn", "f32", {"n": 1, "k": 100_000}),
    ],
    ids=[
        "widened",
        "rows of the result",
        "heads of no whole panels",
        "heads of no whole pairs",
        "one column",
    ],
)
def test_left_as_they_are(equation: str, type_: str, weight: dict[str, int]) -> None:
    """What is widened while it is packed, what gives rows, and what would take much more memory."""
    module, _ = laid_out(Contraction(equation, type_, "f32"), weight)
    with module.context:
        assert "floordiv" not in str(module)


def test_a_large_edge_is_said() -> None:
    """A weight that panels make several times as large is left, with a remark."""
    module, report = laid_out(Contraction("mk,nk->mn"), {"n": 1, "k": 100_000})
    with module.context:
        assert any("not packed ahead: panels take" in remark.message for remark in report.diagnostics)


def test_map() -> None:
    """A map of panels is recognised by its form alone."""
    with make_context(), ir.Location.unknown():
        for given in (
            PanelMap((0,), 2, (3,), 32, 2),
            PanelMap((), 1, (2,), 16, 1),
            PanelMap((0,), 1, (2, 3), 8, 2),
        ):
            assert PanelMap.of(given.map(4)) == given
        d0, d1 = (ir.AffineExpr.get_dim(number) for number in range(2))
        by = [ir.AffineExpr.get_floor_div(d0, 4), d1, ir.AffineExpr.get_mod(d0, 8)]
        others = [
            ir.AffineMap.get(2, 0, by),
            ir.AffineMap.get(2, 0, [d1, ir.AffineExpr.get_mod(d0, 8)]),
            ir.AffineMap.get(2, 0, [ir.AffineExpr.get_floor_div(d0, 8), ir.AffineExpr.get_mod(d0, 8)]),
            ir.AffineMap.get_identity(3),
        ]
        assert [PanelMap.of(other) for other in others] == [None] * 4
    assert panel_shape([4, 33, 7], 1, 32, 2) == [4, 2, 4, 32, 2]
    assert panel_shape([33, 3, 8], 2, 16, 1) == [3, 3, 8, 16]

"""`pit-form-attention` keeps what the program computes, fires on every form of attention, and only on attention."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.bindings import PassManager, arith, func, ir, linalg, math, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.dialect.structured import build_generic, projection_map
from pit_mlir.passes.pit_form_attention import FormAttention
from tests.interpreter import run

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

NINF = float("-inf")
LOWEST = -3.4028234663852886e38
LETTERS = "bhqkde"


@dataclass
class Builder:
    """Writes generics over named iterators: `x: "bhqk"` is a tensor whose dimensions those iterators address."""

    sizes: dict[str, int]
    f32: ir.Type

    def fill(self, letters: str, value: float | bool, type_: ir.Type | None = None) -> ir.Value:
        type_ = type_ or self.f32
        out = tensor.EmptyOp([self.sizes[letter] for letter in letters], type_).result
        return linalg.fill(self.constant(value, type_), outs=[out])

    def constant(self, value: float | bool, type_: ir.Type | None = None) -> ir.Value:
        type_ = type_ or self.f32
        is_float = isinstance(type_, ir.FloatType)
        attribute = ir.FloatAttr.get(type_, value) if is_float else ir.IntegerAttr.get(type_, int(value))
        return arith.ConstantOp(type_, attribute).result

    def generic(
        self,
        out: ir.Value,
        letters: str,
        inputs: Sequence[tuple[ir.Value, str]],
        body: Callable[..., ir.Value],
    ) -> ir.Value:
        named = sorted({letter for _, its in inputs for letter in its} | set(letters))
        order = [letter for letter in named if letter in letters] + [x for x in named if x not in letters]
        maps = [
            projection_map(len(order), [order.index(x) for x in its])
            for its in [i for _, i in inputs] + [letters]
        ]
        kinds = ["parallel" if letter in letters else "reduction" for letter in order]
        return build_generic([v for v, _ in inputs], [out], maps, kinds, lambda *a: [body(*a)]).results[0]

    def map(
        self, letters: str, inputs: Sequence[tuple[ir.Value, str]], body: Callable[..., ir.Value]
    ) -> ir.Value:
        out = tensor.EmptyOp([self.sizes[letter] for letter in letters], self.f32).result
        return self.generic(out, letters, inputs, lambda *a: body(*a[:-1]))

    def contract(self, letters: str, a: tuple[ir.Value, str], b: tuple[ir.Value, str]) -> ir.Value:
        return self.generic(
            self.fill(letters, 0.0),
            letters,
            [a, b],
            lambda x, y, acc: arith.AddFOp(acc, arith.MulFOp(x, y).result).result,
        )


@dataclass(frozen=True)
class Form:
    """One way to write attention."""

    mask: str = "none"
    scores: str = "bhqk"
    query: str = "bqhd"
    key: str = "bkhd"
    value: str = "bkhe"
    out: str = "bqhe"
    fused: bool = False
    extra: str = "nothing"


def attention(
    build: Builder, form: Form, q: ir.Value, k: ir.Value, v: ir.Value, mask: ir.Value
) -> list[ir.Value]:
    """The results of attention written as `form` says."""
    rows, full = form.scores.replace("k", ""), form.scores
    over = "q" if form.extra == "wrong axis" else "k"
    rows = full.replace(over, "")
    product = build.contract(full, (q, form.query), (k, form.key))
    scaled = build.map(full, [(product, full)], lambda x: arith.MulFOp(x, build.constant(0.3)).result)
    scores = masked(build, form, scaled, mask)
    start = build.fill(rows, NINF)
    top = build.generic(start, rows, [(scores, full)], lambda x, acc: arith.MaximumFOp(x, acc).result)
    if form.extra == "no max":
        e = build.map(full, [(scores, full)], lambda x: math.ExpOp(x).result)
    elif form.fused:
        e = build.map(
            full, [(scores, full), (top, rows)], lambda x, m: math.ExpOp(arith.SubFOp(x, m).result).result
        )
    else:
        shifted = build.map(full, [(scores, full), (top, rows)], lambda x, m: arith.SubFOp(x, m).result)
        e = build.map(full, [(shifted, full)], lambda x: math.ExpOp(x).result)
    total = build.generic(
        build.fill(rows, 0.0), rows, [(e, full)], lambda x, acc: arith.AddFOp(x, acc).result
    )
    p = build.map(full, [(e, full), (total, rows)], lambda x, s: arith.DivFOp(x, s).result)
    p = guarded(build, form, p, scores, mask)
    if form.extra == "dropout":
        p = build.map(full, [(p, full)], lambda x: arith.MulFOp(x, build.constant(2.0)).result)
    out = build.contract(form.out, (p, full), (v, form.value))
    return [out, p] if form.extra == "probabilities returned" else [out]


def masked(build: Builder, form: Form, scores: ir.Value, mask: ir.Value) -> ir.Value:
    """The scores with the mask (b, k) in one of its forms."""
    full = form.scores
    if form.mask in ("additive", "guard"):
        dead = build.constant(LOWEST if form.mask == "additive" else NINF)
        added = build.map(
            "bqk", [(mask, "bk")], lambda m: arith.SelectOp(m, build.constant(0.0), dead).result
        )
        return build.map(full, [(scores, full), (added, "bqk")], lambda s, a: arith.AddFOp(s, a).result)
    if form.mask in ("select", "twice"):
        dead = build.constant(LOWEST)
        return build.map(full, [(mask, "bk"), (scores, full)], lambda m, s: arith.SelectOp(m, s, dead).result)
    return scores


def guarded(build: Builder, form: Form, p: ir.Value, scores: ir.Value, mask: ir.Value) -> ir.Value:
    """Zero in rows without a live key, in one of its forms."""
    full, rows, i1 = form.scores, form.scores.replace("k", ""), ir.IntegerType.get_signless(1)
    zero = build.constant(0.0)
    if form.mask == "twice":
        return build.map(full, [(mask, "bk"), (p, full)], lambda m, x: arith.SelectOp(m, x, zero).result)
    if form.mask != "guard":
        return p
    dead = build.generic(
        build.fill(rows, True, i1),
        rows,
        [(scores, full)],
        lambda s, acc: (
            arith.AndIOp(arith.CmpFOp(arith.CmpFPredicate.OEQ, s, build.constant(NINF)).result, acc).result
        ),
    )
    return build.map(full, [(dead, rows), (p, full)], lambda d, x: arith.SelectOp(d, zero, x).result)


def module_of(form: Form, sizes: dict[str, int]) -> ir.Module:
    """A module with one function: query, key, value, mask (b, k) to the results of `form`."""
    module = ir.Module.create()
    f32, i1 = ir.F32Type.get(), ir.IntegerType.get_signless(1)
    types = [
        ir.RankedTensorType.get([sizes[x] for x in its], f32) for its in (form.query, form.key, form.value)
    ]
    types.append(ir.RankedTensorType.get([sizes["b"], sizes["k"]], i1))
    with ir.InsertionPoint(module.body):
        function = func.FuncOp("main", ir.FunctionType.get(types, []))
        block = function.add_entry_block()
        with ir.InsertionPoint(block):
            results = attention(Builder(sizes, f32), form, *block.arguments)
            func.ReturnOp(results)
        result_types = [value.type for value in results]
        function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(types, result_types))
    assert module.operation.verify()
    return module


def formed(form: Form, sizes: dict[str, int]) -> tuple[str, Report, list[list[np.ndarray]]]:
    """The module after the pass, what it said, and the results before and after it on random data."""
    rng = np.random.default_rng(sum(sizes.values()))
    arrays = [rng.normal(size=[sizes[x] for x in its]) for its in (form.query, form.key, form.value)]
    mask = rng.random((sizes["b"], sizes["k"])) < 0.6
    if sizes["b"]:
        mask[0] = False
    report = Report()
    with make_context(), ir.Location.file("model.py", 1, 0):
        module = module_of(form, sizes)
        before = run(module, *arrays, mask)
        FormAttention().run(module.operation, report)
        assert module.operation.verify()
        PassManager.parse("builtin.module(cse)").run(module.operation)
        after = run(module, *arrays, mask)
        return str(module), report, [before, after]


FORMS = [
    *(
        Form(mask=mask, fused=fused)
        for mask in ("none", "additive", "select", "guard", "twice")
        for fused in (0, 1)
    ),
    Form(mask="additive", scores="qbhk", query="hbqd", key="kbdh", value="hekb", out="ehbq"),
    Form(mask="guard", scores="bhkq", query="bhqd", key="bhkd", value="bhke", out="bhqe"),
    Form(mask="twice", key="bkd", value="bke"),
]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("sizes", [(2, 3, 5, 4, 3, 2), (1, 1, 1, 1, 1, 1), (1, 2, 7, 9, 1, 5)], ids=str)
def test_forms_and_keeps_results(form: Form, sizes: tuple[int, ...]) -> None:
    text, report, (before, after) = formed(form, dict(zip(LETTERS, sizes, strict=True)))
    assert text.count('"pit.attend"') == 1, list(map(str, report))
    assert "linalg.generic" not in text
    assert ("guarded" in text) == (form.mask in ("guard", "twice"))
    np.testing.assert_allclose(after[0], before[0], rtol=1e-9, atol=1e-12)


@given(
    st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 5)] * 2, *[st.integers(0, 5)] * 2),
    st.sampled_from(FORMS),
)
@settings(max_examples=25, deadline=None)
def test_any_size(sizes: tuple[int, ...], form: Form) -> None:
    _, _, (before, after) = formed(form, dict(zip(LETTERS, sizes, strict=True)))
    np.testing.assert_allclose(after[0], before[0], rtol=1e-9, atol=1e-12)


REFUSALS = {
    "probabilities returned": "used elsewhere",
    "dropout": "changed after the softmax, by 'arith.mulf'",
    "no max": "does not subtract the maximum",
    "wrong axis": "runs over another axis than the keys",
}


@pytest.mark.parametrize(("extra", "reason"), REFUSALS.items())
def test_says_why_not(extra: str, reason: str) -> None:
    sizes = dict(zip(LETTERS, (2, 2, 3, 4, 5, 2), strict=True))
    text, report, (before, after) = formed(Form(extra=extra), sizes)
    assert "pit.attend" not in text
    remarks = [str(diagnostic) for diagnostic in report]
    assert len(remarks) == 1
    assert re.fullmatch(rf"model\.py:1:0: remark: attention is not formed: .*{reason}.*", remarks[0])
    np.testing.assert_array_equal(after[0], before[0])


def test_plain_contractions_are_left_alone() -> None:
    report = Report()
    with make_context(), ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            type_ = ir.RankedTensorType.get([4, 4], ir.F32Type.get())
            function = func.FuncOp("main", ir.FunctionType.get([type_, type_], [type_]))
            block = function.add_entry_block()
            with ir.InsertionPoint(block):
                build = Builder({"m": 4, "n": 4, "k": 4}, ir.F32Type.get())
                x, w = block.arguments
                func.ReturnOp([build.contract("mn", (x, "mk"), (w, "kn"))])
        before = str(module)
        FormAttention().run(module.operation, report)
        assert str(module) == before
    assert not list(report)

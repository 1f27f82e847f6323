"""R2 and R3 in contractions: they fire where fact and proof allow, keep what is computed, and say why not elsewhere."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.runner import run_pipeline
from tests.interpreter import run

RELU = "%c = arith.cmpf ugt, %a, %zero : f32\n %t = arith.select %c, %a, %zero : f32"
SELECT = "%t = arith.select %s, %a, %zero : f32"
FILL = "%t = arith.select %s, %zero, %a : f32"
PRODUCT = "%g = arith.uitofp %s : i1 to f32\n %t = arith.mulf %a, %g : f32"
TO_LISTS = "pit-prove-permutation, pit-insert-sparsity{only=lists}"


@dataclass(frozen=True)
class Program:
    """`out += f(x, mask)[x_map] * w[w_map]`: letters b, m, n, k name iterators, the mask's are among x's."""

    x: str
    w: str
    out: str
    mask: str = ""
    body: str = RELU

    @property
    def text(self) -> str:
        """The program with a dynamic size for every dimension."""

        def map_(order: str, letters: str) -> str:
            return f"affine_map<({', '.join(order)}) -> ({', '.join(letters)})>"

        def type_(letters: str, element: str = "f32") -> str:
            return f"tensor<{'?x' * len(letters)}{element}>"

        every = "".join(sorted(set(self.x + self.w + self.out)))
        kinds = ", ".join(f'"{"parallel" if letter in self.out else "reduction"}"' for letter in every)
        masked = f", {map_(self.x, self.mask)}" if self.mask else ""
        mask_type = type_(self.mask, "i1")
        return f"""
func.func @main(%x: {type_(self.x)}, %w: {type_(self.w)}, %init: {type_(self.out)}, %m: {mask_type},
                %e: {type_(self.x)}) -> {type_(self.out)} {{
  %zero = arith.constant 0.0 : f32
  %h = linalg.generic {{indexing_maps = [{map_(self.x, self.x)}{masked}, {map_(self.x, self.x)}],
                        iterator_types = [{", ".join(['"parallel"'] * len(self.x))}]}}
      ins(%x{", %m" if self.mask else ""} : {type_(self.x)}{f", {mask_type}" if self.mask else ""})
      outs(%e : {type_(self.x)}) {{
  ^bb0(%a: f32, {"%s: i1, " if self.mask else ""}%o: f32):
    {self.body}
    linalg.yield %t : f32
  }} -> {type_(self.x)}
  %y = linalg.generic {{indexing_maps = [{map_(every, self.x)}, {map_(every, self.w)}, {map_(every, self.out)}],
                        iterator_types = [{kinds}]}}
      ins(%h, %w : {type_(self.x)}, {type_(self.w)}) outs(%init : {type_(self.out)}) {{
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }} -> {type_(self.out)}
  return %y : {type_(self.out)}
}}"""


PROGRAMS = {
    "k-list of an activation": Program("mk", "nk", "mn"),
    "k-list with batches": Program("bmk", "kn", "bnm"),
    "k-list by a mask": Program("mk", "kn", "mn", "mk", SELECT),
    "k-list of a weight": Program("nk", "mk", "mn", "nk", PRODUCT),
    "one k-list for all": Program("nk", "mk", "mn", "k", SELECT),
    "n-list": Program("nk", "mk", "mn", "n", PRODUCT),
    "m-list": Program("mk", "kn", "mn", "m", SELECT),
    "m-lists of batches": Program("bmk", "bkn", "bmn", "bm", SELECT),
    "where the mask is not 0": Program("mk", "kn", "mn", "mk", FILL),
}
SIZES = st.fixed_dictionaries({letter: st.sampled_from((0, 1, 2, 3, 5)) for letter in "bmnk"})


def results(
    program: Program, sizes: dict[str, int], live: float
) -> tuple[str, Report, np.ndarray, np.ndarray]:
    """The module after the rules, what they said, and the results before and after on random data."""
    rng = np.random.default_rng(7)
    shapes = [[sizes[letter] for letter in letters] for letters in (program.x, program.w, program.out)]
    arrays = [rng.normal(size=shape) for shape in shapes]
    arrays[0] += 4 * live - 2
    mask = rng.random([sizes[letter] for letter in program.mask]) < live
    report = Report()
    with make_context():
        module = ir.Module.parse(program.text)
        arguments = (*arrays, mask, np.full(shapes[0], np.nan))
        before = run(module, *arguments)[0]
        run_pipeline(module, TO_LISTS, report)
        after = run(module, *arguments)[0]
        return str(module), report, before, after


@pytest.mark.parametrize("name", PROGRAMS)
def test_fires(name: str) -> None:
    text, report, before, after = results(PROGRAMS[name], {"b": 2, "m": 3, "n": 4, "k": 5}, 0.4)
    assert text.count('"pit.generic"') == 1
    assert text.count('"pit.detect"') == 1
    np.testing.assert_allclose(after, before, rtol=1e-12)
    assert sum("restricted to what is live by" in str(diagnostic) for diagnostic in report) == 1


@given(st.sampled_from(list(PROGRAMS)), SIZES, st.sampled_from((0.0, 0.3, 1.0)))
@settings(max_examples=40, deadline=None)
def test_keeps_results(name: str, sizes: dict[str, int], live: float) -> None:
    _, _, before, after = results(PROGRAMS[name], sizes, live)
    np.testing.assert_allclose(after, before, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "segments", "axis"),
    [
        ("k-list of an activation", "0", "1"),
        ("k-list with batches", "0, 1", "2"),
        ("k-list of a weight", "0", "1"),
        ("one k-list for all", "", "0"),
        ("n-list", "", "0"),
        ("m-lists of batches", "0", "1"),
    ],
)
def test_segments_are_what_is_not_reduced(name: str, segments: str, axis: str) -> None:
    text, *_ = results(PROGRAMS[name], {"b": 2, "m": 3, "n": 4, "k": 5}, 0.4)
    array = f"array<i64: {segments}>" if segments else "array<i64>"
    assert f"axis = array<i64: {axis}>" in text
    assert f"segments = {array}" in text


def test_the_mask_is_detected_and_not_the_product() -> None:
    text, *_ = results(PROGRAMS["k-list of a weight"], {"b": 2, "m": 3, "n": 4, "k": 5}, 0.4)
    assert '"pit.detect"(%arg3)' in text


REFUSALS = {
    "no reuse": (Program("mk", "mk", "m"), "each element is used once"),
    "a bias in between": (
        Program("mk", "kn", "mn", body=f"{RELU.replace('%t', '%r')}\n %t = arith.addf %r, %a : f32"),
        "",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_does_not_fire(name: str) -> None:
    program, reason = REFUSALS[name]
    text, report, before, after = results(program, {"b": 2, "m": 3, "n": 4, "k": 5}, 0.4)
    assert "pit.generic" not in text
    np.testing.assert_array_equal(after, before)
    assert reason in "".join(map(str, report))


def test_nothing_without_a_proof() -> None:
    report = Report()
    with make_context():
        module = ir.Module.parse(PROGRAMS["k-list of an activation"].text)
        run_pipeline(module, "pit-insert-sparsity{only=lists}", report)
        assert "pit.generic" not in str(module)
    assert "run pit-prove-permutation first" in "".join(map(str, report))


def test_a_product_that_a_zero_does_not_annihilate() -> None:
    """acc + (x + 1) * w is not neutral at x = 0."""
    text = PROGRAMS["k-list of an activation"].text.replace(
        "%p = arith.mulf %a, %b : f32", "%one = arith.constant 1.0 : f32\n %q = arith.addf %a, %one : f32\n"
        "    %p = arith.mulf %q, %b : f32"
    )  # fmt: skip
    report = Report()
    with make_context():
        module = ir.Module.parse(text)
        run_pipeline(module, TO_LISTS, report)
        assert "pit.generic" not in str(module)
    assert "operand 0 is not proved neutral at 0" in "".join(map(str, report))

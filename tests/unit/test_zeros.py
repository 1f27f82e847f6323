"""Where zeros come from: facts start at what masks on purpose, and are pushed forward through the graph."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pit_mlir.analysis.zeros import Fact, Zeros
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_infer_zeros import InferZeros

HEADER = """
#mn = affine_map<(m, n) -> (m, n)>
#m = affine_map<(m, n) -> (m)>
#n = affine_map<(m, n) -> (n)>
#nm = affine_map<(m, n) -> (n, m)>
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<4x6xf32> {{pit.name = "x", pit.kind = "input"}},
                %y: tensor<4x6xf32> {{pit.name = "scale", pit.kind = "weight"}},
                %b: tensor<4x6xi1> {{pit.name = "keep", pit.kind = "input"}},
                %r: tensor<4xi1>, %i: tensor<4x6xi64>,
                %f: tensor<4xf32> {{pit.name = "row_mask", pit.kind = "weight"}},
                %w: tensor<6x6xf32>, %g: tensor<6xf32> {{pit.name = "scale", pit.kind = "weight"}}) -> {type} {{
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %six = arith.constant 6.0 : f32
  %lowest = arith.constant -3.40282347E+38 : f32
  %true = arith.constant true
  %c0 = arith.constant 0 : i64
  %e = tensor.empty() : tensor<4x6xf32>
  %eb = tensor.empty() : tensor<4x6xi1>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x6xf32>) -> tensor<4x6xf32>
{body}
  return %result : {type}
}}
"""


def generic(
    name: str, inputs: str, body: str, out: str = "%e", type_: str = "f32", result: str = "4x6"
) -> str:
    """`%name = linalg.generic` over (m, n); `inputs` are `%x:mn %r:m`, `body` yields %t of %0, %1, .. and %acc."""
    types = {
        "%x": "4x6xf32",
        "%y": "4x6xf32",
        "%b": "4x6xi1",
        "%r": "4xi1",
        "%i": "4x6xi64",
        "%f": "4xf32",
        "%g": "6xf32",
        "%w": "6x6xf32",
    }
    parts = [item.split(":") for item in inputs.split()]
    kinds = [types.get(value, "4x6xi1" if value.startswith("%q") else "4x6xf32") for value, _ in parts]
    arguments = [f"%a{n}: {kind.split('x')[-1]}" for n, kind in enumerate(kinds)]
    three = any(map_ in ("mk", "kn") for _, map_ in parts)
    iterators = '["parallel", "parallel"' + (', "reduction"]' if three else "]")
    maps = [f"#{map_}" for _, map_ in parts] + ["#out" if three else "#mn"]
    ins = f"{', '.join(value for value, _ in parts)} : {', '.join(f'tensor<{kind}>' for kind in kinds)}"
    return f"""
  %{name} = linalg.generic {{indexing_maps = [{", ".join(maps)}], iterator_types = {iterators}}}
      ins({ins}) outs({out} : tensor<{result}x{type_}>) {{
  ^bb0({", ".join(arguments)}, %acc: {type_}):
    {body.replace("; ", chr(10) + "    ")}
    linalg.yield %t : {type_}
  }} -> tensor<{result}x{type_}>"""


@contextmanager
def zeros_of(*body: str, type_: str = "tensor<4x6xf32>") -> Iterator[tuple[list[Fact], ir.Block]]:
    """The facts about %result."""
    with make_context():
        module = ir.Module.parse(HEADER.format(body="\n".join(body), type=type_))
        assert module.operation.verify()
        block = module.body.operations[0].regions[0].blocks[0]
        returned = block.operations[len(block.operations) - 1].operands[0]
        yield list(Zeros(block).of(returned)), block


RECTIFIERS = {
    "relu": "%c = arith.cmpf ugt, %a0, %zero : f32; %t = arith.select %c, %a0, %zero : f32",
    "clamp": "%c = arith.cmpf ult, %a0, %zero : f32; %t = arith.select %c, %zero, %a0 : f32",
    "maximum": "%t = arith.maximumf %a0, %zero : f32",
    "threshold": "%c = arith.cmpf ole, %a0, %one : f32; %t = arith.select %c, %zero, %a0 : f32",
    "soft shrink": "%c = arith.cmpf ugt, %a0, %one : f32; %d = arith.subf %a0, %one : f32; "
    "%t = arith.select %c, %d, %zero : f32",
    "relu6": "%c = arith.cmpf ugt, %a0, %zero : f32; %s = arith.select %c, %a0, %zero : f32; "
    "%t = arith.minimumf %s, %six : f32",
    "maximum of torch": "%c = arith.cmpf oge, %a0, %zero : f32; %n = arith.cmpf une, %a0, %a0 : f32; "
    "%o = arith.ori %c, %n : i1; %t = arith.select %o, %a0, %zero : f32",
    "product with its own sign": "%c = arith.cmpf ogt, %a0, %zero : f32; %m = arith.uitofp %c : i1 to f32; "
    "%t = arith.mulf %a0, %m : f32",
    "square": "%m = arith.maximumf %a0, %zero : f32; %t = arith.mulf %m, %m : f32",
    "magnitudes": "%m = math.absf %a0 : f32; %c = arith.cmpf ogt, %m, %one : f32; %t = arith.select %c, %a0, %zero : f32",
    "a bounded band": "%c = arith.cmpf ogt, %a0, %one : f32; %d = arith.cmpf olt, %a0, %six : f32; "
    "%k = arith.andi %c, %d : i1; %t = arith.select %k, %a0, %zero : f32",
    "bf16": "%h = arith.truncf %a0 : f32 to bf16; %zh = arith.constant 0.0 : bf16; "
    "%c = arith.cmpf ugt, %h, %zh : bf16; %s = arith.select %c, %h, %zh : bf16; %t = arith.extf %s : bf16 to f32",
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_rectified_values_tell_themselves(name: str) -> None:
    with zeros_of(generic("result", "%x:mn", RECTIFIERS[name])) as (facts, _):
        assert [(fact.value, fact.kind, fact.source.dims) for fact in facts] == [(0, "value", (0, 1))]


MASKS = {
    "select": ("%b:mn %x:mn", "%t = arith.select %a0, %a1, %zero : f32", "%b", True, (0, 1)),
    "masked_fill": ("%b:mn %x:mn", "%t = arith.select %a0, %zero, %a1 : f32", "%b", False, (0, 1)),
    "product by truth values": (
        "%x:mn %b:mn", "%c = arith.uitofp %a1 : i1 to f32; %t = arith.mulf %a0, %c : f32", "%b", True, (0, 1),
    ),
    "product by integers": (
        "%i:mn %x:mn", "%c = arith.sitofp %a0 : i64 to f32; %t = arith.mulf %a1, %c : f32", "%i", True, (0, 1),
    ),
    "rows": ("%r:m %x:mn", "%t = arith.select %a0, %a1, %zero : f32", "%r", True, (0,)),
    "float argument called a mask": ("%x:mn %f:m", "%t = arith.mulf %a0, %a1 : f32", "%f", True, (0,)),
}  # fmt: skip


def test_what_a_comparison_with_others_keeps_tells_itself() -> None:
    """A threshold for each row, as the least of its largest values is one."""
    body = "%c = arith.cmpf oge, %a0, %a1 : f32; %t = arith.select %c, %a0, %zero : f32"
    with zeros_of(generic("result", "%x:mn %f:m", body)) as (facts, _):
        assert [(fact.value, fact.kind, fact.source.dims) for fact in facts] == [(0, "value", (0, 1))]


def test_an_indicator_is_a_mask() -> None:
    """What a predictor says in floats is a mask like any other."""
    indicator = generic(
        "p", "%x:mn", "%c = arith.cmpf ogt, %a0, %zero : f32; %t = arith.uitofp %c : i1 to f32"
    )
    product = generic("result", "%y:mn %p:mn", "%t = arith.mulf %a0, %a1 : f32")
    with zeros_of(indicator, product) as (facts, block):
        assert [(fact.value, fact.kind) for fact in facts] == [(0, "mask")]
        assert (
            facts[0].source.tensor == block.operations[len(block.operations) - 2].results[0].owner.operands[1]
        )


@pytest.mark.parametrize("name", MASKS)
def test_masks_tell(name: str) -> None:
    inputs, body, _, where_zero, dims = MASKS[name]
    with zeros_of(generic("result", inputs, body)) as (facts, _):
        told = [fact for fact in facts if fact.kind == "mask" and fact.source.where_zero == where_zero]
        assert any(fact.value == 0 and fact.source.dims == dims for fact in told)
        assert all(isinstance(fact.source.tensor.owner, ir.Block) for fact in told)


def test_a_mask_is_followed_to_its_origin() -> None:
    live = generic("q0", "%i:mn", "%t = arith.cmpi ne, %a0, %c0 : i64", "%eb", "i1")
    dead = generic("q1", "%q0:mn", "%t = arith.xori %a0, %true : i1", "%eb", "i1")
    fill = generic("result", "%q1:mn %x:mn", "%t = arith.select %a0, %zero, %a1 : f32")
    with zeros_of(live, dead, fill) as (facts, block):
        assert [(fact.source.tensor, fact.source.where_zero) for fact in facts] == [
            (block.arguments[4], True)
        ]


def test_conjunctions_keep_each_part() -> None:
    both = generic("q0", "%b:mn %r:m", "%t = arith.andi %a0, %a1 : i1", "%eb", "i1")
    fill = generic("result", "%q0:mn %x:mn", "%t = arith.select %a0, %a1, %zero : f32")
    with zeros_of(both, fill) as (facts, block):
        tellers = {fact.source.tensor for fact in facts if fact.source.where_zero}
        assert {block.arguments[2], block.arguments[3]} <= tellers


def test_mask_constants_count_as_minus_infinity() -> None:
    added = generic("a", "%b:mn", "%t = arith.select %a0, %zero, %lowest : f32")
    scores = generic("result", "%x:mn %a:mn", "%t = arith.addf %a0, %a1 : f32")
    with zeros_of(added, scores) as (facts, block):
        fact = next(fact for fact in facts if fact.source.tensor == block.arguments[2])
        assert fact.value == -math.inf
        assert {"-inf" in name or "finite" in name for name in fact.assumptions} == {True}


RELU = generic("h", "%x:mn", RECTIFIERS["relu"])
FORWARD = {
    "square": ("%h:mn", "%t = arith.mulf %a0, %a0 : f32", True),
    "gate": ("%h:mn %y:mn", "%t = arith.mulf %a0, %a1 : f32", True),
    "scale": ("%h:mn", "%t = arith.divf %a0, %six : f32", True),
    "tanh": ("%h:mn", "%t = math.tanh %a0 : f32", True),
    "bias": ("%h:mn %y:mn", "%t = arith.addf %a0, %a1 : f32", False),
    "exp": ("%h:mn", "%t = math.exp %a0 : f32", False),
    "one of two": ("%h:mn %y:mn", "%t = arith.maximumf %a0, %a1 : f32", False),
}


@pytest.mark.parametrize("name", FORWARD)
def test_facts_are_pushed_forward(name: str) -> None:
    inputs, body, passes = FORWARD[name]
    with zeros_of(RELU, generic("result", inputs, body)) as (facts, _):
        assert [fact.kind for fact in facts] == (["value"] if passes else [])


CONTRACTION = "%p = arith.mulf %a0, %a1 : f32; %t = arith.addf %acc, %p : f32"


def test_rows_stay_zero_through_a_sum_over_columns() -> None:
    rows = generic("h", "%r:m %x:mn", "%t = arith.select %a0, %a1, %zero : f32")
    product = generic("result", "%h:mk %w:kn", CONTRACTION, "%z")
    with zeros_of(rows, product) as (facts, block):
        assert (0, block.arguments[3], (0,)) in [(f.value, f.source.tensor, f.source.dims) for f in facts]


def test_elements_do_not_survive_a_sum() -> None:
    elements = generic("h", "%b:mn %x:mn", "%t = arith.select %a0, %a1, %zero : f32")
    with zeros_of(elements, generic("result", "%h:mk %w:kn", CONTRACTION, "%z")) as (facts, _):
        assert facts == []


NOTHING = {
    "annihilation is not sparsity": generic("result", "%x:mk %w:kn", CONTRACTION, "%z"),
    "a weight that scales": generic("result", "%x:mn %g:n", "%t = arith.mulf %a0, %a1 : f32"),
    "integers as numbers": generic("result", "%i:mn", "%t = arith.sitofp %a0 : i64 to f32"),
    "a select between others": generic(
        "result", "%b:mn %x:mn %y:mn", "%t = arith.select %a0, %a1, %a2 : f32"
    ),
    "a slope": generic(
        "result",
        "%x:mn",
        "%c = arith.cmpf ogt, %a0, %zero : f32; %k = arith.constant 0.1 : f32; %s = arith.mulf %a0, %k : f32; "
        "%t = arith.select %c, %a0, %s : f32",
    ),
    "a guard against one value": generic(
        "result", "%x:mn", "%c = arith.cmpf oeq, %a0, %one : f32; %t = arith.select %c, %zero, %a0 : f32"
    ),
    "a small mask constant": generic(
        "result", "%b:mn %x:mn", "%k = arith.constant -100.0 : f32; %t = arith.select %a0, %a1, %k : f32"
    ),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_claimed(name: str) -> None:
    with zeros_of(NOTHING[name]) as (facts, _):
        assert facts == []


def test_masked_rows_of_a_softmax_are_not_claimed_to_be_zero() -> None:
    """-inf minus a row maximum that may be -inf as well is no number: a row may be masked as a whole."""
    added = generic("a", "%b:mn", "%t = arith.select %a0, %zero, %lowest : f32")
    shifted = generic("s", "%a:mn %f:m", "%t = arith.subf %a0, %a1 : f32")
    with zeros_of(added, shifted, generic("result", "%s:mn", "%t = math.exp %a0 : f32")) as (facts, _):
        assert facts == []


def test_reshapes_rename_dimensions() -> None:
    rows = generic("h", "%r:m %x:mn", "%t = arith.select %a0, %a1, %zero : f32")
    expand = (
        "%result = tensor.expand_shape %h [[0], [1, 2]] output_shape [4, 2, 3] "
        ": tensor<4x6xf32> into tensor<4x2x3xf32>"
    )
    with zeros_of(rows, expand, type_="tensor<4x2x3xf32>") as (facts, _):
        assert [fact.source.dims for fact in facts if fact.source.where_zero] == [(0,)]
    with zeros_of(RELU, expand, type_="tensor<4x2x3xf32>") as (facts, block):
        returned = block.operations[len(block.operations) - 1].operands[0]
        assert [(fact.source.tensor, fact.source.dims) for fact in facts] == [(returned, (0, 1, 2))]


def test_marks() -> None:
    marked = (
        '%result = "pit.mark"(%x{}) {{operandSegmentSizes = array<i32: 1, {}>}} '
        ": (tensor<4x6xf32>{}) -> tensor<4x6xf32>"
    )
    with zeros_of(marked.format("", 0, "")) as (facts, _):
        assert [fact.kind for fact in facts] == ["value"]
    with zeros_of(marked.format(", %b", 1, ", tensor<4x6xi1>")) as (facts, block):
        assert [(fact.kind, fact.source.tensor) for fact in facts] == [("mask", block.arguments[2])]


def test_remarks_name_values_masks_and_places() -> None:
    body = [RELU, generic("result", "%h:mn %f:m", "%t = arith.mulf %a0, %a1 : f32")]
    report = Report()
    with make_context():
        module = ir.Module.parse(HEADER.format(body="\n".join(body), type="tensor<4x6xf32>"))
        InferZeros().run(module.operation, report)
    messages = [diagnostic.message for diagnostic in report]
    assert len(messages) == 3
    assert messages[0] == "its result is 0 at places that only its values tell (relu)"
    assert "is 0 where 'row_mask' is 0 (product)" in messages[1]
    assert messages[1].endswith("; assumes: the data is finite (no NaN, no infinity)")

"""The rules of images are what the prover finds: of each operation, one operand known, the other anything."""

import pytest

from pit_mlir.analysis.claims import Mode, fixed
from pit_mlir.analysis.expressions import Leaf, body_expression
from pit_mlir.analysis.images import INTEGER_CASTS, PARTIAL, Known, image
from pit_mlir.analysis.masking import body_image
from pit_mlir.analysis.permutation import TIMEOUT_MS, scheme_of
from pit_mlir.analysis.special_values import candidates
from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.dialect.structured import Structured

UNARY = {
    *(f"arith.{name}" for name in INTEGER_CASTS),
    "arith.negf",
    "math.tanh",
    "math.absf",
    "math.exp",
    "math.exp2",
}
CASES = [
    (name, type_)
    for name in PARTIAL.keys() - UNARY
    for type_ in (("f32",) if name.endswith("f") else ("i1", "i64"))
]


@pytest.mark.parametrize(("name", "type_"), sorted(CASES))
def test_rules_are_what_is_proved(name: str, type_: str) -> None:
    text = f"""
#id = affine_map<(d) -> (d)>
func.func @main(%x: tensor<4x{type_}>, %y: tensor<4x{type_}>, %z: tensor<4x{type_}>) -> tensor<4x{type_}> {{
  %r = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}}
      ins(%x, %y : tensor<4x{type_}>, tensor<4x{type_}>) outs(%z : tensor<4x{type_}>) {{
  ^bb0(%a: {type_}, %b: {type_}, %o: {type_}):
    %v = {name} %a, %b : {type_}
    linalg.yield %v : {type_}
  }} -> tensor<4x{type_}>
  return %r : tensor<4x{type_}>
}}"""
    answers: list[str] = []
    with make_context():
        module = ir.Module.parse(text)
        block = module.body.operations[0].regions[0].blocks[0]
        view = next(view for op in block.operations if (view := Structured.of(op)) is not None)
        leaves = [Leaf(value, (0,)) for value in view.inputs]
        expression = body_expression(view, 0, lambda number: leaves[number])
        scheme = scheme_of(view.op)
        assert scheme is not None
        for operand, value in [(number, value) for number in (0, 1) for value in candidates(type_)]:
            said = image(expression, {leaves[operand]: Known(value)})
            proved = body_image(scheme.body, fixed({operand: value}), Mode("real", TIMEOUT_MS))
            if isinstance(said.value, Known) and not (
                proved[0] == said.value.value and proved.assumptions <= said.assumptions
            ):
                answers.append(f"operand {operand} = {value}: {said}, proved {proved}")
    assert not answers

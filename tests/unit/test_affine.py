"""Affine maps on numbers, and bodies that have them."""

import pytest

from pit_mlir.analysis.affine import affine_value, affine_values
from pit_mlir.analysis.body import scheme_of
from pit_mlir.analysis.evaluate import Point, evaluate
from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context

TEXT = """
func.func @main(%x: tensor<?xindex>, %y: tensor<?xindex>, %s: index) -> tensor<?xindex> {
  %r = linalg.generic {
    indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]
  } ins(%x : tensor<?xindex>) outs(%y : tensor<?xindex>) {
  ^bb0(%a: index, %b: index):
    %p = affine.apply affine_map<(d0)[s0] -> (d0 * 3 - s0)>(%a)[%s]
    %q = affine.min affine_map<(d0) -> (d0, 7)>(%p)
    %m = affine.max affine_map<()[s0] -> (s0, -2)>()[%q]
    linalg.yield %m : index
  } -> tensor<?xindex>
  return %r : tensor<?xindex>
}
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [("d0 + d1 * 2", -1), ("d0 mod 4", 1), ("d0 floordiv 4", -2), ("d0 ceildiv 4", -1), ("-d1 + s0", 2)],
)
def test_expressions_round_as_those_of_mlir(text: str, value: int) -> None:
    assert affine_value(text, (-7, 3), (5,)) == value


def test_maps_take_dimensions_and_then_symbols() -> None:
    assert affine_values("affine_map<(d0, d1)[s0] -> (d0 - s0, d1)>", (9, 4, 2)) == [7, 4]
    assert affine_values("affine_map<()[s0, s1] -> (s0 * s1)>", (9, 4)) == [36]
    with pytest.raises(ZeroDivisionError):
        affine_values("affine_map<(d0)[s0] -> (d0 mod s0)>", (9, 0))


def test_bodies_with_maps_are_evaluated() -> None:
    """What samples contradict, nobody asks the solver: a question takes it a tenth of a second."""
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(TEXT)
        scheme = scheme_of(module.body.operations[0].regions[0].blocks[0].operations[0])
        assert scheme is not None
        body = scheme.body
    for x in (-40, 0, 2, 3, 17):
        point = Point((x,), (0,), (5,), (0,), False)
        assert evaluate(body, point) == [max(min(3 * x - 5, 7), -2)]

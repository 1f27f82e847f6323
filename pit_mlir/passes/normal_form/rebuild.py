"""Rebuilding a `linalg.generic` with more inputs, and the operands that decide the extents of its loops."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, empty_generic, projection_map


def with_inputs(view: Structured, values: Sequence[ir.Value], dims: Sequence[Sequence[int]]) -> Structured:
    """`view` with `values` as further inputs, indexed by the iterators `dims`; the old operation is gone.

    The body's new arguments follow those of the old inputs.
    """
    inputs, outputs = len(view.inputs), len(view.outputs)
    maps = [projection_map(len(view.iterators), positions) for positions in dims]
    with ir.InsertionPoint(view.op), view.location:
        new = empty_generic(
            [*view.inputs, *values],
            view.outputs,
            [*view.input_maps, *maps, *view.output_maps],
            view.iterators,
        )
    view.body.append_to(new.regions[0])
    body = new.regions[0].blocks[0]
    old_accumulators = [body.arguments[inputs + number] for number in range(outputs)]
    for value in values:
        body.add_argument(ir.ShapedType(value.type).element_type, view.location)
    for accumulator in old_accumulators:
        accumulator.replace_all_uses_with(body.add_argument(accumulator.type, view.location))
    for _ in range(outputs):
        body.erase_argument(inputs)
    for old, result in zip(view.op.results, new.results, strict=True):
        old.replace_all_uses_with(result)
    view.op.erase()
    rebuilt = Structured.of(new)
    assert rebuilt is not None
    return rebuilt


def loop_sites(view: Structured, iterator: int) -> list[tuple[ir.Value, int]]:
    """The (operand, dimension) pairs that run over `iterator` as a whole; outputs come first."""
    sites: list[tuple[ir.Value, int]] = []
    operands = [
        *zip(view.outputs, view.output_maps, strict=True),
        *zip(view.inputs, view.input_maps, strict=True),
    ]
    for value, map_ in operands:
        for dim, expression in enumerate(map_.results):
            if isinstance(expression, ir.AffineDimExpr) and expression.position == iterator:
                sites.append((value, dim))
    return sites

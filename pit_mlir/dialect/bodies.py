"""The scalars of a body: what they are computed from, and copies of it elsewhere."""

from collections.abc import Container, Mapping, Sequence

from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner
from pit_mlir.dialect.yield_ import yielded


def maker_of(value: ir.Value, body: ir.Block) -> ir.Operation | None:
    """The operation of `body` that makes `value`."""
    maker = owner(value)
    return maker if maker is not None and maker.block == body else None


def needed(values: Sequence[ir.Value], body: ir.Block, given: Container[ir.Value] = ()) -> set[ir.Value]:
    """Every value that `values` are computed from in `body`, with themselves; not what is behind those `given`."""
    found: set[ir.Value] = set()
    pending = list(values)
    while pending:
        one = pending.pop()
        if one in found:
            continue
        found.add(one)
        maker = maker_of(one, body)
        if maker is not None and one not in given:
            pending += list(maker.operands)
    return found


def copied(values: Sequence[ir.Value], body: ir.Block, known: Mapping[ir.Value, ir.Value]) -> list[ir.Value]:
    """`values` of `body` computed anew at the insertion point, from what is `known` to stand for others of it."""
    known = dict(known)
    wanted = needed(values, body, known)
    for op in body.operations:
        operation = op.operation
        if any(result in wanted and result not in known for result in operation.results):
            clone = operation.clone()
            substitute(clone, known)
            known.update(zip(operation.results, clone.results, strict=True))
    return [known.get(value, value) for value in values]


def copied_yields(view: Structured, scalars: Sequence[ir.Value]) -> list[ir.Value]:
    """What the body of `view` yields, computed at the insertion point on `scalars` in place of its own."""
    return copied(view.yields, view.body, dict(zip(view.scalars, scalars, strict=True)))


def substitute(operation: ir.Operation, known: Mapping[ir.Value, ir.Value]) -> None:
    """Replaces the operands of `operation` that are known."""
    for number, operand in enumerate(operation.operands):
        if operand in known:
            operation.operands[number] = known[operand]


def inlined(block: ir.Block, arguments: Sequence[ir.Value]) -> list[ir.Value]:
    """A copy of a straight-line block at the insertion point; returns what it yields."""
    return copied(yielded(block), block, dict(zip(block.arguments, arguments, strict=True)))

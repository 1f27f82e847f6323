"""`cf.assert` becomes `pit.check`: imported asserts would abort the process, and block fusion."""

from pit_mlir.bindings import arith, ir, linalg, tensor
from pit_mlir.dialect.check import check
from pit_mlir.dialect.structured import Structured, build_generic, owner, projection_map
from pit_mlir.passes.normal_form.scope import generics, tensor_blocks


def outline_asserts(module: ir.Operation) -> None:
    """Turns every assert of tensor code, and of the bodies of generics, into a check outside."""
    for op in generics(module):
        body = op.regions[0].blocks[0]
        asserts = [child.operation for child in body.operations if child.operation.name == "cf.assert"]
        view = Structured.of(op) if asserts else None
        if view is None:
            continue
        for assertion in asserts:
            _check_all_iterations(view, assertion)
            assertion.erase()
    for block in tensor_blocks(module):
        for child in list(block.operations):
            op = child.operation
            if op.name == "cf.assert":
                with ir.InsertionPoint(op), op.location:
                    check(op.operands[0], _message(op))
                op.erase()


def drop_idle_checks(module: ir.Operation) -> None:
    """Removes the checks that are true by now, and those that an earlier one of the same block repeats."""
    for block in tensor_blocks(module):
        seen: set[tuple[ir.Value, str]] = set()
        for child in list(block.operations):
            op = child.operation
            if op.name != "pit.check":
                continue
            key = (op.operands[0], op.attributes["message"].value)
            if key in seen or _is_true(key[0]):
                op.erase()
            seen.add(key)


def _check_all_iterations(view: Structured, assertion: ir.Operation) -> None:
    """Checks `assertion` of the body of `view` by a reduction of its condition, before `view`.

    The reduction runs over those iterators only that the condition depends on: an index is checked once, not
    once for each element of the row it names.
    """
    condition = assertion.operands[0]
    slice_ = _slice(condition, view.body)
    with ir.InsertionPoint(view.op), assertion.location:
        if not slice_ and not _is_argument(condition, view.body):
            check(condition, _message(assertion))
            return
        check(_reduce_condition(view, condition, slice_), _message(assertion))


def _reduce_condition(view: Structured, condition: ir.Value, slice_: list[ir.Operation]) -> ir.Value:
    """A tensor<i1>: whether `condition`, which `slice_` of the body of `view` computes, always holds."""
    read = [condition, *(operand for op in slice_ for operand in op.operands)]
    numbers = sorted({value.arg_number for value in read if _is_argument(value, view.body)})
    operands = [*view.inputs, *view.outputs]
    positions = {dim for op in slice_ if op.name == "linalg.index" for dim in [op.attributes["dim"].value]}
    carried = {dim for number in numbers for dim in _iterators(view.maps[number])}
    if not positions <= carried:
        # An index of a loop that no operand read here runs over: its extent comes from all operands.
        numbers = list(range(len(operands)))
        carried = set(range(len(view.iterators)))
    kept = sorted(carried)
    maps = [_restrict(view.maps[number], len(view.iterators), kept) for number in numbers]
    i1 = ir.IntegerType.get_signless(1)
    true = arith.constant(i1, True)
    init = linalg.fill(true, outs=[tensor.empty([], i1)])

    def body(*arguments: ir.Value) -> list[ir.Value]:
        known = {view.body.arguments[number]: arguments[at] for at, number in enumerate(numbers)}
        for op in slice_:
            clone = op.clone()
            for at, operand in enumerate(op.operands):
                if operand in known:
                    clone.operands[at] = known[operand]
            if op.name == "linalg.index":
                clone.attributes["dim"] = ir.IntegerAttr.get(
                    ir.IntegerType.get_signless(64), kept.index(op.attributes["dim"].value)
                )
            known.update(zip(op.results, clone.results, strict=True))
        return [arith.andi(arguments[-1], known[condition])]

    reduced = build_generic(
        [operands[number] for number in numbers],
        [init],
        [*maps, projection_map(len(kept), [])],
        ["reduction"] * len(kept),
        body,
    )
    return reduced.results[0]


def _slice(value: ir.Value, body: ir.Block) -> list[ir.Operation]:
    """The operations of `body` that `value` is computed from, in order."""
    needed: set[ir.Operation] = set()
    pending = [value]
    while pending:
        maker = owner(pending.pop())
        if maker is not None and maker.block == body and maker not in needed:
            needed.add(maker)
            pending.extend(maker.operands)
    return [child.operation for child in body.operations if child.operation in needed]


def _is_argument(value: ir.Value, body: ir.Block) -> bool:
    return isinstance(value, ir.BlockArgument) and value.owner == body


def _iterators(map_: ir.AffineMap) -> set[int]:
    """The iterators that any result of `map_` mentions."""
    count = map_.n_dims
    zero = ir.AffineConstantExpr.get(0)
    found: set[int] = set()
    for iterator in range(count):
        dims = [zero if dim == iterator else ir.AffineDimExpr.get(dim) for dim in range(count)]
        if any(
            expression.compose(ir.AffineMap.get(count, 0, dims)) != expression for expression in map_.results
        ):
            found.add(iterator)
    return found


def _restrict(map_: ir.AffineMap, count: int, kept: list[int]) -> ir.AffineMap:
    """`map_`, which mentions only the iterators `kept` of `count`, over these alone."""
    dims = [
        ir.AffineDimExpr.get(kept.index(dim)) if dim in kept else ir.AffineConstantExpr.get(0)
        for dim in range(count)
    ]
    renumber = ir.AffineMap.get(len(kept), 0, dims)
    return ir.AffineMap.get(len(kept), 0, [expression.compose(renumber) for expression in map_.results])


def _message(assertion: ir.Operation) -> str:
    return assertion.attributes["msg"].value


def _is_true(value: ir.Value) -> bool:
    maker = owner(value)
    return (
        maker is not None
        and maker.name == "arith.constant"
        and str(maker.attributes["value"]) in ("true", "dense<true> : tensor<i1>")
    )

"""`cf.assert` becomes `pit.check`: imported asserts would abort the process, and block fusion."""

from collections.abc import Iterable

from pit_mlir.bindings import arith, ir, linalg, tensor
from pit_mlir.dialect.check import check
from pit_mlir.dialect.structured import Iterator, Structured, build_generic, owner, projection, projection_map
from pit_mlir.passes.normal_form.movement import is_copy
from pit_mlir.passes.normal_form.scope import generics, tensor_blocks


def outline_asserts(module: ir.Operation) -> None:
    """Turns every assert of tensor code, and of the bodies of generics, into a check outside."""
    for op in generics(module):
        body = op.regions[0].blocks[0]
        asserts = [child.operation for child in body.operations if child.operation.name == "cf.assert"]
        view = Structured.on_tensors(op) if asserts else None
        if view is None:
            continue
        for assertion in asserts:
            _outline(view, assertion)
    for block in tensor_blocks(module):
        for child in list(block.operations):
            op = child.operation
            if op.name == "cf.assert":
                with ir.InsertionPoint(op), op.location:
                    check(op.operands[0], _message(op))
                op.erase()


def drop_idle_checks(checks: Iterable[ir.Operation]) -> None:
    """Removes those of `checks`, in order, that are true by now or repeat one of the same block."""
    seen: set[tuple[ir.Block, ir.Value, str]] = set()
    for op in checks:
        key = (op.block, op.operands[0], op.attributes["message"].value)
        if key in seen or _is_true(op.operands[0]):
            op.erase()
        seen.add(key)


def _outline(view: Structured, assertion: ir.Operation) -> None:
    """Checks `assertion` of the body of `view` before `view`: its condition is reduced over all iterations.

    The reduction runs over those iterators only that the condition depends on: an index is checked once, not
    once for each element of the row it names.
    """
    condition = assertion.operands[0]
    slice_ = _slice(condition, view.body)
    read = {condition, *(operand for op in slice_ for operand in op.operands)}
    numbers = sorted(value.arg_number for value in read if _is_argument(value, view.body))
    if any(len(op.regions) > 0 for op in slice_) or _reads_accumulator(view, numbers):
        return
    with ir.InsertionPoint(view.op), assertion.location:
        if slice_ or numbers:
            condition = _reduce_condition(view, condition, slice_, numbers)
        check(condition, _message(assertion))
    assertion.erase()


def _reads_accumulator(view: Structured, numbers: list[int]) -> bool:
    """Whether one of the body's arguments `numbers` changes while a reduction runs."""
    return "reduction" in view.iterators and any(number >= len(view.inputs) for number in numbers)


def _reduce_condition(
    view: Structured, condition: ir.Value, slice_: list[ir.Operation], numbers: list[int]
) -> ir.Value:
    """A tensor<i1>: whether `condition`, which `slice_` computes from arguments `numbers`, always holds."""
    sources = [_source([*view.inputs, *view.outputs][number], view.maps[number]) for number in numbers]
    positions = {op.attributes["dim"].value for op in slice_ if op.name == "linalg.index"}
    used = positions.union(*(_mentioned(map_) for _, map_ in sources))
    if not used <= {dim for _, map_ in sources for dim in _whole(map_)}:
        # No operand read here gives the extent of one of the loops: all of them together do.
        numbers = list(range(len(view.maps)))
        sources = list(zip([*view.inputs, *view.outputs], view.maps, strict=True))
        used = set(range(len(view.iterators)))
    kept = sorted(used)
    i1 = ir.IntegerType.get_signless(1)
    init = linalg.fill(arith.constant(i1, True), outs=[tensor.empty([], i1)])

    def body(*arguments: ir.Value) -> list[ir.Value]:
        known = {view.body.arguments[number]: arguments[at] for at, number in enumerate(numbers)}
        for op in slice_:
            clone = op.clone()
            for at, operand in enumerate(op.operands):
                clone.operands[at] = known.get(operand, operand)  # pyright: ignore[reportArgumentType]
            if op.name == "linalg.index":
                dim = kept.index(op.attributes["dim"].value)
                clone.attributes["dim"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), dim)
            known.update(zip(op.results, clone.results, strict=True))
        return [arith.andi(arguments[-1], known[condition])]

    iterators: list[Iterator] = ["reduction"] * len(kept)
    reduced = build_generic(
        [value for value, _ in sources],
        [init],
        [*(_renumber(map_, kept) for _, map_ in sources), projection_map(len(kept), [])],
        iterators,
        body,
    )
    return reduced.results[0]


def _source(value: ir.Value, map_: ir.AffineMap) -> tuple[ir.Value, ir.AffineMap]:
    """What `value`, read through `map_`, is a broadcast or transpose of, and the map to read that through."""
    while (maker := owner(value)) is not None and is_copy(maker):
        copy = Structured.on_tensors(maker)
        assert copy is not None
        number = ir.BlockArgument(copy.yields[0]).arg_number
        positions, made = projection(copy.maps[number]), projection(copy.maps[-1])
        if positions is None or made is None:
            break
        expressions = dict(zip(made, map_.results, strict=True))
        map_ = ir.AffineMap.get(map_.n_dims, 0, [expressions[position] for position in positions])
        value = copy.inputs[number]
    return value, map_


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


def _whole(map_: ir.AffineMap) -> set[int]:
    """The iterators that are results of `map_` by themselves."""
    return {expression.position for expression in map_.results if isinstance(expression, ir.AffineDimExpr)}


def _mentioned(map_: ir.AffineMap) -> set[int]:
    """The iterators that any result of `map_` contains."""
    pending = list(map_.results)
    found: set[int] = set()
    while pending:
        match pending.pop():
            case ir.AffineDimExpr() as dim:
                found.add(dim.position)
            case ir.AffineBinaryExpr() as binary:
                pending += [binary.lhs, binary.rhs]
            case _:
                pass
    return found


def _renumber(map_: ir.AffineMap, kept: list[int]) -> ir.AffineMap:
    """`map_`, which contains none but the iterators `kept`, over these alone."""
    zero = ir.AffineConstantExpr.get(0)
    dims = [ir.AffineDimExpr.get(kept.index(d)) if d in kept else zero for d in range(map_.n_dims)]
    renumber = ir.AffineMap.get(len(kept), 0, dims)
    return ir.AffineMap.get(len(kept), 0, [expression.compose(renumber) for expression in map_.results])


def _message(assertion: ir.Operation) -> str:
    return assertion.attributes["msg"].value


def _is_true(value: ir.Value) -> bool:
    """Whether `value` is the constant true, or what is left of a reduction of it."""
    maker = owner(value)
    if maker is not None and maker.name == "linalg.fill":
        return _is_true(maker.operands[0])
    if (view := None if maker is None else Structured.on_tensors(maker)) is not None and len(
        view.outputs
    ) == 1:
        return view.yields[0] == view.body.arguments[len(view.inputs)] and _is_true(view.outputs[0])
    if maker is None or maker.name != "arith.constant":
        return False
    match maker.attributes["value"]:
        case ir.BoolAttr() as scalar:
            return scalar.value
        case ir.IntegerAttr() as scalar:
            return scalar.value != 0
        case ir.DenseIntElementsAttr() as elements:
            return elements.is_splat and ir.BoolAttr(elements.get_splat_value()).value
        case _:
            return False

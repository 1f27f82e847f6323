"""Positions: `linalg.index` in bodies becomes an operand, so that bodies do not depend on where they run."""

from pit_mlir.bindings import arith, ir, linalg, tensor
from pit_mlir.analysis.extents import extent
from pit_mlir.dialect.structured import Structured, build_generic, owner, projection_map
from pit_mlir.passes.normal_form.movement import is_iota
from pit_mlir.passes.normal_form.rebuild import loop_sites, same_extent, with_inputs
from pit_mlir.passes.normal_form.scope import generics

_SIGNED_LESS, _SIGNED_GREATER_EQUAL = 2, 5


def fold_sign_tests(module: ir.Operation) -> None:
    """Folds `x < 0`, `x >= 0` and `max(x, 0)` for positions and extents, which are never negative."""
    found: list[ir.Operation] = []

    def collect(op: ir.Operation) -> ir.WalkResult:
        if op.name in ("arith.cmpi", "arith.maxsi"):
            found.append(op)
        return ir.WalkResult.ADVANCE

    module.walk(collect)
    for op in found:
        _fold_sign_test(op)


def _fold_sign_test(op: ir.Operation) -> None:
    value, bound = op.operands
    if _constant(bound) != 0 or not _is_never_negative(value):
        return
    if op.name == "arith.maxsi":
        replacement = value
    else:
        predicate = op.attributes["predicate"].value
        if predicate not in (_SIGNED_LESS, _SIGNED_GREATER_EQUAL):
            return
        with ir.InsertionPoint(op), op.location:
            replacement = arith.constant(ir.IntegerType.get_signless(1), predicate == _SIGNED_GREATER_EQUAL)
    op.results[0].replace_all_uses_with(replacement)
    op.erase()


def _is_never_negative(value: ir.Value) -> bool:
    maker = owner(value)
    if maker is None:
        return _is_iota_argument(value)
    match maker.name:
        case "linalg.index" | "tensor.dim" | "arith.extui":
            return True
        case "arith.index_cast":
            wide = value.type in (ir.IndexType.get(), ir.IntegerType.get_signless(64))
            return wide and _is_never_negative(maker.operands[0])
        case "arith.constant":
            constant = _constant(value)
            return constant is not None and constant >= 0
        case "arith.maxsi":
            return any(map(_is_never_negative, maker.operands))
        case "arith.minsi" | "arith.divsi":
            return all(map(_is_never_negative, maker.operands))
        case "arith.remsi":
            return _is_never_negative(maker.operands[0])
        case _:
            return False


def _is_iota_argument(value: ir.Value) -> bool:
    """Whether `value` is the argument of a generic's body that stands for an iota."""
    argument = ir.BlockArgument(value)
    generic = argument.owner.owner.operation
    if generic.name != "linalg.generic" or argument.arg_number >= len(generic.operands):
        return False
    maker = owner(generic.operands[argument.arg_number])
    return maker is not None and is_iota(maker)


def _constant(value: ir.Value) -> int | None:
    maker = owner(value)
    if maker is None or maker.name != "arith.constant":
        return None
    attribute = maker.attributes["value"]
    return attribute.value if isinstance(attribute, ir.IntegerAttr) else None


def outline_positions(module: ir.Operation) -> None:
    """Makes operands of what bodies read by position.

    `tensor.extract` of a table at positions only becomes the table with that map, where the extents agree; every
    other `linalg.index` of a body with inputs becomes an iota with the map (d).
    """
    for op in generics(module):
        names = {child.operation.name for child in op.regions[0].blocks[0].operations}
        if "linalg.index" not in names:
            continue
        view = Structured.of(op)
        assert view is not None
        if "tensor.extract" in names:
            view = _outline_extracts(view)
        if len(view.inputs) > 0 or not is_iota(view.op):
            _outline_indices(view)


def _outline_extracts(view: Structured) -> Structured:
    extracts: list[tuple[ir.Operation, list[int]]] = []
    for child in view.body.operations:
        op = child.operation
        if op.name == "tensor.extract":
            positions = [_position(index) for index in list(op.operands)[1:]]
            if _reads_whole_table(view, op.operands[0], positions):
                extracts.append((op, [position for position in positions if position is not None]))
    if not extracts:
        return view
    first = len(view.inputs)
    new = with_inputs(view, [op.operands[0] for op, _ in extracts], [dims for _, dims in extracts])
    for number, (op, _) in enumerate(extracts):
        op.results[0].replace_all_uses_with(new.body.arguments[first + number])
        op.erase()
    _erase_unused_indices(new)
    return new


def _reads_whole_table(view: Structured, table: ir.Value, positions: list[int | None]) -> bool:
    """Whether each of `positions` is a loop, another one each time, that runs over a whole dimension of `table`."""
    owner_ = owner(table)
    if owner_ is None and ir.BlockArgument(table).owner == view.body:
        return False
    if len(set(positions)) != len(positions):
        return False
    for dim, iterator in enumerate(positions):
        if iterator is None:
            return False
        if not any(same_extent((table, dim), site) for site in loop_sites(view, iterator)):
            return False
    return True


def _position(value: ir.Value) -> int | None:
    """The iterator whose position `value` is, if it is one."""
    maker = owner(value)
    while maker is not None and maker.name == "arith.index_cast":
        maker = owner(maker.operands[0])
    return maker.attributes["dim"].value if maker is not None and maker.name == "linalg.index" else None


def _outline_indices(view: Structured) -> None:
    indices = [child.operation for child in view.body.operations if child.operation.name == "linalg.index"]
    dims = sorted({op.attributes["dim"].value for op in indices})
    if not dims:
        return
    iotas: list[ir.Value] = []
    with ir.InsertionPoint(view.op), view.location:
        for dim in dims:
            iotas.append(iota(extent(*loop_sites(view, dim)[0])))
    first = len(view.inputs)
    new = with_inputs(view, iotas, [[dim] for dim in dims])
    for op in indices:
        op.results[0].replace_all_uses_with(
            new.body.arguments[first + dims.index(op.attributes["dim"].value)]
        )
        op.erase()


def _erase_unused_indices(view: Structured) -> None:
    for child in reversed(list(view.body.operations)):
        op = child.operation
        if op.name in ("linalg.index", "arith.index_cast") and not list(op.results[0].uses):
            op.erase()


def iota(size: int | ir.Value) -> ir.Value:
    """The tensor<?xindex> 0, 1, .. of `size` elements."""
    index = ir.IndexType.get()
    init = tensor.empty([size], index)
    op = build_generic(
        [], [init], [projection_map(1, [0])], ["parallel"], lambda _: [linalg.IndexOp(0).result]
    )
    return op.results[0]
